"""What was lost and what was gained, as two bars that part from one line: as large, and in the same place."""

from __future__ import annotations

from dataclasses import dataclass

from mlx_distill.report.charts.canvas import Canvas
from mlx_distill.report.charts.frame import BODY, SMALL, Box
from mlx_distill.report.charts.rows import under_words
from mlx_distill.report.charts.scale import Scale


@dataclass(frozen=True)
class Diverging:
    """Lengths of both bars, the words at their ends, and the longest that a bar may be. `titled`: it is said above
    which is which."""

    lost: float
    gained: float
    lost_words: str
    gained_words: str
    reach: float
    titled: bool = True


def draw_diverging(canvas: Canvas, box: Box, diverging: Diverging, place: float) -> None:
    scale = Scale(-diverging.reach, diverging.reach, box.left + 60, box.right - 120)
    y, thick = under_words(box) if diverging.titled else ((box.top + box.bottom) / 2, min(52.0, box.height * 0.7))
    half, edge = (scale.right - scale.left) * 0.46, box.top - 4
    for length, words, sign, colour, word in (
        (diverging.lost, diverging.lost_words, -1, canvas.theme.worse, "▼ lost"),
        (diverging.gained, diverging.gained_words, 1, canvas.theme.better, "▲ gained"),
    ):
        end = scale(0) + (scale(sign * length) - scale(0)) * canvas.grown(place)
        canvas.bar(scale(0), y - thick / 2, end, y + thick / 2, colour)
        align = "right" if sign < 0 else "left"
        canvas.text(scale(sign * length) + 14 * sign, y, words, BODY, align=align, anchor="middle", late=True)
        if diverging.titled:
            canvas.text(scale(0) + 14 * sign, edge, word, SMALL, width=half, align=align, colour=colour)
    canvas.line([scale(0)] * 2, [box.top, box.bottom], canvas.theme.text, 2.4, order=3)
