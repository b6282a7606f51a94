"""The ledger: which request came how often, and what was charged for it. Charges in, exact dollars out.

Tokens are kept, not dollars: sums of integers stay exact, and the price is applied once, as a fraction, when
somebody asks. Only answers that were produced are charged; whether the client saw them makes no difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from messages_api.tokens import Tokens

MILLION = 1_000_000
BATCH = Fraction(1, 2)


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens; cache prices as multiples of `input`."""

    input: float
    output: float
    cache_write: float = 1.25
    cache_read: float = 0.1
    cache_write_hour: float = 2.0

    def usd(self, tokens: Tokens, *, batch: bool = False) -> Fraction:
        """Exact: each price is taken as the decimal that it is written as."""
        inputs = (
            tokens.input
            + tokens.write * _exact(self.cache_write)
            + tokens.write_hour * _exact(self.cache_write_hour)
            + tokens.read * _exact(self.cache_read)
        )
        dollars = (inputs * _exact(self.input) + tokens.output * _exact(self.output)) / MILLION
        return dollars * BATCH if batch else dollars


ANY_MODEL = Price(3, 15)
"""What every model costs where no table was given."""


class Charge(NamedTuple):
    model: str
    tokens: Tokens
    batch: bool


class Billing:
    """`posts` counts POST /v1/messages, whatever came of them."""

    def __init__(self, prices: Mapping[str, Price] | None = None) -> None:
        self.posts = 0
        self._prices = prices
        self._received: Counter[str] = Counter()
        self._charges: dict[str, list[Charge]] = {}

    def receive(self, digest: str) -> None:
        self._received[digest] += 1

    def charge(self, digest: str, charge: Charge) -> None:
        """Raises LookupError for a model that the given table lacks: a silent price would hide a mistake."""
        self._price(charge.model)
        self._charges.setdefault(digest, []).append(charge)

    def received(self, digest: str) -> int:
        return self._received[digest]

    def billed(self, digest: str) -> int:
        return len(self._charges.get(digest, ()))

    def usd(self, digest: str) -> Fraction:
        return sum((self._usd(charge) for charge in self._charges.get(digest, ())), Fraction(0))

    @property
    def hashes(self) -> list[str]:
        """Every request ever received."""
        return list(self._received)

    @property
    def charges(self) -> list[Charge]:
        """All of them, grouped by request."""
        return [charge for charges in list(self._charges.values()) for charge in charges]

    @property
    def billed_more_than_once(self) -> list[str]:
        return [digest for digest, charges in list(self._charges.items()) if len(charges) > 1]

    @property
    def total_usd(self) -> Fraction:
        """Exact. Adds up tokens first: one multiplication a model, not one a charge."""
        sums: dict[tuple[str, bool], tuple[int, ...]] = {}
        for model, tokens, batch in self.charges:
            sums[model, batch] = tuple(map(sum, zip(sums.get((model, batch), Tokens(0, 0)), tokens, strict=True)))
        totals = (Charge(model, Tokens(*tokens), batch) for (model, batch), tokens in sums.items())
        return sum(map(self._usd, totals), Fraction(0))

    @property
    def nano_usd(self) -> int:
        """`total_usd` in billionths, rounded."""
        return round(self.total_usd * 1_000_000_000)

    def _usd(self, charge: Charge) -> Fraction:
        return self._price(charge.model).usd(charge.tokens, batch=charge.batch)

    def _price(self, model: str) -> Price:
        if self._prices is None:
            return ANY_MODEL
        if model not in self._prices:
            raise LookupError(f"{model} has no price: add it to the prices that the server was given")
        return self._prices[model]


def _exact(decimal: float) -> Fraction:
    return Fraction(str(decimal))
