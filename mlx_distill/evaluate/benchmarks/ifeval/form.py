"""The published checks of the form an answer has: its lists, marks and title, its beginning and end, its case.

In: an answer's text, not blank, and an instruction's arguments. Out: whether it is followed, by the letter of the
published protocol, quirks included: a rule of dashes counts as a bullet point, a lone number as JSON. The published
patterns take quadratic time on answers made for it; those here find the same in linear time.
"""

from __future__ import annotations

import json
import re
from itertools import islice

from mlx_distill.evaluate.benchmarks.ifeval.content import RELATIONS, Check
from mlx_distill.evaluate.benchmarks.ifeval.text import capital_words, is_in

ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
FENCES = ("```json", "```Json", "```JSON", "```")

STAR = re.compile(r"^[^\S\n]*\*[^*].*", re.MULTILINE)
DASH = re.compile(r"^[^\S\n]*-", re.MULTILINE)
"""A bullet point's line. A star alone on its line takes the next line with it."""

SINGLE = re.compile(r"\*([^\n*]*)\*")
DOUBLE = re.compile(r"\*\*([^\n*]*)\*\*")


def number_bullet_lists(text: str, num_bullets: int) -> bool:
    """Exactly so many points."""
    return len(STAR.findall(text)) + len(DASH.findall(text)) == num_bullets


def constrained_response(text: str) -> bool:
    """One of the three answers, with anything around it."""
    return any(answer in text for answer in ANSWERS)


def number_highlighted_sections(text: str, num_highlights: int) -> bool:
    """At least so many, each within a line and with something in it."""
    sections = [*SINGLE.findall(text), *DOUBLE.findall(text)]
    return sum(1 for inside in sections if inside.strip()) >= num_highlights


def multiple_sections(text: str, section_spliter: str, num_sections: int) -> bool:
    """At least so many headings with a number."""
    return len(re.findall(rf"{re.escape(section_spliter.strip())}\s?\d", text)) >= num_sections


def json_format(text: str) -> bool:
    """Any JSON value, a lone number too; too deep for the parser is not followed."""
    text = text.strip()
    for fence in FENCES:
        text = text.removeprefix(fence)
    try:
        json.loads(text.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def title(text: str) -> bool:
    """<<something>> within a line: from the first << to the last >>."""
    return any(map(_has_title, text.split("\n")))


def _has_title(line: str) -> bool:
    start, end = line.find("<<"), line.rfind(">>")
    return 0 <= start < end and bool(line[start : end + 2].lstrip("<").rstrip(">").strip())


def two_responses(text: str) -> bool:
    """Exactly two that differ; a divider may stand before the first and after the second."""
    responses = [piece.strip() for piece in text.split("******")]
    filled = [response for response in responses if response]
    return all(responses[1:-1]) and len(filled) == 2 and filled[0] != filled[1]


def repeat_prompt(text: str, prompt_to_repeat: str) -> bool:
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


def end_checker(text: str, end_phrase: str) -> bool:
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def quotation(text: str) -> bool:
    text = text.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


def capital_word_frequency(text: str, capital_frequency: int, capital_relation: str) -> bool:
    """Counted up to the number that was asked for."""
    return RELATIONS[capital_relation](len(list(islice(capital_words(text), capital_frequency))), capital_frequency)


def english_capital(text: str) -> bool:
    return text.isupper() and is_in("en", text)


def english_lowercase(text: str) -> bool:
    return text.islower() and is_in("en", text)


def no_comma(text: str) -> bool:
    return "," not in text


FORM: dict[str, Check] = {
    "detectable_format:number_bullet_lists": number_bullet_lists,
    "detectable_format:constrained_response": constrained_response,
    "detectable_format:number_highlighted_sections": number_highlighted_sections,
    "detectable_format:multiple_sections": multiple_sections,
    "detectable_format:json_format": json_format,
    "detectable_format:title": title,
    "combination:two_responses": two_responses,
    "combination:repeat_prompt": repeat_prompt,
    "startend:end_checker": end_checker,
    "startend:quotation": quotation,
    "change_case:capital_word_frequency": capital_word_frequency,
    "change_case:english_capital": english_capital,
    "change_case:english_lowercase": english_lowercase,
    "punctuation:no_comma": no_comma,
}
