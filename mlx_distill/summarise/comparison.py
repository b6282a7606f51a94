"""The comparison part of results.json: scorecard, checks, verdict, caveats, every prompt with its answers.

In: judgments, preferences, generations, scores. Out: one value, None where nothing was judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from mlx_distill.evaluate.judges import MEASURED, PEOPLE, STATIC_JUDGE
from mlx_distill.evaluate.judges.pairwise import PAIRS
from mlx_distill.run.config import Config
from mlx_distill.run.folder import (
    GENERATIONS,
    JUDGMENTS,
    PREFERENCES,
    PROMPTS,
    SCORES,
    TEACHER_DATA,
    RunDir,
)
from mlx_distill.run.paths import shown
from mlx_distill.run.prompts import shorten
from mlx_distill.run.records import (
    MODELS,
    ROLES,
    Completion,
    Generation,
    Judgment,
    Preference,
    Prompt,
    Role,
    Score,
)
from mlx_distill.run.results.comparison import (
    Answer,
    AnswerChecks,
    AnswerJudgment,
    Comparison,
    Dimension,
    ExecutedPairs,
    Measure,
    PairPreference,
    PreferenceReason,
    PromptResult,
    RoleOnPrompt,
    Unscored,
)
from mlx_distill.run.results.part import TeacherGap, Tested, fields_of
from mlx_distill.run.rubric import Rubric, rubric_of
from mlx_distill.stats import inference as stats
from mlx_distill.stats.proportions import bound
from mlx_distill.summarise.caveats import caveats
from mlx_distill.summarise.loops import ends_in_loop
from mlx_distill.summarise.preferences import outcomes, preferences_part, prompt_values
from mlx_distill.summarise.prompted import Measured, prompted_part
from mlx_distill.summarise.scores import (
    CHECKS,
    ByJudge,
    answers_part,
    checks_gap,
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
    rubric: Rubric

    @property
    def roles(self) -> tuple[Role, ...]:
        """The student's two, and the teacher where it has answered a test prompt."""
        answered = {generation.role for generation in self.generations}
        return tuple(role for role in ROLES if role in answered or role in MODELS)

    def paid(self) -> list[float]:
        prices = [judgment.usd for judgment in self.judgments] + [preference.usd for preference in self.preferences]
        return [usd for usd in prices if usd is not None]


def comparison_part(run: RunDir, config: Config) -> Comparison | None:
    compared = Compared(
        [prompt for prompt in run.read(PROMPTS, Prompt) if prompt.split == "test"],
        run.read(GENERATIONS, Generation),
        run.read(JUDGMENTS, Judgment),
        run.read(PREFERENCES, Preference),
        run.read(SCORES, Score),
        rubric_of(config),
    )
    if not compared.judgments and not compared.preferences:
        return None
    measured = Measured(compared.judgments, compared.scores)
    part = Comparison(
        **_measured(compared),
        samples=config.comparison.samples,
        temperature=config.comparison.temperature if config.comparison.samples else None,
        repeats=config.comparison.repeats,
        teacher_models=tuple(sorted({answer.model for answer in run.read(TEACHER_DATA, Completion)})),
        caveats=(),
        prompts=tuple(_prompts(compared)),
        prompted=prompted_part(run, config, compared.prompts, measured, compared.rubric),
    )
    return replace(part, caveats=caveats(config, part))


def _measured(compared: Compared) -> dict[str, Any]:
    """The numbers, and the verdict over everything that was tested: one family, adjusted together."""
    preferences, dimensions, pairs = _decided(compared)
    rows: list[Measure] = [p for p in preferences if p.verdict]
    rows += [*dimensions, *([pairs] if pairs else [])]
    judges = sorted({j.judge for j in compared.judgments} | {p.judge for p in compared.preferences})
    return {
        "judges": tuple(judges),
        "judge_is_llm": any(judge != STATIC_JUDGE and not judge.startswith(PEOPLE) for judge in judges),
        "measured": MEASURED if STATIC_JUDGE in judges else None,
        "judge_usd": sum(compared.paid()) or None,
        "unscored": Unscored(
            answers=sum(judgment.scores is None for judgment in compared.judgments),
            pairs=sum(preference.better is None for preference in compared.preferences),
        ),
        "judgments": len(compared.judgments),
        "pairs_judged": len(compared.preferences),
        "n": max((row.n for row in rows), default=0),
        "verdict": stats.overall([str(row.verdict) for row in rows if row.n]),
        "verdict_in_words": _in_words(rows),
        "preferences": tuple(preferences),
        "dimensions": tuple(dimensions),
        "checks": checks_part(compared.scores, pairs, compared.roles),
        "answers": {role: answers_part(compared.generations, role) for role in compared.roles},
    }


def _decided(compared: Compared) -> tuple[list[PairPreference], list[Dimension], ExecutedPairs | None]:
    """Preferences, dimensions and checks. Preferences of another pair than distilled and base are in no family."""
    preferences = preferences_part(compared.preferences, compared.generations)
    primary = [entry for entry in preferences if entry.pair == PAIRS[0]]
    values = list(prompt_values(outcomes(compared.preferences, PAIRS[0])).values())
    dimensions = dimensions_part(compared.prompts, compared.judgments, compared.scores, compared.rubric)
    pairs = pairs_part(compared.scores)
    tests = [stats.Measure(values, stats.paired_p(values), 1)] if primary else []
    tests += [test for _, test in dimensions] + ([pairs[1]] if pairs else [])
    decided = iter(stats.decide_together(tests))
    named = [_tested(entry, next(decided)) for entry in primary]
    rows = [Dimension(**fields_of(next(decided)), **fields_of(row)) for row, _ in dimensions]
    executed = _executed(pairs[0], next(decided), checks_gap(compared.scores)) if pairs else None
    others = [entry for entry in preferences if entry not in primary]
    return [*named, *others], rows, executed


def _executed(counts: stats.PairCounts, test: Tested, gap: TeacherGap | None) -> ExecutedPairs:
    stands = bound((counts.both + counts.lost) / test.n)
    return ExecutedPairs(**fields_of(test), **counts._asdict(), name="Executed checks", bound=stands, teacher_gap=gap)


def _tested(entry: PairPreference, test: Tested) -> PairPreference:
    values = {name: getattr(test, name) for name in ("n", "difference", "p", "p_holm", "verdict", "smallest", "needed")}
    return replace(entry, **values)


def _in_words(rows: Sequence[Measure]) -> str:
    """`of 6 measures better in 1 (Documentation, n = 28), worse in 0`: both counts, always."""
    scored = [row for row in rows if row.n]
    parts = []
    for word in ("better", "worse"):
        of_word = [row for row in scored if row.verdict == word]
        parts.append(f"{word} in {len(of_word)}" + (f" ({_named(of_word)})" if of_word else ""))
    return f"of {len(scored)} measures " + ", ".join(parts)


def _named(rows: Sequence[Measure]) -> str:
    """Each with its n, which is said once where it is the same."""
    if len({row.n for row in rows}) == 1:
        return f"{', '.join(str(row.name) for row in rows)}, n = {rows[0].n}"
    return "; ".join(f"{row.name}, n = {row.n}" for row in rows)


# ---------------------------------------------------------------- prompt by prompt


def _prompts(compared: Compared) -> list[PromptResult]:
    values = prompt_values(outcomes(compared.preferences, ("distilled", "base")))
    known = marks(compared.judgments, compared.scores, compared.rubric.checked)
    return [_prompt(prompt, compared, known, values.get(prompt.id)) for prompt in compared.prompts]


def _prompt(prompt: Prompt, compared: Compared, known: ByJudge, preferred: float | None) -> PromptResult:
    roles = {role: _role(prompt, role, compared, known) for role in ROLES}
    differences = [d for name in compared.rubric.dimensions if (d := difference(known, prompt.id, name)) is not None]
    mean = sum(differences) / len(differences) if differences else None
    return PromptResult(
        id=prompt.id,
        title=prompt.title or shorten(prompt.text, 28),
        text=prompt.text,
        category=prompt.category,
        source=shown(prompt.source),
        language=prompt.language,
        preference=preferred,
        difference=mean,
        outcome=_outcome(mean if preferred is None else preferred),
        preference_reasons=_preference_reasons(prompt, compared.preferences),
        teacher=roles["teacher"],
        base=roles["base"],
        distilled=roles["distilled"],
    )


def _outcome(value: float | None) -> str:
    """Of the distilled answers against the base's: by preference, or by the mean score where nobody compared them."""
    return "unscored" if value is None else "better" if value > 0 else "worse" if value < 0 else "same"


def _preference_reasons(prompt: Prompt, preferences: Sequence[Preference]) -> tuple[PreferenceReason, ...]:
    return tuple(
        PreferenceReason(
            judge=p.judge,
            first=p.first,
            second=p.second,
            better=p.better,
            reason=p.reason or p.problem,
            sample=p.sample,
        )
        for p in preferences
        if p.prompt_id == prompt.id
    )


def _role(prompt: Prompt, role: Role, compared: Compared, known: ByJudge) -> RoleOnPrompt:
    names = [name for name in compared.rubric.dimensions if (prompt.id, role, name) in known]
    scores = {name: mark(known[prompt.id, role, name]) for name in names}
    answers = [g for g in compared.generations if g.prompt_id == prompt.id and g.role == role]
    return RoleOnPrompt(
        overall=sum(scores.values()) / len(scores) if scores else None,
        scores=scores or None,
        checked=CHECKS in known.get((prompt.id, role, compared.rubric.checked), {}),
        answers=tuple(_answer(answer, compared) for answer in sorted(answers, key=lambda g: g.sample)),
    )


def _answer(answer: Generation, compared: Compared) -> Answer:
    case = (answer.prompt_id, answer.role, answer.sample)
    score = next((s for s in compared.scores if (s.item_id, s.role, s.sample) == case), None)
    judgments = [j for j in compared.judgments if (j.prompt_id, j.role, j.sample) == case]
    return Answer(
        text=answer.text,
        finish_reason=answer.finish_reason,
        loop=ends_in_loop(answer.text),
        tokens=answer.tokens,
        seconds=answer.seconds,
        checks=_checks(score) if score else None,
        judgments=tuple(
            AnswerJudgment(judge=j.judge, scores=j.scores, reason=j.reason or j.problem) for j in judgments
        ),
    )


def _checks(score: Score) -> AnswerChecks:
    return AnswerChecks(passed=score.checks_passed, of=score.checks, run=score.passed is not None, detail=score.detail)
