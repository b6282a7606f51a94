"""What a benchmark is: where its items come from, how they are asked, and how an answer is scored.

In: rows of a published file. Out: Items, and for each answer a Mark. A benchmark is one file in this folder and one
entry of `BENCHMARKS`; whatever it does differently from what was published stands in its `deviations`, and on every
result.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mlx_distill.run.reasoning import answer_of

Capability = Literal["code", "mathematics", "instruction following", "general"]


@dataclass(frozen=True)
class Item:
    """One question. `data` is what its scorer needs, and is never shown to a model."""

    benchmark: str
    id: str
    prompt: str
    category: str = ""
    difficulty: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its name among all benchmarks' items."""
        return f"{self.benchmark}/{self.id}"


@dataclass(frozen=True)
class Mark:
    """What an answer is worth.

    passed   None where it could not be scored here (`detail` says why); that is never a failure
    found    the answer that was read out of the text; None: there was none to be read
    detail   why it did not pass
    parts    further results by name, for the table beside the score: {"base tests": True}, {"loose": False}; FORMAT
             among them says whether the answer stood in the format that was asked for
    sandbox  the level at which code was run, empty where none was
    packages what its code imports and the sandbox lacks
    """

    passed: bool | None
    found: str | None = None
    detail: str = ""
    parts: Mapping[str, bool] = field(default_factory=dict)
    sandbox: str = ""
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scoring:
    """How answers are scored: `workers` at a time; `unsandboxed` runs models' code where there is no sandbox; `cut` are
    the texts that end at the token cap, where a block of code may be half of what it was to be and the last line is no
    answer; `packages` of this environment may be imported by models' code."""

    workers: int = 2
    unsandboxed: bool = False
    cut: frozenset[str] = frozenset()
    packages: tuple[str, ...] = ()


Case = tuple[Item, str]
"""An item and an answer's text."""


@dataclass(frozen=True)
class Source:
    """A data set on the hub, at one revision."""

    repository: str
    revision: str
    split: str = "test"
    name: str | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Benchmark:
    """`columns` of a row tell its published formats: one of these sets must be among a file's columns.

    scorer      its name and version; what another version scored is not compared with it
    size        published items
    max_tokens  an answer's cap, unless the run says another
    read        rows → items, in the published order
    score       cases → their marks, in the same order, each as soon as it is known
    floor       what a 1.5B base reaches where that is next to nothing, else None
    """

    name: str
    title: str
    capability: Capability
    source: Source
    columns: tuple[frozenset[str], ...]
    size: int
    max_tokens: int
    scorer: str
    read: Callable[[Sequence[Mapping[str, Any]]], list[Item]]
    score: Callable[[Sequence[Case], Scoring], Iterator[Mark]]
    deviations: tuple[str, ...] = ()
    default: bool = True
    floor: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "score", functools.partial(_answers_only, self.score))


def _answers_only(
    score: Callable[[Sequence[Case], Scoring], Iterator[Mark]], cases: Sequence[Case], scoring: Scoring
) -> Iterator[Mark]:
    """No benchmark sees the reasoning before an answer, whoever hands the answers in."""
    return score([(item, answer_of(text)) for item, text in cases], scoring)
