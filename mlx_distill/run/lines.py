"""Records as JSON lines: a file that can be appended to, and read by anything.

In: records. Out: lines, and records again. Keys that a record does not know are an error, not a guess.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from mlx_distill.run.data.rows import lines_of
from mlx_distill.run.errors import DataError
from mlx_distill.run.records import Check, Prompt

Record = TypeVar("Record")


def to_line(record: Any) -> str:
    """As JSON: what is a record's own before what it shares with others."""
    values = dataclasses.asdict(record)
    own = {name: values[name] for name in type(record).__annotations__}
    return json.dumps(own | values, ensure_ascii=False)


def stream_records(path: Path, kind: type[Record], skip: int = 0, step: int = 1) -> Iterator[Record]:
    """The records of a file that this package wrote. Keys it does not know are an error, not a guess."""
    try:
        for row in lines_of(path, skip, step):
            yield from_row(kind, row)
    except TypeError as error:
        raise DataError(
            f"{path} does not hold {kind.__name__} records ({error}): was it made by another version?"
        ) from error


def read_records(path: Path, kind: type[Record]) -> list[Record]:
    return list(stream_records(path, kind))


def from_row(kind: type[Record], row: dict[str, Any]) -> Record:
    if kind is Prompt and row.get("checks"):
        row = row | {"checks": tuple(Check(**check) for check in row["checks"])}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in row.items()})
