"""How much both models write to answer a benchmark, reasoning and all: a student can learn to think too long."""

from __future__ import annotations

from mlx_distill.report.charts.canvas import Canvas
from mlx_distill.report.charts.frame import SMALL, Box, Key, foot_of, page
from mlx_distill.report.charts.rows import Row, draw_rows, grid, lanes
from mlx_distill.report.charts.scale import Scale
from mlx_distill.report.look import Look
from mlx_distill.report.style import HATCHES, PALETTES
from mlx_distill.run.records import MODELS
from mlx_distill.run.results import Results
from mlx_distill.run.results.benchmarks import Benchmark
from mlx_distill.run.wording import estimate


def reasoning_length(results: Results, look: Look, progress: float = 1.0) -> Canvas | None:
    rows = [row for row in results.benchmarks if any(row.roles[role].characters for role in MODELS)]
    if not rows:
        return None
    theme = PALETTES[look.theme]
    keys = [Key(role, theme.roles[role], HATCHES[role]) for role in MODELS]
    sentence = "Characters of an answer with its reasoning, mean over items with its 95 % interval"
    canvas, box = page(look, progress, foot_of(results), "Lengths of answers to benchmarks", [sentence], keys)
    drawn = [_row(row, max(map(_high, rows))) for row in rows]
    draw_rows(canvas, box, drawn, [row is drawn[-1] for row in drawn], tallest=160)
    return canvas


def _high(row: Benchmark) -> float:
    characters = [row.roles[role].characters for role in MODELS]
    return max([1.0, *(e.top for e in characters if e)])


def _row(row: Benchmark, high: float) -> Row:
    def draw(canvas: Canvas, box: Box, place: float, last: bool) -> None:
        scale = Scale(0, high, box.left, box.right - 30 - canvas.measure(f"{high:,.0f}", SMALL))
        grid(canvas, scale, box, lambda value: f"{value:,.0f}", scale.ticks(4), last)
        for role, (y, thick) in zip(MODELS, lanes(box, 2), strict=True):
            characters = row.roles[role].characters
            size, beyond, words = min(SMALL, thick * 0.72), scale.left, f"{role}: no answers"
            if characters:
                canvas.role_bar(scale, y, characters.mean, role, min(thick * 0.84, 58), place)
                canvas.whisker(scale, y, characters, min(thick * 0.26, 9))
                beyond = scale(characters.top)
                words = f"{characters.mean:,.0f}"
            canvas.text(beyond + 14, y, words, size, anchor="middle", late=True)

    ratio = row.length_ratio
    numbers = f"×{estimate(ratio)} as long" if ratio else "ratio not known"
    n = f"n = {ratio.n:,}" if ratio else ""
    cut = ", ".join(f"{role} {row.roles[role].cut_off:,}" for role in MODELS)
    cap = f"cap {row.max_tokens:,} tokens" if row.max_tokens else ""
    return Row(row.title, cap, "", numbers, n, draw, f"cut off at the cap: {cut}")
