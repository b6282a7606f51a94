"""A student's files: what its config.json says, whether its weights are the same, and what is wrong with them.

In: a model folder, an error of mlx or transformers. Out: a configuration, a digest, a DataError in words. Weights are
told apart by samples: of two billion of them a fifth of a second's reading is enough to notice another training.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mlx_distill.machine import watchdog
from mlx_distill.run.errors import DataError, MachineError, words_of

SAMPLES, SAMPLE_BYTES = 64, 1 << 14
MOST_HEADER = 1 << 26
"""Bytes of a weight file's header that are read."""

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
INSTEAD = {
    b"version https://git-lfs": "is a pointer of Git LFS, not the weights: fetch them with `git lfs pull`",
    b"<": "is a web page, not the weights: download it again",
}


def weight_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("model*.safetensors"))


def weights_digest(folder: Path) -> str:
    """Of names, sizes and samples of the weight files: the same for a copy, another one for other weights."""
    total = hashlib.sha256()
    for path in weight_files(folder):
        size = path.stat().st_size
        total.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            for place in range(SAMPLES + 1):
                file.seek(max(0, size - SAMPLE_BYTES) * place // SAMPLES)
                total.update(file.read(SAMPLE_BYTES))
    return total.hexdigest()


def read_config(folder: Path) -> dict[str, Any]:
    """config.json. Raises DataError where it is none."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read ({words_of(error)}): download the model again.") from error
    if not isinstance(config, dict):
        raise DataError(f"{path} is no JSON object: download the model again.")
    return config


def check_headers(folder: Path) -> None:
    """Raises DataError where weights are missing or cut short, by what the index and the files' headers say of them."""
    there = weight_files(folder)
    for name in _indexed(folder) - {path.name for path in there}:
        raise DataError(f"{folder} lacks {name}, which its index names: download the model whole.")
    for path in there:
        needed = _bytes_needed(path)
        if needed is not None and path.stat().st_size < needed:
            raise DataError(
                f"{path} is cut short: it has {path.stat().st_size:,} of {needed:,} bytes. Download it again."
            )


def _indexed(folder: Path) -> set[str]:
    try:
        index = json.loads((folder / "model.safetensors.index.json").read_text(encoding="utf-8"))
        return {str(name) for name in index["weight_map"].values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return set()


def _bytes_needed(path: Path) -> int | None:
    """None for a file whose header says nothing: what is wrong with it, loading tells."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, MOST_HEADER)))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        return 8 + length + max(ends, default=0)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return None


def unreadable(folder: Path, error: BaseException) -> DataError:
    """What mlx or transformers could not load, in their words: these name the file, the weight or the setting."""
    if not any((folder / name).exists() for name in TOKENIZERS):
        return DataError(f"{folder} has no tokenizer ({', '.join(TOKENIZERS)}): download the model whole.")
    for path in weight_files(folder):
        with path.open("rb") as file:
            start = file.read(32)
        for sign, words in INSTEAD.items():
            if start.startswith(sign):
                return DataError(f"{path} {words}.")
    return DataError(
        f"{folder} cannot be loaded ({words_of(error)}): is it a whole MLX model folder, whose config.json "
        "belongs to its weights?"
    )


def total_parameters(model: Any) -> int:
    """Weights of the base model, adapters apart; a quantised weight counts as one."""
    from mlx_lm.utils import get_total_parameters

    return int(get_total_parameters(model))


def machine_failure(error: Exception) -> MachineError | None:
    """What the machine failed at, which says nothing about what it worked on; None for another error."""
    advice = watchdog.explain(f"{type(error).__name__}: {error}")
    return MachineError(advice) if advice else None
