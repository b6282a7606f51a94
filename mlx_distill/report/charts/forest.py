"""Estimates under each other on one scale, each a mark with its interval, against what would be nothing special."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlx_distill.report.charts.canvas import LINE, Canvas
from mlx_distill.report.charts.frame import SMALL, Box, axis, heading
from mlx_distill.report.charts.scale import Scale
from mlx_distill.run.records import Estimate

TALLEST = 124.0


@dataclass(frozen=True)
class Line:
    """`words`: the number as text. `estimate` None: nothing is drawn but the words."""

    label: str
    words: str
    estimate: Estimate | None
    colour: str
    marker: str = "o"


@dataclass(frozen=True)
class Forest:
    title: str
    note: str
    lines: Sequence[Line]
    low: float
    high: float
    label: Callable[[float], str]
    ticks: Sequence[float]
    reference: float | None = None
    log: bool = False


def draw_forest(canvas: Canvas, box: Box, forest: Forest) -> None:
    inside = heading(canvas, box, forest.title, forest.note)
    scale = Scale(forest.low, forest.high, inside.left + 27, inside.right - 27, forest.log)
    height = min((inside.height - 34) / max(len(forest.lines), 1), TALLEST)
    size = min(SMALL, height * 0.4)
    bottom = inside.top + height * len(forest.lines)
    for index, line in enumerate(forest.lines):
        top = inside.top + index * height
        words = canvas.measure(line.words, size)
        canvas.text(inside.left, top, line.label, size, width=inside.width - words - 24)
        canvas.text(inside.right, top, line.words, size, align="right", late=True)
        _mark(canvas, scale, line, Box(inside.left, top + size * LINE, inside.right, top + height), forest.reference)
    axis(canvas, scale, bottom, bottom + 4, forest.label, forest.ticks)


def _mark(canvas: Canvas, scale: Scale, line: Line, box: Box, reference: float | None) -> None:
    """On a track, so that a mark's place is seen against the whole scale."""
    y = box.top + min((box.bottom - box.top) * 0.42, 34)
    tall = min(13.0, (box.bottom - box.top) * 0.42)
    canvas.line([scale.left, scale.right], [y, y], canvas.theme.faint, min(6.0, tall))
    if reference is not None:
        canvas.line([scale(reference)] * 2, [y - tall, y + tall], canvas.theme.text, 2.4, order=2)
    if line.estimate is not None:
        canvas.whisker(scale, y, line.estimate, tall * 0.7)
        start = scale(scale.low if reference is None else reference)
        canvas.dot(
            start + (scale(line.estimate.mean) - start) * canvas.grown(), y, line.colour, line.marker, tall * 1.45
        )
