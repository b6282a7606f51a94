"""What is counted and recognised in a text: words, words in capitals, the language.

In: a text. Out: a number, or a language. Each gives what the authors' packages give (NLTK 3.9 and langdetect 1.0.9),
in time that grows with the text's length only; langdetect draws at random, and is held to one seed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

SEED = 0

LONGEST = 30_000
"""Characters that are looked at for a language, capitals and sentences, so that no answer takes seconds. That is some
5,000 words and 250 sentences, of which 100 are the most that is asked for; langdetect itself stops at 10,000."""

WORD = re.compile(r"\w+")

BETWEEN = re.compile(
    r"''|--|\.{2,}|\.(?=')|[:,](?!\d)|'(?=[^\Wmtsdn]\b)|[\s«»“”‘’„`\"*;@#$%&?!()\[\]{}<>]", re.IGNORECASE
)
"""What stands between two words, by the Penn Treebank's rules as NLTK extends them. A dash of print does not."""

SHORT = re.compile(r"(?<=[^'])'[smd]$", re.IGNORECASE)
SHORTENED = re.compile(r"(?<=[^'])(?:'ll|'LL|'re|'RE|'ve|'VE|n't|N'T)$")
"""Endings that are words of their own: I'm is I and 'm, of which the first is in capitals."""

JOINED = re.compile(
    r"\b(can(?=not)|d(?='ye)|gim(?=me)|gon(?=na)|got(?=ta)|lem(?=me)|more(?='n)|wan(?=na$))(not|'ye|me|na|ta|'n)\b"
    r"|^('t)(is|was)\b",
    re.IGNORECASE,
)
"""What is two words by the same rules."""


def words(text: str) -> int:
    """Runs of letters, digits and underscores: "it's" is two, "well-known" too."""
    return sum(1 for _ in WORD.finditer(text))


def capital_words(text: str) -> Iterator[str]:
    """Words with a capital letter and no small one, with what clings to them: "A/B-1" is one."""
    for piece in BETWEEN.split(text[:LONGEST]):
        if piece != piece.lower():
            yield from filter(str.isupper, _words_of(piece))


def _words_of(piece: str) -> list[str]:
    """Without the full stops and quotation marks at its end, which have no case."""
    piece = piece.rstrip(".'")
    split_words: list[str] = []
    for ending in (SHORT, SHORTENED):
        if match := ending.search(piece):
            split_words.append(match[0])
            piece = piece[: match.start()]
    return [*JOINED.sub(r" \1\3 \2\4 ", piece).split(), *split_words]


def is_in(language: str, text: str) -> bool:
    """Whether a text is in the language of this ISO 639-1 code. One without letters is in any, as was published."""
    from langdetect import LangDetectException

    detector = _detectors().create()
    detector.append(text[:LONGEST])
    try:
        return bool(detector.detect() == language)
    except LangDetectException:
        return True


@cache
def _detectors() -> Any:
    """A factory of our own: the package's has no seed, and takes the languages in the file system's order."""
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory

    factory = DetectorFactory()
    factory.set_seed(SEED)
    factory.load_json_profile([path.read_text("utf-8") for path in sorted(Path(PROFILES_DIRECTORY).iterdir())])
    return factory
