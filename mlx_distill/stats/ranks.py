"""Rank correlation: does one thing grow with another, without saying how?

In: two numbers for each of a few things. Out: Spearman's rho with its interval and a permutation p. With the handful of
categories that a run has, tables and normal approximations would not hold; trying every order does.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlx_distill.run.records import Estimate
from mlx_distill.stats.bootstrap import SEED
from mlx_distill.stats.inference import CONFIDENCE

SMALLEST_CORRELATION = 5
"""Pairs: with four, the smallest two-sided p is 2 / 4! = 0.083."""

EXACT, RANDOM_ORDERS = 8, 9999
"""A permutation test tries all orders of so many pairs (40,320), and so many of more."""

RESAMPLES = 1999


@dataclass(frozen=True)
class Correlation:
    """`rho` from -1 to 1; its n are pairs."""

    rho: Estimate
    p: float


def spearman(xs: Sequence[float], ys: Sequence[float]) -> Correlation | None:
    """Spearman's rho (1904): Pearson's correlation of ranks, ties sharing their mean rank.

    returns  two-sided p over all orders of ys, or RANDOM_ORDERS of them; the interval from resampled pairs (Efron 1979;
             a sample in which one side does not vary says nothing, and is left out). None below SMALLEST_CORRELATION
             pairs, or where one side does not vary. Raises ValueError where the lists are not of one length.
    """
    import numpy as np

    if len(xs) != len(ys):
        raise ValueError("a correlation needs as many of the one as of the other")
    a, b = np.asarray(xs, dtype=float), np.asarray(ys, dtype=float)
    if len(a) < SMALLEST_CORRELATION or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    low, high = _interval(a, b)
    return Correlation(Estimate(float(_rho(a, b)), len(a), low, high), _p(a, b))


def _centred(values: Any) -> Any:
    """Ranks along the last axis, minus their mean."""
    from scipy.stats import rankdata

    return rankdata(values, axis=-1) - (values.shape[-1] + 1) / 2


def _rho(a: Any, b: Any) -> Any:
    """Along the last axis; nan where one side does not vary."""
    import numpy as np

    x, y = _centred(a), _centred(b)
    with np.errstate(invalid="ignore"):
        return (x * y).sum(axis=-1) / np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))


def _p(a: Any, b: Any) -> float:
    import numpy as np

    x, y, orders = _centred(a), _centred(b), _orders(len(a))
    reached = np.abs(y[orders] @ x) >= abs(float(x @ y)) - 1e-9
    return float(reached.mean()) if len(a) <= EXACT else float((reached.sum() + 1) / (len(orders) + 1))


@functools.lru_cache(maxsize=4)
def _orders(n: int) -> Any:
    """(orders, n): every order of n things, or random ones."""
    import numpy as np

    if n <= EXACT:
        return np.array(list(itertools.permutations(range(n))))
    return np.random.default_rng(SEED).permuted(np.tile(np.arange(n), (RANDOM_ORDERS, 1)), axis=1)


def _interval(a: Any, b: Any) -> tuple[float, float]:
    import numpy as np

    drawn = np.random.default_rng(SEED).integers(len(a), size=(RESAMPLES, len(a)))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(_rho(a[drawn], b[drawn]), [tail, 1 - tail])
    return float(low), float(high)
