import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest
from tables import every

from mlx_distill.stats.proportions import MARGIN, equivalence, pass_at_k, wilson

# ---------------------------------------------------------------- one share


def test_wilsons_interval_is_the_published_one() -> None:
    """81 of 263 (Newcombe 1998, Stat Med 17:857-872, table I): 0.2553 to 0.3662. 0 of 20: up to 0.1611."""
    found = wilson(81, 263)
    assert (found.mean, found.n) == (81 / 263, 263)
    assert (found.low, found.high) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))
    assert (wilson(0, 20).low, wilson(0, 20).high) == (pytest.approx(0), pytest.approx(0.1611, abs=5e-5))


@given(st.integers(1, 600).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_interval_is_that_of_scipy_and_of_the_formula(counts: tuple[int, int]) -> None:
    passed, n = counts
    found, theirs = wilson(passed, n), binomtest(passed, n).proportion_ci(0.95, "wilson")
    z = 1.959963984540054
    middle = (passed + z * z / 2) / (n + z * z)
    reach = z / (n + z * z) * math.sqrt(passed * (n - passed) / n + z * z / 4)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-15)
    assert found.low == pytest.approx(middle - reach, abs=1e-9)
    assert found.high == pytest.approx(middle + reach, abs=1e-9)


def test_no_items_have_no_share() -> None:
    with pytest.raises(ValueError, match="n"):
        wilson(0, 0)


# ---------------------------------------------------------------- two shares that are alike


def likeliest(gained: int, lost: int, n: int, margin: float) -> float:
    """The share lost at which the counts are likeliest, found without the formula."""

    def unlikely(share: float) -> float:
        rows = ((gained, share - margin), (lost, share), (n - gained - lost, 1 - 2 * share + margin))
        return -sum(count * math.log(max(p, 1e-300)) for count, p in rows if count)

    found = minimize_scalar(unlikely, bounds=(margin, (1 + margin) / 2), method="bounded", options={"xatol": 1e-12})
    return float(min((margin, found.x), key=unlikely))


@given(st.integers(20, 400).flatmap(lambda n: st.tuples(st.integers(0, n // 3), st.integers(0, n // 3), st.just(n))))
def test_each_side_is_the_score_test_at_the_likeliest_share(counts: tuple[int, int, int]) -> None:
    gained, lost, n = counts
    share = likeliest(gained, lost, n, MARGIN)
    z = (gained - lost + n * MARGIN) / math.sqrt(n * (2 * share - MARGIN - MARGIN**2))
    assert equivalence(gained, lost, n).no_loss_p == pytest.approx(math.erfc(z / math.sqrt(2)) / 2, rel=1e-3, abs=1e-9)


def test_its_interval_is_the_published_one() -> None:
    """Complete responses before and after therapy (Cavo et al. 2012): of 161, 6 gained and 16 lost; Tango's 95 %
    interval goes from -0.1240 to -0.0054 (Fagerland et al. 2017, Statistical Analysis of Contingency Tables)."""
    assert equivalence(6, 16, 161, margin=0.1240).no_loss_p == pytest.approx(0.025, abs=2e-4)


@given(st.integers(0, 60), st.integers(0, 60))
def test_gain_and_loss_weigh_the_same(gained: int, lost: int) -> None:
    one, other = equivalence(gained, lost, 200), equivalence(lost, gained, 200)
    assert one.p == other.p == max(one.no_loss_p, other.no_loss_p)


def exact(n: int, gain: float, loss: float) -> float:
    """How often n items, which gain and lose so often, are found equivalent: over all counts, without simulation."""
    logs = (math.log(loss), math.log(gain) if gain else 0.0, math.log(1 - gain - loss))
    most = min(n, int(n * (gain + loss) + 10 * math.sqrt(n * (gain + loss)) + 20))
    total = 0.0
    for lost, gained in itertools.product(range(most), range(most if gain else 1)):
        if gained + lost <= n and equivalence(gained, lost, n).shown:
            rest = n - gained - lost
            ways = math.lgamma(n + 1) - math.lgamma(gained + 1) - math.lgamma(lost + 1) - math.lgamma(rest + 1)
            total += math.exp(ways + lost * logs[0] + gained * logs[1] + rest * logs[2])
    return total


@every("n, gain", itertools.product([30, 60, 164, 378, 500], [0.0, 0.005, 0.02, 0.05]))
def test_a_difference_of_exactly_the_margin_is_called_equivalent_at_most_once_in_twenty(n: int, gain: float) -> None:
    assert exact(n, gain, gain + MARGIN) <= 0.0505


def test_many_items_that_hardly_change_are_shown_to_be_alike_and_few_are_not() -> None:
    assert equivalence(20, 20, 1319).shown
    assert exact(500, 0.02, 0.02) > 0.85
    assert not equivalence(0, 0, 30).shown
    assert not equivalence(0, 0, 80).shown
    assert equivalence(0, 0, 100).shown


@every("gained, lost, n", [(3, 7, 30), (1, 8, 30), (49, 3, 164), (30, 30, 164)])
def test_what_is_open_or_different_is_not_equivalent(gained: int, lost: int, n: int) -> None:
    assert not equivalence(gained, lost, n).shown


def test_a_loss_can_be_ruled_out_where_a_gain_cannot() -> None:
    found = equivalence(49, 3, 164)
    assert found.no_loss_p < 1e-6
    assert found.p > 0.99


def test_shares_of_items_are_found_equivalent_no_more_often_than_whole_ones() -> None:
    """Eight samples an item, the margin lost: sums of what items gained and lost stand for counts."""
    random = np.random.default_rng(0)
    shown = 0
    for _ in range(1000):
        base, distilled = random.binomial(8, 0.5, 300) / 8, random.binomial(8, 0.47, 300) / 8
        differences = distilled - base
        shown += equivalence(differences.clip(0).sum(), -differences.clip(None, 0).sum(), 300).shown
    assert shown <= 60


# ---------------------------------------------------------------- several samples


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_draws_with_a_correct_one(case: tuple[int, int, int]) -> None:
    n, correct, k = case
    answers = [True] * correct + [False] * (n - correct)
    draws = list(itertools.combinations(answers, k))
    assert pass_at_k(n, correct, k) == pytest.approx(sum(any(draw) for draw in draws) / len(draws))


@pytest.mark.parametrize("k", [0, 5])
def test_more_answers_than_there_are_cannot_be_drawn(k: int) -> None:
    with pytest.raises(ValueError, match="answers"):
        pass_at_k(4, 1, k)
