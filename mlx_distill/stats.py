"""Statistics: intervals, paired tests, and verdicts in words.

In: one number for each prompt. Out: Estimates and p-values. Everything is paired and resamples whole prompts,
because two answers to one prompt have more in common than two prompts have.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlx_distill.records import Estimate

CONFIDENCE = 0.95
RESAMPLES = 2000
SEED = 0
SMALLEST_INTERVAL = 5
"""Below this many prompts no interval is shown: the bootstrap has nothing to resample."""

SMALLEST_TEST = 6
"""Below this many prompts no result can be significant: 2 / 2**5 is 0.0625."""


def estimate(values: Sequence[float]) -> Estimate:
    """The mean with its percentile bootstrap interval (Efron 1979). Raises ValueError for no values."""
    return ratio(values, [1.0] * len(values))


def ratio(sums: Sequence[float], counts: Sequence[float]) -> Estimate:
    """sum(sums) / sum(counts), e.g. nats per token over prompts, with the interval from resampled prompts."""
    import numpy as np
    from scipy.stats import bootstrap

    if not sums:
        raise ValueError("an estimate needs at least one value")
    mean = float(sum(sums) / sum(counts))
    if len(sums) < SMALLEST_INTERVAL:
        return Estimate(mean, len(sums))
    interval = bootstrap(
        (list(sums), list(counts)),
        lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return Estimate(mean, len(sums), float(interval.low), float(interval.high))


def paired_p(differences: Sequence[float]) -> float | None:
    """Two-sided sign-flip permutation test of a mean of zero (Fisher 1935); None below SMALLEST_TEST."""
    import numpy as np
    from scipy.stats import permutation_test

    if len(differences) < SMALLEST_TEST:
        return None
    if not any(differences):
        return 1.0
    values = np.asarray(differences, dtype=float)
    result = permutation_test(
        (values, np.zeros_like(values)),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        rng=np.random.default_rng(SEED),
    )
    return float(result.pvalue)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values adjusted for having looked at several (Holm 1979), in the order given; None stays None."""
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        adjusted[index] = highest
    return adjusted


def verdict(difference: Estimate | None, p: float | None) -> str:
    """better, worse, no difference shown, or too few prompts to tell."""
    if difference is None or p is None:
        return "too few prompts to tell"
    if p >= 1 - CONFIDENCE:
        return "no difference shown"
    return "better" if difference.mean > 0 else "worse"


def overall(verdicts: Sequence[str]) -> str:
    """One word for a run: mixed when something got better and something worse."""
    if not verdicts or all(word == "too few prompts to tell" for word in verdicts):
        return "too few prompts to tell"
    better, worse = "better" in verdicts, "worse" in verdicts
    if better and worse:
        return "mixed"
    return "better" if better else "worse" if worse else "no difference shown"
