"""Candidates: the answers to a training prompt among which one is chosen, as choices.jsonl has them.

In: nothing. Out: the record that the stage writes, the filter obeys and the report counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Source = Literal["teacher", "student"]
SOURCES: tuple[Source, ...] = ("teacher", "student")

NONE_PASSES = {"own": "no answer of its own passes"}
OTHERWISE = "no answer passes its checks"


@dataclass(frozen=True)
class CandidateAnswer:
    """One answer that could be trained on. `problem`: why it cannot; "" where it can.

    `sample` counts the answers of one source to one prompt; `passed` is what the prompt's checks say, None where it has
    none or they could not be run; `nats` is the mean cost of a token under the base, end of turn included, and `tokens`
    their number; `usd` is what the answer cost, None where nothing is charged by the token.
    """

    prompt_id: str
    source: Source
    sample: int
    passed: bool | None
    nats: float | None
    tokens: int | None
    usd: float | None
    detail: str = ""
    problem: str = ""
    chosen: bool = False


def undecided(candidates: Iterable[CandidateAnswer], rule: str) -> dict[str, str]:
    """The prompts of which no candidate was chosen, and why."""
    chosen: dict[str, bool] = {}
    for candidate in candidates:
        chosen[candidate.prompt_id] = chosen.get(candidate.prompt_id, False) or candidate.chosen
    return {prompt: NONE_PASSES.get(rule, OTHERWISE) for prompt, decided in chosen.items() if not decided}
