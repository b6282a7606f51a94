"""How the candidates of a selection are drawn: a shape for each strength, open where it loses, a star for what is kept.

In: results.selection. Out: marks, whiskers and the legend that two charts share.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.colors import to_hex, to_rgb

from mlx_distill.report.charts.canvas import OPEN, Canvas
from mlx_distill.report.charts.frame import Key
from mlx_distill.report.charts.scale import Scale
from mlx_distill.report.style import Theme
from mlx_distill.run.records import Estimate
from mlx_distill.run.results.selection import Candidate, Selection
from mlx_distill.run.wording import capital, reason

Place = tuple[int, float]
"""Step and strength."""

SHAPES = ("o", "D", "^", "v", "p", "h")
"""From full strength down; one more strength begins anew."""
OUTLINES = {filled: hollow for hollow, filled in OPEN.items()}
DOT, STAR, BASE = 15.0, 34.0, 19.0


def sentences(selection: Selection, note: str) -> list[str]:
    """Why it was kept, as a sentence, and what is drawn."""
    return [capital(reason(selection)), f"{note} · none of these items is reported"]


def keys(selection: Selection, theme: Theme, loses: str) -> list[Key]:
    listed = [Key("base", theme.roles["base"], marker="s")]
    listed += [
        Key(f"strength {strength:g}", theme.roles["distilled"], marker=shape(selection, strength))
        for strength in sorted(selection.strengths, reverse=True)
    ]
    if any(row.loses for row in selection.candidates):
        listed.append(Key(loses, theme.worse, marker="○"))
    listed.append(Key("kept", theme.roles["teacher"], marker="*"))
    return [*listed, *([Key("not confirmed", theme.roles["teacher"], marker="☆")] if refused(selection) else [])]


def shape(selection: Selection, strength: float) -> str:
    ranked = sorted(selection.strengths, reverse=True)
    return SHAPES[ranked.index(strength) % len(SHAPES)]


def place(candidate: Candidate | None) -> Place | None:
    return (candidate.step, candidate.strength) if candidate else None


def refused(selection: Selection) -> Place | None:
    """Of the candidate that was put to confirmation and failed."""
    return place(selection.first) if selection.first != selection.chosen else None


def starred(selection: Selection) -> list[tuple[Place | None, str]]:
    """What gets a star, and which; None is the base."""
    failed = refused(selection)
    return [*([(failed, "☆")] if failed else []), (place(selection.chosen), "*")]


def mark(canvas: Canvas, x: float, y: float, marker: str, loses: bool) -> None:
    """Of a candidate; one that loses is open and in the colour of losses."""
    theme = canvas.theme
    canvas.dot(x, y, theme.worse if loses else theme.roles["distilled"], OUTLINES[marker] if loses else marker, DOT)


def star(canvas: Canvas, x: float, y: float, marker: str) -> None:
    if canvas.late:
        canvas.dot(x, y, canvas.theme.roles["teacher"], marker, STAR)


def upright(canvas: Canvas, x: float, y: Scale, estimate: Estimate | None, colour: str, thick: float = 2.4) -> None:
    """An interval along the vertical axis, where there is one."""
    if estimate and estimate.interval:
        low, high = map(y, estimate.interval)
        _whisker(canvas, [([x, x], [low, high]), *(([x - 8, x + 8], [end, end]) for end in (low, high))], colour, thick)


def level(canvas: Canvas, x: Scale, y: float, estimate: Estimate | None, colour: str, thick: float = 2.4) -> None:
    if estimate and estimate.interval:
        low, high = map(x, estimate.interval)
        _whisker(canvas, [([low, high], [y, y]), *(([end, end], [y - 8, y + 8]) for end in (low, high))], colour, thick)


def _whisker(canvas: Canvas, strokes: Sequence[tuple[list[float], list[float]]], colour: str, thick: float) -> None:
    for xs, ys in strokes:
        canvas.line(xs, ys, colour, thick, order=3, opacity=canvas.late)


def blend(one: str, other: str, part: float) -> str:
    """`part` of the other colour in the one."""
    red, green, blue = (a + (b - a) * part for a, b in zip(to_rgb(one), to_rgb(other), strict=True))
    return str(to_hex((red, green, blue)))
