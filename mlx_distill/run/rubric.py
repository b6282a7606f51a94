"""The rubric: by which dimensions an answer is scored alone, and what their scores mean.

In: a file of text in which each dimension is a paragraph: its name, a colon, a question; then its anchors, which begin
with a number. Out: a Rubric. What the judges read, the dimensions of the scorecard and their order follow from the one
file, so that a prompt set about something else than code brings its own.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlx_distill.run.config import Config
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.prompts import data_folder, set_rubric

DIMENSION = re.compile(r"^(?P<name>[^\n:]{1,60}?)(?P<checks> \[checks\])?:[^\n]*\n0 ", re.MULTILINE)
MOST = 12
"""Dimensions that a scorecard has room for."""


@dataclass(frozen=True)
class Rubric:
    """`text` is what a judge reads; `checked` the dimension that executed checks decide, "" for none."""

    text: str
    dimensions: tuple[str, ...]
    checked: str = ""


def rubric_of(config: Config) -> Rubric:
    """The one that is configured, or that the test prompts name, or the bundled one."""
    return read_rubric(rubric_file(config))


def rubric_file(config: Config) -> Path:
    """Raises UsageError where two prompt sets name different ones."""
    if config.comparison.rubric:
        return Path(config.comparison.rubric)
    named = {file for name in config.prompts.test if (file := set_rubric(name))}
    if len(named) > 1:
        files = ", ".join(sorted(map(str, named)))
        raise UsageError(f"The test prompts name several rubrics ({files}): choose one with --rubric.")
    return named.pop() if named else data_folder() / "rubric.md"


def has_own_rubric(config: Config) -> bool:
    """Whether another rubric than the bundled one is used."""
    return rubric_file(config) != data_folder() / "rubric.md"


@functools.cache
def read_rubric(file: Path) -> Rubric:
    """Raises UsageError for a file that is missing, DataError for one in which no dimension is found."""
    if not file.is_file():
        raise UsageError(f"There is no rubric {file}: give a file with --rubric.")
    text = file.read_text(encoding="utf-8")
    dimensions = list(DIMENSION.finditer(text))
    names = [match["name"].strip() for match in dimensions]
    _check(file, names)
    checked = next((match["name"].strip() for match in dimensions if match["checks"]), "")
    return Rubric(text.replace(" [checks]:", ":"), tuple(names), checked)


def _check(file: Path, names: Sequence[str]) -> None:
    if not names:
        raise DataError(
            f"{file} has no dimension: write a paragraph for each, its name, a colon and a question, and under it the "
            "anchors, such as `0 nothing · 5 the main part · 10 all of it`."
        )
    if len(set(names)) < len(names) or len(names) > MOST:
        raise DataError(f"{file} has {len(names)} dimensions: give each another name, and {MOST} at most.")
