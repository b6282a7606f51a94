"""The comparison part of results.json: scorecard, checks, verdict, caveats, every prompt with its answers.

In: judgments, preferences, generations, scores. Out: one value, None where nothing was judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlx_distill.evaluate.judges import DIMENSIONS, MEASURED, PEOPLE, STATIC_JUDGE
from mlx_distill.evaluate.judges.pairwise import PAIRS
from mlx_distill.run.config import Config
from mlx_distill.run.folder import RunDir
from mlx_distill.run.paths import shown
from mlx_distill.run.prompts import shorten
from mlx_distill.run.records import ROLES, Completion, Generation, Judgment, Preference, Prompt, Role, Score, plain
from mlx_distill.stats import inference as stats
from mlx_distill.summarise.caveats import caveats
from mlx_distill.summarise.preferences import outcomes, preferences_part, prompt_values
from mlx_distill.summarise.scores import (
    CHECKS,
    CORRECTNESS,
    ByJudge,
    checks_part,
    difference,
    dimensions_part,
    mark,
    marks,
    pairs_part,
)


@dataclass(frozen=True)
class Compared:
    """Everything that a comparison has left."""

    prompts: list[Prompt]
    generations: list[Generation]
    judgments: list[Judgment]
    preferences: list[Preference]
    scores: list[Score]

    def paid(self) -> list[float]:
        prices = [judgment.usd for judgment in self.judgments] + [preference.usd for preference in self.preferences]
        return [usd for usd in prices if usd is not None]


def comparison_part(run: RunDir, config: Config) -> dict[str, Any] | None:
    found = Compared(
        [prompt for prompt in run.read("prompts.jsonl", Prompt) if prompt.split == "test"],
        run.read("generations.jsonl", Generation),
        run.read("judgments.jsonl", Judgment),
        run.read("preferences.jsonl", Preference),
        run.read("scores.jsonl", Score),
    )
    if not found.judgments and not found.preferences:
        return None
    models = sorted({answer.model for answer in run.read("teacher_data.jsonl", Completion)})
    part = _measured(found) | {
        "samples": config.comparison.samples,
        "temperature": config.comparison.temperature if config.comparison.samples else None,
        "repeats": config.comparison.repeats,
        "teacher_models": models,
    }
    return part | {"caveats": caveats(config, part, found.generations), "prompts": _prompts(found)}


def _measured(found: Compared) -> dict[str, Any]:
    """The numbers, and the verdict over everything that was tested: one family, adjusted together."""
    preferences, dimensions, checks = _decided(found)
    rows = [*(p for p in preferences if "verdict" in p), *dimensions, *([checks["pairs"]] if checks["pairs"] else [])]
    judges = sorted({j.judge for j in found.judgments} | {p.judge for p in found.preferences})
    return {
        "judges": judges,
        "judge_is_llm": any(judge != STATIC_JUDGE and not judge.startswith(PEOPLE) for judge in judges),
        "measured": MEASURED if STATIC_JUDGE in judges else None,
        "judge_usd": sum(found.paid()) or None,
        "unscored": {
            "answers": sum(judgment.scores is None for judgment in found.judgments),
            "pairs": sum(preference.better is None for preference in found.preferences),
        },
        "judgments": len(found.judgments),
        "pairs_judged": len(found.preferences),
        "n": max((row["n"] for row in rows), default=0),
        "verdict": stats.overall([row["verdict"] for row in rows if row["n"]]),
        "verdict_in_words": _in_words(rows),
        "preferences": preferences,
        "dimensions": dimensions,
        "checks": checks,
        "answers": {role: _answers(found.generations, role) for role in ROLES},
    }


def _decided(found: Compared) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any]]:
    """Preferences, dimensions and checks. Preferences of another pair than distilled and base are in no family."""
    preferences = preferences_part(found.preferences, found.generations)
    primary = [entry for entry in preferences if entry["pair"] == list(PAIRS[0])]
    values = list(prompt_values(outcomes(found.preferences, PAIRS[0])).values())
    dimensions = dimensions_part(found.prompts, found.judgments, found.scores)
    pairs = pairs_part(found.scores)
    tests = [stats.Tested(values, stats.paired_p(values), 1)] if primary else []
    tests += [test for _, test in dimensions] + ([pairs[1]] if pairs else [])
    decided = iter(stats.decide(tests))
    named = [{"name": "Preference"} | entry | next(decided) for entry in primary]
    rows = [row | next(decided) for row, _ in dimensions]
    executed = {"name": "Executed checks"} | pairs[0] | next(decided) if pairs else None
    others = [entry for entry in preferences if entry not in primary]
    return [*named, *others], rows, checks_part(found.scores) | {"pairs": executed}


def _in_words(rows: Sequence[dict[str, Any]]) -> str:
    """`of 6 measures better in 1 (Documentation, n = 28), worse in 0`: both counts, always."""
    scored = [row for row in rows if row["n"]]
    parts = []
    for word in ("better", "worse"):
        found = [row for row in scored if row["verdict"] == word]
        parts.append(f"{word} in {len(found)}" + (f" ({_named(found)})" if found else ""))
    return f"of {len(scored)} measures " + ", ".join(parts)


def _named(rows: Sequence[dict[str, Any]]) -> str:
    """Each with its n, which is said once where it is the same."""
    if len({row["n"] for row in rows}) == 1:
        return f"{', '.join(row['name'] for row in rows)}, n = {rows[0]['n']}"
    return "; ".join(f"{row['name']}, n = {row['n']}" for row in rows)


def _answers(generations: Sequence[Generation], role: Role) -> dict[str, Any]:
    mine = [generation for generation in generations if generation.role == role]
    lengths = stats.by_prompt((g.prompt_id, float(len(g.answer_text))) for g in mine)
    tokens, seconds = sum(g.tokens for g in mine), sum(g.seconds for g in mine)
    return {
        "count": len(mine),
        "cut_off": sum(generation.finish_reason == "length" for generation in mine),
        "characters": plain(stats.estimate(list(lengths.values()))) if mine else None,
        "tokens": tokens,
        "seconds": seconds,
        "tokens_per_second": tokens / seconds if seconds else None,
    }


# ---------------------------------------------------------------- prompt by prompt


def _prompts(found: Compared) -> list[dict[str, Any]]:
    values = prompt_values(outcomes(found.preferences, ("distilled", "base")))
    known = marks(found.judgments, found.scores)
    return [_prompt(prompt, found, known, values.get(prompt.id)) for prompt in found.prompts]


def _prompt(prompt: Prompt, found: Compared, known: ByJudge, preferred: float | None) -> dict[str, Any]:
    roles = {role: _role(prompt, role, found, known) for role in ROLES}
    differences = [d for name in DIMENSIONS if (d := difference(known, prompt.id, name)) is not None]
    mean = sum(differences) / len(differences) if differences else None
    return {
        "id": prompt.id,
        "title": prompt.title or shorten(prompt.text, 28),
        "text": prompt.text,
        "category": prompt.category,
        "source": shown(prompt.source),
        "language": prompt.language,
        "preference": preferred,
        "difference": mean,
        "outcome": _outcome(mean if preferred is None else preferred),
        "preference_reasons": _preference_reasons(prompt, found.preferences),
    } | roles


def _outcome(value: float | None) -> str:
    """Of the distilled answers against the base's: by preference, or by the mean score where nobody compared them."""
    return "unscored" if value is None else "better" if value > 0 else "worse" if value < 0 else "same"


def _preference_reasons(prompt: Prompt, preferences: Sequence[Preference]) -> list[dict[str, Any]]:
    return [
        {
            "judge": p.judge,
            "first": p.first,
            "second": p.second,
            "better": p.better,
            "reason": p.reason or p.problem,
            "sample": p.sample,
        }
        for p in preferences
        if p.prompt_id == prompt.id
    ]


def _role(prompt: Prompt, role: Role, found: Compared, known: ByJudge) -> dict[str, Any]:
    scores = {name: mark(known[prompt.id, role, name]) for name in DIMENSIONS if (prompt.id, role, name) in known}
    answers = [g for g in found.generations if g.prompt_id == prompt.id and g.role == role]
    return {
        "overall": sum(scores.values()) / len(scores) if scores else None,
        "scores": scores or None,
        "checked": CHECKS in known.get((prompt.id, role, CORRECTNESS), {}),
        "answers": [_answer(answer, found) for answer in sorted(answers, key=lambda g: g.sample)],
    }


def _answer(answer: Generation, found: Compared) -> dict[str, Any]:
    case = (answer.prompt_id, answer.role, answer.sample)
    score = next((s for s in found.scores if (s.item_id, s.role, s.sample) == case), None)
    said = [j for j in found.judgments if (j.prompt_id, j.role, j.sample) == case]
    return {
        "text": answer.text,
        "finish_reason": answer.finish_reason,
        "tokens": answer.tokens,
        "seconds": answer.seconds,
        "checks": None
        if score is None
        else {
            "passed": score.checks_passed,
            "of": score.checks,
            "run": score.passed is not None,
            "detail": score.detail,
        },
        "judgments": [{"judge": j.judge, "scores": j.scores, "reason": j.reason or j.problem} for j in said],
    }
