"""A run's checkpoints at the adapter's full strength: what the table and the chart show of a selection.

In: results.selection of a run. Out: candidates by step, and differences to the base along the training.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlx_distill.run.results.selection import Candidate, CandidateRow, CandidateScore, Selection


def strongest(selection: Selection) -> float:
    """The strength of the adapter that is shown: 1 wherever it was tried."""
    return max((float(row.strength) for row in selection.candidates), default=1.0)


def full_strength(selection: Selection | None) -> Sequence[CandidateRow]:
    """By step; none where nothing was selected."""
    if selection is None:
        return []
    shown = [row for row in selection.candidates if row.strength == strongest(selection)]
    return sorted(shown, key=lambda row: float(row.step))


def is_at(place: Candidate | None, candidate: CandidateRow) -> bool:
    """`place`: selection.chosen or selection.first, None for the base."""
    return place is not None and (candidate.step, candidate.strength) == (place.step, place.strength)


def chosen_of(selection: Selection) -> CandidateRow | None:
    """None: the base is kept."""
    return next((row for row in selection.candidates if is_at(selection.chosen, row)), None)


def with_chosen(selection: Selection) -> Sequence[CandidateRow]:
    """Those at full strength, and among them what was put to confirmation and what is kept, where these are weaker."""
    weaker = [
        row
        for row in selection.candidates
        if row.strength != strongest(selection) and (is_at(selection.first, row) or is_at(selection.chosen, row))
    ]
    return sorted([*full_strength(selection), *weaker], key=lambda row: float(row.step))


def score_on(candidate: CandidateRow, name: str) -> CandidateScore | None:
    """A candidate's score on the benchmark of this name."""
    return next((row for row in candidate.scores if row.name == name), None)


def change_on(candidate: CandidateRow, name: str) -> float | None:
    """Difference to the base in points of a hundred."""
    row = score_on(candidate, name)
    return 100 * row.difference.mean if row and row.difference else None


def curve(candidates: Sequence[CandidateRow], name: str) -> list[tuple[float, float]]:
    """(step, points gained), beginning with the base, which is no different from itself."""
    changes = [(float(row.step), change_on(row, name)) for row in candidates]
    return [(0.0, 0.0), *((step, change) for step, change in changes if change is not None)]
