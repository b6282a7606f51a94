"""What the page has beyond the shared sections: a run's figures at the top, and prompts that can be filtered.

In: Results. Out: what the templates loop over. Nothing is measured here; only sorted and counted.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlx_distill.report.document import Measures
from mlx_distill.report.sections.prompts import change
from mlx_distill.run.records import ROLES, Role
from mlx_distill.run.results.benchmarks import Benchmark
from mlx_distill.run.results.comparison import Comparison, PromptResult, RoleOnPrompt

OVERALL, CHECKS = "overall", "Executed checks"
MOST = 5


def tally(rows: Sequence[Benchmark]) -> dict[str, int]:
    """Benchmarks by verdict."""
    counted = {word: sum(row.verdict == word for row in rows) for word in ("better", "worse")}
    return counted | {"undecided": len(rows) - sum(counted.values())}


def roles_of(measures: Measures) -> list[Role]:
    shown = {role for row in measures.rows for role, *_ in row.values}
    return [role for role in ROLES if role in shown]


# ---------------------------------------------------------------- prompt by prompt


def extremes(prompts: Sequence[PromptResult]) -> dict[str, list[tuple[int, PromptResult]]]:
    """The prompts that gained most and those that lost most, as many of each."""
    ordered = sorted(enumerate(prompts, 1), key=lambda pair: _size(pair[1]), reverse=True)
    return {word: [pair for pair in ordered if pair[1].outcome == word][:MOST] for word in ("better", "worse")}


def _size(prompt: PromptResult) -> tuple[float, float]:
    return abs(change(prompt) or 0), abs(prompt.difference or 0)


def filters(comparison: Comparison) -> list[str]:
    """By what prompts can be told better from worse."""
    names = [row.name for row in comparison.dimensions if row.n]
    return [OVERALL, *names, *([CHECKS] if comparison.checks.pairs else [])]


def outcome(prompt: PromptResult, measure: str) -> str:
    """better, worse, same or unscored, of one prompt."""
    if measure == OVERALL:
        return prompt.outcome
    base, distilled = (_value(prompt.of(role), measure) for role in ("base", "distilled"))
    if base is None or distilled is None:
        return "unscored"
    return "better" if distilled > base else "worse" if distilled < base else "same"


def _value(role: RoleOnPrompt, measure: str) -> float | None:
    return _all_passed(role) if measure == CHECKS else (role.scores or {}).get(measure)


def _all_passed(role: RoleOnPrompt) -> bool | None:
    """In every sample; None where they were not run."""
    run = [answer.checks for answer in role.answers if answer.checks and answer.checks.run]
    return all(checks.passed == checks.of for checks in run) if run else None
