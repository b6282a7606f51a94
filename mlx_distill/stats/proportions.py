"""Shares of items passed: their intervals, how alike two of them are, and what several samples are worth.

In: counts. Out: Estimates and p-values. Whether two shares differ is McNemar's test, in `stats`; here is the other
question, whether they are shown to be alike: no difference shown is not that.
"""

from __future__ import annotations

import math

from mlx_distill.run.records import Estimate
from mlx_distill.run.results.benchmarks import Equivalence
from mlx_distill.stats.inference import CONFIDENCE

MARGIN = 0.03
"""A difference that is taken for none: three points of a hundred."""


FLOOR, CEILING = 0.05, 0.95
"""Below the one next to nothing can be lost, and an answer found by chance is a gain; above the other next to nothing
can be gained."""


def bound(share: float) -> str:
    return "floor" if share < FLOOR else "ceiling" if share > CEILING else ""


def wilson(passed: int, n: int) -> Estimate:
    """The share passed with its score interval (Wilson 1927), which holds near 0 and 1 too. Raises ValueError for no
    items."""
    from scipy.special import ndtri

    if n < 1:
        raise ValueError("a share needs at least one item")
    share, z = passed / n, float(ndtri((1 + CONFIDENCE) / 2))
    centre, spread = share + z**2 / (2 * n), z * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    low, high = ((centre + side * spread) / (1 + z**2 / n) for side in (-1, 1))
    return Estimate(share, n, low if passed else 0.0, high if passed < n else 1.0)


def equivalence(gained: float, lost: float, n: int, margin: float = MARGIN) -> Equivalence:
    """Two one-sided tests (Schuirmann 1987, doi 10.1007/BF01068419) that a paired difference lies within ± margin.

    gained, lost   items of n. With several samples an item, the sums of what items gained and of what others lost: a
                   share of an item scatters less than a whole one, so that the test is then too careful, never too bold
    returns        shown at 5 %

    Each side is a score test (Tango 1998, Statistics in Medicine 17:891; for equivalence Liu et al. 2002, doi
    10.1002/sim.1012). Wald's with half an item more in every cell (Agresti & Min 2005, doi 10.1002/sim.1781) calls a
    difference of exactly the margin equivalent up to 16 times of a hundred where few items change, this one 5.
    """
    no_loss, no_gain = _beyond(gained, lost, n, margin), _beyond(lost, gained, n, margin)
    p = max(no_loss, no_gain)
    return Equivalence(margin=margin, p=p, shown=p < 1 - CONFIDENCE, no_loss_p=no_loss)


def _beyond(gained: float, lost: float, n: int, margin: float) -> float:
    """One-sided p of the hypothesis that margin or more is lost."""
    share = max(margin, _most_likely_lost(gained, lost, n, margin))
    spread = math.sqrt(n * (2 * share - margin - margin**2))
    return math.erfc((gained - lost + n * margin) / spread / math.sqrt(2)) / 2


def _most_likely_lost(gained: float, lost: float, n: int, margin: float) -> float:
    """The share of items lost that makes the counts likeliest where the share gained is smaller by the margin: the
    larger root of the likelihood's quadratic."""
    b = (2 * n - gained + lost) * margin + gained + lost
    c = lost * margin * (1 + margin)
    return (b + math.sqrt(max(0.0, b * b - 8 * n * c))) / (4 * n)


def pass_at_k(n: int, correct: int, k: int) -> float:
    """The chance that of k answers, drawn from n of which so many are correct, one at least is: unbiased, as 1 - (1 -
    correct / n)**k is not (Chen et al. 2021, arXiv 2107.03374). Raises ValueError where k is above n."""
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} needs {k} answers, and there are {n}")
    return 1 - math.comb(n - correct, k) / math.comb(n, k)
