"""What a token costs: one dated table.

In: a model id and token counts. Out: dollars. A model that is not in the table is an error, never $0: give its
price with --price. Source: Anthropic's published list prices; batches cost half, cache writes and reads a multiple
of the input price.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlx_distill.run.errors import UsageError

DATED = "2026-11-22"
BATCH_FACTOR = 0.5
CACHE_WRITE = 1.25
"""Of the input price, for a cache that lives five minutes."""

CACHE_WRITE_HOUR = 2.0
FRAME_TOKENS = 512
"""What a request's frame may add to its text."""

MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens. Above `tier` prompt tokens there is no price here.

    `cache_read` is the share of the input price of a token read from the prompt cache; prefixes shorter than
    `cache_minimum` tokens are not cached.
    """

    input: float
    output: float
    tier: int | None = None
    cache_read: float = 0.1
    cache_minimum: int = 4096


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer. `input` are those that the prompt cache neither wrote nor read."""

    input: int
    output: int
    cache_write: int = 0
    cache_write_hour: int = 0
    cache_read: int = 0


PRICES: dict[str, Price] = {
    "claude-sonnet-4-6": Price(3, 15, cache_minimum=2048),
    "claude-opus-4-6": Price(5, 25),
    "claude-opus-4-7": Price(5, 25),
    "claude-opus-4-8": Price(5, 25),
    "claude-opus-5": Price(5, 25),
    "claude-opus-5-5": Price(4, 20, cache_read=0.05),
    "claude-sonnet-5": Price(2, 10),
    "claude-sonnet-5-5": Price(2, 10, cache_read=0.05),
    "claude-haiku-4-5": Price(1, 5),
    "claude-haiku-5-5": Price(0.10, 0.50, tier=100_000),
    "claude-fable-5-1": Price(10, 50, cache_read=0.025),
}


def price_of(model: str, given: str | None = None) -> Price:
    """The price of a model id; a dated snapshot (`claude-haiku-4-5-20251001`) has its family's price.

    `given` ("in,out", dollars per million) is for a model that the table lacks. Raises UsageError without either.
    """
    name, _, suffix = model.rpartition("-")
    known = PRICES.get(model) or (PRICES.get(name) if suffix.isdigit() and len(suffix) == 8 else None)
    if known is not None:
        return known
    if given is not None:
        return parse_price(given)
    raise UsageError(
        f"{model} is not in the price table of {DATED}: use one of {', '.join(PRICES)}, "
        "or give its price with --price IN,OUT (dollars per million tokens)."
    )


def parse_price(text: str) -> Price:
    """`3,15`: dollars per million input and output tokens. Raises UsageError for anything else."""
    try:
        dollars_in, dollars_out = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"--price {text} is not IN,OUT: give dollars per million tokens, as in --price 3,15."
        ) from error
    if not (0 < dollars_in < float("inf") and 0 < dollars_out < float("inf")):
        raise UsageError(f"--price {text} is not above zero: give dollars per million tokens, as in --price 3,15.")
    return Price(dollars_in, dollars_out)


def cost(price: Price, usage: Usage, *, batch: bool = False) -> float:
    """US dollars of one request at list price."""
    dollars = (
        usage.input * price.input
        + usage.output * price.output
        + usage.cache_write * price.input * CACHE_WRITE
        + usage.cache_write_hour * price.input * CACHE_WRITE_HOUR
        + usage.cache_read * price.input * price.cache_read
    )
    return dollars / MILLION * (BATCH_FACTOR if batch else 1.0)


def bound(price: Price, size: int, max_tokens: int, *, cached: bool = False, batch: bool = False) -> float:
    """The most that a request can cost: no tokenizer makes more tokens than the text has bytes (`size`)."""
    most = size + FRAME_TOKENS
    usage = Usage(0, max_tokens, cache_write=most) if cached else Usage(most, max_tokens)
    return cost(price, usage, batch=batch)


def list_cost(model: str, input_tokens: int, output_tokens: int, given: str | None = None) -> float:
    """US dollars for tokens of a model, asked one by one and uncached."""
    return cost(price_of(model, given), Usage(input_tokens, output_tokens))
