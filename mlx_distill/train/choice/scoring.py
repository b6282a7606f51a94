"""What a candidate is worth: whether its prompt's checks pass, and what its tokens cost the base.

In: candidates as conversations. Out: a Worth each, kept in a file by what it depends on, so that another rule, another
number of answers or a kill computes none again. Every candidate goes through the base alone, at a width of its own:
the trade-off is a batch's better use of the machine, for figures that depend on nothing but the candidate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from mlx_distill.machine.checks import VERSION, run_checks
from mlx_distill.machine.sandbox.packages import names_of, shown_packages
from mlx_distill.models import students
from mlx_distill.models.students import Student
from mlx_distill.models.students.layout import Layout
from mlx_distill.run.config import Config
from mlx_distill.run.digest import digest
from mlx_distill.run.records import Completion, Prompt
from mlx_distill.train.encode import Example
from mlx_distill.train.evaluate import measure
from mlx_distill.train.prefix import FrozenPrefix
from mlx_distill.train.split import SplitModel
from mlx_distill.train.store import Store

TOGETHER = 8
"""Candidates between two writes; `choose_widths` gives so few a width each."""


@dataclass(frozen=True)
class Worth:
    """`key`: of what it depends on. `nats` is the mean of a scored token, of which there are `tokens`; `passed` None:
    without checks, or they were not run; `sandbox`: the level at which they were."""

    key: str
    nats: float
    tokens: int
    passed: bool | None = None
    detail: str = ""
    sandbox: str = ""


@dataclass(frozen=True)
class Contender:
    """A candidate that can be trained on: the prompt that it answers, and the example that it becomes."""

    prompt: Prompt
    completion: Completion
    example: Example


class Base:
    """The student before training, of which only likelihoods are asked. Nothing is attached to it."""

    def __init__(self, student: Student) -> None:
        self._split = SplitModel(student.model, len(student.model.layers), Layout(batch_tokens=1))
        self._prefix = FrozenPrefix(self._split, Store(0))

    def nats(self, examples: Sequence[Example]) -> list[tuple[float, int]]:
        """(mean nats of a scored token, their number) of each, as the training's loss counts them."""
        measured = measure(self._split, self._prefix, examples)
        return [(nats / count, count) for nats, _, count in measured]


def key_of(config: Config, answer: Contender, level: str) -> str:
    """`level`: of the sandbox. The tokens tell of the template, the system prompt and the date in it, too."""
    example, prompt = answer.example, answer.prompt
    rows = [students.identity(config.training.student), repr(example.tokens), repr(example.scored)]
    if prompt.checks:
        shown = shown_packages(config), config.comparison.unsandboxed, level
        rows += [VERSION, repr(prompt.checks), prompt.language, prompt.setup, answer.completion.completion, repr(shown)]
    return digest(rows)[:24]


def scored(
    student: Student, config: Config, answers: Mapping[str, Contender], threads: Executor
) -> Iterator[list[Worth]]:
    """A few at a time, in the order given; checks are run while the base computes."""
    packages, unsandboxed = names_of(config.comparison.sandbox_packages), config.comparison.unsandboxed
    base, keys = Base(student), list(answers)

    def check(answer: Contender) -> tuple[bool | None, str, str]:
        text = answer.completion.completion
        result = run_checks(answer.prompt, "teacher", text, unsandboxed=unsandboxed, packages=packages)
        return (result.passed, result.detail, result.sandbox) if result else (None, "", "")

    for start in range(0, len(keys), TOGETHER):
        part = keys[start : start + TOGETHER]
        checked = threads.map(check, [answers[key] for key in part])
        nats = base.nats([answers[key].example for key in part])
        yield [Worth(key, mean, count, *marks) for key, (mean, count), marks in zip(part, nats, checked, strict=True)]
