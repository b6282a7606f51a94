"""What every checkpoint passes at every strength, a panel for each benchmark, and which of them is kept.

A panel shows the part of the scale that its points and intervals need, but a point of a hundred is as high in each of
them, so that gains and losses compare across panels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlx_distill.report.charts.candidates import (
    BASE,
    Place,
    blend,
    keys,
    mark,
    sentences,
    shape,
    star,
    starred,
    upright,
)
from mlx_distill.report.charts.canvas import LINE, Canvas
from mlx_distill.report.charts.frame import BODY, SMALL, Box, foot_of, page
from mlx_distill.report.charts.scale import Scale
from mlx_distill.report.look import Look
from mlx_distill.report.style import PALETTES
from mlx_distill.run.records import Estimate
from mlx_distill.run.results import Results
from mlx_distill.run.results.selection import CandidateScore, Selection, SelectionBenchmark
from mlx_distill.run.wording import NOTHING, kept

NOTE = (
    "Share passed over optimiser steps, on the items that choose; 95 % intervals of the base (band) and full strength"
)
LEAST = 0.2
"""The part of the scale that every panel shows at least."""
ASIDE = 9.0
"""From strength to strength at the same step, at most."""
SHAPELY = 1.35
"""Width over height that a panel has best."""


@dataclass(frozen=True)
class Panel:
    """A benchmark; `scores` of each candidate, in training's order."""

    asked: SelectionBenchmark
    scores: dict[Place, CandidateScore]


def checkpoint_scores(results: Results, look: Look, progress: float = 1.0) -> Canvas | None:
    selection = results.selection
    if not selection or not selection.candidates:
        return None
    legend = keys(selection, PALETTES[look.theme], "loses here")
    canvas, box = page(look, progress, foot_of(results), kept(selection), sentences(selection, NOTE), legend, lines=4)
    panels = _panels(selection)
    places = _places(box, len(panels))
    notes = [_said(selection, panel) for panel in panels]
    height = max(_head(canvas, place, words, draw=False) for place, words in zip(places, notes, strict=True))
    ranges = _ranges(selection, panels)
    for panel, place, words, ends in zip(panels, places, notes, ranges, strict=True):
        _head(canvas, place, words)
        _draw(canvas, Box(place.left, place.top + height + 12, place.right, place.bottom), selection, panel, ends)
    return canvas


def _panels(selection: Selection) -> list[Panel]:
    rows = sorted(selection.candidates, key=lambda row: (row.strength, row.step))
    return [
        Panel(asked, {(row.step, row.strength): row.scores[index] for row in rows})
        for index, asked in enumerate(selection.benchmarks)
    ]


def _places(box: Box, count: int) -> list[Box]:
    """In as many columns as make the panels shapely."""

    def off(columns: int) -> float:
        rows = math.ceil(count / columns)
        return abs(math.log(box.width / columns / (box.height / rows) / SHAPELY)) + 0.3 * (columns * rows - count)

    columns = min(range(1, count + 1), key=off)
    lines = box.rows(*[1.0] * math.ceil(count / columns), gap=34)
    return [place for line in lines for place in line.columns(*[1.0] * columns, gap=54)][:count]


# ---------------------------------------------------------------- words


def _said(selection: Selection, panel: Panel) -> tuple[str, str, str]:
    """Title, note, and what became of the candidates here."""
    lost, count = sum(score.loses for score in panel.scores.values()), len(panel.scores)
    outcome = [f"{lost} of {count} lose here" if lost else "none loses here"]
    for place, marker in starred(selection):
        if place:
            passed = f"{_passed(panel.asked.base)} → {_passed(panel.scores[place].score)} %"
            outcome.insert(0, f"{'kept' if marker == '*' else 'not confirmed'}: {passed}")
    if any(row.loses for row in selection.confirmation if row.name == panel.asked.name):
        outcome.append("loses on the items that confirm")
    return panel.asked.title, f"n = {panel.asked.choosing:,} · {panel.asked.domain}", " · ".join(outcome)


def _passed(estimate: Estimate | None) -> str:
    return f"{100 * estimate.mean:.1f}" if estimate else NOTHING


def _head(canvas: Canvas, box: Box, words: tuple[str, str, str], draw: bool = True) -> float:
    """Its height; `draw` False only measures."""
    theme = canvas.theme
    styles = ((BODY, 2, True, theme.text), (SMALL, 1, False, theme.muted), (SMALL, 2, False, theme.text))
    y = box.top
    for text, (size, lines, bold, colour) in zip(words, styles, strict=True):
        if draw:
            late = text == words[-1]
            y += canvas.text(box.left, y, text, size, width=box.width, lines=lines, bold=bold, colour=colour, late=late)
        else:
            y += LINE * size * len(canvas.wrapped(text, size, box.width, lines, bold))
    return y - box.top


# ---------------------------------------------------------------- scales


def _ranges(selection: Selection, panels: Sequence[Panel]) -> list[tuple[float, float]]:
    """Lowest and highest share that each panel shows: as far apart in all of them."""
    extents = [_extent(selection, panel) for panel in panels]
    span = min(1.08, max(LEAST, *(1.1 * (high - low) for low, high in extents)))
    return [_around(low, high, span) for low, high in extents]


def _around(low: float, high: float, span: float) -> tuple[float, float]:
    """Within the shares that there are, and a rim for the marks on their ends."""
    start = min(max((low + high - span) / 2, -0.04), 1.04 - span)
    return start, start + span


def _extent(selection: Selection, panel: Panel) -> tuple[float, float]:
    base, drawn = panel.asked.base, _scored(panel)
    whole = [drawn[place] for place in _with_intervals(selection, panel)] + ([base] if base else [])
    values = [end for score in whole for end in score.ends] + [score.mean for score in drawn.values()]
    return (min(values), max(values)) if values else (0.5, 0.5)


def _scored(panel: Panel) -> Mapping[Place, Estimate]:
    """What each candidate passes; one whose answers could not be scored has no place."""
    return {place: score.score for place, score in panel.scores.items() if score.score}


def _with_intervals(selection: Selection, panel: Panel) -> list[Place]:
    """Full strength, and what has a star."""
    full, stars = max(selection.strengths), [place for place, _ in starred(selection)]
    return [place for place in _scored(panel) if place[1] == full or place in stars]


def _scales(canvas: Canvas, box: Box, steps: Sequence[int], ends: tuple[float, float]) -> tuple[Scale, Scale]:
    y = Scale(*ends, box.bottom - 34, box.top)
    ticks = Scale(100 * ends[0], 100 * ends[1], 0, 1).ticks(max(2, min(5, int((y.start - y.end) / 50))), whole=True)
    ticks = [tick for tick in ticks if 0 <= tick <= 100]
    left = box.left + canvas.measure("100%", SMALL) + 12
    for tick in ticks:
        canvas.line([left, box.right], [y(tick / 100)] * 2, canvas.theme.faint, 1.4, order=2.1)
        words = f"{tick:.0f}%"
        canvas.text(left - 12, y(tick / 100), words, SMALL, align="right", anchor="middle", colour=canvas.theme.muted)
    x = Scale(0, max(steps), left + 16, box.right - 30)
    _steps(canvas, x, steps, box.bottom - 26)
    return x, y


def _steps(canvas: Canvas, x: Scale, steps: Sequence[int], top: float) -> None:
    """The base's and the last checkpoint's, and from there backwards as many as have room."""
    halves = {step: canvas.measure(f"{step:,}", SMALL) / 2 for step in (0, *steps)}
    beyond = math.inf
    for step in (0, *sorted(steps, reverse=True)):
        clear = x(0) + halves[0] + 14 if step else -math.inf
        if x(step) - halves[step] > clear and x(step) + halves[step] + 14 < beyond:
            canvas.text(x(step), top, f"{step:,}", SMALL, align="center", colour=canvas.theme.muted)
            beyond = x(step) - halves[step] if step else beyond


# ---------------------------------------------------------------- a panel


def _draw(canvas: Canvas, box: Box, selection: Selection, panel: Panel, ends: tuple[float, float]) -> None:
    steps, strengths = sorted(selection.steps), sorted(selection.strengths)
    x, y = _scales(canvas, box, steps, ends)
    passed = panel.asked.base
    base = (x(0), y(passed.mean)) if passed else None
    if passed:
        _base(canvas, x, y, passed)
    spots = _spots(x, y, panel, steps, strengths)
    ends_at = max([x.left, *(at for at, _ in spots.values())])
    shown = x.left + (ends_at - x.left) * canvas.grown()
    _intervals(canvas, y, selection, panel, spots)
    for rank, strength in enumerate(strengths, 1):
        along = [*([base] if base else []), *(spot for place, spot in spots.items() if place[1] == strength)]
        _line(canvas, along, 1.6 + 3.4 * rank / len(strengths), shown)
    for place, (at, height) in spots.items():
        if at <= shown:
            mark(canvas, at, height, shape(selection, place[1]), panel.scores[place].loses)
    if base:
        canvas.dot(*base, canvas.theme.roles["base"], "s", BASE)
    for candidate, marker in starred(selection):
        if spot := spots.get(candidate) if candidate else base:
            star(canvas, *spot, marker)


def _spots(
    x: Scale, y: Scale, panel: Panel, steps: Sequence[int], strengths: Sequence[float]
) -> dict[Place, tuple[float, float]]:
    """Where candidates lie: the strengths of a checkpoint beside each other, as many have the same score."""
    closest = min(x(b) - x(a) for a, b in itertools.pairwise([0, *steps]))
    aside = min(ASIDE, closest / (len(strengths) + 1))
    middle = (len(strengths) - 1) / 2
    return {
        (step, strength): (x(step) + aside * (strengths.index(strength) - middle), y(score.mean))
        for (step, strength), score in _scored(panel).items()
    }


def _intervals(
    canvas: Canvas, y: Scale, selection: Selection, panel: Panel, spots: dict[Place, tuple[float, float]]
) -> None:
    text, faded = canvas.theme.text, blend(canvas.theme.roles["distilled"], canvas.theme.text, 0.4)
    stars = [place for place, _ in starred(selection)]
    for place in _with_intervals(selection, panel):
        score = panel.scores[place].score
        upright(canvas, spots[place][0], y, score, text if place in stars else faded, 2.0)


def _base(canvas: Canvas, x: Scale, y: Scale, estimate: Estimate) -> None:
    """Its interval as a band, and a line through the whole panel."""
    theme = canvas.theme
    left, right = x.left - 16, x.right + 30
    if estimate.interval:
        low, high = map(y, estimate.interval)
        canvas.bar(left, high, right, low, blend(theme.background, theme.roles["base"], 0.16))
    canvas.line([left, right], [y(estimate.mean)] * 2, theme.roles["base"], 2.4, order=2.2)


def _line(canvas: Canvas, along: Sequence[tuple[float, float]], thick: float, shown: float) -> None:
    """As far as the animation has come, in the middle of a step too."""
    xs, ys = [at for at, _ in along if at <= shown], [height for at, height in along if at <= shown]
    if xs and len(xs) < len(along):
        (ax, ay), (bx, by) = along[len(xs) - 1], along[len(xs)]
        xs.append(shown)
        ys.append(ay + (by - ay) * (shown - ax) / (bx - ax))
    canvas.line(xs, ys, canvas.theme.roles["distilled"], thick, order=2.5, opacity=0.35 + 0.1 * thick)
