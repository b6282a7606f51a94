"""What stands under which heading of a sweep, once for Markdown and for the page.

In: sweep.json's content. Out: parts in the order in which they are read, without those that have nothing to say.
"""

from __future__ import annotations

from mlx_distill.report.document import SIGNS, Bullets, Line, Section
from mlx_distill.report.sections import sweep_tables as tables
from mlx_distill.report.sections.sweep_curves import full_strength, strongest
from mlx_distill.report.sections.sweep_words import holm, made, states, undone
from mlx_distill.run.results.selection import Selection
from mlx_distill.run.results.sweep import SweepResults
from mlx_distill.run.wording import kept, reason

CHECKPOINTS = "checkpoints"
"""The part that the chart belongs to."""

SHARES = "Shares passed in percent, differences in points; brackets are 95 % intervals."
TOLD = ", ".join(f"{SIGNS[word]} {word}" for word in ("better", "worse", "no difference shown"))
DOUBT = " ! marks a degraded result: see Read with care."


def parts(results: SweepResults) -> list[Section]:
    made_up = (_runs, _baselines, _checkpoints, _best, _forgetting, _cells, _caveats)
    return [part for make in made_up if (part := make(results))]


def _runs(results: SweepResults) -> Section:
    sentences = [f"{states(results.runs)}; {made(results)}."]
    alarms = [
        Line(run.why or "no reason is known", f"{run.name} {run.state}:", run.state) for run in undone(results.runs)
    ]
    return Section("runs", "Runs", [*map(Line, sentences), Bullets(alarms), tables.runs(results)])


def _baselines(results: SweepResults) -> Section | None:
    grid = tables.baselines(results)
    sentences = [f"What the students pass before any training. {SHARES}{_doubt(results)}"]
    return Section("baselines", "Baselines", [*map(Line, sentences), grid]) if grid.rows else None


def _checkpoints(results: SweepResults) -> Section | None:
    selected = {run.name: run.selection for run in results.runs if run.selection and full_strength(run.selection)}
    rest = [run.name for run in results.runs if run.name not in selected and run.state == "done"]
    sentences = [
        "Scores on the selection items, which are not the reported ones: what stands here chose among the checkpoints "
        "and says nothing of how good the chosen one is. "
        f"{SIGNS['kept']} kept by the rule: it gains most on the own domain of those that lose nowhere. "
        f"{SIGNS['loses']} loses, so that the rule leaves it out. "
        f"{SIGNS['not confirmed']} was best, and further items did not confirm it."
    ]
    none = [f"Nothing was selected in {', '.join(rest)}."] if rest else []
    if not selected:
        return Section(CHECKPOINTS, "Checkpoints", list(map(Line, none))) if none else None
    shown = [_selected(*pair) for pair in selected.items()]
    return Section(CHECKPOINTS, "Checkpoints", list(map(Line, sentences + none)), shown)


def _selected(name: str, selection: Selection) -> Section:
    after = [f"{kept(selection)}; {reason(selection)}."]
    if (strength := strongest(selection)) != 1:
        after.append(f"Shown at strength {strength:g}, the most that was tried.")
    after.append(f"The held-out loss is lowest at step {selection.heldout_best:,}.")
    return Section("", name, [tables.checkpoints(selection), Line(" ".join(after))])


def _best(results: SweepResults) -> Section | None:
    sentences = [
        f"On the reported items, which the rule has not seen. Verdicts and p of a cell: {holm(results)}."
        f"{_doubt(results)}"
    ]
    return (
        Section("best", "Best by rule", [*map(Line, sentences), tables.best_by_rule(results)])
        if results.cells
        else None
    )


def _forgetting(results: SweepResults) -> Section | None:
    grid = tables.forgetting(results)
    sentences = [
        "Distilled − base in points, all reported items of a domain's benchmarks together, with the 95 % interval; "
        f"the domains of a run are adjusted for each other. {TOLD}."
    ]
    return Section("forgetting", "Forgetting", [*map(Line, sentences), grid]) if grid.rows else None


def _cells(results: SweepResults) -> Section | None:
    grid = tables.every_cell(results)
    sentences = [
        f"Distilled − base in points on the reported items of each benchmark; {holm(results)}. {TOLD}.{_doubt(results)}"
    ]
    return Section("cells", "Every cell", [*map(Line, sentences), grid]) if grid.rows else None


def _caveats(results: SweepResults) -> Section | None:
    points = list(dict.fromkeys([*results.caveats, *_degraded(results)]))
    return Section("caveats", "Read with care", [Bullets(list(map(Line, points)))]) if points else None


def _doubt(results: SweepResults) -> str:
    return DOUBT if _degraded(results) else ""


def _degraded(results: SweepResults) -> list[str]:
    """Each with the student or the run that it is of."""
    bases = [(base.student, row.title, row.degraded) for base in results.baselines for row in base.benchmarks]
    rows = [(run.name, row.title, row.degraded) for run in results.runs for row in run.benchmarks]
    return [f"{name}, {title}: {sentence}." for name, title, sentences in [*bases, *rows] for sentence in sentences]
