"""Files that this package wrote → typed records, checked while they are read.

In: a file or a value as JSON has it, and the type that it should be. Out: the record. What does not fit is named with
its path in the file: `$.comparison.n`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mlx_distill.run.errors import DataError
from mlx_distill.run.results import SCHEMA, Results

RESULTS = "results.json"

Typed = TypeVar("Typed")

REWRITE = "`mlx-distill report --run {folder}` writes it anew"


def plain(value: Any) -> Any:
    """A record as JSON has it: dicts, lists, texts and numbers."""
    return msgspec.to_builtins(value)


def typed(kind: type[Typed], value: Any, where: str, remedy: str) -> Typed:
    """Raises DataError that names the key which is missing, unknown or of another type, and says what to do."""
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        words = " ".join(str(error).split())  # a key may hold a line break
        raise DataError(f"{where} does not fit this version ({words}): {remedy}.") from error


def read_results(folder: Path) -> Results:
    """A run's results.json. Raises DataError where there is none, or none of this version."""
    file = folder / RESULTS
    if not folder.is_dir():
        raise DataError(f"{folder} is not a run: give a run's folder (`mlx-distill runs` lists them).")
    if not file.is_file():
        raise DataError(f"{folder} has no results.json: finish it with `mlx-distill run --run {folder}`.")
    remedy = REWRITE.format(folder=folder)
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} cannot be read ({type(error).__name__}): {remedy}.") from error
    return results_of(content, str(file), remedy)


def results_of(content: Any, where: str, remedy: str) -> Results:
    """Raises DataError for content of another schema, in one line."""
    if not isinstance(content, dict):
        raise DataError(f"{where} is not a JSON object: {remedy}.")
    if content.get("schema") != SCHEMA:
        raise DataError(f"{where} has schema {content.get('schema')}, and this version reads {SCHEMA}: {remedy}.")
    return typed(Results, content, where, remedy)
