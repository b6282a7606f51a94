r"""A number with its unit, read whole or not at all: "1.5 million", "4 2/3 km/h", "0.\overline{3}", "$5 and 50 cents".

In: an answer written plainly (`signs.plain`). Out: its exact value and its unit, or None where a single word or sign is
left over. Two quantities are compared exactly; where one is a decimal that cannot end, to `TOLERANCE` of the value.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from fractions import Fraction

from mlx_distill.evaluate.benchmarks.reading import numerals
from mlx_distill.evaluate.benchmarks.reading.tokens import Token, tokens_of
from mlx_distill.evaluate.benchmarks.reading.units import AFTER, AREAS, BEFORE, POWERS, Unit, named, size

TOLERANCE = Fraction(1, 10**10)
"""Of a value, by which a decimal may miss an exact one that has no end: 0.33333333333 for a third, not 0.333333."""

LONGEST = 1000


@dataclass(frozen=True)
class Quantity:
    """`value` of `unit`; of several units (3 hours 20 minutes) the first, and `others` has the values in the rest.

    `worded`: the unit is a word, not a sign ($, %, °), and counts as one.
    """

    value: Fraction
    unit: Unit = ()
    others: tuple[Fraction, ...] = ()
    worded: bool = False

    @property
    def percent(self) -> bool:
        return self.unit == (("percent", 1),)


def read(text: str, counted: frozenset[str] = frozenset(), *, loose: bool = False) -> Quantity | None:
    """`counted`: what the question counts. `loose`: a letter at a number (5m) may be a unit, where no variable can."""
    if len(text) > LONGEST or (not loose and re.search(r"[0-9][mgshl](?![A-Za-z])", text)):
        return None
    tokens = tokens_of(text)
    return _Reader(tokens, counted).all() if tokens else None


# ---------------------------------------------------------------- reading


class _Reader:
    """Reads tokens one after another; each method returns None where they do not say what it reads."""

    def __init__(self, tokens: list[Token], counted: frozenset[str]) -> None:
        self._tokens, self._counted, self._at = tokens, counted, 0

    def all(self) -> Quantity | None:
        """One term, or several of one kind, each smaller than the one before: 5 feet 6 inches."""
        terms: list[Quantity] = []
        while not self._ended():
            if terms and self._next() in (",", "and"):
                self._at += 1
            term = self._term()
            if term is None:
                return None
            terms.append(term)
        return terms[0] if len(terms) == 1 else _together(terms)

    def _term(self) -> Quantity | None:
        while self._next() in BEFORE:
            self._at += 1
        sign = self._minus()
        sign_unit = self._sign_unit()
        sign *= self._minus() if sign_unit else 1
        number = numerals.number(self._tokens, self._at, self._counted)
        if number is None:
            return None
        value, self._at = number
        if value.denominator > 1 and self._next() in numerals.ARTICLES and self._is_unit(self._at + 1):
            self._at += 1  # half an hour
        first = self._at
        unit = self._unit()
        worded = any(isinstance(token, str) and token.isalpha() for token in self._tokens[first : self._at])
        if sign_unit and unit:
            unit, worded = _with_currency(sign_unit, unit), worded
        while self._next() in AFTER:
            self._at += 1
        return Quantity(sign * value, unit or sign_unit, (), worded)

    def _minus(self) -> int:
        if self._next() in ("-", "minus", "negative"):
            self._at += 1
            return -1
        self._at += self._next() == "+"
        return 1

    def _sign_unit(self) -> Unit:
        """$ before a number."""
        token = self._next()
        if isinstance(token, str) and token.startswith("unit:") and token not in ("unit:percent", "unit:degree"):
            self._at += 1
            return ((token.removeprefix("unit:"), 1),)
        if isinstance(token, str) and token in ("rs", "rs.", "usd", "eur", "inr"):
            self._at += 1
            return ((str(named(token)), 1),)
        return ()

    def _unit(self) -> Unit:
        """km/h, square feet, dollars per day. () and nothing read where none stands here."""
        powers: dict[str, int] = {}
        sign = 1
        while True:
            start = self._at
            one = self._one_unit()
            if one is None:
                break
            name, power = one
            powers[name] = powers.get(name, 0) + sign * power
            start = self._at
            if self._next() in ("/", "per") or (self._next() in ("a", "an", "each") and self._is_unit(self._at + 1)):
                self._at, sign = self._at + 1, -1
            elif self._next() == "*":
                self._at, sign = self._at + 1, 1
            else:
                break
        self._at = start
        return tuple(sorted((name, power) for name, power in powers.items() if power))

    def _one_unit(self) -> tuple[str, int] | None:
        """A name with its power. Of several things the last one counts: red apples."""
        power = AREAS.get(str(self._next()), 1)
        if power > 1 and self._is_unit(self._at + 1):
            self._at += 1
        else:
            power = 1
        name = self._name()
        if name is None:
            return None
        while self._is_counted(self._at):
            name = self._name() or name
        token = self._next()
        if isinstance(token, str) and (token.startswith("^") or token in POWERS):
            self._at += 1
            power = POWERS.get(token) or int(token[1:])
        return name, power

    def _name(self) -> str | None:
        token = self._next()
        if not isinstance(token, str):
            return None
        name = token.removeprefix("unit:") if token.startswith("unit:") else self._of(token)
        self._at += name is not None
        return name

    def _of(self, word: str) -> str | None:
        return named(word, self._counted) or named(word.rstrip("."), self._counted)

    def _is_unit(self, position: int) -> bool:
        token = self._tokens[position] if position < len(self._tokens) else None
        return isinstance(token, str) and (token.startswith("unit:") or self._of(token) is not None)

    def _is_counted(self, position: int) -> bool:
        token = self._tokens[position] if position < len(self._tokens) else None
        return isinstance(token, str) and len(token) > 2 and token not in AFTER and self._of(token) is not None

    def _next(self) -> Token | None:
        return None if self._ended() else self._tokens[self._at]

    def _ended(self) -> bool:
        return self._at >= len(self._tokens)


def _with_currency(currency: Unit, unit: Unit) -> Unit:
    """$5 per day: dollars a day. $5 dollars: dollars."""
    return unit if unit == currency else tuple(sorted((*currency, *((name, -abs(power)) for name, power in unit))))


def _together(terms: list[Quantity]) -> Quantity | None:
    """Hours and minutes as one. None where they are not of one kind, or do not get smaller."""
    if any(len(term.unit) != 1 or term.unit[0][1] != 1 for term in terms):
        return None
    kinds, sizes = {size(term.unit)[0] for term in terms}, [size(term.unit)[1] for term in terms]
    if len(kinds) > 1 or any(later >= earlier for earlier, later in itertools.pairwise(sizes)):
        return None
    sign = -1 if terms[0].value < 0 else 1
    total = sum((sign * abs(term.value) * one for term, one in zip(terms, sizes, strict=True)), Fraction())
    values = [total / one for one in sizes]
    return Quantity(values[0], terms[0].unit, tuple(values[1:]), any(term.worded for term in terms))


# ---------------------------------------------------------------- comparing


def close(gold: Fraction, answer: Fraction) -> bool:
    """Equal; or within TOLERANCE where one has an end as a decimal and the other has none."""
    if gold == answer or _ends(gold) == _ends(answer):
        return gold == answer
    return abs(gold - answer) <= TOLERANCE * max(abs(gold), abs(answer))


def _ends(value: Fraction) -> bool:
    under = value.denominator
    for prime in (2, 5):
        while under % prime == 0:
            under //= prime
    return under == 1


def equal(gold: Quantity, answer: Quantity, *, unit_counts: bool = False, asks_percent: bool = False) -> bool:
    """A unit may be left out where the gold answer has none, and otherwise unless `unit_counts` and it is a word.

    Percent in both directions: 5 % is 0.05; of a gold answer without a sign of at least 1 it may be a unit, too, and
    where the question asks for percent of any.
    """
    if gold.unit and answer.unit:
        return _both_with_unit(gold, answer)
    if gold.percent or answer.percent:
        return _percent(gold, answer, asks_percent)
    if gold.unit and unit_counts and gold.worded:
        return False
    values = [(g, a) for g in (gold.value, *gold.others) for a in (answer.value, *answer.others)]
    return any(close(g, a) for g, a in values)


def _both_with_unit(gold: Quantity, answer: Quantity) -> bool:
    (kind, one), (other_kind, other) = size(gold.unit), size(answer.unit)
    return kind == other_kind and close(gold.value * one, answer.value * other)


def _percent(gold: Quantity, answer: Quantity, asks_percent: bool) -> bool:
    if gold.percent:
        return close(gold.value, answer.value) or close(gold.value / 100, answer.value)
    as_unit = asks_percent or abs(gold.value) >= 1
    return close(gold.value, answer.value / 100) or (as_unit and close(gold.value, answer.value))
