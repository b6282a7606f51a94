r"""Where an answer stands in a text: in its last box, after "the answer is", in bold, or on its last line.

In: what a model wrote, and whether it was cut off at the token cap. Out: the answer that a careful person would read
there, and whether it stands in the asked format. Only one is read, without a look at the gold answer: no format makes a
wrong answer right. Of a text that was cut off only boxes and whole statements are read: its last line is where it
happened to stop, in the middle of a calculation or of a number.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mlx_distill.evaluate.benchmarks.reading import numerals, quantity
from mlx_distill.evaluate.benchmarks.reading.expression import has_words, without_unit
from mlx_distill.evaluate.benchmarks.reading.sameness import LABEL, lettered
from mlx_distill.evaluate.benchmarks.reading.signs import close_of, plain, trimmed
from mlx_distill.evaluate.benchmarks.reading.units import counted

END = 4000
"""Characters of a text's end in which an answer without a box is looked for."""

MOST = 8
"""Statements that are looked at, from the last one on."""

SHORT = 3
"""Words of an answer in words that is looked for in a sentence."""


@dataclass(frozen=True)
class Reading:
    """`strict`: it stands where it was asked for, in the form that was asked for."""

    text: str
    strict: bool = False


# ---------------------------------------------------------------- boxes

BOX = re.compile(r"(?:\\f?box(?:ed)?|(?<![a-zA-Z\\])boxed(?=\{))(?![a-zA-Z])\s*")
TOKEN = re.compile(r"\(([^()\n]*)\)|[-+]?[0-9][0-9.,/]*(?<![.,])|\\[a-zA-Z]+(?:\s*\{[^{}]*\})*|[A-Za-z]+")
"""What a box without braces holds."""

JOINED = re.compile(
    r"[\s$.]*(?:[,;]|\\text\s*\{\s*(?:and|or)\s*\}|and|or|&|\\quad|\\,)*[\s$]*(?:and\s+)?(?:[a-zA-Z](?:_\w)?\s*=)?[\s$]*"
)
"""Between boxes that are one answer: \\boxed{2} and \\boxed{3}."""
NEAR = 40
"""Characters that may be between them."""

PLACEHOLDER = re.compile(
    r"[\s.…_?]*|\\[lc]?dots|(?:your|the|final)?\s*(?:final\s+)?(?:answer|result)(?:\s+here)?", re.I
)
QUOTES = "`\"'“”‘’"


@dataclass(frozen=True)
class Box:
    start: int
    end: int
    content: str
    closed: bool


def boxes(text: str) -> list[Box] | None:
    """All of them; None where the last one was cut off."""
    contents: list[Box] = []
    for begin in BOX.finditer(text):
        if contents and begin.start() < contents[-1].end:
            continue  # a box in a box
        box = _box(text, begin)
        if box is None:
            return None
        contents.append(box)
    return contents


def _box(text: str, begin: re.Match[str]) -> Box | None:
    """None where its brace is not closed and the text ends. Where only the brace is missing, it ends with its line."""
    if not text.startswith("{", begin.end()):
        token = TOKEN.match(text, begin.end())
        content = (token[1] if token[1] is not None else token[0]) if token else ""
        return Box(begin.start(), token.end() if token else begin.end(), content, closed=bool(token))
    end = close_of(text, begin.end() + 1)
    if end is not None:
        return Box(begin.start(), end + 1, text[begin.end() + 1 : end].strip(), closed=True)
    line = re.compile(r"[$\n]").search(text, begin.end())
    if line is None:
        return None
    return Box(begin.start(), line.start(), text[begin.end() + 1 : line.start()].strip(), closed=False)


def boxed(text: str) -> str | None:
    r"""What the last \boxed or \fbox contains, or several that are one answer, joined by commas. A box that is empty,
    holds a placeholder or is quoted counts only where there is no other. None: no box, or the last one is cut off."""
    contents = boxes(text)
    if not contents:
        return None
    meant = [box for box in contents if not _is_quoted(text, box)] or contents
    together = [meant[-1]]
    for box in reversed(meant[:-1]):
        after = together[-1].start
        if after - box.end > NEAR or not JOINED.fullmatch(text, box.end, after):
            break
        together.append(box)
    return ", ".join(dict.fromkeys(box.content for box in reversed(together)))


def _is_quoted(text: str, box: Box) -> bool:
    before, after = text[max(0, box.start - 3) : box.start].rstrip("$ "), text[box.end : box.end + 3].lstrip("$ ")
    quoted = before[-1:] in QUOTES and after[:1] in QUOTES and bool(before) and bool(after)
    return quoted or bool(PLACEHOLDER.fullmatch(box.content))


# ---------------------------------------------------------------- answers without a box

STATED = re.compile(
    r"\b(?:answers?|solutions?)\b[^\n.:=]{0,60}?(?:\b(?:is|are|was|be)\b\s*:?|:|=)(?P<rest>[^\n]*)|^\s*####(?!#)(?P<hashes>[^\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
TAKEN_BACK = re.compile(r"\b(?:actually|wait|correction|sorry|instead|mistake|no,)\b", re.IGNORECASE)
CLAUSE = re.compile(
    r",?\s+(?:because|since|as|which|so|where|given|after|that|but|although)\b|\s+\((?=[a-z])|\.(?=\s|$)"
)
BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
MATHEMATICS = re.compile(r"(?:(?<![\\$])\$\$?([^$]+)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\])[\s.!*]*$")
UNSURE = re.compile(
    r"\b(?:not|never|no|neither|nor|cannot|maybe|perhaps|doubt|unlikely|either|unless|if)\b|n't\b", re.IGNORECASE
)
COPULA = re.compile(
    r"(?:\b(?:is|are|was|were|be|equals?|gives?|gets?|makes?|has|have|had|get|become|becomes|costs?|earns?|takes?|needs?|"
    r"spends?|pays?|sells?|left with|total of)\b\s*:?|[=:]|\\approx|≈)(?![^\n]*(?:\bis\b|\bare\b|[=]))",
    re.IGNORECASE,
)
WORD = re.compile(r"\w")
SENTENCE_END = re.compile(r"[.!?](?=\s)|\n")
SENTENCE = re.compile(r"\b(?:is|are|was|were|has|have|had)\b", re.IGNORECASE)
CHANGING = re.compile(
    r"^\s*(?:and|or|to|of|out|in|per|x|times|than|more|less|fewer|short|over|under|above|below|plus|minus|each)\b|[0-9\\=<>*^/]|"
    rf"\b(?:{'|'.join(sorted(numerals.WORDS - {'one', 'second', 'half', 'quarter', 'quarters'}))}|percent)\b",
    re.IGNORECASE,
)
"""Behind a number what makes it another one."""
LESS = re.compile(
    r"(?:\b(?:than|by|of|between|to|from|until|plus|minus|times|over|least|most|or|and|divided|step|case|number)|"
    r"[-+*/^<>,0-9]|\\[a-z]+)$",
    re.IGNORECASE,
)
"""Before a number that is not the answer by itself: more than 5, 3 out of 5, 2 or 5, step 5."""


def final(text: str, question: str = "", *, cut: bool = False) -> Reading | None:
    """Asked for in a box: the last box; else the last stated answer that can be read as mathematics; else what the last
    line ends with, unless the text was cut off there."""
    if BOX.search(text):
        return _boxed(text, cut)
    things, line = counted(question), "" if cut else _last_line(text)
    bare_line, bold = line.lstrip("#> "), BOLD.findall(line)[-1:]
    stated = list(itertools.chain(*_statements(text[-END:], cut)))
    statement = next((each for each in (bare_line, *stated, *bold) if _is_readable(each, things)), None)
    statement = statement or next(filter(_is_short, stated), None) or _ending(line, things)
    statement = statement or next(filter(_is_short, (*bold, bare_line)), None)
    return Reading(statement) if statement else None


def _is_short(text: str) -> bool:
    """Words that may be an answer: even, an ellipse."""
    words = trimmed(plain(text[: quantity.LONGEST])).split()
    return 0 < len(words) <= SHORT and not UNSURE.search(text) and not SENTENCE.search(text)


def _boxed(text: str, cut: bool) -> Reading | None:
    content, all_boxes = boxed(text), boxes(text) or []
    if content is None or (cut and all_boxes[-1].end == len(text) and not text.endswith("}")):
        return None  # \boxed 1, of what was to be \boxed 18
    return Reading(content, strict=all(box.closed for box in all_boxes))


def last(text: str, question: str = "", *, cut: bool = False) -> list[Reading]:
    """Asked for nowhere in particular: the last box; else the last line as it stands and, where that is a sentence
    about the answer, the answer in it. [] where there is nothing, or the text was cut off before it was said."""
    if BOX.search(text):
        box = _boxed(text, cut)
        return [box] if box else []
    line = "" if cut else _last_line(text)
    inner = next(_statements(text[-END:], cut), BOLD.findall(line)[-1:]) or [_ending(line, counted(question))]
    alone = not STATED.search(line) and "**" not in line
    return [Reading(each, strict=alone and each == line) for each in dict.fromkeys((line, *inner)) if trimmed(each)]


def _statements(text: str, cut: bool) -> Iterator[list[str]]:
    """What "the answer is …" says, the latest first: of each the possible ends, since a point may be in the answer.
    Where the text was cut off, its last sentence says nothing but that another one is taken back."""
    whole = text[: max((end.end() for end in SENTENCE_END.finditer(text)), default=0)] if cut else text
    for match in reversed(list(STATED.finditer(whole))[-MOST:]):
        if not TAKEN_BACK.search(text, match.end()):
            yield _statement(match, whole)


def _statement(match: re.Match[str], text: str) -> list[str]:
    """The rest of its line, without what is said about it; the next line where there is no rest."""
    if match["hashes"] is not None:
        return [match["hashes"]]
    rest = match["rest"].strip(" *_:")
    if not rest:
        rest = next((line.strip() for line in text[match.end() :].splitlines() if line.strip(" *_:$[]\\")), "")
    ends = [rest[: clause.start()] for clause in CLAUSE.finditer(rest)]
    return [rest, *reversed(ends), *BOLD.findall(match["rest"])[:1]]


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text[-END:].splitlines()) if line.strip(" *_$`[]\\")), "")


def _is_readable(text: str, things: frozenset[str]) -> bool:
    """A number with its unit, an expression without words, or the letter of a choice."""
    written = LABEL.sub("", trimmed(plain(text))) if len(text) <= quantity.LONGEST else ""
    if not written:
        return False
    if quantity.read(written, things, loose=True) or lettered(written):
        return True
    return not has_words(without_unit(written, things)[0], text) and bool(re.search(r"[0-9a-zA-Z\\]", written))


def _ending(line: str, things: frozenset[str]) -> str:
    """What a sentence ends with: its last formula, what it says that something is, or its last number with a unit."""
    if UNSURE.search(line) or line.startswith("#"):
        return ""
    if formula := MATHEMATICS.search(line):
        return next(group for group in formula.groups() if group is not None)
    verbs = [verb for verb in COPULA.finditer(line) if WORD.search(line, verb.end())]  # 'is "sell."' says sell
    if verbs:
        rest = CLAUSE.split(BOLD.sub(r"\1", line[verbs[-1].end() :]), maxsplit=1)[0].strip()
        if rest and (_is_readable(rest, things) or len(rest.split()) <= SHORT):
            return rest
        if first := _first_quantity(rest, things):
            return first
    return _last_quantity(line, things)


def _first_quantity(text: str, things: frozenset[str]) -> str:
    """$18 every day at the market: the number with its unit, where only words follow that change nothing of it."""
    written = trimmed(plain(text[: quantity.LONGEST]))
    for end in reversed([space.start() for space in re.finditer(" ", written)][:MOST]):
        head, rest = written[:end], written[end:]
        if re.match(r"[-+]?[\\$\d.\u20a0-\u20cf]", head) and quantity.read(head, things, loose=True):
            return "" if CHANGING.search(rest) else head
    return ""


def _last_quantity(line: str, things: frozenset[str]) -> str:
    """The longest end of a line that is a number with its unit, and no part of a larger one."""
    bare = trimmed(plain(line))[-300:]
    for start in re.finditer(r"(?<!\S)\S", bare):
        end, before = bare[start.start() :], bare[: start.start()].rstrip()
        if re.match(r"[-+]?[\\$\d.\u20a0-\u20cf]", end) and quantity.read(end, things, loose=True):
            return "" if LESS.search(before) else end
    return ""
