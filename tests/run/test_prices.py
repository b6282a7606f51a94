import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import every

from mlx_distill.run.errors import UsageError
from mlx_distill.run.prices import PRICES, Usage, cost, list_cost, parse_price, price_of

LISTED = {
    "claude-sonnet-4-6": (3, 15),
    "claude-opus-4-6": (5, 25),
    "claude-opus-4-7": (5, 25),
    "claude-opus-4-8": (5, 25),
    "claude-opus-5": (5, 25),
    "claude-opus-5-5": (4, 20),
    "claude-sonnet-5": (2, 10),
    "claude-sonnet-5-5": (2, 10),
    "claude-haiku-4-5": (1, 5),
    "claude-haiku-4-5-20251001": (1, 5),
    "claude-haiku-5-5": (0.10, 0.50),
    "claude-fable-5-1": (10, 50),
}
CACHE_READ = {"claude-opus-5-5": 0.05, "claude-sonnet-5-5": 0.05, "claude-fable-5-1": 0.025}


@every("model", LISTED)
def test_list_prices_by_the_million(model: str) -> None:
    price, (dollars_in, dollars_out) = price_of(model), LISTED[model]
    assert list_cost(model, 1_000_000, 0) == pytest.approx(dollars_in)
    assert list_cost(model, 0, 1_000_000) == pytest.approx(dollars_out)
    assert cost(price, Usage(1_000_000, 1_000_000), batch=True) == pytest.approx((dollars_in + dollars_out) / 2)
    assert cost(price, Usage(0, 0, cache_write=1_000_000)) == pytest.approx(1.25 * dollars_in)
    assert cost(price, Usage(0, 0, cache_write_hour=1_000_000)) == pytest.approx(2 * dollars_in)
    share = CACHE_READ.get(model, 0.1)
    assert cost(price, Usage(0, 0, cache_read=1_000_000)) == pytest.approx(share * dollars_in)


def test_every_model_of_the_table_is_looked_at_above() -> None:
    assert set(PRICES) <= set(LISTED)


def test_a_price_can_be_given_for_a_model_that_the_table_lacks() -> None:
    assert price_of("claude-new-9", "1.5,7").output == 7
    assert price_of("claude-opus-5", "1,1").output == 25
    with pytest.raises(UsageError, match="--price IN,OUT"):
        price_of("claude-new-9")
    with pytest.raises(UsageError, match="not in the price table"):
        price_of("gpt-4")


@every("text", ["", "3", "a,b", "1,2,3", "0,1", "-1,1", "nan,1", "inf,1"])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--price 3,15"):
        parse_price(text)


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_any_two_positive_numbers_are_a_price(dollars_in: float, dollars_out: float) -> None:
    price = parse_price(f"{dollars_in},{dollars_out}")
    assert (price.input, price.output) == (dollars_in, dollars_out)
