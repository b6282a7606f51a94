"""Agreement between judges: how far beyond chance do they say the same?

In: for each prompt what every judge said, None where a judge said nothing. Out: Estimates from 1 (always) over 0
(no more than chance) to -1, with intervals from resampled prompts, since one prompt's answers belong together. Both
measures are ours: the packages that have them are under the GPL, or bring a framework along.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from mlx_distill.records import Estimate
from mlx_distill.stats import CONFIDENCE, SEED, SMALLEST_INTERVAL

RESAMPLES = 500

Rating = float | str | None
Unit = Sequence[Rating]
"""What each judge said of one thing."""


def kappa(pairs: Sequence[tuple[Rating, Rating]]) -> Estimate | None:
    """Two judges' words for the same prompts (Cohen 1960). None where they never both spoke, or said one word only."""
    both = [[pair] for pair in pairs if None not in pair]
    return _resampled(both, _cohen)


def alpha(ratings: Sequence[Sequence[Unit]], *, ordered: bool) -> Estimate | None:
    """Krippendorff's alpha (Krippendorff 2004) of any number of judges, with gaps.

    ratings  (prompts, units of the prompt, judges)
    ordered  numbers, which disagree by their squared distance; otherwise words, which are the same or not
    returns  None where no two judges rated one unit, or all said the same of everything
    """
    known = [[unit for unit in units if sum(rating is not None for rating in unit) > 1] for units in ratings]
    return _resampled([units for units in known if units], lambda units: _krippendorff(units, ordered))


def _resampled(prompts: Sequence[Sequence[Unit]], measure: Callable[[Sequence[Unit]], float | None]) -> Estimate | None:
    import numpy as np

    def of(chosen: Sequence[Sequence[Unit]]) -> float | None:
        return measure([unit for units in chosen for unit in units])

    n, value = len(prompts), of(prompts) if prompts else None
    if value is None or n < SMALLEST_INTERVAL:
        return None if value is None else Estimate(value, n)
    random = np.random.default_rng(SEED)
    drawn = (of([prompts[i] for i in random.integers(n, size=n)]) for _ in range(RESAMPLES))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile([found for found in drawn if found is not None], [tail, 1 - tail])
    return Estimate(value, n, float(low), float(high))


def _cohen(pairs: Sequence[Unit]) -> float | None:
    same = sum(a == b for a, b in pairs) / len(pairs)
    words = {word for pair in pairs for word in pair}
    chance = sum(
        sum(a == word for a, _ in pairs) * sum(b == word for _, b in pairs) / len(pairs) ** 2 for word in words
    )
    return (same - chance) / (1 - chance) if chance < 1 else None


def _krippendorff(ratings: Sequence[Unit], ordered: bool) -> float | None:
    """1 - observed / expected disagreement: within units, and between any two ratings at all."""
    units = [[rating for rating in row if rating is not None] for row in ratings]
    pooled = [rating for unit in units for rating in unit]
    expected = _disagreement(pooled, ordered) / (len(pooled) - 1)
    return 1 - sum(_disagreement(unit, ordered) / (len(unit) - 1) for unit in units) / expected if expected else None


def _disagreement(ratings: Sequence[Any], ordered: bool) -> float:
    """Over all ordered pairs: squared distances, or how many differ."""
    if ordered:
        n, total, squares = len(ratings), sum(ratings), sum(rating**2 for rating in ratings)
        return float(2 * (n * squares - total**2))
    return float(len(ratings) ** 2 - sum(count**2 for count in Counter(ratings).values()))
