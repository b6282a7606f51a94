"""The comparison part of results.json: scorecard, checks, verdict, caveats, every prompt with its answers.

In: judgments, generations, scores. Out: one value, None where nothing was judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlx_distill import stats
from mlx_distill.compare.static import DIMENSIONS, MEASURED
from mlx_distill.compare.static import NAME as STATIC_JUDGE
from mlx_distill.config import Config
from mlx_distill.promptset import shorten
from mlx_distill.records import ROLES, Completion, Generation, Judgment, Prompt, Score, plain
from mlx_distill.rundir import RunDir
from mlx_distill.teachers import is_claude


def comparison_part(run: RunDir, config: Config) -> dict[str, Any] | None:
    judgments = run.read("judgments.jsonl", Judgment)
    if not judgments:
        return None
    prompts = [prompt for prompt in run.read("prompts.jsonl", Prompt) if prompt.split == "test"]
    generations = run.read("generations.jsonl", Generation)
    scores = run.read("scores.jsonl", Score)
    dimensions = _dimensions(prompts, judgments)
    judges = sorted({judgment.judge for judgment in judgments})
    models = sorted({answer.model for answer in run.read("teacher_data.jsonl", Completion)})
    return {
        "judges": judges,
        "judge_is_llm": judges != [STATIC_JUDGE],
        "measured": MEASURED if judges == [STATIC_JUDGE] else None,
        "judge_usd": sum(j.usd for j in judgments if j.usd is not None) or None,
        "unscored": sum(judgment.scores is None for judgment in judgments),
        "dimensions": dimensions,
        "verdict": stats.overall([dimension["verdict"] for dimension in dimensions if dimension["n"]]),
        "verdict_in_words": _in_words(dimensions),
        "checks": _checks(scores),
        "checks_difference": _checks_difference(scores),
        "answers": {role: _answers(generations, role) for role in ROLES},
        "teacher_models": models,
        "caveats": _caveats(config, judges, models, judgments, generations, scores),
        "prompts": [_prompt(prompt, judgments, generations, scores) for prompt in prompts],
    }


def _dimensions(prompts: Sequence[Prompt], judgments: Sequence[Judgment]) -> list[dict[str, Any]]:
    found = {(j.prompt_id, j.role): j.scores or {} for j in judgments}
    rows: list[dict[str, Any]] = []
    for name in DIMENSIONS:
        values = {
            role: {p.id: found[p.id, role][name] for p in prompts if name in found.get((p.id, role), {})}
            for role in ROLES
        }
        both = [p.id for p in prompts if p.id in values["base"] and p.id in values["distilled"]]
        differences = [values["distilled"][i] - values["base"][i] for i in both]
        rows.append(
            {"name": name, "n": len(both)}
            | {role: plain(stats.estimate(list(values[role].values()))) if values[role] else None for role in ROLES}
            | {"difference": stats.estimate(differences) if differences else None}
            | {"p": stats.paired_p(differences)}
        )
    for row, adjusted in zip(rows, stats.holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = adjusted
        row["verdict"] = stats.verdict(row["difference"], adjusted)
        row["difference"] = plain(row["difference"])
    return rows


def _in_words(dimensions: Sequence[dict[str, Any]]) -> str:
    """`better in 1 of 5 dimensions (Documentation), worse in 0`: both counts, always."""
    scored = [dimension for dimension in dimensions if dimension["n"]]
    parts = []
    for word in ("better", "worse"):
        names = [dimension["name"] for dimension in scored if dimension["verdict"] == word]
        parts.append(f"{word} in {len(names)}" + (f" ({', '.join(names)})" if names else ""))
    return f"of {len(scored)} dimensions " + ", ".join(parts)


def _checks(scores: Sequence[Score]) -> dict[str, Any]:
    """How many prompts' checks each role passed whole; `not_run` where there was no sandbox."""
    return {
        role: {
            "passed": sum(score.passed is True for score in scores if score.role == role),
            "run": sum(score.passed is not None for score in scores if score.role == role),
            "not_run": sum(score.passed is None for score in scores if score.role == role),
        }
        for role in ROLES
    }


def _checks_difference(scores: Sequence[Score]) -> dict[str, Any] | None:
    """Distilled minus base in the share of prompts whose checks all pass, paired by prompt."""
    passed = {
        role: {s.item_id: float(s.passed) for s in scores if s.role == role and s.passed is not None} for role in ROLES
    }
    both = sorted(passed["base"].keys() & passed["distilled"].keys())
    if not both:
        return None
    differences = [passed["distilled"][name] - passed["base"][name] for name in both]
    difference, p = stats.estimate(differences), stats.paired_p(differences)
    return {"difference": plain(difference), "p": p, "verdict": stats.verdict(difference, p)}


def _answers(generations: Sequence[Generation], role: str) -> dict[str, Any]:
    mine = [generation for generation in generations if generation.role == role]
    return {
        "count": len(mine),
        "cut_off": sum(generation.finish_reason == "length" for generation in mine),
        "characters": plain(stats.estimate([float(len(g.text)) for g in mine])) if mine else None,
        "tokens": sum(generation.tokens for generation in mine),
        "seconds": sum(generation.seconds for generation in mine),
    }


def _caveats(
    config: Config,
    judges: Sequence[str],
    models: Sequence[str],
    judgments: Sequence[Judgment],
    generations: Sequence[Generation],
    scores: Sequence[Score],
) -> list[str]:
    caveats = []
    judge = config.comparison.judge
    if STATIC_JUDGE in judges:
        caveats.append("The scores are static analysis, not an LLM: they measure the code, not its taste.")
    if not is_claude(config.teacher.spec):
        caveats.append(f"The teacher's answers are recorded ({', '.join(models)}), not live API output.")
    if judge == config.teacher.spec or judge in models:
        caveats.append("The judge is the teacher itself: it scores what it taught.")
    elif is_claude(judge) and any(is_claude(model) for model in models):
        caveats.append(
            "Judge and teacher are of one family, which favours students of that family "
            "(preference leakage, arXiv 2502.01534)."
        )
    for role in ("base", "distilled"):
        mine = [generation for generation in generations if generation.role == role]
        cut = sum(generation.finish_reason == "length" for generation in mine)
        if cut:
            caveats.append(f"{cut} of {len(mine)} answers of the {role} model were cut at the token cap.")
    if config.comparison.strength != 1:
        caveats.append(
            f"The distilled model answered with its adapter at strength {config.comparison.strength:g} of 1."
        )
    unscored = sum(judgment.scores is None for judgment in judgments)
    if unscored:
        caveats.append(f"{unscored} of {len(judgments)} answers are unscored, and left out of the means.")
    not_run = sum(score.passed is None for score in scores)
    if not_run:
        caveats.append(f"{not_run} executed checks were not run, for want of a sandbox on this machine.")
    return caveats


def _prompt(
    prompt: Prompt,
    judgments: Sequence[Judgment],
    generations: Sequence[Generation],
    scores: Sequence[Score],
) -> dict[str, Any]:
    roles = {}
    for role in ROLES:
        judgment = next((j for j in judgments if j.prompt_id == prompt.id and j.role == role), None)
        generation = next((g for g in generations if g.prompt_id == prompt.id and g.role == role), None)
        score = next((s for s in scores if s.item_id == prompt.id and s.role == role), None)
        marks = judgment.scores if judgment else None
        roles[role] = {
            "overall": sum(marks.values()) / len(marks) if marks else None,
            "scores": marks,
            "reason": judgment.reason or judgment.problem if judgment else None,
            "checks": None
            if score is None
            else {"passed": score.checks_passed, "of": score.checks, "run": score.passed is not None},
            "finish_reason": generation.finish_reason if generation else None,
            "text": generation.text if generation else None,
        }
    return {
        "id": prompt.id,
        "title": prompt.title or shorten(prompt.text, 28),
        "text": prompt.text,
        "category": prompt.category,
        "source": prompt.source,
        "language": prompt.language,
    } | roles
