"""The choice among answers in results.json: who competed, who was chosen, and what changed by that."""

from __future__ import annotations

from mlx_distill.run.records import Estimate
from mlx_distill.run.results.part import Part


class AnswerSource(Part, frozen=True, kw_only=True):
    """One side's answers: how many competed, had their checks run, passed them and were chosen; what they cost."""

    candidates: int
    checked: int
    passed: int
    chosen: int
    usd: float | None


class AgainstFirst(Part, frozen=True, kw_only=True):
    """The mean over prompts of what was chosen, of the teacher's first answer, and of chosen minus first."""

    chosen: Estimate
    first: Estimate
    change: Estimate


class AnswerChoice(Part, frozen=True, kw_only=True):
    """`answers_of`: the run whose distilled student gave the student's own answers, None for the base. `left_out`:
    prompts of which nothing was chosen, by reason. `nats`: a token under the base, end of turn included; `tokens`: of
    an answer. Both are None where no prompt has two answers to compare."""

    rule: str
    answers_of: str | None
    prompts: int
    teacher: AnswerSource
    student: AnswerSource
    left_out: dict[str, int]
    nats: AgainstFirst | None
    tokens: AgainstFirst | None
