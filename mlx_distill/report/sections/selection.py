"""The selection: which candidate is kept and why, all of them, and how the best did on further items.

In: Results. Out: a section, empty where nothing was selected.
"""

from __future__ import annotations

from mlx_distill.report.document import Block, Cell, Line, Section, Table
from mlx_distill.run.results import Results
from mlx_distill.run.results.selection import CandidateRow, Selection
from mlx_distill.run.wording import NOTHING, candidate, capital, kept, p_value, points, reason, selecting, standing

EXPLAINED = (
    "Differences to the base in points, all items of the own domain together and all others; brackets are 95 % "
    "intervals for one candidate at a time. The best of many looks better than it is, so further items confirm it."
)


def selection(results: Results) -> Section:
    chosen = results.selection
    if not chosen:
        return Section("selection", "Selection")
    blocks: list[Block] = [headline(chosen), Line(unreported(chosen)), candidates(chosen), Line(EXPLAINED)]
    return Section("selection", "Selection", blocks, [_confirmation(chosen)])


def headline(chosen: Selection) -> Line:
    return Line(f"{capital(reason(chosen))}.", f"{kept(chosen)}.", "ship" if chosen.chosen else "do not ship")


def unreported(chosen: Selection) -> str:
    """What was asked, and that no reported number rests on it."""
    return (
        f"Held back are {selecting(chosen)}; none of them is among the reported ones. Every candidate answers those "
        f"that choose, and is out where it loses (one-sided p below {chosen.level:.3g}). The best answers those that "
        "confirm, and more of them while it is in doubt whether it loses."
    )


def candidates(chosen: Selection) -> Table:
    header = ("step", "strength", "own domain, points", "elsewhere, points", "loses on", "")
    return Table(header, [_candidate(chosen, row) for row in chosen.candidates])


def _candidate(chosen: Selection, row: CandidateRow) -> tuple[Cell | str, ...]:
    marks = standing(chosen, row)
    return (
        str(row.step),
        f"{row.strength:g}",
        points(row.gain, sign="+"),
        points(row.elsewhere, sign="+"),
        Cell(", ".join(row.loses), "loses") if row.loses else NOTHING,
        Cell(", ".join(marks), marks[0]) if marks else "",
    )


def _confirmation(chosen: Selection) -> Section:
    held = "confirmed" if chosen.chosen else "not confirmed"
    title = f"{capital(candidate(chosen.first))}: {held}"
    titles = {asked.name: asked.title for asked in chosen.benchmarks}
    rows: list[tuple[Cell | str, ...]] = [
        (
            titles.get(row.name, row.name),
            f"{row.difference.n if row.difference else 0:,}",
            points(row.base),
            points(row.score),
            points(row.difference, sign="+"),
            str(row.gained),
            str(row.lost),
            p_value(row.loss_p),
            Cell("loses", "loses") if row.loses else "no loss shown",
        )
        for row in chosen.confirmation
    ]
    header = ("benchmark", "n", "base, %", "candidate, %", "difference", "gained", "lost", "p of a loss", "")
    return Section("confirmation", title, [Table(header, rows)])
