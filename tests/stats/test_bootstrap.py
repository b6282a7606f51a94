"""Every measure that is resampled as a product of matrices, beside the same measure resampled prompt by prompt."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_distill.run.records import Estimate
from mlx_distill.stats import agreement, bootstrap
from mlx_distill.stats import inference as stats

Unit = list[Any]


def ends(estimate: Estimate | None) -> tuple[float | None, ...]:
    assert estimate is not None
    return estimate.mean, estimate.low, estimate.high


@given(st.lists(st.tuples(st.floats(-9, 9), st.integers(1, 4)), min_size=5, max_size=40))
@settings(max_examples=20)
def test_a_ratio_has_the_interval_that_scipy_finds(rows: list[tuple[float, int]]) -> None:
    sums, counts = ([float(value) for value in column] for column in zip(*rows, strict=True))
    found = scipy.stats.bootstrap(
        (sums, counts),
        lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=stats.RESAMPLES,
        confidence_level=stats._expanded(len(sums)),
        method="percentile",
        rng=np.random.default_rng(bootstrap.SEED),
    ).confidence_interval
    assert ends(stats.ratio(sums, counts))[1:] == pytest.approx((found.low, found.high), abs=1e-12)


def by_prompts(prompts: Sequence[Any], measure: Callable[[Sequence[Any]], float | None]) -> tuple[float, float]:
    """The interval of a measure that is taken anew from each resample's prompts."""
    random = np.random.default_rng(bootstrap.SEED)
    resamples = (
        [prompts[i] for i in random.integers(len(prompts), size=len(prompts))] for _ in range(agreement.RESAMPLES)
    )
    low, high = np.quantile([value for drawn in resamples if (value := measure(drawn)) is not None], [0.025, 0.975])
    return float(low), float(high)


def cohen(pairs: Sequence[tuple[Any, Any]]) -> float | None:
    same = sum(a == b for a, b in pairs) / len(pairs)
    first, second = (Counter(column) for column in zip(*pairs, strict=True))
    chance = sum(first[word] * second[word] for word in first) / len(pairs) ** 2
    return (same - chance) / (1 - chance) if chance < 1 else None


def krippendorff(prompts: Sequence[Sequence[Unit]], apart: Callable[[Any, Any], float]) -> float | None:
    """Over all ordered pairs of ratings, one by one."""
    units = [known for units in prompts for unit in units if len(known := [r for r in unit if r is not None]) > 1]
    pooled = [rating for unit in units for rating in unit]
    within = sum(apart(a, b) / (len(unit) - 1) for unit in units for a in unit for b in unit)
    between = sum(apart(a, b) for a in pooled for b in pooled) / (len(pooled) - 1)
    return 1 - within / between if between else None


def test_kappa_has_the_interval_of_kappas_taken_anew() -> None:
    random = np.random.default_rng(2)
    for n, words in ((5, 2), (12, 2), (30, 3)):
        pairs = [(str(a), str(a if same else b)) for a, b, same in random.integers(0, words, (n, 3))]
        pairs[0] = ("0", "1")
        found = agreement.kappa(pairs)
        assert ends(found) == pytest.approx((cohen(pairs), *by_prompts(pairs, cohen)), abs=1e-12)


DISTANCES: dict[bool, Callable[[Any, Any], float]] = {True: lambda a, b: (a - b) ** 2, False: lambda a, b: a != b}


@pytest.mark.parametrize("ordered", DISTANCES)
def test_alpha_has_the_interval_of_alphas_taken_anew(ordered: bool) -> None:
    """Three judges with gaps, one or two answers to a prompt; some resamples say the same of everything."""
    random = np.random.default_rng(3)
    for n in (5, 9):
        prompts: list[list[Unit]] = [[[7.0, 7.0, None]] * int(random.integers(1, 3)) for _ in range(n)]
        prompts[1] = [[7.0, 8.1, 6.2], [7.0, None, 9.3]]

        def alpha(drawn: Sequence[Sequence[Unit]]) -> float | None:
            return krippendorff(drawn, DISTANCES[ordered])

        found = agreement.alpha(prompts, ordered=ordered)
        assert ends(found) == pytest.approx((alpha(prompts), *by_prompts(prompts, alpha)), abs=1e-12)


def least_squares(differences: np.ndarray, styles: np.ndarray) -> tuple[float, float, float]:
    features = np.column_stack([np.ones(len(differences)), styles])

    def intercept(rows: np.ndarray) -> float:
        return float(np.linalg.lstsq(features[rows], differences[rows], rcond=None)[0][0])

    random, n = np.random.default_rng(bootstrap.SEED), len(differences)
    drawn = [intercept(random.integers(n, size=n)) for _ in range(stats.REGRESSIONS)]
    tail = (1 - stats._expanded(n)) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return intercept(np.arange(n)), float(low), float(high)


def test_a_difference_at_equal_style_is_that_of_fits_made_anew() -> None:
    """Also where a style never differs, always differs alike, or differs in one prompt, which few resamples draw."""
    random, n = np.random.default_rng(4), 24
    for styles in (
        random.normal(0.5, 0.5, (n, 2)),
        np.zeros((n, 2)),
        np.column_stack([np.full(n, 0.3), random.normal(0, 1, n)]),
        np.column_stack([np.arange(n) == 3, np.arange(n) == 4]).astype(float),
    ):
        differences = random.normal(0.2, 1, n)
        found = stats.at_equal_style(list(differences), styles.tolist())
        assert ends(found) == pytest.approx(least_squares(differences, styles), abs=1e-12)


def test_no_number_depends_on_how_many_draws_are_held_or_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    values = list(np.random.default_rng(5).normal(0, 1, 37))
    found = stats.estimate(values)
    monkeypatch.setattr(bootstrap, "AT_ONCE", 1000)
    monkeypatch.setattr(bootstrap, "KEPT", 0)
    assert ends(stats.estimate(values)) == pytest.approx(ends(found), abs=1e-15)
