"""What every candidate gains on what was taught against what it does elsewhere, a path for each checkpoint.

A path leads from the base through the strengths, as turning a dial would. Both axes reach as far down as up, so that a
loss has the room that a gain has.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from mlx_distill.report.charts.candidates import (
    BASE,
    DOT,
    STAR,
    Place,
    blend,
    keys,
    level,
    mark,
    sentences,
    shape,
    star,
    starred,
    upright,
)
from mlx_distill.report.charts.canvas import LINE, Canvas
from mlx_distill.report.charts.frame import SMALL, Box, foot_of, page
from mlx_distill.report.charts.scale import Scale
from mlx_distill.report.look import Look
from mlx_distill.report.style import PALETTES, WORDS
from mlx_distill.run.results import Results
from mlx_distill.run.results.selection import CandidateRow, Selection
from mlx_distill.run.wording import kept

OWN = "own domain"
NOTE = "A path for each checkpoint, from the base through the strengths of its adapter"
LEAST = 0.05
"""To both sides of no difference, whatever was found."""
QUADRANTS = {
    "better here, worse elsewhere": (0, 0, ""),
    "better here, nothing lost elsewhere": (1, 0, "better"),
    "worse in both": (0, 1, "worse"),
    "worse here, nothing lost elsewhere": (1, 1, ""),
}
"""Right or left, bottom or top, and the verdict in whose colour it stands."""
TALLEST = 1.4
"""Height over width."""
STRIP = 36.0
"""Of the plot's height, above and below all points: the quadrants' names."""
DISTANCES = (14.0, 26.0, 42.0, 62.0, 86.0, 114.0)
"""At which a label is tried around what it names."""
FAR = 40.0
"""From here on a line leads to the label."""


def gain_against_forgetting(results: Results, look: Look, progress: float = 1.0) -> Canvas | None:
    selection = results.selection
    if not selection or not _both(selection.candidates):
        return None
    theme = PALETTES[look.theme]
    words = sentences(selection, NOTE)
    legend = keys(selection, theme, "loses somewhere")
    canvas, box = page(look, progress, foot_of(results), kept(selection), words, legend, lines=4)
    low = min(box.bottom, box.top + TALLEST * box.width)
    x, y = _scales(canvas, Box(box.left, box.top, box.right, low), selection)
    spots = {(row.step, row.strength): _spot(x, y, row) for row in selection.candidates}
    _paths(canvas, x, y, selection, spots)
    _stars(canvas, x, y, selection, spots)
    _named(canvas, x, y, selection, spots)
    return canvas


def _both(rows: Sequence[CandidateRow]) -> bool:
    """Whether every candidate has a place on both axes."""
    return bool(rows) and all(row.gain and row.elsewhere for row in rows)


def _titles(selection: Selection, own: bool) -> str:
    return ", ".join(asked.title for asked in selection.benchmarks if (asked.domain == OWN) == own)


def _spot(x: Scale, y: Scale, row: CandidateRow) -> tuple[float, float]:
    """In the middle of an axis that nothing was measured on."""
    return x(row.elsewhere.mean if row.elsewhere else 0), y(row.gain.mean if row.gain else 0)


# ---------------------------------------------------------------- axes


def _scales(canvas: Canvas, box: Box, selection: Selection) -> tuple[Scale, Scale]:
    """Scales within a frame with its grid, its values and the names of the quadrants."""
    labels, line = canvas.measure("+100", SMALL) + 14, LINE * SMALL
    frame = Box(box.left + labels, box.top + line + 8, box.right, box.bottom - 2 * line - 14)
    across, up = (_reach(selection, name) for name in ("elsewhere", "gain"))
    x = Scale(-across, across, frame.left + 30, frame.right - 30)
    y = Scale(-up, up, frame.bottom - STRIP, frame.top + STRIP)
    _grid(canvas, frame, x, y)
    up_, across_ = (
        f"{arrow} change {where}, points: {_titles(selection, own)}"
        for arrow, where, own in (("↑", "here", True), ("→", "elsewhere", False))
    )
    canvas.text(box.left, box.top, up_, SMALL, width=box.width, colour=canvas.theme.muted)
    edge = frame.bottom + line + 12
    canvas.text(frame.right, edge, across_, SMALL, width=frame.width, align="right", colour=canvas.theme.muted)
    _quadrants(canvas, frame, x)
    return x, y


def _reach(selection: Selection, name: str) -> float:
    """As far as the points lie, and the intervals that are drawn."""
    drawn = {score for score, _ in starred(selection)}
    values = [LEAST]
    for row in selection.candidates:
        if score := getattr(row, name):
            values += map(abs, score.ends if (row.step, row.strength) in drawn else (score.mean,))
    return 1.05 * max(values)


def _grid(canvas: Canvas, frame: Box, x: Scale, y: Scale) -> None:
    theme = canvas.theme
    for scale, upright_, room in ((x, True, 110), (y, False, 80)):
        count = max(3, min(9, int(abs(scale.end - scale.start) / room)))
        for tick in Scale(100 * scale.low, 100 * scale.high, 0, 1).ticks(count):
            at, words = scale(tick / 100), f"{tick:+g}" if tick else "0"
            colour, thick = (theme.muted, 2.4) if not tick else (theme.faint, 1.4)
            if upright_:
                canvas.line([at, at], [frame.top, frame.bottom], colour, thick)
                canvas.text(at, frame.bottom + 6, words, SMALL, align="center", colour=theme.muted)
            else:
                canvas.line([frame.left, frame.right], [at, at], colour, thick)
                canvas.text(frame.left - 12, at, words, SMALL, align="right", anchor="middle", colour=theme.muted)


def _quadrants(canvas: Canvas, frame: Box, x: Scale) -> None:
    """In the corners, where no point lies."""
    for words, (right, bottom, word) in QUADRANTS.items():
        at, align = (frame.right - 10, "right") if right else (frame.left + 10, "left")
        edge = frame.bottom - STRIP / 2 if bottom else frame.top + STRIP / 2
        colour = canvas.theme.verdict(word) if word else canvas.theme.muted
        shown = f"{WORDS[word]} {words}" if word else words
        width = abs(at - x(0)) - 14
        canvas.text(at, edge, shown, SMALL, width=width, align=align, anchor="middle", colour=colour, bold=bool(word))


# ---------------------------------------------------------------- candidates

Spots = dict[Place, tuple[float, float]]


def _paths(canvas: Canvas, x: Scale, y: Scale, selection: Selection, spots: Spots) -> None:
    loses = {(row.step, row.strength): bool(row.loses) for row in selection.candidates}
    steps = sorted({step for step, _ in spots})
    for index, step in enumerate(steps):
        along = sorted((found for found in spots if found[0] == step), key=lambda found: found[1])
        points = [(x(0), y(0)), *(spots[found] for found in along)]
        seen, reached = _walked(points, canvas.grown(index / len(steps)))
        late = (index + 1) / len(steps)
        colour = blend(canvas.theme.muted, canvas.theme.roles["distilled"], late)
        canvas.line([at for at, _ in seen], [at for _, at in seen], colour, 3.2, order=2.5, opacity=0.75)
        for found, spot in list(zip(along, points[1:], strict=True))[:reached]:
            mark(canvas, *spot, shape(selection, found[1]), loses[found])
    canvas.dot(x(0), y(0), canvas.theme.roles["base"], "s", BASE)


def _walked(points: Sequence[tuple[float, float]], part: float) -> tuple[list[tuple[float, float]], int]:
    """The beginning of a path, by its length, and how many of its points after the first it has reached."""
    left, seen = part * sum(math.dist(a, b) for a, b in itertools.pairwise(points)), [points[0]]
    for reached, (a, b) in enumerate(itertools.pairwise(points)):
        length = math.dist(a, b)
        if length > left + 1e-6:
            share = left / length
            return [*seen, (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share)], reached
        seen.append(b)
        left -= length
    return seen, len(points) - 1


def _stars(canvas: Canvas, x: Scale, y: Scale, selection: Selection, spots: Spots) -> None:
    """What is kept and what was not confirmed, with both of their intervals."""
    rows = {(row.step, row.strength): row for row in selection.candidates}
    for candidate, marker in starred(selection):
        at, height = spots[candidate] if candidate else (x(0), y(0))
        if candidate:
            level(canvas, x, height, rows[candidate].elsewhere, canvas.theme.text)
            upright(canvas, at, y, rows[candidate].gain, canvas.theme.text)
        star(canvas, at, height, marker)


# ---------------------------------------------------------------- names

Spot = tuple[float, float]


def _named(canvas: Canvas, x: Scale, y: Scale, selection: Selection, spots: Spots) -> None:
    """The base, and each checkpoint at the end of its path, where nothing else lies."""
    base = (x(0), y(0))
    taken = [_around(spot, DOT) for spot in [base, *spots.values()]]
    taken += [_around(spots[candidate] if candidate else base, STAR) for candidate, _ in starred(selection)]
    taken += _whiskers(x, y, selection, spots)
    lines = _lines(x, y, spots)
    full = max(selection.strengths)
    ends = [(f"step {step}", spots[step, full]) for step in sorted({step for step, _ in spots})]
    for words, spot in [("base", base), *ends]:
        _label(canvas, words, spot, base, Box(x.left - 26, y.end, x.right + 26, y.start), taken, lines)


def _whiskers(x: Scale, y: Scale, selection: Selection, spots: Spots) -> list[Box]:
    rows = {(row.step, row.strength): row for row in selection.candidates}
    whiskers = []
    for row, (at, height) in ((rows[name], spots[name]) for name, _ in starred(selection) if name):
        if row.elsewhere and (ends := row.elsewhere.interval):
            whiskers.append(Box(x(ends[0]), height - 8, x(ends[1]), height + 8))
        if row.gain and (ends := row.gain.interval):
            whiskers.append(Box(at - 8, y(ends[1]), at + 8, y(ends[0])))
    return whiskers


def _lines(x: Scale, y: Scale, spots: Spots) -> list[Spot]:
    """Points along the paths and the axes: what words should not lie on where there is another place."""
    base = (x(0), y(0))
    ends = [((x.left, base[1]), (x.right, base[1])), ((base[0], y.start), (base[0], y.end))]
    for step in {step for step, _ in spots}:
        along = [spots[spot] for spot in sorted(spots) if spot[0] == step]
        ends += itertools.pairwise([base, *along])
    return [
        (a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part)
        for a, b in ends
        for part in (index / (math.dist(a, b) // 8 + 1) for index in range(int(math.dist(a, b) // 8) + 2))
    ]


def _around(spot: Spot, size: float) -> Box:
    half = size * 0.6
    return Box(spot[0] - half, spot[1] - half, spot[0] + half, spot[1] + half)


def _label(
    canvas: Canvas, words: str, spot: Spot, base: Spot, room: Box, taken: list[Box], lines: Sequence[Spot]
) -> None:
    """At the nearest place that is free, away from the base; where none is, the report's table still names it."""
    size = (canvas.measure(words, SMALL), SMALL * LINE * 0.9)
    free = [box for box in _tries(spot, base, size) if _free(box, room, taken)]
    if not free:
        return
    box = next((box for box in free if not any(_within(point, box) for point in lines)), free[0])
    taken.append(box)
    middle = ((box.left + box.right) / 2, (box.top + box.bottom) / 2)
    near = (min(max(spot[0], box.left), box.right), min(max(spot[1], box.top), box.bottom))
    if math.dist(near, spot) > FAR:
        canvas.line([spot[0], near[0]], [spot[1], near[1]], canvas.theme.muted, 1.4, order=2.4, opacity=canvas.late)
    canvas.text(*middle, words, SMALL, align="center", anchor="middle", late=True)


def _tries(spot: Spot, base: Spot, size: tuple[float, float]) -> Iterator[Box]:
    """Places around a point, nearest first, beginning with those away from the base."""
    away = math.atan2(spot[1] - base[1], spot[0] - base[0]) if spot != base else math.pi / 4
    for distance, turn in itertools.product(DISTANCES, (0, 1, -1, 2, -2, 3, -3, 4)):
        angle = away + turn * math.pi / 4
        x = spot[0] + math.cos(angle) * (distance + size[0] / 2)
        y = spot[1] + math.sin(angle) * (distance + size[1] / 2)
        yield Box(x - size[0] / 2, y - size[1] / 2, x + size[0] / 2, y + size[1] / 2)


def _free(box: Box, room: Box, taken: Sequence[Box]) -> bool:
    inside = room.left <= box.left and box.right <= room.right and room.top <= box.top and box.bottom <= room.bottom
    return inside and not any(
        min(box.right, other.right) - max(box.left, other.left) > -5
        and min(box.bottom, other.bottom) - max(box.top, other.top) > 0
        for other in taken
    )


def _within(point: Spot, box: Box) -> bool:
    return box.left - 3 <= point[0] <= box.right + 3 and box.top <= point[1] <= box.bottom
