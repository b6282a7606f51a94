"""The sentences of a text, as the benchmark's authors found them: with Punkt and its English model.

In: a text. Out: its sentences, those that NLTK 3.9 finds. Punkt (Kiss & Strunk 2006, doi 10.1162/coli.2006.32.4.485)
asks of each full stop whether it ends an abbreviation, a sentence, or both. Its decisions are written anew here, since
the package that brings the model finds other ends where marks follow each other ("Well!!" is two) and takes ten times
as long.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from functools import cache
from itertools import chain, pairwise, repeat
from typing import TYPE_CHECKING

from mlx_distill.evaluate.benchmarks.ifeval.text import LONGEST

if TYPE_CHECKING:
    from punkt import PunktParameters

BREAKING = r"[)\";}\]*:@'({\[?!]"
"""What a word does not go on after. NLTK added curly quotes to these in 3.10; the benchmark is older."""

CANDIDATE = re.compile(rf"[.?!](?=(?P<mark>{BREAKING})|\s+(?P<next>\S+))")
"""A mark that may end a sentence, and what follows it."""

SEVERAL = r"-{2,}|\.{2,}|(?:\.\s){2,}\."
"""Dashes, and dots, that are one word together."""

WORD = re.compile(
    rf"{SEVERAL}|[^\s(\"`{{\[:;&#*@)}}\]\-,]\S*?(?=\s|$|{BREAKING}|{SEVERAL}|,(?:$|\s|{BREAKING}|{SEVERAL}))|\S"
)

CLOSING = re.compile(r"[\"')\]}]+?(?:\s+|(?=--)|$)", re.MULTILINE)
"""Quotes and brackets that belong to the sentence before them."""

NUMBER = re.compile(r"-?[.,]?\d[\d,.-]*\.?")
NUMBERED = "##number##"
"""What any number is in the model."""

INITIAL = re.compile(r"[^\W\d]\.")

MIDDLE_UPPER, BEGINNING_LOWER = 1 << 2, 1 << 4
UPPER, LOWER = 0b000_1110, 0b111_0000
"""How the model has seen a word written: bits for the beginning, the middle and elsewhere, in upper and lower case."""


def sentences(text: str) -> Iterator[str]:
    """The sentences among the first LONGEST characters, each as soon as it is found."""
    text, moved = text[:LONGEST], 0
    for (start, end), (after, until) in pairwise(chain(_pieces(text), [(0, 0)])):
        closing = CLOSING.match(text[after:until])
        if start + moved < end:
            yield text[start + moved : after + len(closing[0].rstrip()) if closing else end]
        moved = closing.end() if closing else 0


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """From each sentence's beginning to its full stop; closing quotes are still at the beginning of the next."""
    model, start = _model(), 0
    for begin, candidate in _candidates(text):
        if candidate[0] != "." or _ends(text[begin : max(candidate.end("mark"), candidate.end("next"))], model):
            yield start, candidate.end()
            start = candidate.start("next") if candidate["next"] else candidate.end()
    yield start, len(text.rstrip())


def _candidates(text: str) -> Iterator[tuple[int, re.Match[str]]]:
    """(Where the word before a candidate begins, the candidate); of several in one word only the last."""
    last, begin, end = None, 0, 0
    for match in CANDIDATE.finditer(text):
        before = text[end : match.start()]
        space = max(map(before.rfind, string.whitespace))
        word = end + space + 1 if space > 0 else begin
        if last and end <= word:
            yield begin, last
        last, begin, end = match, word, match.start()
    if last:
        yield begin, last


def _ends(context: str, model: PunktParameters) -> bool:
    """Whether one of the context's words ends a sentence; the last is there to be looked at from the one before."""
    words = [word for line in context.split("\n") for word in WORD.findall(line)]
    return any(map(_breaks, words, words[1:], repeat(model)))


def _breaks(word: str, following: str, model: PunktParameters) -> bool:
    if not word.endswith("."):
        return word in ("?", "!")
    kind, next_kind = _kind(word), _kind(following)
    if following.endswith(".") and _at_first_sight(following, model):
        next_kind = _stem(next_kind)
    if (_stem(kind), next_kind) in model.collocations:
        return False
    breaks = _at_first_sight(word, model)
    if kind == NUMBERED or INITIAL.fullmatch(word):
        return breaks and not _goes_on(kind, following, next_kind, model)
    return breaks or (_may_end(word, model) and _begins(following, next_kind, model))


def _at_first_sight(word: str, model: PunktParameters) -> bool:
    """A word with a full stop ends a sentence, unless it is known as an abbreviation."""
    return word == "." or not (word.endswith("..") or _is_abbreviation(word, model))


def _is_abbreviation(word: str, model: PunktParameters) -> bool:
    stem = word[:-1].lower()
    return stem in model.abbrev_types or ("-" in stem and stem.rpartition("-")[2] in model.abbrev_types)


def _may_end(word: str, model: PunktParameters) -> bool:
    """An abbreviation, or three dots: both can end a sentence, where the next word looks like a beginning."""
    return not word.strip(".") or (not word.endswith("..") and _is_abbreviation(word, model))


def _begins(word: str, kind: str, model: PunktParameters) -> bool:
    """In upper case here, elsewhere in lower case, and never in upper case amid a sentence; or known for beginning."""
    seen = model.ortho_context.get(kind, 0)
    known = bool(seen & LOWER and not seen & MIDDLE_UPPER) or kind in model.sent_starters
    return word[0].isupper() and known


def _goes_on(kind: str, following: str, next_kind: str, model: PunktParameters) -> bool:
    """After an initial or a number: punctuation, a word in lower case, or a name that was only seen in upper case."""
    seen = model.ortho_context.get(next_kind, 0)
    if following in (";", ":", ",", ".", "!", "?"):
        return True
    if following[0].islower():
        return bool(seen & UPPER) or not seen & BEGINNING_LOWER
    return following[0].isupper() and not seen & LOWER and kind != NUMBERED


def _kind(word: str) -> str:
    return NUMBERED if NUMBER.fullmatch(word) else word.lower()


def _stem(kind: str) -> str:
    return kind[:-1] if len(kind) > 1 and kind.endswith(".") else kind


@cache
def _model() -> PunktParameters:
    from punkt import load_model

    return load_model("english")
