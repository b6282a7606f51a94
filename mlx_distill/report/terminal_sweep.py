"""What a finished sweep looks like in the terminal: its runs, what failed and why, what is doubtful, what was found.

In: sweep.json's content. Out: what rich draws. The findings come last, where eyes are; with many runs the table is
long, and what failed would else have scrolled away with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mlx_distill.report.terminal_text import STYLES, WIDE, table, text, word
from mlx_distill.run.results.sweep import DomainOfRun, SweepResults, SweepRun
from mlx_distill.run.wording import NOTHING, duration, money, plural, points

OWN = "own domain"
MARKS = {"better": "▲", "worse": "▼"}


def sweep(results: SweepResults, folder: str, width: int) -> Iterable[RenderableType]:
    """`folder`: where sweep.md, sweep.html and visuals/ lie."""
    yield text("")
    yield _table(results, width)
    yield from _undone(results.runs)
    degraded = [
        f"{run.name}, {row.title}: {caveat}."
        for run in results.runs
        for row in run.benchmarks
        for caveat in row.degraded
    ]
    yield from (text(f"! {caveat}", "yellow") for caveat in dict.fromkeys([*degraded, *results.caveats]))
    yield from _findings(results)
    yield text(f"\n{folder}/sweep.md, sweep.html, sweep.json and visuals/ hold it all.")


def _table(results: SweepResults, width: int) -> Table:
    wide, sweep_ = width >= WIDE, results.sweep
    counted = Counter(run.state for run in results.runs)
    states = ", ".join(f"{count} {state}" for state, count in counted.items())
    title = f"Sweep {sweep_.name}: {states}; {duration(sweep_.seconds)}, {money(sweep_.usd)}"
    header = ["", "state", "kept", *(["held-out loss", "time", "cost"] if wide else []), f"{OWN}, points", "gate"]
    drawn = table(title, header, left=("", "state", "kept", "gate"))
    for column in drawn.columns[1:]:
        column.no_wrap = True  # a long name folds instead
    for run in results.runs:
        drawn.add_row(*_cells(run, wide))
    drawn.caption = text(f"{OWN}: its reported items together, distilled − base, tested within the run", "dim")
    drawn.caption_justify = "left"
    return drawn


def _cells(run: SweepRun, wide: bool) -> list[Text]:
    loss, gate, own = run.heldout_loss, run.gate, _own(run)
    state = text(run.state, {"done": "", "failed": "bold red"}.get(run.state, "dim"))
    losses = f"{loss.base.mean:.3f} → {loss.best.mean:.3f}" if loss and loss.base and loss.best else NOTHING
    cells = [losses, duration(run.seconds), money(run.usd)] if wide else []
    changed = text(points(own.difference, sign="+"), STYLES.get(own.verdict, "")) if own else text(NOTHING)
    verdict = word(gate.verdict) if gate else text(NOTHING)
    return [text(run.name), state, text(_kept(run)), *map(text, cells), changed, verdict]


def _own(run: SweepRun) -> DomainOfRun | None:
    return next((row for row in run.forgetting if row.domain == OWN), None)


def _kept(run: SweepRun) -> str:
    """Shortly: `300 × 0.5` is step 300 at strength 0.5."""
    if run.selection is None:
        return NOTHING
    chosen = run.selection.chosen
    if chosen is None:
        return "base"
    return f"{chosen.step}" if chosen.strength == 1 else f"{chosen.step} × {chosen.strength:g}"


def _undone(runs: Sequence[SweepRun]) -> Iterable[Text]:
    for run in runs:
        if run.state == "failed" or run.why:
            style = "bold red" if run.state == "failed" else ""
            why = " ".join(str(run.why or "no reason is known").split())
            yield Text.assemble(text(f"✗ {run.name} {run.state}: ", style), text(why))


def _findings(results: SweepResults) -> Iterable[Text]:
    """The headline, then each of them: losses first, in the same size as gains."""
    counted = Counter(finding.verdict for finding in results.findings)
    counts = ", ".join(f"{counted[verdict]} {verdict}" for verdict in ("worse", "better") if counted[verdict])
    cells = results.cells
    if not cells:
        yield text("\nNo cell was tested.", "bold")
    elif not counts:
        yield text(f"\nNo cell of {cells:,} shows a difference (Holm over all of them).", "bold")
    else:
        yield text(f"\n{counts} of {plural(cells, 'cell')} (Holm over all of them):", "bold")
    for finding in results.findings:
        mark = text(f"  {MARKS.get(finding.verdict, '●')} ", STYLES.get(finding.verdict, ""))
        yield Text.assemble(mark, text(" ".join(str(finding.words).split())))
