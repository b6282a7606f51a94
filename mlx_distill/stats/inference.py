"""Statistics: intervals, paired tests, and verdicts in words.

In: one number for each prompt. Out: Estimates and p-values. Everything is paired and resamples whole prompts,
because two answers to one prompt have more in common than two prompts have: the samples, orders and repeats of a
prompt become one number first (`by_prompt`), and move together.
"""

from __future__ import annotations

import bisect
import functools
import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mlx_distill.run.records import Estimate
from mlx_distill.run.results.part import MOST_NEEDED, Tested
from mlx_distill.stats.bootstrap import SEED, resampled_sums

CONFIDENCE = 0.95
RESAMPLES = 9999
REGRESSIONS = 1999
SMALLEST_INTERVAL = 5
"""Below this many prompts no interval is shown: the bootstrap has nothing to resample."""

SMALLEST_TEST = 6
"""Below this many prompts no result can be significant: 2 / 2**5 is 0.0625."""

EXACT, RANDOM_FLIPS = 13, 9999
"""A permutation test tries all sign flips of so many prompts, and so many of more."""

POWER = 0.8
"""The chance at which a difference counts as one that could have been shown."""

SMALLEST_REGRESSION = 20
"""Prompts from which a difference is adjusted for style: ten for each of two measures."""

UNTOLD = "too few prompts to tell"
UNSHOWN = "no difference shown"


def by_prompt(rows: Iterable[tuple[str, float]]) -> dict[str, float]:
    """(prompt id, value) → one mean for each prompt. Taken singly, what belongs together would halve the interval."""
    differences: dict[str, list[float]] = defaultdict(list)
    for prompt, value in rows:
        differences[prompt].append(value)
    return {prompt: sum(values) / len(values) for prompt, values in differences.items()}


def estimate(values: Sequence[float]) -> Estimate:
    """The mean with its bootstrap interval (Efron 1979). Raises ValueError for no values."""
    return ratio(values, [1.0] * len(values))


def ratio(sums: Sequence[float], counts: Sequence[float]) -> Estimate:
    """sum(sums) / sum(counts), e.g. nats per token over prompts, with the interval from resampled prompts: the
    percentile bootstrap, expanded for few prompts (Hesterberg 2015, doi 10.1080/00031305.2015.1089789)."""
    import numpy as np

    if not sums:
        raise ValueError("an estimate needs at least one value")
    mean = float(sum(sums) / sum(counts))
    if len(sums) < SMALLEST_INTERVAL:
        return Estimate(mean, len(sums))
    drawn = resampled_sums(np.column_stack([sums, counts]), RESAMPLES)
    return _estimate(mean, len(sums), drawn[:, 0] / drawn[:, 1])


def share(rows: Iterable[tuple[str, float]]) -> Estimate | None:
    """(prompt id, 1 or 0) → the share of what holds, with the interval from resampled prompts; None for no rows."""
    sums: dict[str, float] = defaultdict(float)
    counts: dict[str, float] = defaultdict(float)
    for prompt, holds in rows:
        sums[prompt] += holds
        counts[prompt] += 1
    return ratio(list(sums.values()), list(counts.values())) if sums else None


def _estimate(mean: float, n: int, drawn: Any) -> Estimate:
    """With the interval that the resampled means span."""
    import numpy as np

    tail = (1 - _expanded(n)) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Estimate(mean, n, float(low), float(high))


@functools.cache
def _expanded(n: int) -> float:
    """The level at which a percentile interval of n values is as wide as Student's: the plain one is too narrow."""
    from scipy.special import ndtr, stdtrit

    return float(1 - 2 * ndtr(-((n / (n - 1)) ** 0.5) * stdtrit(n - 1, (1 + CONFIDENCE) / 2)))


def paired_p(differences: Sequence[float]) -> float | None:
    """Two-sided sign-flip permutation test of a mean of zero (Fisher 1935); None below SMALLEST_TEST.

    Exact up to EXACT prompts, and from RANDOM_FLIPS random flips above. The result is scipy's `permutation_test`, to
    which the tests hold it; as one product of matrices it takes a hundredth of the time, so that a verdict can be
    simulated a thousand times.
    """
    import numpy as np

    if len(differences) < SMALLEST_TEST:
        return None
    values = np.asarray(differences, dtype=float)
    flipped, slack = np.abs(_flips(len(values)) @ values), 1e-9 * np.abs(values).sum()
    as_far = int((flipped >= abs(values.sum()) - slack).sum())
    return as_far / len(flipped) if len(values) <= EXACT else (as_far + 1) / (len(flipped) + 1)


@functools.lru_cache(maxsize=4)
def _flips(n: int) -> Any:
    """Signs (flips, n): every combination, or random ones."""
    import numpy as np

    if n <= EXACT:
        return np.array(list(itertools.product((-1.0, 1.0), repeat=n)))
    return np.random.default_rng(SEED).choice((-1.0, 1.0), size=(RANDOM_FLIPS, n))


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided exact McNemar test of pass/fail pairs, from the discordant ones alone (McNemar 1947)."""
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5))) if gained + lost else 1.0


@functools.cache
def loss_p(gained: int, lost: int) -> float:
    """One-sided mid-p of McNemar's test (Fagerland et al. 2013, doi 10.1186/1471-2288-13-91): the chance of more losses
    among the discordant pairs, and half of that of as many, were gains as likely. Unlike the exact p it is not too
    large where few pairs differ, so that a loss is not overlooked for that."""
    from scipy.special import bdtr

    n = gained + lost
    return float(bdtr(gained, n, 0.5) + bdtr(gained - 1, n, 0.5)) / 2 if gained else 0.5**n / 2 if n else 1.0


def smallest_difference(differences: Sequence[float], tests: int = 1, step: float = 1.0) -> float | None:
    """The smallest mean difference that so many prompts, scattering so, would show four times of five.

    tests    looked at together: the first of them has to pass at 5 % / tests (Holm)
    step     what one prompt changes by, where few change: enough must change for any test to pass
    returns  in the unit of `differences`; None where no result could pass
    """
    n = len(differences)
    return _smallest(n, _spread(differences), tests, step) if n >= _least_changed(tests) else None


def needed_prompts(differences: Sequence[float], tests: int = 1, step: float = 1.0) -> int | None:
    """How many prompts would show a mean difference as large as this one four times of five, if they scatter so.

    It is the least n at which `smallest_difference` comes down to the difference d that was seen: n = ((t₁₋ₐ/₂ + t₀.₈)
    s / d)², with Student's quantiles at n - 1 (Cohen 1988, Statistical Power Analysis, chapter 2), and at least as many
    as change often enough for the test to pass. None for fewer than SMALLEST_TEST prompts, and where MOST_NEEDED would
    not do.
    """
    if len(differences) < SMALLEST_TEST:
        return None
    seen, spread, least = abs(sum(differences) / len(differences)), _spread(differences), _least_changed(tests)
    counts = range(least, MOST_NEEDED + 1)
    place = bisect.bisect_left(counts, True, key=lambda n: _smallest(n, spread, tests, step) <= seen)
    return counts[place] if place < len(counts) else None


def _smallest(n: int, spread: float, tests: int, step: float) -> float:
    from scipy.special import stdtrit

    reach = stdtrit(n - 1, 1 - (1 - CONFIDENCE) / tests / 2) + stdtrit(n - 1, POWER)
    return max(float(reach * spread / n**0.5), step * _least_changed(tests) / n)


def _spread(differences: Sequence[float]) -> float:
    import numpy as np

    return float(np.std(differences, ddof=1))


def _least_changed(tests: int) -> int:
    """Of how many prompts all must change, and one way, for the first of so many tests to pass."""
    return next(k for k in itertools.count(2) if 2.0 ** (1 - k) < (1 - CONFIDENCE) / tests)


def at_equal_style(differences: Sequence[float], styles: Sequence[Sequence[float]]) -> Estimate | None:
    """The mean difference that is left where two answers are alike in style: the intercept of a least-squares fit on
    the differences in style, as length-controlled win rates take it (Dubois et al. 2024, arXiv 2404.04475).

    styles   for each prompt its differences in style, 0 where the answers are alike
    returns  with the interval from resampled prompts; None below SMALLEST_REGRESSION
    """
    import numpy as np

    if len(differences) < SMALLEST_REGRESSION:
        return None
    values = np.asarray(differences, dtype=float)
    features = np.column_stack([np.ones(len(values)), np.asarray(styles, dtype=float)])

    squares = features[:, :, None] * features[:, None, :]
    products = np.column_stack([squares.reshape(len(values), -1), features * values[:, None]])
    mean = float(_intercepts(products.sum(axis=0)[None], features.shape[1])[0])
    return _estimate(mean, len(values), _intercepts(resampled_sums(products, REGRESSIONS), features.shape[1]))


def _intercepts(products: Any, features: int) -> Any:
    """Of least-squares fits, a row for each: from the sums of XᵀX and Xᵀy, one beside the other. Where features depend
    on each other it is that of the smallest solution (Penrose 1955, doi 10.1017/S0305004100030401)."""
    import numpy as np

    squares, targets = products[:, : features**2].reshape(-1, features, features), products[:, features**2 :]
    return (np.linalg.pinv(squares, rcond=1e-12, hermitian=True)[:, 0] * targets).sum(axis=1)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values adjusted for having looked at several (Holm 1979), in the order given; None stays None."""
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        adjusted[index] = highest
    return adjusted


def verdict(mean: float, n: int, p_holm: float | None, tests: int) -> str:
    """better, worse, no difference shown, or too few prompts to tell: then no result of n prompts could have been
    significant among so many tests."""
    if p_holm is not None and p_holm < 1 - CONFIDENCE:
        return "better" if mean > 0 else "worse"
    if p_holm is None or 2.0 ** (1 - n) * tests >= 1 - CONFIDENCE:
        return UNTOLD
    return UNSHOWN


@dataclass(frozen=True)
class Measure:
    """What is tested: a difference for each prompt, its p-value, and the most that a difference can be."""

    differences: Sequence[float]
    p: float | None
    most: float


class PairCounts(NamedTuple):
    """Items that passed after and not before, before and not after, both times, and neither time."""

    gained: int
    lost: int
    both: int
    neither: int


def pass_fail(pairs: Sequence[tuple[bool, bool]]) -> tuple[PairCounts, Measure]:
    """(before, after) pairs counted, and their exact McNemar test."""
    kinds = ((False, True), (True, False), (True, True), (False, False))
    counts = PairCounts(*(pairs.count(kind) for kind in kinds))
    p = mcnemar(counts.gained, counts.lost) if len(pairs) >= SMALLEST_TEST else None
    return counts, Measure([float(after) - float(before) for before, after in pairs], p, 1)


def decide_together(measures: Sequence[Measure]) -> list[Tested]:
    """For measures that were tested together, what the tests say of each."""
    adjusted = holm([measure.p for measure in measures])
    tests = sum(p is not None for p in adjusted)
    return [_decided(measure, p, tests) for measure, p in zip(measures, adjusted, strict=True)]


def _decided(measure: Measure, p_holm: float | None, tests: int) -> Tested:
    n, mean = len(measure.differences), estimate(measure.differences) if measure.differences else None
    word = verdict(mean.mean, n, p_holm, tests) if mean else "not scored"
    smallest = smallest_difference(measure.differences, tests) if word == UNSHOWN else None
    needed = needed_prompts(measure.differences, tests) if word == UNSHOWN else None
    return Tested(
        n=n,
        difference=mean,
        p=measure.p,
        p_holm=p_holm,
        verdict=word,
        smallest=smallest if smallest is not None and smallest <= measure.most else None,
        needed=None if needed is None else max(needed, n + 1),
    )


def overall(verdicts: Sequence[str]) -> str:
    """One word for a run: mixed when something got better and something worse."""
    if not verdicts or all(word == UNTOLD for word in verdicts):
        return UNTOLD
    better, worse = "better" in verdicts, "worse" in verdicts
    if better and worse:
        return "mixed"
    return "better" if better else "worse" if worse else UNSHOWN
