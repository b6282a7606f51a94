"""The choice in results.json: who competed and was chosen, and how the chosen answers differ from the first ones.

In: choices.jsonl. Out: one value, None where there was nothing to choose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from mlx_distill.run.choices import CandidateAnswer, Source, undecided
from mlx_distill.run.config import Config
from mlx_distill.run.folder import CHOICES, RunDir
from mlx_distill.run.paths import shown
from mlx_distill.run.results.choice import AgainstFirst, AnswerChoice, AnswerSource
from mlx_distill.stats import inference as stats

Pair = tuple[CandidateAnswer, CandidateAnswer]
"""Of one prompt: what was chosen, and the teacher's first answer."""


def choice_part(run: RunDir, config: Config) -> AnswerChoice | None:
    candidates = run.read(CHOICES, CandidateAnswer) if config.choice.wanted else []
    if not candidates:
        return None
    pairs = _pairs(candidates)
    return AnswerChoice(
        rule=config.choice.rule,
        answers_of=config.choice.answers_of and shown(config.choice.answers_of),
        prompts=len({candidate.prompt_id for candidate in candidates}),
        teacher=_source("teacher", candidates),
        student=_source("student", candidates),
        left_out=dict(Counter(undecided(candidates, config.choice.rule).values())),
        nats=_against(pairs, lambda candidate: candidate.nats),
        tokens=_against(pairs, lambda candidate: candidate.tokens),
    )


def _source(source: Source, candidates: Sequence[CandidateAnswer]) -> AnswerSource:
    mine = [candidate for candidate in candidates if candidate.source == source]
    paid = [candidate.usd for candidate in mine if candidate.usd is not None]
    return AnswerSource(
        candidates=len(mine),
        checked=sum(candidate.passed is not None for candidate in mine),
        passed=sum(candidate.passed is True for candidate in mine),
        chosen=sum(candidate.chosen for candidate in mine),
        usd=sum(paid) if paid else None,
    )


def _pairs(candidates: Sequence[CandidateAnswer]) -> list[Pair]:
    chosen = {candidate.prompt_id: candidate for candidate in candidates if candidate.chosen}
    first: dict[str, CandidateAnswer] = {}
    for candidate in candidates:
        if candidate.source == "teacher" and not candidate.problem:
            first.setdefault(candidate.prompt_id, candidate)
    return [(chosen[prompt], first[prompt]) for prompt in chosen if prompt in first]


def _against(pairs: Sequence[Pair], measure: Callable[[CandidateAnswer], float | None]) -> AgainstFirst | None:
    """Paired by prompt."""
    values = [(measure(chosen) or 0.0, measure(first) or 0.0) for chosen, first in pairs]
    if not values:
        return None
    return AgainstFirst(
        chosen=stats.estimate([chosen for chosen, _ in values]),
        first=stats.estimate([first for _, first in values]),
        change=stats.estimate([chosen - first for chosen, first in values]),
    )
