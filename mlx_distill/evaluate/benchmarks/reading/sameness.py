"""Whether an answer says the same as the gold answer, however either is written.

In: two texts, the question, and what compares expressions (math-verify, in a process of its own). Out: whether they are
the same. The gold answer decides how: a letter of a choice, a number with its unit, words, or an expression. Whatever
of an answer is not read makes it another answer: math-verify, which leaves words out, is only given what has none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from mlx_distill.evaluate.benchmarks.reading import quantity
from mlx_distill.evaluate.benchmarks.reading.expression import bare, has_words, is_wordy, without_unit
from mlx_distill.evaluate.benchmarks.reading.numerals import listed
from mlx_distill.evaluate.benchmarks.reading.quantity import Quantity
from mlx_distill.evaluate.benchmarks.reading.ranges import as_union
from mlx_distill.evaluate.benchmarks.reading.signs import plain, trimmed
from mlx_distill.evaluate.benchmarks.reading.units import counted

Compare = Callable[[str, str], tuple[bool, str]]
"""(gold, answer) → whether they are equal, and why that could not be found out, if it could not."""


@dataclass(frozen=True)
class Gold:
    """What is right. `question` says what is counted, and whether percent are asked.

    `own`: it is of a benchmark of the user's own, of which nothing is known: its words count, also where they are a
    unit, without regard to case. `as_written`: its digits are those of a name, such as 3.10 or 007.
    """

    text: str
    question: str = ""
    own: bool = False
    as_written: bool = False


def same(gold: Gold, answer: str, compare: Compare) -> tuple[bool, str]:
    """Whether they are, and why that could not be found out, if it could not."""
    wanted, given = plain(gold.text), plain(answer)
    if _looks(wanted) == _looks(given) or (gold.own and _words(wanted) == _words(given)):
        return True, ""
    choice = _choice(wanted, given, gold.own)
    if choice is not None:
        return choice, ""
    if _only_as_text(wanted, gold):
        return _as_text(wanted, given), ""
    return _by_value(gold, wanted, given, answer, compare)


# ---------------------------------------------------------------- looks and words


def _looks(text: str) -> str:
    """White space counts between letters and digits only."""
    return re.sub(r"(?<![0-9A-Za-z\\]) | (?![0-9A-Za-z])", "", text)


def _words(text: str) -> str:
    """Words without regard to case, an article before them, and signs around them."""
    bare = re.sub(r"^[\"'(\[]+|[\"')\].!?]+$", "", text.casefold().strip())
    return re.sub(r"^(?:the|an?)\s+", "", _dated(bare)).strip(" .!?")


MONTHS = listed("january february march april may june july august september october november december")
_MONTH = "|".join(f"{name}|{name[:3]}\\.?" for name in MONTHS)
DAY_MONTH = re.compile(rf"(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({_MONTH})(?:,? (\d{{4}}))?")
MONTH_DAY = re.compile(rf"({_MONTH}) (\d{{1,2}})(?:st|nd|rd|th)?(?:,? (\d{{4}}))?")


def _dated(text: str) -> str:
    """May 12th, 2020 is 12 may 2020."""
    if match := DAY_MONTH.fullmatch(text):
        day, month, year = match.groups()
    elif match := MONTH_DAY.fullmatch(text):
        month, day, year = match.groups()
    else:
        return text
    name = next(name for name in MONTHS if name[:3] == month[:3])
    return " ".join([str(int(day)), name, *([year] if year else [])])


CODE = re.compile(r"[0-9]+(?:[-.:/][0-9]+){2,}|[0-9]+ ?: ?[0-9]+|[0-9]+-[0-9]+|[0-9]{4}-[0-9]{2}")
"""A date, an address, a version, a time, a range: digits that are no number."""
AS_WRITTEN = re.compile(r"[-+]?0[0-9]+(?:\.[0-9]+)?|[-+]?[0-9]*\.[0-9]*0")
NAMES = re.compile(r"(?:\\[a-z]+\s*)?\{?\s*[A-Z]{2,}\s*\}?(?:,\s*[A-Z]{2,})*")
"""ABC: a triangle, an order, a word; with the letters in another order it is another one."""


def _only_as_text(wanted: str, gold: Gold) -> bool:
    name = CODE.fullmatch(wanted) or NAMES.fullmatch(wanted) or DAY_MONTH.fullmatch(wanted.casefold())
    return bool(name or MONTH_DAY.fullmatch(wanted.casefold()) or (gold.as_written and AS_WRITTEN.fullmatch(wanted)))


def _as_text(wanted: str, answer: str) -> bool:
    return any(_looks(_words(wanted)) == _looks(_words(part)) for part in _parts(answer, whole=False))


# ---------------------------------------------------------------- choices

CHOICE = re.compile(r"(?:(?:option|choice)\s+)?(\()?([A-Za-z])(?(1)\)|[).:]?)", re.IGNORECASE)
CHOICE_TEXT = re.compile(
    r"(?:(?:option|choice)\s+)?(?:\(([A-Za-z])\)|([A-Za-z])[).:]|([A-Z]) -(?= ))[.:]?\s*(.+)", re.IGNORECASE
)
OTHER_CHOICE = re.compile(r"\([A-Za-z]\)|\b(?:or|nor|not|neither|wrong|false|incorrect)\b|^(?:and|,)", re.IGNORECASE)


def lettered(text: str) -> tuple[str, str] | None:
    """A choice's letter and what stands behind it: (C) 7."""
    if match := CHOICE.fullmatch(text):
        return match[2].upper(), ""
    if (match := CHOICE_TEXT.fullmatch(text)) and not OTHER_CHOICE.search(match[4]):
        return (match[1] or match[2] or match[3]).upper(), match[4]
    return None


def _choice(wanted: str, given: str, own: bool) -> bool | None:
    """None where the gold answer is no choice, or the answer may be one in words."""
    gold = lettered(wanted)
    if gold is None or not (own or "(" in wanted or wanted.isupper()) or (gold[1] and not _is_listed(wanted)):
        return None
    answer = next((letter for part in _parts(given, whole=False) if (letter := lettered(part))), None)
    if answer is None:
        return _words(gold[1]) == _words(given) if gold[1] else False
    same_text = not gold[1] or not answer[1] or _words(gold[1]) == _words(answer[1])
    return gold[0] == answer[0] and same_text


def _is_listed(text: str) -> bool:
    """(B) Oslo and B) Oslo are choices; A. Smith is a name."""
    return bool(re.match(r"\(?[A-Za-z]\)", text))


# ---------------------------------------------------------------- parts of an answer

LABEL = re.compile(
    r"^\s*(?:(?:so|thus|hence|therefore),?\s+)?(?:(?:the|my|our)\s+)?(?:(?:final|correct)\s+)?"
    r"(?:(?:answer|solution|result)s?(?:\s+(?:is|are)\s*:?|\s*[:=])|=)\s*",
    re.IGNORECASE,
)
NAMED = re.compile(r"^[A-Za-z][A-Za-z ]{1,40}:\s*(?=\S)")
EQUALS = re.compile(r"(?<![<>!\\])=|\\equiv(?![a-zA-Z])")
APPROXIMATELY = re.compile(r"\\approx(?![a-zA-Z])")
MODULUS = re.compile(r"\\pmod\s*(?:\{([^{}]*)\}|(\w+))|\(?\s*\\?b?mod\s*\{?\s*([0-9]+)\s*\}?\s*\)?")
SEVERAL = re.compile(r",|\\text|(?<![a-zA-Z])(?:and|or)(?![a-zA-Z])")


def _parts(text: str, *, whole: bool) -> Iterator[str]:
    r"""What of an answer may be compared: without its label; of x = 5 the 5 unless the equation is asked (`whole`); of
    \sqrt{2} \approx 1.41 either side."""
    text = NAMED.sub("", LABEL.sub("", text)) if not whole else LABEL.sub("", text)
    yield trimmed(text)
    if whole:
        return
    for side in APPROXIMATELY.split(text):
        pieces = EQUALS.split(side)
        if len(pieces) == 2 or not SEVERAL.search(side):
            yield trimmed(pieces[-1])


# ---------------------------------------------------------------- values


def _by_value(gold: Gold, wanted: str, answer: str, raw: str, compare: Compare) -> tuple[bool, str]:
    things = counted(gold.question)
    relation = bool(EQUALS.search(wanted) or re.search(r"[<>]|\\[lg]e(?![a-z])", wanted))
    wanted, wanted_modulus = _without_modulus(wanted)
    answer, found_modulus = _without_modulus(answer)
    if wanted_modulus and found_modulus and wanted_modulus != found_modulus:
        return False, ""
    target = None if _is_list(wanted, gold.question) else quantity.read(wanted, things)
    why = ""
    for part in dict.fromkeys(_parts(answer, whole=relation)):
        value = quantity.read(part, things, loose=True)
        if target and value:
            right = _equal(target, value, gold)
        else:
            right, why = _expressions(gold, wanted, part, raw, compare)
        if right:
            return True, ""
    return False, why


def _equal(target: Quantity, value: Quantity, gold: Gold) -> bool:
    percent = bool(re.search(r"percent|%", gold.question, re.IGNORECASE))
    return quantity.equal(target, value, unit_counts=gold.own, asks_percent=percent)


def _without_modulus(text: str) -> tuple[str, str]:
    match = MODULUS.search(text)
    if not match:
        return text, ""
    rest = trimmed(text[: match.start()] + text[match.end() :])
    return rest, next(group for group in match.groups() if group)


ONE_NUMBER = re.compile(r"how many|how much|number of|total|what is the (?:value|sum|product)", re.IGNORECASE)


def _is_list(text: str, question: str) -> bool:
    """100,200 is two numbers, unless one is asked for; 58,500 and 100,000 are one."""
    return bool(re.fullmatch(r"[0-9]{3}(?:,[1-9][0-9]{2})+", text)) and not ONE_NUMBER.search(question)


def _expressions(gold: Gold, wanted: str, answer: str, raw: str, compare: Compare) -> tuple[bool, str]:
    """By math-verify, after units, brackets and words have been looked at."""
    if not answer or "..." in answer:  # what goes on is not read
        return False, ""
    things = counted(gold.question)
    wanted, unit = without_unit(wanted, things)
    answer, other = without_unit(answer, things)
    if not _units_agree(unit, other, gold):
        return False, ""
    letters = set(re.findall(r"(?<![a-zA-Z\\])[a-zA-Z]+", bare(wanted)))
    wordy = is_wordy(wanted, gold.text, gold.own)
    if wordy or has_words(answer, raw, {letter for run in letters for letter in run}):
        return (_words(wanted) == _words(answer) and wordy), ""
    if {_bracket(wanted), _bracket(answer)} == {"set", "tuple"}:
        return False, ""
    if _is_list(wanted, gold.question):
        wanted = wanted.replace(",", ", ")
    return compare(as_union(wanted), as_union(answer))


def _units_agree(gold_unit: Quantity | None, unit: Quantity | None, gold: Gold) -> bool:
    """Of expressions, whose percent are not converted."""
    if gold_unit and unit:
        return quantity.equal(gold_unit, unit)
    if (gold_unit or unit or Quantity(Fraction(0))).percent:
        return False
    return not (gold_unit and gold_unit.worded and gold.own)


def _bracket(text: str) -> str:
    r"""set for \{…\}, tuple for (…, …), else nothing."""
    if text.startswith(r"\{") and text.endswith(r"\}") and text.find(r"\}") == len(text) - 2:
        return "set"
    inner = text[1:-1]
    whole = text.startswith("(") and text.endswith(")") and "(" not in inner and ")" not in inner
    return "tuple" if whole and "," in inner else ""
