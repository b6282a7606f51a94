"""What every chart has around it: title, sentence, legend, run at the foot; and the axes, rows and words within.

In: a canvas and words. Out: the room that is left.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mlx_distill.report.charts.canvas import Canvas
from mlx_distill.report.charts.scale import Scale
from mlx_distill.report.look import Look
from mlx_distill.report.style import HATCHES, WORDS
from mlx_distill.run.records import ROLES, Role
from mlx_distill.run.results import Results
from mlx_distill.run.results.hardware import Hardware

TITLE, SENTENCE, BODY, SMALL, FOOT = 44.0, 26.0, 24.0, 20.0, 18.0
"""Font sizes in a full-HD page's pixels."""


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    def columns(self, *shares: float, gap: float = 60.0) -> list[Box]:
        """Beside each other, in proportion."""
        room, boxes, left = self.width - gap * (len(shares) - 1), list[Box](), self.left
        for share in shares:
            right = left + room * share / sum(shares)
            boxes.append(Box(left, self.top, right, self.bottom))
            left = right + gap
        return boxes

    def rows(self, *shares: float, gap: float = 60.0) -> list[Box]:
        """Below each other, in proportion."""
        room, boxes, top = self.height - gap * (len(shares) - 1), list[Box](), self.top
        for share in shares:
            bottom = top + room * share / sum(shares)
            boxes.append(Box(self.left, top, self.right, bottom))
            top = bottom + gap
        return boxes


@dataclass(frozen=True)
class Key:
    """A legend's entry: a patch in the role's colour and hatch, or a marker."""

    label: str
    colour: str
    hatch: str = ""
    marker: str = ""


def page(
    look: Look,
    progress: float,
    foot: str,
    title: str,
    sentences: Sequence[str],
    keys: Iterable[Key] | None = None,
    lines: int = 2,
    roles: Sequence[Role] = ROLES,
) -> tuple[Canvas, Box]:
    """A canvas with everything but the chart, and the chart's room. `lines`: at most, of each sentence. `roles`: in the
    legend, where no `keys` are given."""
    canvas = Canvas(look, progress)
    margin = 72.0 if not canvas.narrow else 52.0
    left, right = margin, canvas.width - margin
    canvas.text(left, 34, title, TITLE, bold=True)
    shown = list(role_keys(canvas, roles) if keys is None else keys)
    beside = right - _legend_width(canvas, shown) > left + canvas.measure(title, TITLE, True) + 60
    if beside:
        legend(canvas, right, 34 + TITLE * 0.67, shown)
    y = 34 + TITLE * 1.34 + 8
    for index, sentence in enumerate(sentences):
        colour = canvas.theme.muted if index else canvas.theme.text
        size = SENTENCE if not index else 22
        y += canvas.text(left, y, sentence, size, width=right - left, lines=lines, colour=colour, late=True)
    if not beside:
        y = legend_rows(canvas, left, y + 12, right, shown)
    return canvas, Box(left, y + 26, right, _foot(canvas, foot, left, right) - 24)


def foot_of(results: Results) -> str:
    """What every chart of a run says at its foot: where its numbers come from."""
    student = f"{results.training.student} · " if results.training else ""
    return foot_words(results.run.name, results.run.created, results.run.hardware, results.run.seed, student)


def foot_words(name: str, created: str, hardware: Hardware | None, seed: int | None, student: str = "") -> str:
    machine = f"{hardware.chip}, {hardware.cores} cores, " if hardware else ""
    memory = f"{hardware.memory_bytes / 2**30:.0f} GiB, " if hardware and hardware.memory_bytes else ""
    backend = f"{hardware.backend} · " if hardware else ""
    return f"run {name} · {created[:10]} · {student}{machine}{memory}{backend}seed {seed}"


def _foot(canvas: Canvas, words: str, left: float, right: float) -> float:
    bottom = canvas.height - 24
    height = canvas.text(
        left, bottom, words, FOOT, width=right - left, lines=2, anchor="bottom", colour=canvas.theme.muted
    )
    return bottom - height


# ---------------------------------------------------------------- legend


def role_keys(canvas: Canvas, roles: Sequence[Role]) -> list[Key]:
    return [Key(role, canvas.theme.roles[role], HATCHES[role]) for role in roles]


def _key_width(canvas: Canvas, key: Key) -> float:
    return 50 + canvas.measure(key.label, BODY)


def _legend_width(canvas: Canvas, keys: Sequence[Key]) -> float:
    return sum(_key_width(canvas, key) for key in keys) + 36 * (len(keys) - 1)


def legend(canvas: Canvas, right: float, y: float, keys: Sequence[Key]) -> None:
    """In one row that ends at `right`."""
    x = right - _legend_width(canvas, keys)
    for key in keys:
        _key(canvas, x, y, key)
        x += _key_width(canvas, key) + 36


def legend_rows(canvas: Canvas, left: float, y: float, right: float, keys: Sequence[Key]) -> float:
    """In as many rows as it takes. Returns where they end."""
    x, height = left, BODY * 1.5
    for key in keys:
        if x > left and x + _key_width(canvas, key) > right:
            x, y = left, y + height
        _key(canvas, x, y + height / 2, key)
        x += _key_width(canvas, key) + 36
    return y + height if keys else y


def _key(canvas: Canvas, x: float, y: float, key: Key) -> None:
    if key.marker:
        canvas.line([x, x + 38], [y, y], key.colour, 3.5)
        canvas.dot(x + 19, y, key.colour, key.marker, 26 if key.marker == "*" else 16)
    else:
        canvas.bar(x, y - 9, x + 38, y + 9, key.colour, key.hatch)
    canvas.text(x + 50, y, key.label, BODY, anchor="middle")


# ---------------------------------------------------------------- within a chart


def heading(canvas: Canvas, box: Box, words: str, note: str = "", lines: int = 2) -> Box:
    """A panel's title and note. Returns the room below."""
    y = box.top + canvas.text(box.left, box.top, words, 27, width=box.width, lines=2, bold=True)
    if note:
        y += canvas.text(box.left, y + 2, note, SMALL, width=box.width, lines=lines, colour=canvas.theme.muted) + 2
    return Box(box.left, y + 12, box.right, box.bottom)


def axis(
    canvas: Canvas,
    scale: Scale,
    top: float,
    bottom: float,
    label: Callable[[float], str],
    ticks: Sequence[float] | None = None,
) -> None:
    """Grid lines across the picture with their values beneath; as many as have room."""
    for count in range(7, 0, -1):
        shown = list(ticks if ticks is not None else scale.ticks(count))
        widest = max((canvas.measure(label(value), SMALL) for value in shown), default=0)
        places = [scale(value) for value in shown]
        if all(b - a > widest + 14 for a, b in itertools.pairwise(places)) or ticks is not None:
            break
    else:
        shown, places = [], []
    for value, x in zip(shown, places, strict=True):
        canvas.line([x, x], [top, bottom], canvas.theme.faint, 1.4)
        canvas.text(x, bottom + 6, label(value), SMALL, align="center", colour=canvas.theme.muted)


def verdict(canvas: Canvas, x: float, y: float, word: str, width: float, size: float = BODY) -> float:
    """Gains and losses in the same size and weight."""
    sign = WORDS.get(word, "●")
    colour = canvas.theme.verdict(word)
    return canvas.text(x, y, f"{sign} {word}", size, width=width, colour=colour, bold=True, late=True, lines=2)
