import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_distill.models.asking.budget import Budget, Forecast
from mlx_distill.run.errors import BudgetError


@settings(max_examples=300, deadline=None)
@given(
    cap=st.floats(0, 50),
    prices=st.lists(st.tuples(st.floats(0, 5), st.floats(0, 1)), max_size=30),
)
def test_what_is_spent_and_reserved_never_passes_the_cap(cap: float, prices: list[tuple[float, float]]) -> None:
    budget, under_way = Budget(cap), []
    for worst, share in prices:
        try:
            goes = budget.reserve(worst)
        except BudgetError:
            assert not under_way
            continue
        if goes:
            under_way.append((worst, worst * share))
        if under_way and (not goes or len(under_way) > 2):
            budget.settle(*under_way.pop(0))
        assert budget.spent + budget.reserved <= cap + 1e-9


def test_the_next_waits_while_something_under_way_may_make_room() -> None:
    budget = Budget(1.0)
    assert budget.reserve(0.8)
    assert not budget.reserve(0.8)
    budget.settle(0.8, 0.1)
    assert budget.reserve(0.8)
    budget.settle(0.8, 0.8)
    with pytest.raises(BudgetError, match="--max-cost 1"):
        budget.reserve(0.8)


@given(st.lists(st.floats(0, 100), min_size=20, max_size=60))
def test_mean_and_spread_agree_with_the_textbook(dollars: list[float]) -> None:
    forecast = Forecast(len(dollars) * 2)
    for usd in dollars:
        forecast.add(usd)
    whole = forecast.estimate()
    assert whole.mean == pytest.approx(statistics.fmean(dollars) * len(dollars) * 2)
    n, left = len(dollars), len(dollars)
    error = 1.96 * (statistics.variance(dollars) * (left**2 / n + left)) ** 0.5
    assert whole.high == pytest.approx(whole.mean + error)


def test_after_200_skewed_answers_the_forecast_is_near_and_its_interval_honest() -> None:
    """Answer lengths as they are in practice: lognormal. 95 % intervals hold about 95 % of the time."""
    near = inside = 0
    for seed in range(300):
        draw = random.Random(seed)
        dollars = [draw.lognormvariate(0, 0.6) for _ in range(5000)]
        forecast = Forecast(len(dollars))
        for usd in dollars[:200]:
            forecast.add(usd)
        whole = forecast.estimate()
        near += abs(whole.mean / sum(dollars) - 1) <= 0.1
        inside += (whole.low or 0) <= sum(dollars) <= (whole.high or 0)
    assert near >= 0.95 * 300
    assert 0.9 * 300 <= inside <= 300


def test_few_answers_give_no_interval_and_all_of_them_no_doubt() -> None:
    forecast = Forecast(30)
    for _ in range(19):
        forecast.add(1.0)
    assert forecast.estimate().low is None
    for usd in range(11):
        forecast.add(float(usd))
    whole = forecast.estimate()
    assert whole.low == pytest.approx(whole.high) == pytest.approx(19 + 55)
