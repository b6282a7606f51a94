"""A conversation to train on, and the account of the rows from which conversations are read.

In: what `conversations` read from rows. Out: a Dialogue for each row that is fit, and what became of the others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

from mlx_distill.run.wording import counts

EXAMPLES = 3
"""Places that are kept of each reason why rows are left out."""


class Said(TypedDict):
    """A message as it was found."""

    role: str
    content: str
    scored: bool
    reasoning: NotRequired[str]
    tools: NotRequired[bool]
    finish_reason: NotRequired[Any]


class LeftOut(Exception):
    """Why a row is not used: its one argument."""


@dataclass(frozen=True)
class Turn:
    role: str
    text: str
    scored: bool = True


@dataclass(frozen=True)
class Dialogue:
    """`turns` have the roles system, user and assistant; answers stand without their reasoning, which is in `thoughts`
    by the place of its turn."""

    turns: tuple[Turn, ...]
    thoughts: Mapping[int, str]
    stop_reason: str = "end_turn"
    model: str = ""


@dataclass
class Account:
    """What became of the rows: how many there were, how many are left out for which reason (with the places of a few),
    keys that nothing reads, and how many of those held out ask what is trained on."""

    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    examples: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    unused: Counter[str] = field(default_factory=Counter)
    overlapping: int = 0

    def leave_out(self, reason: str, where: str) -> None:
        self.left_out[reason] += 1
        if len(self.examples[reason]) < EXAMPLES:
            self.examples[reason].append(where)

    def plain(self) -> dict[str, Any]:
        """As dataset.json has it."""
        return {
            "rows": self.rows,
            "left_out": dict(self.left_out.most_common()),
            "examples": dict(self.examples),
            "unused_keys": dict(self.unused.most_common()),
            "heldout_overlap": self.overlapping,
        }

    @property
    def reasons(self) -> str:
        """`5 too long, 2 empty`."""
        return counts(dict(self.left_out.most_common()))
