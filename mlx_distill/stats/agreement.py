"""Agreement between judges: how far beyond chance do they say the same?

In: for each prompt what every judge said, None where a judge said nothing. Out: Estimates from 1 (always) over 0
(no more than chance) to -1, with intervals from resampled prompts, since one prompt's answers belong together. Both
measures are ours: the packages that have them are under the GPL, or bring a framework along.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mlx_distill.run.records import Estimate
from mlx_distill.stats.bootstrap import resampled_sums
from mlx_distill.stats.inference import CONFIDENCE, SMALLEST_INTERVAL

RESAMPLES = 500

Rating = float | str | None
Unit = Sequence[Rating]
"""What each judge said of one thing."""


def kappa(pairs: Sequence[tuple[Rating, Rating]]) -> Estimate | None:
    """Two judges' words for the same prompts (Cohen 1960). None where they never both spoke, or said one word only."""
    import numpy as np

    both = [pair for pair in pairs if None not in pair]
    words = {word: place for place, word in enumerate(dict.fromkeys(word for pair in both for word in pair))}
    rows = np.zeros((len(both), 1 + 2 * len(words)))
    for row, (a, b) in zip(rows, both, strict=True):
        row[0] = a == b
        row[1 + words[a]] += 1
        row[1 + len(words) + words[b]] += 1
    return _resampled(rows, lambda sums: _cohen(sums, len(both), len(words)))


def alpha(ratings: Sequence[Sequence[Unit]], *, ordered: bool) -> Estimate | None:
    """Krippendorff's alpha (Krippendorff 2004) of any number of judges, with gaps.

    ratings  (prompts, units of the prompt, judges)
    ordered  numbers, which disagree by their squared distance; otherwise words, which are the same or not
    returns  None where no two judges rated one unit, or all said the same of everything
    """
    rated = [[[rating for rating in unit if rating is not None] for unit in units] for units in ratings]
    paired = [[unit for unit in units if len(unit) > 1] for units in rated]
    prompts = [units for units in paired if units]
    rows = _numbers(prompts) if ordered else _words(prompts)
    return _resampled(rows, _krippendorff_of_numbers if ordered else _krippendorff_of_words)


def _resampled(rows: Any, measure: Callable[[Any], Any]) -> Estimate | None:
    """rows (prompts, columns); `measure`: their sums (resamples, columns) → one value each, nan where there is none."""
    import numpy as np

    n = len(rows)
    if not n:
        return None
    value = float(measure(rows.sum(axis=0)[None])[0])
    if np.isnan(value):
        return None
    if n < SMALLEST_INTERVAL:
        return Estimate(value, n)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(measure(resampled_sums(rows, RESAMPLES)), [tail, 1 - tail])
    return Estimate(value, n, float(low), float(high))


def _cohen(sums: Any, n: int, words: int) -> Any:
    """From how often they said the same, and how often each of them said each word."""
    chance = (sums[:, 1 : 1 + words] * sums[:, 1 + words :]).sum(axis=1) / n**2
    return (sums[:, 0] / n - chance) / _or_nan(1 - chance, 1.0)


def _numbers(prompts: Sequence[Sequence[Sequence[Any]]]) -> Any:
    """Of each prompt: disagreement within its units, how many ratings, their sum, and the sum of their squares."""
    import numpy as np

    rows = np.zeros((len(prompts), 4))
    for row, units in zip(rows, prompts, strict=True):
        for unit in map(np.asarray, units):
            n, total, squares = len(unit), unit.sum(), (unit**2).sum()
            row += (2 * (n * squares - total**2) / (n - 1), n, total, squares)
    return rows


def _krippendorff_of_numbers(sums: Any) -> Any:
    within, n, total, squares = sums.T
    return 1 - within * (n - 1) / _or_nan(2 * (n * squares - total**2), n * squares)


def _words(prompts: Sequence[Sequence[Sequence[Any]]]) -> Any:
    """Of each prompt: disagreement within its units, and how often each word was said."""
    import numpy as np

    words = sorted({word for units in prompts for unit in units for word in unit})
    rows = np.zeros((len(prompts), 1 + len(words)))
    for row, units in zip(rows, prompts, strict=True):
        for unit in units:
            counts = np.array([unit.count(word) for word in words])
            row[0] += (len(unit) ** 2 - (counts**2).sum()) / (len(unit) - 1)
            row[1:] += counts
    return rows


def _krippendorff_of_words(sums: Any) -> Any:
    n = sums[:, 1:].sum(axis=1)
    return 1 - sums[:, 0] * (n - 1) / _or_nan(n**2 - (sums[:, 1:] ** 2).sum(axis=1), n**2)


def _or_nan(disagreement: Any, size: Any) -> Any:
    """nan where all said the same: then there is nothing to agree on. `size`: what rounding is measured by."""
    import numpy as np

    return np.where(disagreement > 1e-12 * size, disagreement, np.nan)
