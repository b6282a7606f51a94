"""Dollars: a cap that counts the worst case of what is under way, and a forecast of what all will cost.

In: bounds before a request is sent, prices after it is answered. Out: whether the next one may go, and the whole's
estimate with an interval. What was sent and never answered stays counted at its bound, so the true bill cannot
pass the cap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mlx_distill.run.errors import BudgetError
from mlx_distill.run.records import Estimate

Z = 1.96
"""Standard errors of a 95 % interval."""

FEW = 20
"""Answers below which their spread says too little for an interval."""


@dataclass
class Budget:
    """`spent` holds what was charged and what may have been; `reserved` the worst that `under_way` can cost."""

    cap: float | None
    spent: float = 0.0
    reserved: float = 0.0
    under_way: int = 0

    def reserve(self, usd: float) -> bool:
        """Whether the next request may go; if so, its bound is held until `settle`.

        Raises BudgetError when it could pass the cap even if nothing else were under way.
        """
        if self.cap is None or self.spent + self.reserved + usd <= self.cap:
            self.reserved += usd
            self.under_way += 1
            return True
        if self.under_way:
            return False
        raise BudgetError(
            f"Stopped at ${self.spent:.2f}: the next answer could cost ${usd:.2f} and pass --max-cost {self.cap:g}. "
            "Everything is kept; raise --max-cost and run the same command again."
        )

    def settle(self, reserved: float, paid: float) -> None:
        self.under_way -= 1
        self.reserved = self.reserved - reserved if self.under_way else 0.0  # no drift of many small sums
        self.spent += paid

    def adopt(self, usd: float) -> None:
        """An earlier run's request is still under way: its bound was counted as spent."""
        self.spent -= usd
        self.reserved += usd
        self.under_way += 1


@dataclass
class Forecast:
    """The dollars of `total` answers, from those seen so far (mean and variance by Welford's recurrence)."""

    total: int
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, usd: float) -> None:
        self.count += 1
        change = usd - self.mean
        self.mean += change / self.count
        self.squares += change * (usd - self.mean)

    def estimate(self) -> Estimate:
        """Of the whole. The interval covers what is still to come, for which the mean is not known exactly."""
        left = max(0, self.total - self.count)
        whole = self.mean * self.total
        if self.count < FEW:
            return Estimate(whole, self.count)
        variance = self.squares / (self.count - 1)
        error = Z * math.sqrt(variance * (left**2 / self.count + left))
        return Estimate(whole, self.count, max(self.mean * self.count, whole - error), whole + error)
