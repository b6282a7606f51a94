"""The waist of the design: everything measured in a run → results.json.

In: the run's files. Out: one JSON value. Right of it nothing computes, so whatever a chart or report shows was
computed here, from a file, as an Estimate with n and an interval where it has one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from mlx_distill import prices, stats
from mlx_distill.compare.static import DIMENSIONS, MEASURED
from mlx_distill.compare.static import NAME as STATIC_JUDGE
from mlx_distill.config import Config
from mlx_distill.promptset import shorten
from mlx_distill.records import (
    ROLES,
    Completion,
    Estimate,
    Generation,
    Judgment,
    Prompt,
    Score,
    StepMetrics,
)
from mlx_distill.rundir import RunDir
from mlx_distill.teachers import is_claude

SCHEMA = 1
CURVE = ("step", "epoch", "loss", "accuracy", "valid_loss", "valid_accuracy", "learning_rate")
"""What of a step's metrics the training chart reads."""

SCALES = (10_000, 1_000_000, 16_000_000)


def summarise(run: RunDir, config: Config) -> dict[str, Any]:
    """results.json. Parts whose stage has not run are None."""
    environment = run.read_json("environment.json")
    completions = run.read("teacher_data.jsonl", Completion)
    training = run.read_json("training.json") if (run / "training.json").exists() else None
    return {
        "schema": SCHEMA,
        "run": {
            "name": run.path.resolve().name,
            "created": environment["created"],
            "preset": config.preset,
            "seed": config.training.seed,
            "versions": environment["versions"],
            "hardware": {
                name: environment[name] for name in ("chip", "cores", "memory_bytes", "os", "backend", "blas")
            },
            "stages": {name: entry["seconds"] for name, entry in run.stages().items()},
        },
        "teacher": _teacher(run, config, completions),
        "training": _training(run, config, training),
        "comparison": _comparison(run, config),
        "benchmarks": [],
        "cost_scaling": _cost_scaling(config, completions, training),
    }


def _plain(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else dataclasses.asdict(estimate)


# ---------------------------------------------------------------- teacher


def _teacher(run: RunDir, config: Config, completions: Sequence[Completion]) -> dict[str, Any] | None:
    if not completions:
        return None
    dataset = run.read_json("dataset.json")
    paid = {answer.prompt_id: answer.usd for answer in completions if answer.usd is not None}  # identical ones: once
    return {
        "spec": config.teacher.spec,
        "models": sorted({answer.model for answer in completions}),
        "prompts": dataset["prompts"],
        "categories": dataset["categories"],
        "completions": len(completions),
        "left_out": dataset["left_out"],
        "truncated": dataset["reasons"].get("truncated", {}).get("completions", 0),
        "refused": dataset["reasons"].get("refused", {}).get("completions", 0),
        "input_tokens": sum(answer.input_tokens for answer in completions),
        "output_tokens": sum(answer.output_tokens for answer in completions),
        "usd": sum(paid.values()) if paid else None,
        "seconds": run.stages().get("collect", {}).get("seconds"),
        "prices_dated": prices.DATED,
    }


# ---------------------------------------------------------------- training


def _training(run: RunDir, config: Config, training: dict[str, Any] | None) -> dict[str, Any] | None:
    metrics = run.read("metrics.jsonl", StepMetrics)
    if not metrics or training is None:
        return None
    steps = [row for row in metrics if row.loss is not None]
    validated = [row for row in metrics if row.valid_loss is not None]
    best = min(validated, key=lambda row: (row.valid_loss or 0.0, row.step))
    heldout = training["heldout"]
    counts = [row[2] for row in heldout["base"]]
    change = [after[0] - before[0] for before, after in zip(heldout["base"], heldout["best"], strict=True)]
    seconds = sum(row.seconds for row in steps)
    scored = sum(row.tokens for row in steps)
    last = validated[-1]
    return {
        "student": config.training.student,
        "data": config.training.data,
        "trainable_parameters": training["trainable_parameters"],
        "total_parameters": training["total_parameters"],
        "examples": training["examples"],
        "fine_tune": config.training.fine_tune,
        "layers": config.training.layers,
        "rank": config.training.rank,
        "scale": config.training.scale
        if config.training.alpha is None
        else config.training.alpha / config.training.rank,
        "learning_rate": config.training.learning_rate,
        "batch_size": config.training.batch_size,
        "epochs": round(steps[-1].epoch, 2) if steps else 0,
        "steps": len(steps),
        "stopped_early": len(steps) < _planned_steps(config, training),
        "scored_tokens": scored,
        "seconds": seconds,
        "tokens_per_second": scored / seconds if seconds else None,
        "peak_memory_bytes": max(row.peak_memory for row in metrics),
        "heldout_prompts": len(counts),
        "heldout_loss": {
            "base": _plain(stats.ratio([row[0] for row in heldout["base"]], counts)),
            "best": _plain(stats.ratio([row[0] for row in heldout["best"]], counts)),
            "last": {"mean": last.valid_loss, "n": len(counts), "low": None, "high": None},
            "change": _plain(stats.ratio(change, counts)),
        },
        "token_accuracy": {
            "base": _plain(stats.ratio([row[1] for row in heldout["base"]], counts)),
            "best": _plain(stats.ratio([row[1] for row in heldout["best"]], counts)),
            "last": {"mean": last.valid_accuracy, "n": len(counts), "low": None, "high": None},
        },
        "best_step": best.step,
        "curve": [{name: getattr(row, name) for name in CURVE} for row in metrics],
    }


def _planned_steps(config: Config, training: dict[str, Any]) -> int:
    wanted = config.training
    return wanted.steps or math.ceil(training["examples"]["train"] / wanted.batch_size) * wanted.epochs


# ---------------------------------------------------------------- comparison


def _comparison(run: RunDir, config: Config) -> dict[str, Any] | None:
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
            | {role: _plain(stats.estimate(list(values[role].values()))) if values[role] else None for role in ROLES}
            | {"difference": stats.estimate(differences) if differences else None}
            | {"p": stats.paired_p(differences)}
        )
    for row, adjusted in zip(rows, stats.holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = adjusted
        row["verdict"] = stats.verdict(row["difference"], adjusted)
        row["difference"] = _plain(row["difference"])
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
    return {"difference": _plain(difference), "p": p, "verdict": stats.verdict(difference, p)}


def _answers(generations: Sequence[Generation], role: str) -> dict[str, Any]:
    mine = [generation for generation in generations if generation.role == role]
    return {
        "count": len(mine),
        "cut_off": sum(generation.finish_reason == "length" for generation in mine),
        "characters": _plain(stats.estimate([float(len(g.text)) for g in mine])) if mine else None,
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


# ---------------------------------------------------------------- cost


def _cost_scaling(
    config: Config, completions: Sequence[Completion], training: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """What n prompts cost at the measured mean cost of one, online and as a batch."""
    paid = [
        answer.usd / (prices.BATCH_FACTOR if answer.batch else 1.0) for answer in completions if answer.usd is not None
    ]
    if paid:
        costs, basis = paid, f"measured, {config.teacher.spec} at list prices of {prices.DATED}"
        this_run = Estimate(sum(paid) / len(paid), len(paid))  # known, not estimated
    elif training and training["tokens"]:
        model = config.comparison.price_as
        costs = [prices.list_cost(model, asked, answered) for asked, answered in training["tokens"]]
        basis = (
            f"what these answers would cost from {model} at list prices of {prices.DATED}, "
            "tokens counted with the student's tokenizer; nothing was paid"
        )
        this_run = stats.estimate(costs)
    else:
        return []
    each = stats.estimate(costs)
    count = len(completions) or len(costs)
    return [
        {"label": "this run" if n == count else f"{n:,} prompts", "prompts": n, "basis": basis}
        | {"usd": _scaled(mean, n), "usd_batch": _scaled(mean, n * prices.BATCH_FACTOR)}
        for n, mean in ((count, this_run), *((scale, each) for scale in SCALES))
    ]


def _scaled(each: Estimate, factor: float) -> dict[str, Any] | None:
    return _plain(
        Estimate(
            each.mean * factor,
            each.n,
            None if each.low is None else each.low * factor,
            None if each.high is None else each.high * factor,
        )
    )
