"""Collecting: prompts in, the teacher's answers into the ledger, and out of it teacher_data.jsonl.

The ledger is what counts: the file is exported from it, in the order of the prompts, also of a part. Where several
answers to a prompt are wanted, all prompts are asked once before any is asked again: whoever stops early has one answer
to each, and not four to a quarter of them.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from dataclasses import dataclass, field

from mlx_distill.collect.filters import describe_dataset
from mlx_distill.collect.traces import read_traces
from mlx_distill.models.asking.ledger import Ledger
from mlx_distill.models.teachers import Ask, Reply, Request, Teacher
from mlx_distill.models.teachers.recorded import RecordedTeacher
from mlx_distill.run.config import TeacherConfig
from mlx_distill.run.prompts import shorten
from mlx_distill.run.records import Completion, Prompt, why_unusable

__all__ = [
    "Questions",
    "Tally",
    "answers_asked",
    "collect",
    "describe_dataset",
    "read_traces",
    "request_of",
    "why_not_asked",
]


def request_of(prompt: Prompt, model: str, config: TeacherConfig, sample: int = 0) -> Request:
    return Request(model, prompt.text, config.system, config.max_tokens, thinking=config.thinking, sample=sample)


def answers_asked(prompt: Prompt, count: int) -> int:
    """How many answers a prompt gets: several only where it is trained on."""
    return count if prompt.split == "train" else 1


@dataclass(frozen=True)
class Questions:
    """What a run asks its teacher: `count` answers to each training prompt, as far as the teacher has so many, and one
    to each other. `prompts` reads them anew, after the first `skip`; they are `prompt_count`."""

    prompts: Callable[[int], Iterator[Prompt]]
    prompt_count: int
    teacher: Teacher
    config: TeacherConfig
    count: int

    def requests(self, skip: int) -> Iterator[Request]:
        """All but the first `skip`."""
        yield from (self._request(prompt, 0) for prompt in self.prompts(min(skip, self.prompt_count)))
        further = (
            self._request(prompt, sample)
            for sample in range(1, self.count)
            for prompt in self.prompts(0)
            if sample < self._answers(prompt)
        )
        yield from itertools.islice(further, max(0, skip - self.prompt_count), None)

    def further(self) -> tuple[int, int]:
        """How many answers beyond the first are asked for, and how many the teacher has not."""
        if self.count == 1:
            return 0, 0
        asked = lacking = 0
        for prompt in self.prompts(0):
            answers = self._answers(prompt)
            asked += answers - 1
            lacking += answers_asked(prompt, self.count) - answers
        return asked, lacking

    def known(self, ledger: Ledger) -> Iterator[Completion]:
        """What the ledger knows of the prompts, in their order; what is not answered is left out."""
        for prompt in self.prompts(0):
            for sample in range(self._answers(prompt)):
                if reply := ledger.get(self._request(prompt, sample)):
                    yield completion_of(prompt, reply)

    def _request(self, prompt: Prompt, sample: int) -> Request:
        return request_of(prompt, self.teacher.model, self.config, sample)

    def _answers(self, prompt: Prompt) -> int:
        asked = answers_asked(prompt, self.count)
        has = self.teacher.different_answers(prompt.text) if asked > 1 else None
        return asked if has is None else max(1, min(asked, has))


@dataclass
class Tally:
    """How far the collecting is. `leading` requests from the first on are all answered; `flagged` of those that are
    answered were cut, refused or empty, `leading_flagged` of the leading ones."""

    leading: int = 0
    leading_flagged: int = 0
    done: int = 0
    flagged: int = 0
    _open: dict[int, bool | None] = field(default_factory=dict)
    _places: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def start(self, done: int, flagged: int) -> None:
        """Goes on where an earlier run of the same prompts was."""
        self.leading = self.done = done
        self.leading_flagged = self.flagged = flagged

    def asking(self, requests: Iterable[Request]) -> Iterator[Request]:
        """Passes the requests on, and remembers the places of those that are not answered yet."""
        for place, request in enumerate(requests, self.leading):
            self._open[place] = None
            self._places[request.key].append(place)
            yield request

    def add(self, request: Request, reply: Reply) -> None:
        places = self._places[request.key]
        flagged = why_unusable(reply.stop_reason, reply.text) is not None
        self._open[places.pop()] = flagged
        if not places:
            del self._places[request.key]
        self.done += 1
        self.flagged += flagged
        while (first := next(iter(self._open.items()), None)) and first[1] is not None:
            del self._open[first[0]]
            self.leading += 1
            self.leading_flagged += first[1]


async def collect(requests: Iterable[Request], ask: Ask, tally: Tally) -> AsyncGenerator[Reply, None]:
    """Sees to it that every request is answered in the ledger. Yields the replies as they arrive."""
    async with contextlib.aclosing(ask(tally.asking(requests))) as replies:
        async for request, reply in replies:
            tally.add(request, reply)
            yield reply


def why_not_asked(tests: Iterable[Prompt], teacher: Teacher, config: TeacherConfig) -> str:
    """Why a recorded teacher is asked none of the test prompts: it lacks one, and base and distilled can be compared
    without it. "" where it has all; another teacher is always asked."""
    if not isinstance(teacher, RecordedTeacher):
        return ""
    lacking = (test for test in tests if not teacher.has(request_of(test, teacher.model, config)))
    first = next(lacking, None)
    return f"{teacher.path.name} has no answer to {shorten(first.text)!r}" if first else ""


def completion_of(prompt: Prompt, reply: Reply) -> Completion:
    content = dict(vars(reply))
    return Completion(prompt_id=prompt.id, prompt=prompt.text, completion=content.pop("text"), **content)
