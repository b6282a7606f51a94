"""What the training for one domain did to the others: the difference in each, against none and a small one."""

from __future__ import annotations

from collections.abc import Sequence

from mlx_distill.report.charts.canvas import Canvas
from mlx_distill.report.charts.frame import Box, Key, foot_of, page
from mlx_distill.report.charts.rows import Row, draw_rows, grid
from mlx_distill.report.charts.scale import Scale
from mlx_distill.report.charts.words import gated, tried
from mlx_distill.report.look import Look
from mlx_distill.report.sections.measures import worth
from mlx_distill.report.style import PALETTES
from mlx_distill.run.results import Results
from mlx_distill.run.results.benchmarks import DomainRow
from mlx_distill.run.wording import points
from mlx_distill.stats.proportions import MARGIN

NOTE = "Points of a hundred, all items of a domain's benchmarks together, with the 95 % interval"
LEAST = 2 * MARGIN
"""To both sides of zero, whatever was found: the band is never all there is."""


def forgetting(results: Results, look: Look, progress: float = 1.0) -> Canvas | None:
    gate = results.gate
    if not gate or not gate.forgetting:
        return None
    theme = PALETTES[look.theme]
    keys = [Key(f"within ±{100 * MARGIN:.0f} points", theme.faint), Key("distilled − base", theme.text, marker="o")]
    sentences = [gated(results), NOTE]
    sentences += [f"Where training taught most: {gate.coverage.words}"] if gate.coverage else []
    canvas, box = page(look, progress, foot_of(results), "What was forgotten", sentences, keys)
    rows = [_row(row, _reach(gate.forgetting)) for row in gate.forgetting]
    draw_rows(canvas, box, rows, [row is rows[-1] for row in rows], tallest=170)
    return canvas


def _reach(rows: Sequence[DomainRow]) -> float:
    ends = [end for row in rows if row.difference for end in row.difference.ends]
    return 1.06 * max([LEAST, *map(abs, ends)])


def _row(row: DomainRow, reach: float) -> Row:
    def draw(canvas: Canvas, box: Box, place: float, last: bool) -> None:
        scale = Scale(-reach, reach, box.left + 40, box.right - 40)
        canvas.bar(scale(-MARGIN), box.top - 7, scale(MARGIN), box.bottom + 7, canvas.theme.faint)
        ticks = [value / 100 for value in Scale(-100 * reach, 100 * reach, 0, 1).ticks(6)]
        grid(canvas, scale, box, lambda value: f"{100 * value:+g}" if value else "0", ticks, last)
        y = (box.top + box.bottom) / 2
        canvas.line([scale(0)] * 2, [box.top - 7, box.bottom + 7], canvas.theme.text, 2.4, order=3)
        canvas.whisker(scale, y, row.difference, 11)
        if row.difference:
            mean, colour = scale(row.difference.mean), canvas.theme.verdict(row.verdict)
            canvas.dot(scale(0) + (mean - scale(0)) * canvas.grown(place), y, colour, "o", 22)

    numbers = f"{points(row.difference, sign='+')} points"
    benchmarks = ", ".join(row.benchmarks)
    return Row(row.domain.capitalize(), benchmarks, row.verdict, numbers, tried(row), draw, worth(row))
