"""The published checks of what an answer says: its keywords, its language, its lengths, its placeholders.

In: an answer's text, not blank, and an instruction's arguments. Out: whether it is followed, by the letter of the
published protocol, quirks included: a keyword counts inside of a longer word, a forbidden one does not. The published
patterns take quadratic time on answers made for it; those here find the same in linear time.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from itertools import islice

from mlx_distill.evaluate.benchmarks.ifeval.sentences import sentences
from mlx_distill.evaluate.benchmarks.ifeval.text import is_in, words

Check = Callable[..., bool]
"""(text, **arguments) → whether the instruction is followed."""

RELATIONS: dict[str, Callable[[int, int], bool]] = {"less than": operator.lt, "at least": operator.ge}

POSTSCRIPTS = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
DIVIDER = re.compile(r"\s?\*\*\*\s?")
FIRST_WORD = re.compile(r"[^.,?!'\"]*")


def existence(text: str, keywords: Sequence[str]) -> bool:
    return all(_occurrences(keyword, text) for keyword in keywords)


def frequency(text: str, keyword: str, frequency: int, relation: str) -> bool:
    return RELATIONS[relation](_occurrences(keyword.strip(), text), frequency)


def _occurrences(keyword: str, text: str) -> int:
    return len(re.findall(re.escape(keyword), text, re.IGNORECASE))


def forbidden_words(text: str, forbidden_words: Sequence[str]) -> bool:
    return not any(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in forbidden_words)


def letter_frequency(text: str, letter: str, let_frequency: int, let_relation: str) -> bool:
    """Any character: two prompts ask for # and !."""
    return RELATIONS[let_relation](text.lower().count(letter.strip().lower()), let_frequency)


def response_language(text: str, language: str) -> bool:
    return is_in(language, text)


def number_sentences(text: str, num_sentences: int, relation: str) -> bool:
    """Counted up to the number that was asked for."""
    return RELATIONS[relation](len(list(islice(sentences(text), num_sentences))), num_sentences)


def number_words(text: str, num_words: int, relation: str) -> bool:
    return RELATIONS[relation](words(text), num_words)


def number_paragraphs(text: str, num_paragraphs: int) -> bool:
    """Exactly so many between dividers (***); a divider may stand before the first and after the last."""
    paragraphs = [piece.strip() for piece in DIVIDER.split(text)]
    return all(paragraphs[1:-1]) and sum(map(bool, paragraphs)) == num_paragraphs


def nth_paragraph_first_word(text: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    """Exactly so many between empty lines; to find the nth, blank ones count too."""
    paragraphs = [piece.strip() for piece in text.split("\n\n")]
    filled = sum(map(bool, paragraphs))
    if filled != num_paragraphs or nth_paragraph > filled:
        return False
    word, *_ = paragraphs[nth_paragraph - 1].split(maxsplit=1) or [""]
    match = FIRST_WORD.match(word.lstrip("'").lstrip('"'))
    return bool(word and match and match[0].lower() == first_word.lower())


def number_placeholders(text: str, num_placeholders: int) -> bool:
    """At least so many [...], each within a line."""
    return sum(map(_placeholders, text.split("\n"))) >= num_placeholders


def _placeholders(line: str) -> int:
    count, start = 0, line.find("[")
    while start >= 0 and (end := line.find("]", start)) >= 0:
        count, start = count + 1, line.find("[", end)
    return count


def postscript(text: str, postscript_marker: str) -> bool:
    """Anywhere: the published check does not ask where a postscript stands."""
    marker = postscript_marker.strip()
    return re.search(POSTSCRIPTS.get(marker, re.escape(marker.lower())), text.lower()) is not None


CONTENT: dict[str, Check] = {
    "keywords:existence": existence,
    "keywords:frequency": frequency,
    "keywords:forbidden_words": forbidden_words,
    "keywords:letter_frequency": letter_frequency,
    "language:response_language": response_language,
    "length_constraints:number_sentences": number_sentences,
    "length_constraints:number_words": number_words,
    "length_constraints:number_paragraphs": number_paragraphs,
    "length_constraints:nth_paragraph_first_word": nth_paragraph_first_word,
    "detectable_content:number_placeholders": number_placeholders,
    "detectable_content:postscript": postscript,
}
