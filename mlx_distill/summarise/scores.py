"""Answers each alone: the dimensions of the scorecard, and what the executed checks say.

In: judgments, scores. Out: a row for each dimension, and the checks' pairs. Where a prompt has checks that were run,
its correctness is what they found, whatever a judge says.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mlx_distill import agreement, stats
from mlx_distill.compare import DIMENSIONS
from mlx_distill.records import ROLES, Estimate, Judgment, Prompt, Role, Score, plain

CORRECTNESS = "Code Correctness"

Marks = dict[tuple[str, Role, str], float]
"""(prompt, role, dimension) → mean score over judges, samples and repeats."""


def marks(judgments: Sequence[Judgment], scores: Sequence[Score]) -> Marks:
    found: dict[tuple[str, Role, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for judgment in judgments:
        for dimension, value in (judgment.scores or {}).items():
            found[judgment.prompt_id, judgment.role, dimension][judgment.judge].append(value)
    said = {key: _mean([_mean(values) for values in by_judge.values()]) for key, by_judge in found.items()}
    return said | {(item, role, CORRECTNESS): 10 * share for (item, role), share in _checked(scores).items()}


def _checked(scores: Sequence[Score]) -> dict[tuple[str, Role], float]:
    """The share of checks passed, over samples; of those that were run."""
    found: dict[tuple[str, Role], list[float]] = defaultdict(list)
    for score in scores:
        if score.passed is not None and score.checks:
            found[score.item_id, score.role].append(score.checks_passed / score.checks)
    return {key: _mean(values) for key, values in found.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


# ---------------------------------------------------------------- dimensions


def dimensions_part(
    prompts: Sequence[Prompt], judgments: Sequence[Judgment], scores: Sequence[Score]
) -> list[dict[str, Any]]:
    """A row for each dimension. Holm-adjusted with the rest later."""
    known = marks(judgments, scores)
    checked = {item for item, _ in _checked(scores)}
    return [_dimension(name, [prompt.id for prompt in prompts], known, checked, judgments) for name in DIMENSIONS]


def _dimension(
    name: str, prompts: Sequence[str], known: Marks, checked: set[str], judgments: Sequence[Judgment]
) -> dict[str, Any]:
    values = {role: {p: known[p, role, name] for p in prompts if (p, role, name) in known} for role in ROLES}
    both = [p for p in prompts if p in values["base"] and p in values["distilled"]]
    differences = [values["distilled"][p] - values["base"][p] for p in both]
    return (
        {"name": name, "n": len(both)}
        | {role: plain(_estimate(list(values[role].values()))) for role in ROLES}
        | {
            "difference": plain(_estimate(differences)),
            "p": stats.paired_p(differences),
            "smallest": stats.smallest_difference(differences),
            "from_checks": len(checked & set(both)) if name == CORRECTNESS else 0,
            "agreement": plain(_agreement(judgments, name)),
            "repeat_agreement": plain(_repeat_agreement(judgments, name)),
        }
    )


def _estimate(values: Sequence[float]) -> Estimate | None:
    return stats.estimate(values) if values else None


def _agreement(judgments: Sequence[Judgment], dimension: str) -> Estimate | None:
    """Between judges, on the scores of single answers."""
    judges = sorted({judgment.judge for judgment in judgments})
    if len(judges) < 2:
        return None
    said: dict[str, dict[tuple[Role, int], dict[str, list[float]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for j in judgments:
        if j.scores and dimension in j.scores:
            said[j.prompt_id][j.role, j.sample][j.judge].append(j.scores[dimension])
    rows = [
        [[_mean(by[judge]) if by.get(judge) else None for judge in judges] for by in answers.values()]
        for answers in said.values()
    ]
    return agreement.alpha(rows, ordered=True)


def _repeat_agreement(judgments: Sequence[Judgment], dimension: str) -> Estimate | None:
    """How often two repeats gave one answer the same score."""
    said: dict[Any, list[float]] = defaultdict(list)
    for j in judgments:
        if j.scores and dimension in j.scores:
            said[j.prompt_id, j.role, j.sample, j.judge].append(j.scores[dimension])
    return stats.share(
        (prompt, float(a == b)) for (prompt, *_), values in said.items() for a, b in itertools.combinations(values, 2)
    )


# ---------------------------------------------------------------- executed checks


def checks_part(scores: Sequence[Score]) -> dict[str, Any]:
    """How many prompts' checks each role passed whole, in every sample; `not_run` where there was no sandbox."""
    passed = _passed(scores)
    counted = {
        role: {
            "passed": sum(whole for (_, whose), whole in passed.items() if whose == role),
            "run": sum(whose == role for _, whose in passed),
            "not_run": len({s.item_id for s in scores if s.role == role and s.passed is None}),
        }
        for role in ROLES
    }
    levels = sorted({score.sandbox for score in scores if score.sandbox})
    return {"sandbox": levels, "roles": counted, "pairs": _pairs(passed)}


def _passed(scores: Sequence[Score]) -> dict[tuple[str, Role], bool]:
    found: dict[tuple[str, Role], bool] = {}
    for score in scores:
        if score.passed is not None:
            key = (score.item_id, score.role)
            found[key] = found.get(key, True) and score.passed
    return found


def _pairs(passed: Mapping[tuple[str, Role], bool]) -> dict[str, Any] | None:
    """Distilled against base, paired by prompt, with the exact McNemar test."""
    items = sorted({item for item, _ in passed})
    pairs = [
        (passed[i, "base"], passed[i, "distilled"]) for i in items if {(i, "base"), (i, "distilled")} <= set(passed)
    ]
    if not pairs:
        return None
    gained, lost = pairs.count((False, True)), pairs.count((True, False))
    differences = [float(after) - float(before) for before, after in pairs]
    enough = len(pairs) >= stats.SMALLEST_TEST
    return {
        "n": len(pairs),
        "gained": gained,
        "lost": lost,
        "both": pairs.count((True, True)),
        "neither": pairs.count((False, False)),
        "difference": plain(stats.estimate(differences)),
        "p": stats.mcnemar(gained, lost) if enough else None,
        "smallest": stats.smallest_difference(differences),
    }
