"""What a token costs: one dated table.

In: a model id and token counts. Out: dollars. A model that is not in the table is an error, never $0.
Source: Anthropic's published list prices; batch requests cost half.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlx_distill.errors import UsageError

DATED = "2026-11-22"
BATCH_FACTOR = 0.5
MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens. Above `tier` prompt tokens a request is refused a price when it has one."""

    input: float
    output: float
    tier: int | None = None


PRICES: dict[str, Price] = {
    "claude-sonnet-4-6": Price(3, 15),
    "claude-opus-4-6": Price(5, 25),
    "claude-opus-4-7": Price(5, 25),
    "claude-opus-4-8": Price(5, 25),
    "claude-opus-5": Price(5, 25),
    "claude-opus-5-5": Price(4, 20),
    "claude-sonnet-5": Price(2, 10),
    "claude-sonnet-5-5": Price(2, 10),
    "claude-haiku-4-5": Price(1, 5),
    "claude-haiku-5-5": Price(0.10, 0.50, tier=100_000),
    "claude-fable-5-1": Price(10, 50),
}


def price_of(model: str) -> Price:
    """The price of a model id; a dated snapshot (`claude-haiku-4-5-20251001`) has its family's price."""
    name, _, suffix = model.rpartition("-")
    known = PRICES.get(model) or (PRICES.get(name) if suffix.isdigit() and len(suffix) == 8 else None)
    if known is None:
        raise UsageError(
            f"{model} is not in the price table of {DATED}: use one of {', '.join(PRICES)}, "
            "or add it to mlx_distill/prices.py."
        )
    return known


def cost(model: str, input_tokens: int, output_tokens: int) -> float:
    """US dollars of one request at list price. Raises UsageError for a model or size without a price."""
    price = price_of(model)
    if price.tier is not None and input_tokens > price.tier:
        raise UsageError(f"{model} has no price here above {price.tier} prompt tokens: shorten the prompt.")
    return (input_tokens * price.input + output_tokens * price.output) / MILLION
