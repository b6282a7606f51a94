"""The live table of a sweep: its runs, how they stand, and the time that is left.

In: standings. Out: what rich draws, anew at every refresh, so that clocks go on while nothing arrives. A row is one
line on any terminal: names and words are cut, the state never is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from mlx_distill.report.terminal_text import table, text
from mlx_distill.run.records import Standing
from mlx_distill.run.wording import duration

STATES = {
    "done": ("✓ done", "green"),
    "failed": ("✗ failed", "bold red"),
    "running": ("▸ running", "bold cyan"),
    "stopped": ("■ stopped", "yellow"),
    "left to another shard": ("· elsewhere", "dim"),
}
"""A sign, a word, and a style; others wait, dimly."""

AROUND = 9
"""Lines of a terminal that are not runs of the table, with a title of two lines."""

LEAST_NAME = 8
NARROW = 45
"""Columns below which the time is left out."""

Row = tuple[Text, ...]


class Board:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._at = clock, clock()
        self._standings: Sequence[Standing] = ()
        self._left: float | None = None

    def show(self, runs: Sequence[Standing], left: float | None) -> None:
        self._standings, self._left, self._at = runs, left, self._clock()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        passed = self._clock() - self._at
        yield standings(self._standings, self._left, passed, (options.max_width, options.height or console.height))


def standings(runs: Sequence[Standing], left: float | None, passed: float, size: tuple[int, int]) -> Table:
    """`passed`: seconds since the runs stood so. `size`: columns and lines of the terminal."""
    width, height = size
    counted = Counter(run.state for run in runs)
    title = ", ".join(f"{count} {state}" for state, count in counted.items())
    if left is not None:
        title += f"  ·  {duration(max(0.0, left - passed))} left"
    shown = _shown(runs, max(3, height - AROUND))
    rows = [_cells(run, passed, width) for run in shown]
    drawn = table(title, ("run", "", *(("time",) if width >= NARROW else ()), ""), left=("run", ""))
    for column, wide in zip(drawn.columns, _widths(rows or [_cells(Standing("", ""), 0.0, width)], width), strict=True):
        column.no_wrap, column.overflow, column.width = True, "ellipsis", wide
    for row in rows:
        drawn.add_row(*row)
    if hidden := len(runs) - len(shown):
        drawn.caption, drawn.caption_justify = text(f"… {hidden:,} more", "dim"), "left"
    return drawn


def _shown(runs: Sequence[Standing], most: int) -> Sequence[Standing]:
    """The runs around the one at work, where not all have room."""
    at_work = next((place for place, run in enumerate(runs) if run.state == "running"), len(runs) - 1)
    start = max(0, min(at_work - most // 2, len(runs) - most))
    return runs[start : start + most]


def _cells(run: Standing, passed: float, width: int) -> Row:
    sign, style = STATES.get(run.state, (f"· {run.state}", "dim"))
    seconds = run.seconds + (passed if run.state == "running" else 0.0)
    time = (text(duration(seconds) if seconds else ""),) if width >= NARROW else ()
    words = _line(run.words) if run.state in ("running", "failed") else ""
    return text(_line(run.name), style), text(sign, style), *time, text(words, "" if run.state == "running" else style)


def _line(words: str) -> str:
    return " ".join(words.split())


def _widths(rows: Sequence[Row], width: int) -> list[int]:
    """Widths of the columns: state and time are never cut; the name gets at most half of the rest, the words what is
    left."""
    name, *fixed, _ = [max(cell_len(cell.plain) for cell in column) for column in zip(*rows, strict=True)]
    fixed = [max(4, size) for size in fixed]
    room = width - sum(fixed) - 2 * (len(fixed) + 2)
    name = max(LEAST_NAME, min(name, room // 2))
    return [name, *fixed, max(1, room - name)]
