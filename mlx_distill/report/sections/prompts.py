"""One prompt in words: how it came out, what its checks said, and what judges preferred. Shared by all renderers.

In: a prompt's part of Results. Out: plain text.
"""

from __future__ import annotations

from mlx_distill.run.results.comparison import Answer, AnswerChecks, AnswerJudgment, PreferenceReason, PromptResult
from mlx_distill.run.wording import NOTHING


def outcome(prompt: PromptResult) -> str:
    numbers = [
        f"{name} {value:+.2f}{of}"
        for name, value, of in (
            ("preference", prompt.preference, " from −1 to +1"),
            ("mean score", prompt.difference, ""),
        )
        if value is not None
    ]
    return f"Distilled against base: {prompt.outcome}" + (f" ({', '.join(numbers)})." if numbers else ".")


def change(prompt: PromptResult) -> float | None:
    """What the outcome rests on: the preference, or the mean scores where nobody compared the answers."""
    return prompt.difference if prompt.preference is None else prompt.preference


def checks(executed: AnswerChecks | None) -> str:
    if executed is None:
        return NOTHING
    return f"{executed.passed} of {executed.of}" if executed.run else "not run"


def ended(answer: Answer) -> str:
    ending = "cut at the cap" if answer.finish_reason == "length" else answer.finish_reason
    return f"{ending}, in a loop" if answer.loop else ending


def scores(judgment: AnswerJudgment) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in (judgment.scores or {}).items()) or "unscored"


def preferred(reason: PreferenceReason) -> str:
    return f"{reason.better or 'unscored'} of {reason.first}, then {reason.second}, answer {reason.sample + 1}"
