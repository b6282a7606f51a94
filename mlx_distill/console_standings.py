"""The live table of a sweep: its runs, how they stand, and the time that is left.

In: standings. Out: what rich draws, anew at every refresh, so that clocks go on while nothing arrives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from mlx_distill.console_text import table, text
from mlx_distill.records import Standing
from mlx_distill.wording import duration

STATES = {
    "done": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "running": ("▸", "bold cyan"),
    "stopped": ("■", "yellow"),
}
"""A sign and a style; others wait, dimly."""

AROUND = 6
"""Lines of a terminal that are not the table's runs."""


class Board:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._at = clock, clock()
        self._found: Sequence[Standing] = ()
        self._left: float | None = None

    def show(self, found: Sequence[Standing], left: float | None) -> None:
        self._found, self._left, self._at = found, left, self._clock()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        passed = self._clock() - self._at
        yield standings(self._found, self._left, passed, options.height or console.height)


def standings(found: Sequence[Standing], left: float | None, passed: float, height: int) -> Table:
    """`passed`: seconds since `found` was so."""
    counted = Counter(one.state for one in found)
    title = ", ".join(f"{count} {state}" for state, count in counted.items())
    if left is not None:
        title += f"  ·  {duration(max(0.0, left - passed))} left"
    made = table(title, ("run", "", "time", ""), left=("run", ""))
    for column in made.columns:
        column.no_wrap, column.overflow = True, "ellipsis"
    for one in _shown(found, max(3, height - AROUND)):
        made.add_row(*_cells(one, passed))
    return made


def _shown(found: Sequence[Standing], most: int) -> Sequence[Standing]:
    """Those around the running one, where not all have room."""
    running = next((place for place, one in enumerate(found) if one.state == "running"), len(found) - 1)
    start = max(0, min(running - most // 2, len(found) - most))
    return found[start : start + most]


def _cells(one: Standing, passed: float) -> tuple[Text, ...]:
    sign, style = STATES.get(one.state, ("·", "dim"))
    seconds = one.seconds + (passed if one.state == "running" else 0.0)
    words = text(one.words if one.state in ("running", "failed") else "", "" if one.state == "running" else style)
    return text(one.name, style), text(f"{sign} {one.state}", style), text(duration(seconds) if seconds else ""), words
