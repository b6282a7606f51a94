"""One run's panel in the sweep's chart: its name, what was kept and found, and its changes against the base.

In: a run and its room. Out: lines over steps, or dots with whiskers where nothing was selected, or why there are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlx_distill.report.charts.canvas import LINE, Canvas
from mlx_distill.report.charts.frame import SMALL, Box
from mlx_distill.report.charts.scale import Scale
from mlx_distill.report.charts.sweep_series import Series
from mlx_distill.report.sections.sweep_curves import change_on, chosen_of, curve, full_strength
from mlx_distill.report.sections.sweep_words import kept
from mlx_distill.report.style import WORDS
from mlx_distill.run.records import Estimate
from mlx_distill.run.results.selection import Selection
from mlx_distill.run.results.sweep import SweepResults, SweepRun
from mlx_distill.stats.proportions import MARGIN

NAMES, NOTE = (22.0, 20.0, 18.0), 18.0
"""Font sizes: a name has the largest in which all names fit."""
LEAST = 200 * MARGIN
"""Points to both sides of zero, whatever was found: few items' chance is not drawn as if it were a landslide."""


@dataclass(frozen=True)
class Panel:
    """`curves`: (series, points by step). `stars`: (colour, step, points) of what is kept. `dots`: (series, difference
    in points) of the reported items. `found`: significant cells, losses first."""

    run: SweepRun
    curves: Sequence[tuple[Series, list[tuple[float, float]]]]
    stars: Sequence[tuple[str, float, float]]
    dots: Sequence[tuple[Series, Estimate]]
    found: Sequence[tuple[str, int]]

    @classmethod
    def of(cls, run: SweepRun, tested: SweepResults, lines: Sequence[Series]) -> Panel:
        shown, selection = full_strength(run.selection), run.selection
        curves = [(one, points) for one in lines if len(points := curve(shown, one.name)) > 1]
        stars = _stars(selection, lines) if selection and curves else []
        verdicts = [row.verdict for row in tested.findings if row.run == run.name]
        words = [(word, verdicts.count(word)) for word in ("worse", "better") if word in verdicts]
        return cls(run, curves, stars, [] if curves else _dots(run, lines), words)

    @property
    def empty(self) -> bool:
        return not self.curves and not self.dots

    @property
    def last(self) -> float:
        return max((points[-1][0] for _, points in self.curves), default=1.0)


def _stars(selection: Selection, lines: Sequence[Series]) -> list[tuple[str, float, float]]:
    """Where the kept candidate lies: beside its line where the adapter is weaker; in the origin for the base, which
    has no colour."""
    chosen = chosen_of(selection)
    if chosen is None:
        return [("", 0.0, 0.0)]
    changes = [(one.colour, float(chosen.step), change_on(chosen, one.name)) for one in lines]
    return [(colour, step, change) for colour, step, change in changes if change is not None]


def _dots(run: SweepRun, lines: Sequence[Series]) -> list[tuple[Series, Estimate]]:
    known = {row.name: row.difference.times(100) for row in run.benchmarks if row.difference}
    return [(one, known[one.name]) for one in lines if one.name in known]


def extent(panels: Sequence[Panel]) -> tuple[float, float]:
    """Points that every panel's values lie within, with room around them, and LEAST to both sides of zero."""
    values = [LEAST, -LEAST, *(change for panel in panels for _, points in panel.curves for _, change in points)]
    values += [change for panel in panels for _, _, change in panel.stars]
    values += [end for panel in panels for _, dot in panel.dots for end in dot.ends]
    low, high = min(values), max(values)
    room = 0.06 * (high - low)
    return low - room, high + room


# ---------------------------------------------------------------- drawing


@dataclass(frozen=True)
class Head:
    """What stands above every picture, so that all begin at the same height: a name of so many lines, then rooms for
    what is kept and for what was found."""

    size: float
    lines: int
    kept: bool
    found: bool

    @classmethod
    def of(cls, canvas: Canvas, panels: Sequence[Panel], width: float) -> Head:
        names = [panel.run.name for panel in panels]
        fitting = [size for size in NAMES if all(canvas.measure(name, size, True) <= width for name in names)]
        kept_, tested = (any(part) for part in zip(*((panel.curves, panel.found) for panel in panels), strict=True))
        return cls(fitting[0] if fitting else NAMES[-1], 1 if fitting else 2, kept_, tested)

    @property
    def height(self) -> float:
        return LINE * (self.size * self.lines + NOTE * (self.kept + self.found)) + 12


@dataclass(frozen=True)
class Axes:
    """What all panels share. `labels`: of the ticks, where the panel stands first in its row. `last`: the last step."""

    y: Scale
    ticks: Sequence[float]
    labels: Sequence[str]
    last: float


def draw_panel(canvas: Canvas, box: Box, panel: Panel, head: Head, axes: Axes) -> None:
    _head(canvas, box, panel, head)
    for tick, label in zip(axes.ticks, axes.labels, strict=False):
        canvas.text(
            box.left - 14, axes.y(tick), label, SMALL, align="right", anchor="middle", colour=canvas.theme.muted
        )
    inside = Box(box.left, axes.y.left, box.right, axes.y.right)
    if panel.empty:
        _nothing(canvas, inside, panel.run)
        return
    for tick in axes.ticks:
        canvas.line([box.left, box.right], [axes.y(tick)] * 2, canvas.theme.faint, 1.4)
    canvas.line([box.left, box.right], [axes.y(0)] * 2, canvas.theme.text, 2.2, order=1.5)
    if panel.curves:
        _curves(canvas, inside, panel, axes)
    else:
        _whiskers(canvas, inside, panel, axes)


def _head(canvas: Canvas, box: Box, panel: Panel, head: Head) -> None:
    """Name, what is kept, what was found."""
    name = panel.run.name
    canvas.text(box.left, box.top, name, head.size, width=box.width, lines=head.lines, bold=True)
    y = box.top + head.size * head.lines * LINE
    if panel.curves:
        words = f"kept: {kept(panel.run)}"
        canvas.text(box.left, y, words, NOTE, width=box.width, colour=canvas.theme.muted)
    y += NOTE * LINE if head.kept else 0
    x = box.left
    for word, count in panel.found:
        words = f"{WORDS[word]} {count} {word}"
        canvas.text(x, y, words, NOTE, colour=canvas.theme.verdict(word), bold=True)
        x += canvas.measure(words, NOTE, True) + 16


def _nothing(canvas: Canvas, box: Box, run: SweepRun) -> None:
    """Why there is no picture."""
    for y in (box.top, box.bottom):
        canvas.line([box.left, box.right], [y, y], canvas.theme.faint, 1.4)
    failed = run.state == "failed"
    colour = canvas.theme.worse if failed else canvas.theme.muted
    word = "✗ failed" if failed else "nothing measured" if run.state == "done" else run.state
    y = box.top + 14
    y += canvas.text(box.left, y, word, NAMES[0], width=box.width, colour=colour, bold=True) + 4
    lines = int((box.bottom - y) / (NOTE * LINE))
    if lines > 0 and run.why:
        canvas.text(box.left, y, run.why, NOTE, width=box.width, lines=lines)


def _curves(canvas: Canvas, box: Box, panel: Panel, axes: Axes) -> None:
    x = Scale(0, max(axes.last, 1), box.left + 16, box.right - 16)
    _steps(canvas, x, box.bottom)
    for one, points in panel.curves:
        places = [(x(step), axes.y(change)) for step, change in points]
        canvas.line([place for place, _ in places], [place for _, place in places], one.colour, 3.2, order=2)
        for place in places[1:]:
            canvas.dot(*place, one.colour, one.shape, 11)
    if panel.stars and panel.stars[0][0]:
        canvas.line([x(panel.stars[0][1])] * 2, [box.top, box.bottom], canvas.theme.muted, 1.6, order=1.6)
    for colour, step, change in panel.stars:
        canvas.dot(x(step), axes.y(change), colour or canvas.theme.text, "*", 28)


def _steps(canvas: Canvas, x: Scale, bottom: float) -> None:
    count = max(1, int((x.right - x.left) / (canvas.measure(f"{x.high:,.0f}", SMALL) + 30)))
    for tick in x.ticks(min(count, 4), whole=True):
        align = "left" if tick == 0 else "center"
        at = x(tick) - 8 if tick == 0 else x(tick)
        canvas.text(at, bottom + 6, f"{tick:,.0f}", SMALL, align=align, colour=canvas.theme.muted)


def _whiskers(canvas: Canvas, box: Box, panel: Panel, axes: Axes) -> None:
    """The reported items, beside each other."""
    apart = box.width / len(panel.dots)
    for place, (one, proven) in enumerate(panel.dots):
        x = box.left + (place + 0.5) * apart
        if proven.interval:
            low, high = map(axes.y, proven.interval)
            for xs, ys in (([x, x], [low, high]), ([x - 8, x + 8], [low, low]), ([x - 8, x + 8], [high, high])):
                canvas.line(xs, ys, canvas.theme.text, 2.4, order=3)
        canvas.dot(x, axes.y(proven.mean), one.colour, one.shape, 15)
    middle = (box.left + box.right) / 2
    canvas.text(middle, box.bottom + 6, "reported items", NOTE, align="center", colour=canvas.theme.muted)
