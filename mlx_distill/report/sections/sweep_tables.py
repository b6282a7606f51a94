"""The tables of a sweep, once for Markdown and for the page.

In: sweep.json's content. Out: tables of cells in plain text; what a cell means stands beside its text, and each report
gives that its sign, weight and colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mlx_distill.report.document import Cell, Table
from mlx_distill.report.sections.sweep_curves import is_at, score_on, with_chosen
from mlx_distill.report.sections.sweep_words import heldout_loss, kept, titles
from mlx_distill.run.results.selection import CandidateRow, CandidateScore, Selection
from mlx_distill.run.results.sweep import BaselineCell, DomainOfRun, RunCell, SweepResults, SweepRun
from mlx_distill.run.wording import NOTHING, duration, money, p_value, points

OWN = "own domain"


def runs(results: SweepResults) -> Table:
    axes = [axis.name for axis in results.sweep.axes]
    header = ("run", *axes, "state", "kept", "gate", "held-out loss", "time", "cost")
    return Table(header, [[*_values(run, axes), *_outcome(run)] for run in results.runs])


def _values(run: SweepRun, axes: Sequence[str]) -> list[Cell]:
    return [named(run), *(Cell(run.values.get(axis, NOTHING)) for axis in axes)]


def named(run: SweepRun) -> Cell:
    """Only a run that is done has a report."""
    return Cell(run.name, run=run.name if run.state == "done" else "")


def _outcome(run: SweepRun) -> list[Cell]:
    gate, state = run.gate, run.state
    return [
        Cell(state, state if state == "failed" else ""),
        Cell(kept(run), "kept" if run.selection else ""),
        Cell(gate.verdict, gate.verdict) if gate else Cell(NOTHING),
        Cell(heldout_loss(run)),
        Cell(duration(run.seconds)),
        Cell(money(run.usd)),
    ]


def baselines(results: SweepResults) -> Table:
    """A row a student, a column a benchmark."""
    names = titles([row for base in results.baselines for row in base.benchmarks])
    rows = [[Cell(base.student), *_bases(base.benchmarks, names)] for base in results.baselines]
    return Table(("student", *names.values()), rows)


def _bases(rows: Sequence[BaselineCell], names: Iterable[str]) -> list[Cell]:
    known = {row.name: row for row in rows}
    return [
        Cell(f"{points(row.base)}, n = {row.n:,}", doubtful=bool(row.degraded)) if row else Cell(NOTHING)
        for row in map(known.get, names)
    ]


# ---------------------------------------------------------------- checkpoints


def checkpoints(selection: Selection) -> Table:
    """The base, then every checkpoint at full strength, and what was put to confirmation or is kept, where weaker."""
    benchmarks = selection.benchmarks
    header = ("step", *(f"{row.title} (n = {row.choosing:,})" for row in benchmarks))
    base = Cell("0, the base", "" if selection.chosen else "kept")
    rows = [[base, *(Cell(points(row.base)) for row in benchmarks)]]
    return Table(header, rows + [_candidate(selection, candidate) for candidate in with_chosen(selection)])


def _candidate(selection: Selection, candidate: CandidateRow) -> list[Cell]:
    strength = "" if candidate.strength == 1 else f" at strength {candidate.strength:g}"
    first = "not confirmed" if is_at(selection.first, candidate) else "loses" if candidate.loses else ""
    word = "kept" if is_at(selection.chosen, candidate) else first
    scores = [_score(score_on(candidate, row.name)) for row in selection.benchmarks]
    return [Cell(f"{candidate.step:,}{strength}", word), *scores]


def _score(row: CandidateScore | None) -> Cell:
    return Cell(points(row.score), "loses" if row.loses else "") if row else Cell(NOTHING)


# ---------------------------------------------------------------- reported items


def best_by_rule(results: SweepResults) -> Table:
    header = ("run", "kept", "own domain", "n", "base", "distilled", "distilled − base", "p (Holm)", "verdict")
    return Table(header, [row for run in results.runs for row in _best(run)])


def _best(run: SweepRun) -> list[list[Cell]]:
    """A row for each benchmark of the own domain; one that says why, where there is none."""
    first = [named(run), Cell(kept(run), "kept" if run.selection else "")]
    own = [row for row in run.benchmarks if row.domain == OWN]
    return [first + _reported(row) for row in own] or [[*first, *[Cell(NOTHING)] * 6, why_not(run)]]


def why_not(run: SweepRun) -> Cell:
    """In the place of a verdict."""
    state = run.state
    return Cell("not asked") if state == "done" else Cell(state, state if state == "failed" else "")


def _reported(row: RunCell) -> list[Cell]:
    return [
        Cell(row.title, doubtful=bool(row.degraded)),
        Cell(f"{row.n:,}"),
        Cell(points(row.base)),
        Cell(points(row.distilled)),
        Cell(points(row.difference, sign="+")),
        Cell(p_value(row.p_holm)),
        Cell(row.verdict, row.verdict),
    ]


def forgetting(results: SweepResults) -> Table:
    """Runs × domains, the own one first."""
    domains = dict.fromkeys(row.domain for run in results.runs for row in run.forgetting)
    names = sorted(domains, key=lambda name: name != OWN)
    rows = [_differences(run, {row.domain: row for row in run.forgetting}, names) for run in results.runs]
    return Table(("run", *names), rows if names else [])


def every_cell(results: SweepResults) -> Table:
    """Runs × benchmarks: what was tested together."""
    names = titles([row for run in results.runs for row in run.benchmarks])
    rows = [_differences(run, {row.name: row for row in run.benchmarks}, names) for run in results.runs]
    return Table(("run", *names.values()), rows if names else [])


def _differences(
    run: SweepRun, known: Mapping[str, RunCell] | Mapping[str, DomainOfRun], names: Iterable[str]
) -> list[Cell]:
    return [named(run), *(_difference(known[name]) if name in known else _none(run) for name in names)]


def _none(run: SweepRun) -> Cell:
    return Cell(NOTHING) if run.state == "done" else why_not(run)


def _difference(row: RunCell | DomainOfRun) -> Cell:
    doubtful = isinstance(row, RunCell) and bool(row.degraded)
    if row.difference is None:
        return Cell(row.verdict, doubtful=doubtful)
    return Cell(points(row.difference, sign="+"), row.verdict, doubtful=doubtful)
