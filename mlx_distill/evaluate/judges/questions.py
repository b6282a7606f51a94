"""What both ways of judging share: questions put to a model, its replies read, what cannot be read asked once more.

In: questions. Out: verdicts, as they come. A reply is JSON of the asked schema or nothing: no pattern is ever looked
for in free text. No sampling parameters. What is still refused, or no verdict, when it was asked for once more, is
unscored, with the problem named, and never a zero or a tie.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mlx_distill.models.teachers import Ask, Reply, Request
from mlx_distill.run.config import ComparisonConfig
from mlx_distill.run.digest import content_id
from mlx_distill.run.errors import TeacherError
from mlx_distill.run.prompts import shorten
from mlx_distill.run.records import Judgment, Preference

ATTEMPTS = 2

HANDFUL = 5
"""So many questions, all answered unreadably: the judge does not do what it is asked, and asking more is no use."""

Verdict = TypeVar("Verdict", Judgment, Preference)


class Unreadable(Exception):
    """JSON, but no verdict; its words are the problem that is kept."""


@dataclass(frozen=True)
class Question(Generic[Verdict]):
    """One case for a judge. `request` is its first attempt; `read` takes the reply's JSON to the verdict's fields."""

    request: Request
    unscored: Verdict
    read: Callable[[Any], dict[str, Any]]

    def attempt(self, number: int) -> Request:
        return dataclasses.replace(self.request, sample=self.request.sample + number)

    def verdict(self, reply: Reply) -> Verdict:
        """Unscored, with the problem named, when the reply is not what was asked for."""
        if reply.stop_reason != "end_turn":
            return dataclasses.replace(self.unscored, problem=f"the judge stopped with {reply.stop_reason}")
        try:
            content = json.loads(reply.text)
            json.dumps(content, ensure_ascii=False).encode()  # half a character is JSON, but no text for a file
            return dataclasses.replace(self.unscored, **self.read(content))
        except Unreadable as problem:
            return dataclasses.replace(self.unscored, problem=str(problem))
        except (ValueError, KeyError, TypeError, RecursionError):
            return dataclasses.replace(self.unscored, problem="the judge's answer is not the asked JSON")


@dataclass
class _Heard:
    """What a judge has said to the first questions. `since`: replies from before cost nothing now, so what was wrong
    then may have been mended; one new reply says whether it has."""

    since: float
    unreadable: int = 0
    readable: bool = False
    new: bool = False

    def add(self, verdict: Judgment | Preference, reply: Reply) -> None:
        if reply.stop_reason not in ("end_turn", "max_tokens"):
            return  # refused: that is about the question
        self.readable = self.readable or not verdict.problem
        self.unreadable += bool(verdict.problem)
        self.new = self.new or reply.answered_at >= self.since
        if self.unreadable >= HANDFUL and self.new and not self.readable:
            raise TeacherError(
                f"{verdict.judge} was asked {self.unreadable} questions and answered none of them readably "
                f"({verdict.problem}; it wrote {shorten(reply.text)!r}). Nothing more is asked: {_advice(reply)}."
            )


def _advice(reply: Reply) -> str:
    if reply.stop_reason == "max_tokens":
        return "give it more room with judge_max_tokens under [comparison] in a --config FILE, or take another --judge"
    return "check that the model and its server write JSON of a given schema (output_config), or take another --judge"


async def ask_questions(questions: Iterable[Question[Verdict]], ask: Ask) -> AsyncGenerator[Verdict, None]:
    """One verdict for every question, in the order in which they arrive.

    Equal questions are asked once and share the price; a verdict's `usd` is what all attempts at it cost. Raises
    TeacherError when the first replies are all unreadable: then the rest would be paid for in vain.
    """
    waiting, heard = [(question, 0.0) for question in questions], _Heard(time.time())
    for attempt in range(ATTEMPTS):
        asked = defaultdict(list)
        for question, paid in waiting:
            asked[question.attempt(attempt)].append((question, paid))
        waiting = []
        async with contextlib.aclosing(ask(list(asked))) as replies:
            async for request, reply in replies:
                share = (reply.usd or 0.0) / len(asked[request])
                for question, paid in asked[request]:
                    verdict = question.verdict(reply)
                    if attempt == 0:
                        heard.add(verdict, reply)
                    if not verdict.problem or attempt + 1 == ATTEMPTS:
                        yield dataclasses.replace(verdict, usd=paid + share)
                    else:
                        waiting.append((question, paid + share))
        if not waiting:
            return


def first_attempt(repeat: int) -> int:
    """The `sample` that a repeat's first request carries, so that no two attempts of one question are the same."""
    return repeat * ATTEMPTS


def unknown_to(*texts: str) -> str:
    """Twelve hex digits that stand in none of the texts, the same ones for the same texts: a mark for their tags."""
    mark = content_id("".join(texts))
    while any(mark in text for text in texts):
        mark = content_id(mark)
    return mark


@dataclass(frozen=True)
class Count:
    """How many questions: on answers alone, and on two side by side, which are about twice as long."""

    alone: int
    pairs: int


def count_questions(prompts: int, config: ComparisonConfig) -> Count:
    """Of one judge that is a model, before any answer is there; what has to be asked again comes on top."""
    samples = config.samples or 1
    answers = 2 * samples + 1
    sides = 2 if config.against_teacher else 1
    return Count(
        alone=0 if config.judging == "pairwise" else prompts * answers * config.repeats,
        pairs=0 if config.judging == "rubric" else prompts * samples * sides * 2 * config.repeats,
    )
