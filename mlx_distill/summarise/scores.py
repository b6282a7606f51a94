"""Answers each alone: the dimensions of the scorecard, and what the executed checks say.

In: judgments, scores. Out: a row for each dimension, and the checks' pairs. Where a prompt has checks that were run,
its correctness is what they found, whatever a judge says.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mlx_distill.run.records import MODELS, ROLES, Estimate, Generation, Judgment, Prompt, Role, Score
from mlx_distill.run.results.comparison import AnswersOfRole, CheckCounts, Checks, ExecutedPairs
from mlx_distill.run.results.part import Part, TeacherGap
from mlx_distill.run.rubric import Rubric
from mlx_distill.stats import agreement
from mlx_distill.stats import inference as stats
from mlx_distill.stats.gap import teacher_gap
from mlx_distill.summarise.form import packages_part
from mlx_distill.summarise.loops import ends_in_loop

ByJudge = dict[tuple[str, Role, str], dict[str, float]]
"""(prompt, role, dimension) → judge → mean score over samples and repeats."""

CHECKS = "executed checks"
"""The judge of correctness where there are any."""


def marks(judgments: Sequence[Judgment], scores: Sequence[Score], checked: str) -> ByJudge:
    """Where both models' answers to a prompt were executed, that alone says how correct they are."""
    by_judge: dict[tuple[str, Role, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for judgment in judgments:
        for dimension, value in (judgment.scores or {}).items():
            by_judge[judgment.prompt_id, judgment.role, dimension][judgment.judge].append(value)
    by_case = {key: {judge: _mean(values) for judge, values in by.items()} for key, by in by_judge.items()}
    if not checked:
        return by_case
    return by_case | {(item, role, checked): {CHECKS: 10 * share} for (item, role), share in _checked(scores).items()}


def mark(by_judge: Mapping[str, float]) -> float:
    """Every judge weighs the same."""
    return _mean(list(by_judge.values()))


def difference(known: ByJudge, prompt: str, dimension: str) -> float | None:
    """Distilled minus base, by the judges who scored both: a judge of only one would bias it."""
    base, distilled = (known.get((prompt, role, dimension), {}) for role in MODELS)
    both = [distilled[judge] - base[judge] for judge in base if judge in distilled]
    return _mean(both) if both else None


def _checked(scores: Sequence[Score]) -> dict[tuple[str, Role], float]:
    """The share of checks passed, over samples, of prompts whose checks were run for base and distilled."""
    checked: dict[tuple[str, Role], list[float]] = defaultdict(list)
    for score in scores:
        if score.passed is not None and score.checks:
            checked[score.item_id, score.role].append(score.checks_passed / score.checks)
    return {
        (item, role): _mean(values)
        for (item, role), values in checked.items()
        if (item, "base") in checked and (item, "distilled") in checked
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


# ---------------------------------------------------------------- dimensions


class Scores(Part, frozen=True, kw_only=True):
    """A Dimension but for its test."""

    name: str
    teacher: Estimate | None
    base: Estimate | None
    distilled: Estimate | None
    from_checks: int
    agreement: Estimate | None
    repeat_agreement: Estimate | None
    teacher_gap: TeacherGap | None


def dimensions_part(
    prompts: Sequence[Prompt], judgments: Sequence[Judgment], scores: Sequence[Score], rubric: Rubric
) -> list[tuple[Scores, stats.Measure]]:
    """For each dimension what it was scored, and what is tested."""
    known = marks(judgments, scores, rubric.checked)
    checked = {item for item, _ in _checked(scores)}
    ids, by_checks = [prompt.id for prompt in prompts], {rubric.checked: checked}
    return [_dimension(name, ids, known, by_checks.get(name, set()), judgments) for name in rubric.dimensions]


def _dimension(
    name: str, prompts: Sequence[str], known: ByJudge, checked: set[str], judgments: Sequence[Judgment]
) -> tuple[Scores, stats.Measure]:
    values = {role: [mark(known[p, role, name]) for p in prompts if (p, role, name) in known] for role in ROLES}
    by_prompt = {p: d for p in prompts if (d := difference(known, p, name)) is not None}
    differences = list(by_prompt.values())
    row = Scores(
        name=name,
        **{role: _estimate(values[role]) for role in ROLES},
        from_checks=len(checked & set(by_prompt)),
        agreement=_agreement(judgments, name),
        repeat_agreement=_repeat_agreement(judgments, name),
        teacher_gap=teacher_gap([reached for p in prompts if (reached := _reached(known, p, name))]),
    )
    return row, stats.Measure(differences, stats.paired_p(differences), 10)


def _reached(known: ByJudge, prompt: str, dimension: str) -> tuple[float, float, float] | None:
    """The marks of teacher, base and distilled, by the judges who scored all three."""
    teacher, base, distilled = (known.get((prompt, role, dimension), {}) for role in ROLES)
    judges = [judge for judge in teacher if judge in base and judge in distilled]
    marks = [_mean([by[judge] for judge in judges]) for by in (teacher, base, distilled)] if judges else []
    return (marks[0], marks[1], marks[2]) if marks else None


def _estimate(values: Sequence[float]) -> Estimate | None:
    return stats.estimate(values) if values else None


def _agreement(judgments: Sequence[Judgment], dimension: str) -> Estimate | None:
    """Between judges, on the scores of single answers."""
    judges = sorted({judgment.judge for judgment in judgments})
    if len(judges) < 2:
        return None
    scores: dict[str, dict[tuple[Role, int], dict[str, list[float]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for j in judgments:
        if j.scores and dimension in j.scores:
            scores[j.prompt_id][j.role, j.sample][j.judge].append(j.scores[dimension])
    rows = [
        [[_mean(by[judge]) if by.get(judge) else None for judge in judges] for by in answers.values()]
        for answers in scores.values()
    ]
    return agreement.alpha(rows, ordered=True)


def _repeat_agreement(judgments: Sequence[Judgment], dimension: str) -> Estimate | None:
    """How often two repeats gave one answer the same score."""
    scores: dict[Any, list[float]] = defaultdict(list)
    for j in judgments:
        if j.scores and dimension in j.scores:
            scores[j.prompt_id, j.role, j.sample, j.judge].append(j.scores[dimension])
    return stats.share(
        (prompt, float(a == b)) for (prompt, *_), values in scores.items() for a, b in itertools.combinations(values, 2)
    )


# ---------------------------------------------------------------- executed checks


def checks_part(scores: Sequence[Score], pairs: ExecutedPairs | None, roles: Sequence[Role]) -> Checks:
    """How many prompts' checks each role passed whole, in every sample; `not_run` where there was no sandbox, or
    (`refused`) one that lacks what the answer needs."""
    passed = _passed(scores)
    counted = {
        role: CheckCounts(
            passed=sum(whole for (_, whose), whole in passed.items() if whose == role),
            run=sum(whose == role for _, whose in passed),
            not_run=len({s.item_id for s in scores if s.role == role and s.passed is None}),
            refused=len({s.item_id for s in scores if s.role == role and s.passed is None and s.sandbox}),
        )
        for role in roles
    }
    sandboxes = tuple(sorted({score.sandbox for score in scores if score.sandbox}))
    return Checks(sandbox=sandboxes, roles=counted, packages=packages_part(scores, ROLES), pairs=pairs)


def checks_gap(scores: Sequence[Score]) -> TeacherGap | None:
    """Over the prompts whose checks were run for all three."""
    passed = _passed(scores)
    items = sorted({item for item, _ in passed})
    whole = [item for item in items if all((item, role) in passed for role in ROLES)]
    reached = ([float(passed[item, role]) for role in ROLES] for item in whole)
    return teacher_gap([(teacher, base, distilled) for teacher, base, distilled in reached])


def pairs_part(scores: Sequence[Score]) -> tuple[stats.PairCounts, stats.Measure] | None:
    """Distilled against base, paired by prompt, with the exact McNemar test; None where nothing was run for both."""
    passed = _passed(scores)
    items = sorted({item for item, _ in passed})
    pairs = [
        (passed[i, "base"], passed[i, "distilled"]) for i in items if {(i, "base"), (i, "distilled")} <= set(passed)
    ]
    return stats.pass_fail(pairs) if pairs else None


def _passed(scores: Sequence[Score]) -> dict[tuple[str, Role], bool]:
    passed: dict[tuple[str, Role], bool] = {}
    for score in scores:
        if score.passed is not None:
            key = (score.item_id, score.role)
            passed[key] = passed.get(key, True) and score.passed
    return passed


# ---------------------------------------------------------------- how they came out


def answers_part(generations: Sequence[Generation], role: Role) -> AnswersOfRole:
    mine = [generation for generation in generations if generation.role == role]
    lengths = stats.by_prompt((g.prompt_id, float(len(g.answer_text))) for g in mine)
    tokens, seconds = sum(g.tokens for g in mine), sum(g.seconds for g in mine)
    return AnswersOfRole(
        count=len(mine),
        cut_off=sum(generation.finish_reason == "length" for generation in mine),
        loops=sum(ends_in_loop(generation.text) for generation in mine),
        characters=stats.estimate(list(lengths.values())) if mine else None,
        tokens=tokens,
        seconds=seconds,
        tokens_per_second=tokens / seconds if seconds else None,
    )
