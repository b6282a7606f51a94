import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from mlx_distill.stats.ranks import Correlation, spearman

Lists = tuple[list[float], list[float]]
NUMBERS = st.integers(0, 9).map(float)


def lists(least: int, most: int) -> st.SearchStrategy[Lists]:
    return st.integers(least, most).flatmap(
        lambda n: st.tuples(st.lists(NUMBERS, min_size=n, max_size=n), st.lists(NUMBERS, min_size=n, max_size=n))
    )


def correlation(xs: list[float], ys: list[float]) -> Correlation:
    found = spearman(xs, ys)
    assert found is not None
    return found


@given(lists(5, 20))
def test_rho_is_that_of_scipy_with_ties(both: Lists) -> None:
    xs, ys = both
    if len(set(xs)) == 1 or len(set(ys)) == 1:
        assert spearman(xs, ys) is None
    else:
        assert correlation(xs, ys).rho.mean == pytest.approx(spearmanr(xs, ys).statistic)


@pytest.mark.parametrize("ys", [[3.0, 1, 2, 5, 4], [1.0, 1, 2, 5, 4], [6.0, 4, 5, 3, 1, 2]])
def test_the_p_of_few_pairs_is_that_of_all_orders(ys: list[float]) -> None:
    xs = [float(x) for x in range(len(ys))]
    reached = abs(spearmanr(xs, ys).statistic)
    every = [abs(spearmanr(xs, order).statistic) >= reached - 1e-9 for order in itertools.permutations(ys)]
    assert correlation(xs, ys).p == pytest.approx(sum(every) / len(every))


def test_the_p_of_many_pairs_is_near_the_known_one() -> None:
    random = np.random.default_rng(0)
    xs = random.normal(0, 1, 40)
    ys = 0.3 * xs + random.normal(0, 1, 40)
    assert correlation(list(xs), list(ys)).p == pytest.approx(spearmanr(xs, ys).pvalue, abs=0.01)


def test_without_a_correlation_one_in_twenty_is_found_and_a_perfect_one_always() -> None:
    random = np.random.default_rng(1)
    found = sum(correlation(list(random.random(7)), list(random.random(7))).p < 0.05 for _ in range(300))
    assert found <= 24
    perfect = correlation([1, 2, 3, 4, 5], [1, 4, 9, 16, 25])
    assert (perfect.rho.mean, perfect.p) == (pytest.approx(1), pytest.approx(2 / 120))


def test_the_interval_holds_rho_and_is_the_same_each_time() -> None:
    xs, ys = [1.0, 2, 3, 4, 5, 6, 7], [2.0, 1, 4, 3, 7, 5, 6]
    rho = correlation(xs, ys).rho
    assert rho.low is not None
    assert rho.high is not None
    assert -1 <= rho.low < rho.mean < rho.high <= 1
    assert correlation(xs, ys) == correlation(xs, ys)


@pytest.mark.parametrize(("xs", "ys"), [([1, 2, 3, 4], [1, 2, 3, 4]), ([1] * 6, [1, 2, 3, 4, 5, 6]), ([], [])])
def test_too_few_pairs_or_one_that_never_varies_have_none(xs: list[float], ys: list[float]) -> None:
    assert spearman(xs, ys) is None


def test_lists_must_be_of_one_length() -> None:
    with pytest.raises(ValueError, match="as many"):
        spearman([1, 2], [1])
