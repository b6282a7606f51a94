"""The prompted base beside base and distilled: prompt by prompt, by what scored all three."""

from __future__ import annotations

import pytest

from mlx_distill.evaluate.judges import STATIC_JUDGE
from mlx_distill.run.records import Judgment, Prompt, Role, Score
from mlx_distill.run.rubric import Rubric
from mlx_distill.summarise.prompted import Measured, prompted_scores

PROMPTS = [Prompt(f"p{n}", f"question {n}") for n in range(6)]
RUBRIC = Rubric("", ("Correctness", "Form"), "Correctness")


def judged(role: Role, marks: list[float], judge: str = STATIC_JUDGE) -> list[Judgment]:
    return [
        Judgment(prompt.id, role, judge, {"Correctness": mark, "Form": mark})
        for prompt, mark in zip(PROMPTS, marks, strict=True)
    ]


def checked(role: Role, passes: list[bool]) -> list[Score]:
    """Of the first prompts; the others have no checks."""
    return [Score("checks", prompt.id, role, held, 2, 2 * held) for prompt, held in zip(PROMPTS, passes, strict=False)]


def test_gain_and_lead_are_paired_and_rest_on_what_scored_both() -> None:
    compared = Measured(
        [
            *judged("teacher", [10] * 6),
            *judged("base", [1, 2, 3, 4, 5, 6]),
            *judged("distilled", [4, 4, 6, 6, 8, 8]),
            *judged("base", [9] * 6, "claude-opus-4-6"),  # was not asked about the prompted base
        ],
        [*checked("base", [False, False]), *checked("distilled", [True, False]), *checked("teacher", [True, True])],
    )
    prompted = Measured(judged("base", [3, 3, 5, 5, 7, 7]), checked("base", [True, True]))
    correct, form, checks = prompted_scores(PROMPTS, compared, prompted, RUBRIC)
    assert (form.name, form.prompted.mean, form.prompted.n) == ("Form", 5, 6)
    assert form.gain
    assert form.ahead
    assert (form.gain.mean, form.ahead.mean) == (pytest.approx(1.5), pytest.approx(1))
    assert correct.gain
    assert correct.gain.mean == pytest.approx((10 + 10 + 2 + 1 + 2 + 1) / 6)  # two by executed checks
    assert (checks.name, checks.prompted.mean, checks.prompted.n) == ("Executed checks", 1, 2)
    assert checks.gain
    assert checks.ahead
    assert (checks.gain.mean, checks.ahead.mean) == (1, -0.5)


def test_without_checks_and_scores_there_is_no_row() -> None:
    assert prompted_scores(PROMPTS, Measured([], []), Measured([], []), RUBRIC) == ()
