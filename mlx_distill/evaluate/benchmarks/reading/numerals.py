"""Numbers in English words: twenty-five, three quarters, 1.5 million, seven and a half, two dozen.

In: words, or a number and words, as tokens. Out: their value and how many tokens it took. Small on purpose: what is not
here is no number, and then the answer is not taken for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def listed(words: str) -> list[str]:
    return words.split()


Token = Fraction | str
"""A number that was written in digits, or a word or sign."""

ONES = {
    word: value
    for value, word in enumerate(
        listed(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
            "seventeen eighteen nineteen"
        )
    )
}
TENS = {
    word: 10 * value for value, word in enumerate(listed("twenty thirty forty fifty sixty seventy eighty ninety"), 2)
}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
DOZENS = {"dozen": 12, "dozens": 12}

_ORDINALS = listed("third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")
PARTS = {"half": 2, "halves": 2, "quarter": 4, "quarters": 4}
PARTS |= {f"{name}{plural}": value for value, name in enumerate(_ORDINALS, 3) for plural in ("", "s")}
PARTS |= {
    f"{name}{plural}": value
    for name, value in {
        "sixteenth": 16,
        "twentieth": 20,
        "hundredth": 100,
        "thousandth": 1000,
        "millionth": 10**6,
        "billionth": 10**9,
    }.items()
    for plural in ("", "s")
}
ARTICLES = ("a", "an")
WORDS = frozenset({*ONES, *TENS, *SCALES, *DOZENS, *PARTS, "hundred"})

Read = tuple[Fraction, int]
"""A value, and where the reading goes on."""


def number(tokens: Sequence[Token], start: int, nouns: frozenset[str] = frozenset()) -> Read | None:
    """The number that begins at `start`. Of `nouns` a word is none: where quarters are counted they are coins."""
    whole = _whole(tokens, start, nouns)
    if whole is None:
        return _part(tokens, start, nouns)
    value, at = whole
    under = _under(tokens, at, nouns)
    if under and value.denominator == 1:
        return value / under, at + 1
    if _at(tokens, at) == "and" and (part := _part(tokens, at + 1, nouns)):
        value, at = value + part[0], part[1]
    while (scale := _scale(_at(tokens, at), nouns)) is not None:  # seven and a half million
        value, at = value * scale, at + 1
    return value, at


def _whole(tokens: Sequence[Token], start: int, nouns: frozenset[str]) -> Read | None:
    """Digits with scales after them, or words: one hundred and five thousand."""
    first = _at(tokens, start)
    if isinstance(first, Fraction):
        value, at = first, start + 1
        while (scale := _scale(_at(tokens, at), nouns)) is not None:
            value, at = value * scale, at + 1
        return value, at
    return _in_words(tokens, start, nouns)


def _in_words(tokens: Sequence[Token], start: int, nouns: frozenset[str]) -> Read | None:
    total, current, at, begun = 0, 0, start, False
    if _at(tokens, at) in ARTICLES and _scale(_at(tokens, at + 1), nouns):
        current, at = 1, at + 1
    while isinstance(word := _at(tokens, at), str):
        scale = _scale(word, nouns)
        if word in ONES or word in TENS:
            if begun and not _continues(current, word):
                break
            current += ONES.get(word, 0) or TENS.get(word, 0)
        elif scale == 100 and current:
            current *= 100
        elif scale and current:
            total, current = total + current * scale, 0
        elif not (word == "and" and begun and _at(tokens, at + 1) in {*ONES, *TENS} and not current % 100):
            break
        begun, at = True, at + 1
    return (Fraction(total + current), at) if begun else None


def _continues(current: int, word: str) -> bool:
    """Twenty five, one hundred twelve; five six are two numbers."""
    if word in ONES and ONES[word] < 10:
        return current % 10 == 0 and current % 100 != 10
    return current % 100 == 0


def _part(tokens: Sequence[Token], start: int, nouns: frozenset[str]) -> Read | None:
    """Half, a half, three quarters, half a million."""
    over, at = Fraction(1), start
    if _at(tokens, at) in ARTICLES:
        at += 1
    elif (whole := _whole(tokens, at, nouns)) and whole[0].denominator == 1:
        over, at = whole
    under = _under(tokens, at, nouns)
    if not under:
        return None
    value, at = over / under, at + 1
    article = _at(tokens, at) in ARTICLES or _at(tokens, at) == "of"
    if article and (scale := _scale(_at(tokens, at + 1), nouns)):
        value, at = value * scale, at + 2
    return value, at


def _at(tokens: Sequence[Token], position: int) -> Token | None:
    return tokens[position] if position < len(tokens) else None


def _scale(token: Token | None, nouns: frozenset[str]) -> int | None:
    if not isinstance(token, str) or token in nouns:
        return None
    return 100 if token == "hundred" else SCALES.get(token) or DOZENS.get(token)


def _under(tokens: Sequence[Token], position: int, nouns: frozenset[str]) -> int | None:
    token = _at(tokens, position)
    return PARTS.get(token) if isinstance(token, str) and token not in nouns else None
