"""The sweep in one picture: a panel a run, all on the same axes, so that a loss looks as large as it is.

In: sweep.json's content. Out: a canvas, or nothing to draw. A line is what the selection items say of the checkpoints;
a run that selected nothing shows what the reported items say, with intervals; one that is not done says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlx_distill.report.charts.canvas import Canvas, drawn_so
from mlx_distill.report.charts.frame import SMALL, Box, Key, foot_words, page
from mlx_distill.report.charts.scale import Scale
from mlx_distill.report.charts.sweep_panel import Axes, Head, Panel, draw_panel, extent
from mlx_distill.report.charts.sweep_series import SERIES_MOST, Series, series_of
from mlx_distill.report.look import Look
from mlx_distill.report.sections.sweep_curves import full_strength
from mlx_distill.report.sections.sweep_words import headline, states
from mlx_distill.report.style import PALETTES
from mlx_distill.run.results.sweep import SweepResults, SweepRun

MOST = 12
"""Panels on a page; with more, none could be read."""

GAP, HEAD, FEET, TITLE = 34.0, 90.0, 32.0, 30.0
"""Between panels; what stands above (about) and below a picture in its panel; the axis' own name."""
TICKS = 8


def sweep_chart(results: SweepResults, look: Look) -> Canvas | None:
    with drawn_so():
        return _sweep_chart(results, look)


def _sweep_chart(results: SweepResults, look: Look) -> Canvas | None:
    runs = picked(results)
    shown = [run for run in results.runs if is_drawn(run)]
    if not shown:
        return None
    lines = series_of(shown, look.theme)
    keys = [one.key() for one in lines]
    if any(full_strength(run.selection) for run in runs):
        keys.append(Key("kept", PALETTES[look.theme].text, marker="*"))
    canvas, box = page(look, 1.0, _foot(results), "Runs against their base", _sentences(results, runs, lines), keys)
    _panels(canvas, box, [Panel.of(run, results, lines) for run in runs])
    return canvas


def is_drawn(run: SweepRun) -> bool:
    return bool(full_strength(run.selection)) or any(row.difference for row in run.benchmarks)


def picked(results: SweepResults) -> Sequence[SweepRun]:
    """At most MOST runs, in their order: losses before gains before failures before the rest."""
    verdicts = {(finding.run, finding.verdict) for finding in results.findings}

    def rank(run: SweepRun) -> tuple[bool, bool, bool, bool]:
        worse, better = ((run.name, word) in verdicts for word in ("worse", "better"))
        return not worse, not better, run.state != "failed", not is_drawn(run)

    places = sorted(range(len(results.runs)), key=lambda place: rank(results.runs[place]))
    return [results.runs[place] for place in sorted(places[:MOST])]


def _foot(results: SweepResults) -> str:
    sweep = results.sweep
    return foot_words(f"{sweep.name}, a sweep of {states(results.runs)}", sweep.created, sweep.hardware, sweep.seed)


def _sentences(results: SweepResults, runs: Sequence[SweepRun], lines: Sequence[Series]) -> list[str]:
    selected = [bool(full_strength(run.selection)) for run in runs if is_drawn(run)]
    curves = "over training steps at the adapter's full strength, on selection items, which are not the reported ones"
    dots = "on the reported items, with 95 % intervals"
    if all(selected):
        legend = curves
    elif any(selected):
        legend = f"lines: {curves}; dots with whiskers, where nothing was selected: {dots}"
    else:
        legend = dots
    tested = ": runs × benchmarks on the reported items, p (Holm) below 0.05" if results.cells else ""
    sentences = [f"{headline(results)}{tested}", f"Distilled − base in points of a hundred; {legend}"]
    more = [f"{len(runs)} of {len(results.runs)} runs: those with findings first"] * (len(runs) < len(results.runs))
    more += [f"the first {SERIES_MOST} benchmarks"] * (len(lines) == SERIES_MOST)
    return [*sentences, f"Shown: {'; '.join(more)}. The tables have all."] if more else sentences


# ---------------------------------------------------------------- layout


def _panels(canvas: Canvas, box: Box, panels: Sequence[Panel]) -> None:
    low, high = extent(panels)
    gutter = max(canvas.measure(_label(tick), SMALL) for tick in _ticks(low, high, TICKS)) + 14
    steps = any(panel.curves for panel in panels)
    room = Box(box.left + gutter, box.top, box.right, box.bottom - (TITLE if steps else 0))
    columns = _columns(room, len(panels))
    boxes = _boxes(room, len(panels), columns)
    head, last = Head.of(canvas, panels, boxes[0].width), max(panel.last for panel in panels)
    ticks = _ticks(low, high, min(TICKS, max(2, int((boxes[0].height - head.height - FEET) / 36))))
    for place, (panel, inside) in enumerate(zip(panels, boxes, strict=True)):
        y = Scale(low, high, inside.bottom - FEET, inside.top + head.height)
        labelled = place % columns == 0 and not all(one.empty for one in panels[place : place + columns])
        axes = Axes(y, ticks, [_label(tick) for tick in ticks] if labelled else [], last)
        draw_panel(canvas, inside, panel, head, axes)
    if steps:
        where, colour = (room.left + room.right) / 2, canvas.theme.muted
        canvas.text(where, box.bottom, "optimiser step", SMALL, align="center", anchor="bottom", colour=colour)


def _ticks(low: float, high: float, count: int) -> list[int]:
    """Whole points, at most so many."""
    for step in (1, 2, 5, 10, 20, 50):
        ticks = [step * place for place in range(math.ceil(low / step), math.floor(high / step) + 1)]
        if len(ticks) <= count:
            return ticks
    return [0]


def _label(points: int) -> str:
    return f"{points:+}" if points else "0"


def _columns(room: Box, count: int) -> int:
    """As many as give the pictures most room both ways."""

    def worth(columns: int) -> float:
        rows = -(-count // columns)
        width = (room.width - GAP * (columns - 1)) / columns
        height = (room.height - GAP * (rows - 1)) / rows - HEAD - FEET
        return min(width, 1.4 * height)

    return max(range(1, count + 1), key=worth)


def _boxes(room: Box, count: int, columns: int) -> list[Box]:
    rows = -(-count // columns)
    lines = room.rows(*[1.0] * rows, gap=GAP)
    return [box for line in lines for box in line.columns(*[1.0] * columns, gap=GAP)][:count]
