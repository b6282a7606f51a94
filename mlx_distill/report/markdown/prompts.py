"""Prompt by prompt, in RESULTS.md: what was asked, what each role answered, and what judges and checks said of it.

In: results. Out: one section; prompts and answers stand in fences that they cannot close.
"""

from __future__ import annotations

from mlx_distill.report.markdown_text import bullets, fence, inline, section, table
from mlx_distill.run.records import ROLES
from mlx_distill.run.results import Results
from mlx_distill.run.results.comparison import (
    Answer,
    AnswerChecks,
    AnswerJudgment,
    PreferenceReason,
    PromptResult,
    RoleOnPrompt,
)
from mlx_distill.run.wording import NOTHING


def prompt_by_prompt(results: Results) -> str:
    comparison = results.comparison
    if comparison is None:
        return ""
    return section(
        "Prompt by prompt", *(_prompt(number, prompt) for number, prompt in enumerate(comparison.prompts, 1))
    )


def _prompt(number: int, prompt: PromptResult) -> str:
    parts = [
        f"### {number}. {inline(prompt.title)} ({inline(prompt.category)}, {inline(prompt.source)})",
        fence(prompt.text),
        _outcome(prompt),
        table(("", "mean score", "checks passed", "ended"), [_row(role, prompt.of(role)) for role in ROLES]),
        *(_answer(role, prompt.of(role), place) for role in ROLES for place in range(len(prompt.of(role).answers))),
        _folded("Who was preferred, and why", bullets(_preferred(said) for said in prompt.preference_reasons)),
    ]
    return "\n\n".join(part for part in parts if part)


def _outcome(prompt: PromptResult) -> str:
    numbers = [
        f"{name} {value:+.2f}"
        for name, value in (("preference", prompt.preference), ("mean score", prompt.difference))
        if value is not None
    ]
    return f"Distilled against base: {inline(prompt.outcome)}" + (f" ({', '.join(numbers)})." if numbers else ".")


def _row(role: str, found: RoleOnPrompt) -> tuple[str, ...]:
    scored = "unscored" if found.overall is None else f"{found.overall:.1f}"
    answers = found.answers
    ended = ", ".join(_ended(answer) for answer in answers) or "no answer"
    return role, scored, ", ".join(_checks(answer.checks) for answer in answers) or NOTHING, ended


def _checks(checks: AnswerChecks | None) -> str:
    if checks is None:
        return NOTHING
    return f"{checks.passed} of {checks.of}" if checks.run else "not run"


def _ended(answer: Answer) -> str:
    return "cut at the cap" if answer.finish_reason == "length" else inline(answer.finish_reason)


def _answer(role: str, found: RoleOnPrompt, place: int) -> str:
    answer, count = found.answers[place], len(found.answers)
    title = f"{role}, answer {place + 1} of {count}" if count > 1 else role
    parts = [fence(answer.text), bullets(_judgment(said) for said in answer.judgments), _detail(answer.checks)]
    return _folded(title, "\n\n".join(part for part in parts if part))


def _judgment(said: AnswerJudgment) -> str:
    scores = ", ".join(f"{inline(name)} {value:g}" for name, value in (said.scores or {}).items())
    return f"{inline(said.judge)}: {scores or 'unscored'}. {inline(said.reason)}".strip()


def _detail(checks: AnswerChecks | None) -> str:
    return f"Checks: {inline(checks.detail)}" if checks and checks.detail else ""


def _preferred(said: PreferenceReason) -> str:
    better = inline(said.better or "unscored")
    pair = f"{inline(said.first)} before {inline(said.second)}, answer {said.sample + 1}"
    return f"{inline(said.judge)} ({pair}): {better}. {inline(said.reason)}".strip()


def _folded(title: str, content: str) -> str:
    """`title` is ours: it stands within HTML."""
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>" if content else ""
