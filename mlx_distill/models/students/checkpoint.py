"""The checkpoint from which training goes on exactly: trained arrays, optimiser state and progress, in one file.

One file, replaced whole, so that a kill at any moment leaves the previous checkpoint or the new one. The order of
batches and the dropout masks follow from (seed, step), so nothing else needs to be kept.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_distill.models.students.adapter import load_arrays, save_arrays
from mlx_distill.models.students.layout import Layout
from mlx_distill.run.errors import DataError

FILE = "last/checkpoint.safetensors"

Arrays = dict[str, mx.array]


@dataclass(frozen=True)
class Progress:
    """How far training is. Losses are held-out nats per token; `stale` counts those in a row that did not improve;
    `layout` is how the steps so far were computed: another one would change the last bits."""

    step: int = 0
    best_step: int = 0
    best_loss: float | None = None
    stale: int = 0
    layout: Layout = dataclasses.field(default_factory=Layout)

    def after(self, step: int, heldout_loss: float | None) -> Progress:
        """The progress when `step` is done, with its held-out loss where it was measured."""
        now = dataclasses.replace(self, step=step)
        if heldout_loss is None:
            return now
        if self.best_loss is None or heldout_loss < self.best_loss:
            return dataclasses.replace(now, best_step=step, best_loss=heldout_loss, stale=0)
        return dataclasses.replace(now, stale=self.stale + 1)


def save(folder: Path, masters: Mapping[str, mx.array], optimiser: Any, progress: Progress) -> None:
    arrays = {f"adapter/{name}": array for name, array in masters.items()}
    arrays |= {f"optimiser/{name}": array for name, array in flat_state(optimiser).items()}
    path = folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    save_arrays(path, arrays, {"progress": json.dumps(dataclasses.asdict(progress))})


def progress(folder: Path) -> Progress:
    """How far the training in this folder is."""
    return _read(folder)[1]


def restore(folder: Path, optimiser: Any) -> tuple[Arrays, Progress]:
    """Puts the optimiser's saved state in place. Returns the trained arrays, none where there is no checkpoint."""
    arrays, state = _read(folder)
    parts: dict[str, Arrays] = {"adapter": {}, "optimiser": {}}
    for name, array in arrays.items():
        part, _, rest = name.partition("/")
        parts[part][rest] = array
    if arrays:
        set_state(optimiser, parts["optimiser"])
    return parts["adapter"], state


def _read(folder: Path) -> tuple[Arrays, Progress]:
    path = folder / FILE
    if not path.exists():
        return {}, Progress()
    try:
        arrays, metadata = load_arrays(path)
        row = json.loads(metadata["progress"])
        return arrays, Progress(**row | {"layout": Layout(**row["layout"])})
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is damaged ({error}): delete it to train from the start.") from error


def flat_state(optimiser: Any) -> Arrays:
    """The optimiser's state by name; names of trained arrays hold dots themselves, so a slash goes before the part."""
    flat: Arrays = {}
    for name, value in optimiser.state.items():
        flat |= {f"{name}/{part}": array for part, array in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def set_state(optimiser: Any, flat: Mapping[str, mx.array]) -> None:
    state: dict[str, Any] = {}
    for name, array in flat.items():
        owner, _, part = name.rpartition("/")
        if owner:
            state.setdefault(owner, {})[part] = array
        else:
            state[name] = array
    optimiser.state = state
