"""The checkpoint from which training goes on exactly: adapter, optimiser state and step, in one file.

One file, replaced whole, so that a kill at any moment leaves the previous checkpoint or the new one. The order of
batches and the dropout masks follow from (seed, step), so nothing else needs to be kept.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten, tree_unflatten

from mlx_distill.errors import DataError
from mlx_distill.students.adapter import Adapter, load_arrays, save_arrays

FILE = "last/checkpoint.safetensors"


@dataclass(frozen=True)
class Progress:
    """How far training is. Losses are held-out nats per token."""

    step: int = 0
    best_step: int = 0
    best_loss: float | None = None


def save(folder: Path, adapter: Adapter, optimiser: Any, progress: Progress) -> None:
    arrays = {f"adapter/{name}": array for name, array in adapter.weights().items()}
    arrays |= {f"optimiser/{name}": array for name, array in tree_flatten(optimiser.state)}
    path = folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    save_arrays(path, arrays, {"progress": json.dumps(asdict(progress))})


def restore(folder: Path, adapter: Adapter, optimiser: Any) -> Progress:
    """Puts the saved state in place and says how far it was; a fresh start where there is none."""
    path = folder / FILE
    if not path.exists():
        return Progress()
    try:
        arrays, metadata = load_arrays(path)
        progress = Progress(**json.loads(metadata["progress"]))
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}): delete it to train from the start.") from error
    parts: dict[str, dict[str, mx.array]] = {"adapter": {}, "optimiser": {}}
    for name, array in arrays.items():
        part, _, rest = name.partition("/")
        parts[part][rest] = array
    adapter.set_weights(parts["adapter"])
    optimiser.state = tree_unflatten(list(parts["optimiser"].items()))
    return progress
