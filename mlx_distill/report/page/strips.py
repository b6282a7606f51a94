"""An interval as a small strip, dot and whisker: where along it they stand, in percent of its width.

In: an Estimate of results.json and the scale's ends. Out: positions; what passes an end is drawn at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlx_distill.run.records import Estimate


@dataclass(frozen=True)
class Strip:
    """`low` and `high` None: no interval. `zero`: where no difference would be, None where there is no such place."""

    dot: float | None
    low: float | None
    high: float | None
    zero: float | None


def strip(estimate: Estimate | None, scale: tuple[float, float], zero: float | None = None) -> Strip | None:
    if estimate is None:
        return None
    places = (_along(value, scale) for value in (estimate.mean, estimate.low, estimate.high, zero))
    return Strip(*places)


def alone(value: float) -> Estimate:
    """A number without an interval."""
    return Estimate(value, 1)


def _along(value: float | None, scale: tuple[float, float]) -> float | None:
    if value is None:
        return None
    low, high = scale
    return round(100 * min(1.0, max(0.0, (value - low) / (high - low))), 2)
