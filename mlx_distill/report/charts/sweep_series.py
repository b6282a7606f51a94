"""What tells the benchmarks of a sweep apart in its chart: a colour and a shape each, the same in every panel.

In: runs. Out: a series a benchmark. Colours have a contrast of 3:1 with the background and stay apart for viewers with
each of the three colour-blindnesses; shapes tell them without colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlx_distill.report.charts.frame import Key
from mlx_distill.report.sections.sweep_words import titles
from mlx_distill.run.results.sweep import SweepRun

SERIES_MOST, LABEL = 12, 30
"""Benchmarks in a picture; characters of a title in its legend."""

COLOURS = {
    "dark": ("#99ffeb", "#ff4719", "#597aff", "#e68ae6", "#d6ff99", "#ff599c"),
    "light": ("#168bd9", "#8c0e0e", "#8c8154", "#6416d9", "#8c3156", "#7a318c"),
}
SHAPES = ("o", "s", "^", "D", "v", "P", "X")
"""One more than colours, so that no pair comes twice among the first 42. The star is the kept candidate's."""


@dataclass(frozen=True)
class Series:
    name: str
    title: str
    colour: str
    shape: str

    def key(self) -> Key:
        label = self.title if len(self.title) <= LABEL else self.title[: LABEL - 1].rstrip() + "…"
        return Key(" ".join(label.split()), self.colour, marker=self.shape)


def series_of(runs: Sequence[SweepRun], theme: str) -> list[Series]:
    """In the order in which the runs first have them."""
    rows = [row for run in runs for part in (run.selection, run) if part for row in part.benchmarks]
    named = list(titles(rows).items())[:SERIES_MOST]
    colours = COLOURS[theme]
    return [
        Series(name, title, colours[place % len(colours)], SHAPES[place % len(SHAPES)])
        for place, (name, title) in enumerate(named)
    ]
