r"""The numbers and words of which a quantity is written: "4 2/3 km/h" → Fraction(14, 3), "km", "/", "h".

In: an answer written plainly (`signs.plain`). Out: exact numbers, words and signs, or None where one is none of these.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from mlx_distill.evaluate.benchmarks.reading.units import named

_INTEGER = "(?:" + "|".join(rf"[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+(?![0-9/])" for mark in (",", "[ ]", "'")) + "|[0-9]+)"
_DECIMAL = rf"(?:{_INTEGER}?\.[0-9]+|{_INTEGER})"
_ARGUMENT = r"\s*(?:\{\s*([-+]?[0-9,]*\.?[0-9]+)\s*\}|([0-9]))"
TOKEN = re.compile(
    rf"""\s*(?:
      (?P<squared>(?<=[a-z])[23](?![0-9]))
    | (?P<mixed>([0-9]+)\s*(?:\\frac\s*\{{([0-9]+)\}}\{{([0-9]+)\}}|\s([0-9]+)/([0-9]+)(?![0-9/])))
    | (?P<fraction>\\frac{_ARGUMENT}{_ARGUMENT}|({_DECIMAL})\s*/\s*({_DECIMAL})(?![0-9]))
    | (?P<repeating>([0-9]*)\.([0-9]*)(?:\\(?:overline|bar|dot)\s*(?:\{{([0-9]+)\}}|([0-9]))|\(([0-9]+)\)))
    | (?P<endless>([0-9]*)\.([0-9]+)\.\.\.)
    | (?P<number>({_DECIMAL})(?:[eE]([-+]?[0-9]{{1,3}})(?![0-9A-Za-z]))?)
    | (?P<degree>\^\\circ\s*(?P<scale>[CF](?![A-Za-z]))?)
    | (?P<sign>\\%|US\$|\\\$|[\u00a2-\u00a5\u20a0-\u20cf\u0e3f$'"])
    | \^\s*(?:\{{\s*)?(?P<raised>-?[0-9])(?:\s*\}})?
    | (?P<area>(?:[cdkm]?m|ft|in|mi|yd)(?=[23](?![0-9])))
    | (?P<word>[A-Za-z\u00b5]+\.?)
    | (?P<other>[-+,/*])
    | (?P<times>\\(?:cdot|times))
    )""",
    re.VERBOSE,
)
UNIT_FRACTION = re.compile(r"\\frac\s*\{\s*([A-Za-z]+)\s*\}\s*\{\s*([A-Za-z]+)\s*\}")
POWER_OF_TEN = re.compile(r"\s*(?:\\times|\\cdot|\*|x)?\s*10\s*\^\s*(?:\{\s*([-+]?[0-9]{1,3})\s*\}|([-+]?[0-9]))")
LONE_POWER = re.compile(r"\s*10\s*\^\s*(?:\{\s*([-+]?[0-9]{1,3})\s*\}|([-+]?[0-9]))")

SIGN_UNITS = {r"\%": "percent", r"\$": "dollar", "$": "dollar", "US$": "dollar", "¢": "cent", "£": "pound"}
DEGREES = {None: "degree", "C": "celsius", "F": "fahrenheit"}

Token = Fraction | str
"""Signs of units are "unit:NAME", powers "^2"."""


def tokens_of(text: str) -> list[Token] | None:
    """None where there is a sign that is none of these."""
    text = UNIT_FRACTION.sub(r"\1/\2", re.sub(r"(?<=[A-Za-z])-(?=[A-Za-z])", " ", text))
    tokens: list[Token] = []
    position = 0
    while position < len(text.rstrip()):
        lone = LONE_POWER.match(text, position)
        token = lone or TOKEN.match(text, position)
        if token is None:
            return None
        position = token.end()
        if lone:
            tokens.append(_tenth_power(lone))
            continue
        value = _literal(token)
        if value is not None and (power := POWER_OF_TEN.match(text, position)):
            value, position = value * _tenth_power(power), power.end()
        tokens += [value] if value is not None else _sign(token)
    return tokens


def _tenth_power(match: re.Match[str]) -> Fraction:
    return Fraction(10) ** int(match[1] or match[2])


def _literal(token: re.Match[str]) -> Fraction | None:
    """The exact value of a number in digits; None for another token, and for a division by zero."""
    read = LITERALS.get(token.lastgroup or "")
    try:
        return read(*[group for group in token.groups() if group is not None][1:]) if read else None
    except ZeroDivisionError:
        return None


def _decimal(text: str, exponent: str = "0") -> Fraction:
    return Fraction(re.sub("[, ']", "", text)) * Fraction(10) ** int(exponent)


def _mixed(whole: str, over: str, under: str) -> Fraction:
    return Fraction(int(whole)) + Fraction(int(over), int(under))


def _fraction(over: str, under: str) -> Fraction:
    return _decimal(over) / _decimal(under)


def _repeating(whole: str, start: str, block: str) -> Fraction:
    """whole.start(block)(block)…"""
    shift = 10 ** len(start)
    rest = Fraction(int(block), (10 ** len(block) - 1) * shift)
    return Fraction(int(whole or 0)) + Fraction(int(start or 0), shift) + rest


def _endless(whole: str, digits: str) -> Fraction | None:
    """0.1666… is a sixth: what stands there three times, or a longer block twice, goes on so. Else nothing is known."""
    for length in range(1, len(digits) // 2 + 1):
        block = digits[-length:]
        if digits.endswith(block * (3 if length == 1 else 2)):
            start = digits
            while start.endswith(block):
                start = start[:-length]
            return _repeating(whole, start, block)
    return None


LITERALS: dict[str, Callable[..., Fraction | None]] = {
    "mixed": _mixed,
    "fraction": _fraction,
    "repeating": _repeating,
    "endless": _endless,
    "number": _decimal,
}


def _sign(token: re.Match[str]) -> list[Token]:
    if token["degree"]:
        return [f"unit:{DEGREES[token['scale']]}"]
    if token["sign"]:
        sign = token["sign"]
        return [f"unit:{SIGN_UNITS.get(sign) or named(sign) or sign}"]
    if token["raised"]:
        return [f"^{token['raised']}"]
    if token["squared"]:  # m2
        return [f"^{token['squared']}"]
    if token["area"]:
        return [str(token["area"])]
    if token["word"]:
        word = token["word"]
        return [word if len(word) == 1 else word.lower()]
    return ["*" if token["times"] else str(token["other"])]
