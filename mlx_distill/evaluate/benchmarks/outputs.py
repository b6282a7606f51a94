"""Outputs that came out of the sandbox, and whether they are right.

In: encoded outputs (`checks.values`) of an answer and of the reference. Out: right or wrong, by the published rules
(EvalPlus, Liu et al. 2023, arXiv 2305.01210). They are compared as text first: those of a right answer are nearly
always the same, and some have a million elements. What an answer sent is of an unknown sender.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from mlx_distill.machine.checks.values import UNREADABLE, untagged

UNLIKE_THEMSELVES = ("NaN", '{"object":')
"""What may stand in two texts that are the same, of values that are not."""

FLOAT_TOLERANCE = 1e-6
RELATIVE_TOLERANCE = 1e-7


def right(output: str, expected: str, tolerance: float | None = 0.0, accept: str = "", arguments: str = "[]") -> bool:
    """Whether an encoded output is right; never raises.

    tolerance  absolute, of numbers; with 0 floats have 1e-6, with None they must be equal
    accept     a rule of `ACCEPTED`: what is right beside the expected output, or for "root" instead of it
    arguments  the input, encoded
    """
    if accept != "root" and output == expected and not any(unlike in output for unlike in UNLIKE_THEMSELVES):
        return True
    try:
        wanted = untagged(json.loads(expected))
        value = untagged(json.loads(output), most=expected.count(",") + 1)
        if accept and ACCEPTED[accept](value, tolerance, *untagged(json.loads(arguments))):
            return True
        return accept != "root" and _equal(value, wanted, tolerance)
    except UNREADABLE:
        return False


def _equal(value: Any, wanted: Any, tolerance: float | None) -> bool:
    if value == wanted or tolerance is None:
        return bool(value == wanted)
    tolerance = tolerance or (FLOAT_TOLERANCE if _is_floats(wanted) else 0)
    return bool(tolerance) and type(value) is type(wanted) and _close(value, wanted, tolerance)


def _is_floats(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def _close(value: Any, wanted: Any, tolerance: float) -> bool:
    """numpy's allclose (|value - wanted| <= tolerance + 1e-7 |wanted|, infinities equal, NaN unlike all), element by
    element. Raises TypeError for what is no number."""
    if isinstance(wanted, list | tuple):
        if len(value) != len(wanted):
            return False
        return all(_close(one, other, tolerance) for one, other in zip(value, wanted, strict=True))
    if value == wanted:
        return True
    return bool(abs(value - wanted) <= tolerance + RELATIVE_TOLERANCE * abs(wanted) < math.inf)


# ---------------------------------------------------------------- tasks with several right answers


def _is_root(value: Any, tolerance: float, coefficients: list[float]) -> bool:
    """HumanEval/32. The published test program unpacks the answer in the coefficients' place; this is what the rule
    says, and what EvalPlus itself computes."""
    return abs(sum(factor * math.pow(value, power) for power, factor in enumerate(coefficients))) <= tolerance


def _is_surface(value: Any, tolerance: float, base: float, height: float) -> bool:
    """Mbpp/581, where the height may be meant as the pyramid's own instead of its sides'."""
    slant = math.sqrt((base / 2) ** 2 + height**2)
    return bool(abs(value - round(base**2 + 2 * base * slant)) <= tolerance)


def _is_distance(value: Any, tolerance: float, one: int, other: int) -> bool:
    """Mbpp/558, where numbers of different lengths may be aligned at their last digits."""
    width = max(len(str(one)), len(str(other)))
    pairs = zip(str(one).zfill(width), str(other).zfill(width), strict=True)
    return bool(value == sum(abs(int(a) - int(b)) for a, b in pairs))


ACCEPTED: dict[str, Callable[..., bool]] = {
    "root": _is_root,
    "pyramid": _is_surface,
    "digits": _is_distance,
    "zero": lambda value, *_: bool(value == 0),
    "anything": lambda *_: True,
}


# ---------------------------------------------------------------- what programs print


def printed_right(output: str, expected: str) -> bool:
    """LiveCodeBench's rule (Jain et al. 2024, arXiv 2403.07974): as many lines, white space around them aside, each
    the same or the same numbers in decimal. Never raises."""
    lines, wanted = _lines(output), _lines(expected)
    return len(lines) == len(wanted) and all(map(_same_line, lines, wanted))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def _same_line(line: str, expected: str) -> bool:
    if line == expected:
        return True
    numbers, wanted = line.split(), expected.split()
    if len(numbers) != len(wanted):
        return False
    try:
        return all(Decimal(one) == Decimal(other) for one, other in zip(numbers, wanted, strict=True))
    except InvalidOperation:
        return False
