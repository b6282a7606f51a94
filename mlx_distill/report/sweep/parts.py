"""What stands under which heading of a sweep, once for Markdown and for the page.

In: sweep.json's content. Out: parts in the order in which they are read, without those that have nothing to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlx_distill.report.sweep import tables
from mlx_distill.report.sweep.curves import full_strength, strongest
from mlx_distill.report.sweep.tables import SIGNS, Grid
from mlx_distill.report.sweep.words import holm, made, states, undone
from mlx_distill.run.results.selection import Selection
from mlx_distill.run.results.sweep import SweepResults
from mlx_distill.run.wording import kept, reason

CHECKPOINTS = "checkpoints"
"""The part that the chart belongs to."""

SHARES = "Shares passed in percent, differences in points; brackets are 95 % intervals."
TOLD = ", ".join(f"{SIGNS[word]} {word}" for word in ("better", "worse", "no difference shown"))
DOUBT = " ! marks a degraded result: see Read with care."


@dataclass(frozen=True)
class Alarm:
    """As loud as a finding: a run that is not done, and why."""

    name: str
    state: str
    why: str


@dataclass(frozen=True)
class Shown:
    """A table with its own heading, "" for none, and what is said of it."""

    grid: Grid
    title: str = ""
    after: Sequence[str] = ()


@dataclass(frozen=True)
class Part:
    name: str
    title: str
    said: Sequence[str] = ()
    alarms: Sequence[Alarm] = ()
    shown: Sequence[Shown] = ()
    points: Sequence[str] = ()


def parts(found: SweepResults) -> list[Part]:
    made_up = (_runs, _baselines, _checkpoints, _best, _forgetting, _cells, _caveats)
    return [part for make in made_up if (part := make(found))]


def _runs(found: SweepResults) -> Part:
    said = [f"{states(found.runs)}; {made(found)}."]
    alarms = [Alarm(run.name, run.state, run.why or "no reason is known") for run in undone(found.runs)]
    return Part("runs", "Runs", said, alarms, [Shown(tables.runs(found))])


def _baselines(found: SweepResults) -> Part | None:
    grid = tables.baselines(found)
    said = [f"What the students pass before any training. {SHARES}{_doubt(found)}"]
    return Part("baselines", "Baselines", said, shown=[Shown(grid)]) if grid.rows else None


def _checkpoints(found: SweepResults) -> Part | None:
    selected = {run.name: run.selection for run in found.runs if run.selection and full_strength(run.selection)}
    rest = [run.name for run in found.runs if run.name not in selected and run.state == "done"]
    said = [
        "Scores on the selection items, which are not the reported ones: what stands here chose among the checkpoints "
        "and says nothing of how good the chosen one is. "
        f"{SIGNS['kept']} kept by the rule: it gains most on the own domain of those that lose nowhere. "
        f"{SIGNS['loses']} loses, so that the rule leaves it out. "
        f"{SIGNS['not confirmed']} was best, and further items did not confirm it."
    ]
    none = [f"Nothing was selected in {', '.join(rest)}."] if rest else []
    if not selected:
        return Part(CHECKPOINTS, "Checkpoints", none) if none else None
    return Part(CHECKPOINTS, "Checkpoints", said + none, shown=[_selected(*pair) for pair in selected.items()])


def _selected(name: str, selection: Selection) -> Shown:
    after = [f"{kept(selection)}; {reason(selection)}."]
    if (strength := strongest(selection)) != 1:
        after.append(f"Shown at strength {strength:g}, the most that was tried.")
    after.append(f"The held-out loss is lowest at step {selection.heldout_best:,}.")
    return Shown(tables.checkpoints(selection), name, after)


def _best(found: SweepResults) -> Part | None:
    said = [
        f"On the reported items, which the rule has not seen. Verdicts and p of a cell: {holm(found)}.{_doubt(found)}"
    ]
    return Part("best", "Best by rule", said, shown=[Shown(tables.best_by_rule(found))]) if found.cells else None


def _forgetting(found: SweepResults) -> Part | None:
    grid = tables.forgetting(found)
    said = [
        "Distilled − base in points, all reported items of a domain's benchmarks together, with the 95 % interval; "
        f"the domains of a run are adjusted for each other. {TOLD}."
    ]
    return Part("forgetting", "Forgetting", said, shown=[Shown(grid)]) if grid.rows else None


def _cells(found: SweepResults) -> Part | None:
    grid = tables.every_cell(found)
    said = [
        f"Distilled − base in points on the reported items of each benchmark; {holm(found)}. {TOLD}.{_doubt(found)}"
    ]
    return Part("cells", "Every cell", said, shown=[Shown(grid)]) if grid.rows else None


def _caveats(found: SweepResults) -> Part | None:
    points = list(dict.fromkeys([*found.caveats, *_degraded(found)]))
    return Part("caveats", "Read with care", points=points) if points else None


def _doubt(found: SweepResults) -> str:
    return DOUBT if _degraded(found) else ""


def _degraded(found: SweepResults) -> list[str]:
    """Each with the student or the run that it is of."""
    bases = [(base.student, row.title, row.degraded) for base in found.baselines for row in base.benchmarks]
    rows = [(run.name, row.title, row.degraded) for run in found.runs for row in run.benchmarks]
    return [f"{name}, {title}: {sentence}." for name, title, said in [*bases, *rows] for sentence in said]
