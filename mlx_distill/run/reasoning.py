"""Reasoning, and the answer that follows it.

In: what a model wrote. Out: its reasoning and its answer. Everything that scores, judges or counts an answer takes this
one, as training does: a draft in the reasoning is no answer. Reasoning is taken for such where it begins the text or,
when the chat template has opened it already, where its end stands alone; tags in the middle of an answer are content.
"""

from __future__ import annotations

import re
from typing import NamedTuple

TAGS = (
    *(("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<thought>", "</thought>")),
    *(("<reasoning>", "</reasoning>"), ("[THINK]", "[/THINK]"), ("<seed:think>", "</seed:think>")),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
)
"""As models write them; in any case."""

END_ALONE = re.compile(r"(?:^[ \t]*|(?<=[^'\"`\s])[ \t]*)</think(?:ing)?>[ \t]*$", re.MULTILINE | re.IGNORECASE)
"""The end of reasoning that the template opened: at the end of a line, and no text in quotes."""

BLANK = " \t\r\n\ufeff"

MOST = 100
"""Pieces of reasoning, one after the other, that are taken off a text."""


class Split(NamedTuple):
    """`answer` is empty where the reasoning never ended, and then `finished` is False."""

    reasoning: str
    answer: str
    finished: bool = True


def split(text: str, *more: tuple[str, str]) -> Split:
    """The reasoning (without its tags) and the answer; a text without reasoning is the answer as it is.

    `more`: pairs of tags beside TAGS, which a tokenizer names.
    """
    thoughts: list[str] = []
    while len(thoughts) < MOST and (first := _first(text, (*more, *TAGS))) is not None:
        thoughts.append(first.reasoning)
        text = first.answer
        if not first.finished:
            return Split("\n\n".join(thoughts), "", False)
    return Split("\n\n".join(filter(None, thoughts)), text)


def answer_of(text: str) -> str:
    """What a model answered, without the reasoning before it."""
    return split(text).answer


def opening(prompt: str, *more: tuple[str, str]) -> str:
    """The tag that a chat template has left open at the end of a prompt: a model's text begins after it."""
    tail = prompt.rstrip()
    return next((start for start, _ in (*more, *TAGS) if tail.endswith(start)), "")


def closing(tag: str) -> str:
    """What ends the reasoning that a tag has opened."""
    return next(end for start, end in TAGS if start == tag)


def _first(text: str, tags: tuple[tuple[str, str], ...]) -> Split | None:
    """The reasoning at the beginning of a text; None where there is none."""
    begun = text.lstrip(BLANK)
    for start, end in tags:
        if begun[: len(start)].lower() == start.lower():
            inner = begun[len(start) :]
            ended = re.search(re.escape(end), inner, re.IGNORECASE)
            if ended is None:
                return Split(inner.strip(), "", False)
            return Split(inner[: ended.start()].strip(), inner[ended.end() :].lstrip())
    return _opened_before(text)


def _opened_before(text: str) -> Split | None:
    end = END_ALONE.search(text) if "</think" in text.lower() else None
    if end is None or re.search(r"<think(?:ing)?>", text[: end.start()], re.IGNORECASE):
        return None
    return Split(text[: end.start()].strip(), text[end.end() :].lstrip())


def with_reasoning(reasoning: str, answer: str) -> str:
    """An answer as it is trained on, with the reasoning before it where there is any."""
    return f"<think>\n{reasoning}\n</think>\n\n{answer}" if reasoning and answer.strip() else answer
