"""sweep.md: what is significant first of all, then the runs and what their checkpoints and results were.

In: sweep.json's content and the chart's path. Out: Markdown in which nothing that a file names or a model wrote is
rendered.
"""

from __future__ import annotations

from mlx_distill.report.markdown_text import bullets, inline, section, table
from mlx_distill.report.sweep.parts import CHECKPOINTS, Alarm, Part, Shown, parts
from mlx_distill.report.sweep.tables import SIGNS, Cell, Grid
from mlx_distill.report.sweep.words import address, explained, headline
from mlx_distill.run.results.sweep import SweepResults

LOUD = ("better", "worse", "loses", "kept", "failed", "ship", "do not ship", "mixed")


def sweep_markdown(found: SweepResults, chart: str | None) -> str:
    """`chart`: its path from the file's folder."""
    told = [_part(part, chart if part.name == CHECKPOINTS else None) for part in parts(found)]
    return "\n\n".join([f"# Sweep: {inline(found.sweep.name)}", _findings(found), *told]) + "\n"


def _findings(found: SweepResults) -> str:
    said = bullets(f"**{SIGNS[one.verdict]} {one.verdict}:** {inline(one.words)}" for one in found.findings)
    return "\n\n".join(part for part in (f"**{headline(found)}.** {explained(found)}", said) if part)


def _part(part: Part, chart: str | None) -> str:
    return section(
        part.title,
        *map(inline, part.said),
        bullets(map(_alarm, part.alarms)),
        f"{'' if chart.endswith('.pdf') else '!'}[{chart}]({chart})" if chart else "",
        *map(_shown, part.shown),
        bullets(map(inline, part.points)),
    )


def _alarm(alarm: Alarm) -> str:
    said = f"{SIGNS.get(alarm.state, '')} {inline(alarm.name)} {inline(alarm.state)}:"
    return f"**{said.strip()}** {inline(alarm.why)}"


def _shown(shown: Shown) -> str:
    said = " ".join(map(inline, shown.after))
    if shown.title:
        return section(inline(shown.title), _table(shown.grid), said, level=3)
    return "\n\n".join(part for part in (_table(shown.grid), said) if part)


def _table(grid: Grid) -> str:
    return table([inline(name) for name in grid.header], [[_cell(cell) for cell in row] for row in grid.rows])


def _cell(cell: Cell) -> str:
    text = inline(cell.text)
    if cell.run:
        text = f"[{text}]({address(cell.run)}/RESULTS.md)"
    if cell.word in SIGNS:
        text = f"{SIGNS[cell.word]} {text}"
    text = f"**{text}**" if cell.word in LOUD else text
    return f"{text} !" if cell.doubtful else text
