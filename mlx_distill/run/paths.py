"""Which settings name files and folders, and what a relative path among them is relative to.

In: a Config, and the folders from which its relative paths may go. Out: the same with absolute paths, so that a run
works from whatever folder the next command is started in. What a user writes in a file is looked for beside that file
and then in the current folder; what he types, in the current folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mlx_distill.run import config as configuration
from mlx_distill.run.config import Config
from mlx_distill.run.prompts import BUNDLED

INPUTS = (
    *("prompts.train", "prompts.valid", "prompts.test", "teacher.spec", "filters.benchmarks", "training.data"),
    *("training.valid_data", "choice.answers_of", "replay.prompts"),
    *(
        "comparison.judges",
        "comparison.human",
        "comparison.rubric",
        "bench.data",
        "bench.published",
        "bench.teacher_answers",
        "training.student",
    ),
)
"""They are read; each is a path, or a list of some, where it is not another word, such as a model's name."""

OUTPUTS = ("collect.ledger", "machine.shared")
"""They are written, and need not be there yet."""

KINDS = ("recorded", "traces", "mlx")
"""What stands before the colon of a spec whose rest is a path."""


def inputs_of(config: Config) -> Iterator[tuple[str, Path]]:
    """Every file or folder that the settings name and that is there, with its setting."""
    for name in INPUTS:
        for text in _texts(_value(config, name)):
            _, path = _split(name, text)
            if path and (existing := _there(path, (Path.cwd(),))):
                yield name, existing


def anchored(config: Config, folders: Sequence[Path]) -> Config:
    """With absolute paths: each from the first folder in which it is there, what is still to be written from the first
    one. What is nowhere stays as it is: whoever reads it says so."""
    return _changed(config, lambda name, text: _anchored(name, text, folders))


def spelled_as(config: Config, before: Config) -> Config:
    """With `before`'s words for what are the same files: a run made when paths were kept as they were typed is no
    other one."""
    known = {(name, _real(name, text)): text for name in (*INPUTS, *OUTPUTS) for text in _texts(_value(before, name))}
    return _changed(config, lambda name, text: known.get((name, _real(name, text)), text))


def shown(text: str) -> str:
    """A spec or path as a report shows it: of an absolute path the name alone, for where it lies tells who made it."""
    kind, colon, rest = text.partition(":")
    before, path = (f"{kind}:", rest) if colon and kind in KINDS else ("", text)
    return f"{before}{Path(path).name}" if Path(path).is_absolute() else text


def _anchored(name: str, text: str, folders: Sequence[Path]) -> str:
    before, path = _split(name, text)
    if not path:
        return text
    existing = _there(path, folders)
    if existing is None and name in OUTPUTS:
        existing = folders[0] / Path(path).expanduser()
    return text if existing is None else before + os.path.normpath(existing.absolute())


def _real(name: str, text: str) -> str:
    before, path = _split(name, text)
    return before + os.path.realpath(Path(path).expanduser()) if path else text


def _split(name: str, text: str) -> tuple[str, str]:
    """What stands before the path, and the path; no path where the text is another word."""
    kind, colon, rest = text.partition(":")
    if name.startswith("prompts.") or name == "replay.prompts":
        return ("", "") if kind == "hf" or (kind in BUNDLED and rest in ("", "base")) else ("", text)
    if name in ("teacher.spec", "comparison.judges"):
        return (f"{kind}:", rest) if colon and kind in KINDS else ("", "")
    return "", text


def _there(path: str, folders: Sequence[Path]) -> Path | None:
    """An absolute path is there from any folder."""
    try:
        existing = Path(path).expanduser()
        return next((folder / existing for folder in folders if (folder / existing).exists()), None)
    except (OSError, ValueError, RuntimeError):  # no name that a file can have
        return None


# ---------------------------------------------------------------- settings by their dotted name


def _value(config: Config, name: str) -> Any:
    section, _, setting = name.partition(".")
    return getattr(getattr(config, section), setting)


def _texts(value: Any) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else () if value is None else (value,)


def _changed(config: Config, change: Callable[[str, str], str]) -> Config:
    changes: dict[str, Any] = {}
    for name in (*INPUTS, *OUTPUTS):
        value = _value(config, name)
        if value:
            new = tuple(change(name, text) for text in _texts(value))
            changes[name] = new if isinstance(value, tuple) else new[0]
    return configuration.replace(config, changes)
