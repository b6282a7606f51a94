"""Several runs in the terminal: a list of them, and two side by side.

In: what history made of runs. Out: what rich draws; cli/terminal.py prints it. Names cannot act: everything is Text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mlx_distill.report.terminal_text import WIDE, table, text, word
from mlx_distill.run.results import RunSummary
from mlx_distill.run.wording import NOTHING, UNSHOWN, duration, estimate, money, p_value
from mlx_distill.summarise.history import Diff, Entry, Paired


def runs(entries: Sequence[Entry], folder: str, width: int) -> Table:
    """One line a run."""
    more = ["n", "student"] if width >= WIDE else []
    header = ["run", "verdict", "worse", "held-out loss", "cost", "time", *more, "date"]
    drawn = table(f"Runs in {folder}", header, left=("run", "verdict", "student", "date"))
    for entry in entries:
        verdict, cells = (text(entry.state, "dim"), {}) if entry.run is None else _run(entry.run)
        drawn.add_row(text(entry.name), verdict, *(text(cells.get(name, NOTHING)) for name in header[2:]))
    return drawn


def _run(run: RunSummary) -> tuple[Text, dict[str, str]]:
    """The verdict, and what stands under each heading."""
    loss = run.heldout_loss
    cells = {"cost": money(run.usd), "time": duration(run.seconds), "date": run.created[:10]}
    if run.student:
        cells["student"] = run.student
    if loss.base and loss.best:
        cells["held-out loss"] = f"{loss.base.mean:.3f} → {loss.best.mean:.3f}"
    if run.verdict:
        cells |= {"n": str(run.n), "worse": str(run.worse)}
    return word(run.verdict or "not compared"), cells


def diff(difference: Diff) -> Iterable[RenderableType]:
    """Two runs side by side, then one against the other."""
    drawn = table("", ["", difference.a, difference.b], left=("", difference.a, difference.b))
    part = ""
    for row in difference.rows:
        if row.part != part:
            drawn.add_section()
            drawn.add_row(text(row.part.capitalize(), "bold"))
        drawn.add_row(text(f"  {row.name}"), text(row.a), text(row.b, "" if row.a == row.b else "bold"))
        part = row.part
    yield drawn
    whose = f"The distilled model of {difference.b} against that of {difference.a}"
    if difference.paired:
        yield _paired(f"{whose}, prompt by prompt", difference.paired)
    if difference.benchmarks:
        yield _paired(f"{whose}, item by item (share passed)", difference.benchmarks)
    yield from (text(f"! {note}", "yellow") for note in difference.notes)


def _paired(title: str, rows: Sequence[Paired]) -> Table:
    drawn = table(title, ["", "difference", "n", "p (Holm)", "detectable", "verdict"], left=("", "verdict"))
    for row in rows:
        smallest = NOTHING if row.verdict != UNSHOWN or row.smallest is None else f"{row.smallest:.2f}"
        n = str(row.difference.n) if row.difference else NOTHING
        cells = (row.name, estimate(row.difference, 2, "+"), n, p_value(row.p_holm), smallest)
        drawn.add_row(*map(text, cells), word(row.verdict))
    return drawn
