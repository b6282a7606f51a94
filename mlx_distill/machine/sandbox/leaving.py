"""The border: what a program printed, as plain and bounded values.

In: a file of unknown content. Out: JSON's values, to be compared, or None; and texts that can be written down. A value
is compared as it is. Text of it that is kept or shown goes through `text`: half a character is JSON, but no text, and
becomes its escape, as JSON has it, so that a value that travels as JSON text is still the same value.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def result(path: Path, most_bytes: int) -> Any:
    """None where it is no JSON, nested too deeply, or longer than a program may print."""
    try:
        with path.open("rb") as file:
            printed = file.read(most_bytes + 1)
        return json.loads(printed) if len(printed) <= most_bytes else None
    except (ValueError, RecursionError):
        return None


def text(written: str) -> str:
    """Lone surrogates as backslash escapes: they are JSON, but no text."""
    return written if written.isascii() else written.encode("utf-8", "backslashreplace").decode()


def number(value: Any, most: float) -> float:
    """A count of seconds or the like, from 0 to `most`. Raises ValueError for anything else."""
    if isinstance(value, int | float) and 0 <= value <= most:
        return float(value)
    raise ValueError("not such a number")
