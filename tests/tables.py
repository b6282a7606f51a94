"""A table of cases as one test: every row is tried, and those that fail are named.

Fixtures are made once for all rows; a test whose rows must not share them is parametrised instead.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest

Test = Callable[..., None]


def every(names: str, rows: Iterable[Any]) -> Callable[[Test], Test]:
    """As pytest.mark.parametrize takes them: `names` separated by commas; a row is a value, a tuple of several, or
    a pytest.param of them."""
    split = [name.strip() for name in names.split(",")]
    cases = [dict(zip(split, _values(row, len(split)), strict=True)) for row in rows]
    assert cases

    def fold(test: Test) -> Test:
        @functools.wraps(test)
        def tried(subtests: pytest.Subtests, **fixtures: Any) -> None:
            for case in cases:
                with subtests.test(**case):
                    test(**fixtures, **case)

        shown = inspect.signature(test)
        fixtures = [parameter for name, parameter in shown.parameters.items() if name not in split]
        mine = inspect.Parameter("subtests", inspect.Parameter.KEYWORD_ONLY)
        tried.__signature__ = shown.replace(parameters=[*fixtures, mine])  # type: ignore[attr-defined]
        return tried

    return fold


def _values(row: Any, count: int) -> tuple[Any, ...]:
    if isinstance(row, type(pytest.param())):
        assert not row.marks
        return tuple(row.values)
    return tuple(row) if count > 1 else (row,)
