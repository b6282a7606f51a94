"""The prompted base in results.json: what a prompt buys without training, and what training adds to that.

In: the prompted base's answers, scores and judgments beside those of base and distilled. Out: one value. Its answers
are put in the place of the one and then of the other model, so that they are measured as these are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from mlx_distill.run.config import Config
from mlx_distill.run.folder import PROMPTED, PROMPTED_EXAMPLES, PROMPTED_JUDGMENTS, PROMPTED_SCORES, RunDir
from mlx_distill.run.records import Conversation, Estimate, Generation, Judgment, Prompt, Role, Score
from mlx_distill.run.results.comparison import PromptedBase, PromptedScore
from mlx_distill.run.rubric import Rubric
from mlx_distill.stats import inference as stats
from mlx_distill.summarise.scores import answers_part, difference, mark, marks, pairs_part

Row = TypeVar("Row", Judgment, Score)


@dataclass(frozen=True)
class Measured:
    """What is known of some answers."""

    judgments: Sequence[Judgment]
    scores: Sequence[Score]


def prompted_part(
    run: RunDir, config: Config, prompts: Sequence[Prompt], compared: Measured, rubric: Rubric
) -> PromptedBase | None:
    """None where it was not wanted, or is not there yet."""
    if not config.comparison.prompted_base or not (run / PROMPTED_JUDGMENTS).exists():
        return None
    prompted = Measured(run.read(PROMPTED_JUDGMENTS, Judgment), run.read(PROMPTED_SCORES, Score))
    return PromptedBase(
        examples=len(run.read(PROMPTED_EXAMPLES, Conversation)),
        answers=answers_part(run.read(PROMPTED, Generation), "base"),
        scores=prompted_scores(prompts, compared, prompted, rubric),
    )


def prompted_scores(
    prompts: Sequence[Prompt], compared: Measured, prompted: Measured, rubric: Rubric
) -> tuple[PromptedScore, ...]:
    """A row for each dimension that was scored, 0 to 10, and one for the executed checks, the share passed."""
    before, after = _beside(compared, prompted, "distilled"), _beside(compared, prompted, "base")
    ids = [prompt.id for prompt in prompts]
    rows = [_dimension(name, ids, before, after, rubric) for name in rubric.dimensions]
    return tuple(row for row in [*rows, _checks(before, after)] if row)


def _beside(compared: Measured, prompted: Measured, place: Role) -> Measured:
    """The prompted answers in this place, and in the other what was compared."""
    return Measured(
        _in_place(compared.judgments, prompted.judgments, place), _in_place(compared.scores, prompted.scores, place)
    )


def _in_place(compared: Sequence[Row], prompted: Sequence[Row], place: Role) -> list[Row]:
    rows: list[Row] = [row for row in compared if row.role not in (place, "teacher")]
    rows += [dataclasses.replace(row, role=place) for row in prompted]
    return rows


def _dimension(
    name: str, prompts: Sequence[str], before: Measured, after: Measured, rubric: Rubric
) -> PromptedScore | None:
    known, later = (marks(measured.judgments, measured.scores, rubric.checked) for measured in (before, after))
    reached = [mark(known[prompt, "distilled", name]) for prompt in prompts if (prompt, "distilled", name) in known]
    if not reached:
        return None
    gains, ahead = (
        [change for prompt in prompts if (change := difference(by_judge, prompt, name)) is not None]
        for by_judge in (known, later)
    )
    return PromptedScore(name=name, prompted=stats.estimate(reached), gain=_estimate(gains), ahead=_estimate(ahead))


def _checks(before: Measured, after: Measured) -> PromptedScore | None:
    gained, ahead = (pairs_part(measured.scores) for measured in (before, after))
    if gained is None:
        return None
    counts, tested = gained
    passed = [1.0] * (counts.gained + counts.both) + [0.0] * (counts.lost + counts.neither)
    return PromptedScore(
        name="Executed checks",
        prompted=stats.estimate(passed),
        gain=_estimate(tested.differences),
        ahead=_estimate(ahead[1].differences) if ahead else None,
    )


def _estimate(differences: Sequence[float]) -> Estimate | None:
    return stats.estimate(differences) if differences else None
