"""Rows under each other, each a name, a picture and what it says in words: verdict, difference, n and p.

In: rows that know how to draw their picture. Out: a page full of them; on a narrow one the words stand above.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlx_distill.report.charts.canvas import LINE, Canvas
from mlx_distill.report.charts.frame import BODY, SMALL, Box, axis, verdict
from mlx_distill.report.charts.scale import Scale

AXIS = 34.0
"""Height of an axis' values."""
TALL, TALL_NARROW = 130.0, 230.0


@dataclass(frozen=True)
class Row:
    """`draw` gets the picture's room, its place in the animation, and whether it ends with the axis' values.

    verdict   "" where nothing was tested
    more      what else is said beneath n and p
    warning   what makes the row doubtful, beneath the note
    """

    name: str
    note: str
    verdict: str
    numbers: str
    tried: str
    draw: Callable[[Canvas, Box, float, bool], None]
    more: str = ""
    warning: str = ""


def draw_rows(canvas: Canvas, box: Box, rows: Sequence[Row], ends: Sequence[bool], tallest: float = TALL) -> None:
    """`ends`: which rows have the axis' values beneath, for themselves and those above."""
    tails = [AXIS if end else 0.0 for end in ends]
    most = (box.height - sum(tails) - 14 * sum(ends)) / len(rows)
    height, top = min(most, TALL_NARROW if canvas.narrow else tallest), box.top
    for index, (row, tail) in enumerate(zip(rows, tails, strict=True)):
        room = Box(box.left, top, box.right, top + height)
        _row(canvas, room, row, index / len(rows), bool(tail), _sizes(canvas, rows, height))
        top += height + tail + (14 if tail else 0)


def _sizes(canvas: Canvas, rows: Sequence[Row], height: float) -> tuple[float, float, int]:
    """Of what stands left and right of a picture, 1 where there is room, and its lines beneath a verdict: the same in
    all rows, so that none is told louder than another."""
    warned, lines = any(row.warning for row in rows), 2 + any(row.more for row in rows)
    if canvas.narrow:
        size = min(1.0, height * 0.5 / _height(lines))
        return size, size, lines
    words = LINE * (BODY * any(row.verdict for row in rows) + SMALL * lines)
    named = height / (_height(2) + 5) if warned else 1.0
    return min(1.0, named), min(1.0, (height - 2) / words), lines


def lanes(box: Box, count: int) -> list[tuple[float, float]]:
    """Middle and thickness of so many bars under each other, with a gap to the rows above and below."""
    gap = min(18.0, box.height * 0.09)
    thick = (box.height - 2 * gap) / count
    return [(box.top + gap + thick * (index + 0.5), thick) for index in range(count)]


def under_words(box: Box) -> tuple[float, float]:
    """Where a bar lies that has words above it, and how thick it is."""
    room = box.height - 28
    return box.top + 28 + room / 2, min(52.0, room * 0.86)


def grid(
    canvas: Canvas, scale: Scale, box: Box, label: Callable[[float], str], ticks: Sequence[float] | None, last: bool
) -> None:
    """Grid lines through the gap between rows; values under the last of them."""
    bottom = box.bottom + (7 if last else 14)
    axis(canvas, scale, box.top, bottom, label if last else lambda _: "", ticks)


def _row(canvas: Canvas, box: Box, row: Row, place: float, last: bool, sizes: tuple[float, float, int]) -> None:
    if canvas.narrow:
        picture = _above(canvas, box, row, sizes[0], sizes[2])
    else:
        name, shown, words = box.columns(0.21, 0.47, 0.28, gap=40)
        _named(canvas, name, row, sizes[0])
        _said(canvas, words, row, sizes[1])
        picture = Box(shown.left, box.top + 7, shown.right, box.bottom - 7)
    row.draw(canvas, picture, place, last)


def _named(canvas: Canvas, box: Box, row: Row, size: float) -> None:
    """The name, its note and warning beside the picture's middle."""
    lines = [(row.note, canvas.theme.muted)] if row.note else []
    most = 2 if box.height > LINE * (BODY + SMALL * 3) + 5 else 1
    lines += [(words, canvas.theme.worse) for words in canvas.wrapped(row.warning, SMALL, box.width, most) if words]
    y = box.top + (box.height - size * (BODY + LINE * SMALL * len(lines))) / 2
    y += canvas.text(box.left, y, row.name, BODY * size, width=box.width, bold=True) + 5 * size
    for words, colour in lines:
        y += canvas.text(box.left, y, words, SMALL * size, width=box.width, colour=colour, late=True)


def _said(canvas: Canvas, box: Box, row: Row, size: float) -> None:
    """Verdict, difference, n and p."""
    muted = canvas.theme.muted
    lines = [(row.numbers, canvas.theme.text), (row.tried, muted), *([(row.more, muted)] if row.more else [])]
    whole = LINE * (BODY * bool(row.verdict) + SMALL * len(lines)) * size
    y = box.top + (box.height - whole) / 2
    if row.verdict:
        y += verdict(canvas, box.left, y, row.verdict, box.width, BODY * size)
    for words, colour in lines:
        y += canvas.text(box.left, y, words, SMALL * size, width=box.width, late=True, colour=colour)


def _above(canvas: Canvas, box: Box, row: Row, size: float, lines: int) -> Box:
    """Name and verdict over the picture; so many `lines` in the fullest row. Returns the picture's room."""
    middle, half, muted = box.left + box.width * 0.5, box.width * 0.48, canvas.theme.muted
    y = box.top + canvas.text(box.left, box.top, row.name, BODY * size, width=half, bold=True)
    for words, colour in ((row.note, muted), (row.warning, canvas.theme.worse)):
        if words:
            y += canvas.text(box.left, y, words, SMALL * size, width=half, colour=colour, late=True)
    y = box.top
    if row.verdict:
        y += verdict(canvas, middle, y, row.verdict, box.width * 0.5, BODY * size)
    for words, colour in ((row.numbers, canvas.theme.text), (row.tried, muted), (row.more, muted)):
        if words:
            y += canvas.text(middle, y, words, SMALL * size, width=box.width * 0.5, late=True, colour=colour)
    return Box(box.left, box.top + _height(lines) * size + 8, box.right, box.bottom - 10)


def _height(lines: int) -> float:
    """Of a verdict, or a name, and so many lines beneath."""
    return LINE * (BODY + SMALL * lines)
