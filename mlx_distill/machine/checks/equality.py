"""Whether a check's value is what was expected.

In: the value as it came out of the sandbox, encoded (`values`), and a Python literal. Out: right or wrong, as Python
compares them, but for two rules: True is no 1, because a task that asks for True wants no 1, and where a float is
expected its last digits do not count, because they hang on the order of computing. (Published benchmarks have rules of
their own, in `bench.outputs`, over the same values.) What an answer sent is of an unknown sender.
"""

from __future__ import annotations

import ast
import json
import math
from fractions import Fraction
from typing import Any

from mlx_distill.machine.checks.values import UNREADABLE, encoded, untagged

NUMBERS = int | float | complex | Fraction

RELATIVE, NEXT_TO_ZERO = 1e-9, 1e-12
"""By which a float may differ from the expected one, and from an expected zero."""


def right(value: str, expected: str) -> bool:
    """Never raises. `expected` that is no literal is an author's mistake, and nothing is right."""
    try:
        wanted = ast.literal_eval(expected)
        if value == encoded(wanted) and '{"object":' not in value and "NaN" not in value:
            return True
        return equal(untagged(json.loads(value), most=len(expected)), wanted)
    except (*UNREADABLE, SyntaxError, MemoryError):
        return False


def equal(value: Any, wanted: Any) -> bool:
    """Two values. Raises what comparing an unknown sender's values may raise."""
    if isinstance(wanted, dict):
        return isinstance(value, dict) and _equal_items(_by_key(value), _by_key(wanted))
    if isinstance(wanted, list | tuple):
        same = isinstance(value, type(wanted)) and len(value) == len(wanted)
        return same and all(map(equal, value, wanted))
    if isinstance(wanted, float | complex) and isinstance(value, NUMBERS) and not isinstance(value, bool):
        return value == wanted or _close(value, wanted)
    return bool(_marked(value) == _marked(wanted))


def _equal_items(value: dict[Any, Any], wanted: dict[Any, Any]) -> bool:
    return value.keys() == wanted.keys() and all(equal(value[key], wanted[key]) for key in wanted)


def _by_key(value: dict[Any, Any]) -> dict[Any, Any]:
    return {_marked(key): item for key, item in value.items()}


def _marked(value: Any) -> Any:
    """With something of its own for True and False, so that they are no numbers."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, list | tuple):
        return type(value)(map(_marked, value))
    return frozenset(map(_marked, value)) if isinstance(value, set | frozenset) else value


def _close(value: Any, wanted: Any) -> bool:
    if isinstance(value, complex) or isinstance(wanted, complex):
        most = RELATIVE * abs(wanted) if wanted else NEXT_TO_ZERO
        return bool(abs(complex(value) - complex(wanted)) <= most)
    return math.isclose(value, wanted, rel_tol=RELATIVE, abs_tol=0.0 if wanted else NEXT_TO_ZERO)
