"""Which items changed: on each benchmark those lost and those gained, as parts of it, with their counts."""

from __future__ import annotations

from mlx_distill.report.charts.canvas import Canvas
from mlx_distill.report.charts.diverging import Diverging, draw_diverging
from mlx_distill.report.charts.frame import SMALL, Box, Key, foot_of, page
from mlx_distill.report.charts.rows import Row, draw_rows, grid
from mlx_distill.report.charts.scale import Scale
from mlx_distill.report.charts.words import gated, percent, tried
from mlx_distill.report.look import Look
from mlx_distill.report.sections.measures import worth
from mlx_distill.report.style import PALETTES
from mlx_distill.run.results import Results
from mlx_distill.run.results.benchmarks import Benchmark
from mlx_distill.run.wording import points


def gained_lost(results: Results, look: Look, progress: float = 1.0) -> Canvas | None:
    rows = [row for row in results.benchmarks if row.n]
    shares = [share for row in rows for share in _shares(row) or ()]
    if not shares:
        return None
    theme = PALETTES[look.theme]
    keys = [Key("lost: only the base passed", theme.worse), Key("gained: only the distilled did", theme.better)]
    sentences = [gated(results), "Share of a benchmark's items that changed; the numbers at the bars count items"]
    canvas, box = page(look, progress, foot_of(results), "Items gained and lost", sentences, keys)
    reach = max([0.02, *shares])
    drawn = [_row(row, reach) for row in rows]
    draw_rows(canvas, box, drawn, [row is drawn[-1] for row in drawn], tallest=160)
    return canvas


def _shares(row: Benchmark) -> tuple[float, float] | None:
    """Lost and gained; None with several answers an item."""
    return None if row.lost is None or row.gained is None else (row.lost / row.n, row.gained / row.n)


def _row(row: Benchmark, reach: float) -> Row:
    whole = _shares(row)

    def draw(canvas: Canvas, box: Box, place: float, last: bool) -> None:
        scale = Scale(-reach, reach, box.left + 60, box.right - 120)
        grid(canvas, scale, box, lambda value: percent(abs(value)), [-reach, 0, reach], last)
        if whole:
            bars = Diverging(*whole, f"{row.lost:,}", f"{row.gained:,}", reach, titled=False)
            draw_diverging(canvas, box, bars, place)
        else:
            words = f"{row.samples} answers an item: none is simply gained or lost"
            y = (box.top + box.bottom) / 2
            canvas.text(
                box.left, y, words, SMALL, width=box.width, anchor="middle", late=True, colour=canvas.theme.muted
            )

    note = f"both {row.both:,}, neither {row.neither:,}" if whole else "shares passed"
    counts = f"gained {row.gained:,}, lost {row.lost:,}" if whole else f"{points(row.difference, sign='+')} points"
    return Row(row.title, note, row.verdict, counts, tried(row), draw, worth(row))
