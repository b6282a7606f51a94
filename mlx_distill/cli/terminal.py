"""The terminal: the only module that prints. Live progress on a terminal, plain lines in a file or pipe.

In: the calls of the pipeline's View. Out: lines for a person. Text from models or files is never read as markup.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.prompt import Confirm
from rich.table import Table
from rich.text import Text

from mlx_distill.cli import sweep_board, training_panel
from mlx_distill.report import terminal as report_terminal
from mlx_distill.report import terminal_runs, terminal_sweep
from mlx_distill.report.terminal_text import text as words
from mlx_distill.run.decode import plain
from mlx_distill.run.errors import UsageError
from mlx_distill.run.records import Standing, StepMetrics
from mlx_distill.run.results import Results
from mlx_distill.run.results.sweep import SweepResults
from mlx_distill.run.wording import visible
from mlx_distill.summarise.history import Diff, Entry

PLAIN_SECONDS = 10.0
"""Without a terminal, a line of progress at most this often, and one at the end."""

REFRESHES = 4
"""Times a second that a training is drawn, at most: it takes a fraction of a core that computes."""

PLAIN_WIDTH = 110
"""Columns of a table that is written to a file or pipe."""


class Terminal:
    """The pipeline's View on a console."""

    def __init__(
        self,
        console: Console | None = None,
        errors: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
        aside: bool = False,
    ) -> None:
        """`aside`: standard output is for a program's JSON alone, so everything else goes to standard error."""
        self._clock = clock
        width = None if sys.stdout.isatty() else PLAIN_WIDTH
        self._values = console or Console(highlight=False, emoji=False, width=width)
        self.errors = errors or Console(stderr=True, highlight=False, emoji=False)
        self.console = self.errors if aside else self._values

    def kept(self, stage: str) -> None:
        self.console.print(f"{stage:<9} up to date", style="dim")

    def note(self, text: str) -> None:
        self.console.print(words(f"          {text}"))

    def warn(self, text: str) -> None:
        self.console.print(words(text), style="yellow")

    def error(self, text: str) -> None:
        self.errors.print(words(text), style="bold red", soft_wrap=True)

    def line(self, text: str) -> None:
        self.console.print(words(text), soft_wrap=True)

    def confirm(self, question: str) -> bool:
        """Asks on a terminal. Raises UsageError without one, because nobody can agree."""
        if not sys.stdin.isatty():
            raise UsageError("There is no terminal to ask on: agree to the cost with --yes.")
        return Confirm.ask(words(question), console=self.console, default=False)

    @contextlib.contextmanager
    def tracking(self, stage: str, total: int) -> Iterator[Callable[[int, str], None]]:
        """Yields update(done, text); a total of 0 means unknown. A terminal shows a bar with the time left, a file gets
        lines."""
        if self.console.is_terminal:
            with self._bar(stage, total) as update:
                yield update
        else:
            yield self._lines(stage, total)

    @contextlib.contextmanager
    def _bar(self, stage: str, total: int) -> Iterator[Callable[[int, str], None]]:
        columns = (
            TextColumn(f"{stage:<9}"),
            BarColumn(bar_width=30, complete_style="cyan", finished_style="green"),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[text]}", markup=False),
        )
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(stage, total=total or None, text="")
            yield lambda done, text: progress.update(task, completed=done, text=visible(text))

    def _lines(self, stage: str, total: int) -> Callable[[int, str], None]:
        due = self._pace()
        first: tuple[float, int] | None = None
        shown = -1

        def update(done: int, text: str) -> None:
            nonlocal first, shown
            now = self._clock()
            first = first or (now, done)
            if due(0 < total <= done != shown):
                shown = done
                left = _left(_remaining(first, now, done, total)) if total else ""
                of = f"/{total:,}" if total else ""
                self.line(f"{stage:<9} {done:,}{of}  {text}{left}".rstrip())

        return update

    def _pace(self) -> Callable[[bool], bool]:
        """Whether a line may be written now: every PLAIN_SECONDS, and whenever it must."""
        last = -math.inf

        def due(must: bool) -> bool:
            nonlocal last
            now = self._clock()
            if not must and now - last < PLAIN_SECONDS:
                return False
            last = now
            return True

        return due

    # ---- training

    @contextlib.contextmanager
    def training(self, total: int, earlier: Sequence[StepMetrics] = ()) -> Iterator[Callable[[StepMetrics], None]]:
        """Yields show(metrics), for every step. A terminal shows bar, curve and figures, a file gets lines.

        total    optimiser steps, of which early stopping may leave some out
        earlier  the rows before a resume: the curve, the base and the best go on from them
        """
        training = training_panel.training_from(total, earlier)
        with self._panel(training) if self.console.is_terminal else self._steps(training) as show:
            yield show

    @contextlib.contextmanager
    def _panel(self, training: training_panel.Training) -> Iterator[Callable[[StepMetrics], None]]:
        panel = training_panel.Panel(training, self._clock)
        with Live(panel, console=self.console, refresh_per_second=REFRESHES):
            yield panel.show
            panel.over = True

    @contextlib.contextmanager
    def _steps(self, training: training_panel.Training) -> Iterator[Callable[[StepMetrics], None]]:
        due = self._pace()
        waiting = ""

        def show(row: StepMetrics) -> None:
            nonlocal training, waiting
            training = training.after(row)
            waiting = training_panel.line(row, training.total) + _left(training.seconds_left or 0.0)
            if due(row.valid_loss is not None):
                self.line(waiting)
                waiting = ""

        try:
            yield show
        finally:
            if waiting:
                self.line(waiting)

    # ---- sweeps

    @contextlib.contextmanager
    def sweeping(self) -> Iterator[Callable[[Sequence[Standing], float | None], None]]:
        """Yields show(standings, seconds left). A terminal shows a live table, a file gets a line for every change."""
        if not self.console.is_terminal:
            yield self._standings()
            return
        board = sweep_board.Board(self._clock)
        with Live(board, console=self.console, refresh_per_second=REFRESHES):
            yield board.show

    def _standings(self) -> Callable[[Sequence[Standing], float | None], None]:
        """A line for every change of state, and now and then a line for what a run is doing; its log has everything."""
        due = self._pace()
        seen: dict[str, str] = {}

        def show(standings: Sequence[Standing], left: float | None) -> None:
            for run in standings:
                if run.state == "waiting" or (run.state == "running" and not run.words):
                    continue
                changed = run.state != seen.get(run.name)
                if (changed or run.state == "running") and due(changed):
                    seen[run.name] = run.state
                    sentence = f"{run.name}  {run.state}{f': {run.words}' if run.words else ''}"
                    self.line(sentence + (_left(left or 0.0) if run.state == "running" else ""))

        return show

    def sweep(self, results: SweepResults, folder: str) -> None:
        self._draw(terminal_sweep.sweep(results, folder, self.console.width))

    # ---- tables

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        table = Table(title=words(title), title_justify="left", title_style="bold", pad_edge=False, box=box.SIMPLE_HEAD)
        for name in header:
            table.add_column(words(name), overflow="fold")
        for row in rows:
            table.add_row(*map(words, row))
        self.console.print(table)

    def summary(self, results: Results, folder: str) -> None:
        self._draw(report_terminal.summary(results, folder, self.console.width))

    def runs(self, entries: Sequence[Entry], folder: str) -> None:
        unread = [words(f"! {entry.name}: {entry.why}", "yellow") for entry in entries if entry.why]
        self._draw([terminal_runs.runs(entries, folder, self.console.width), *unread])

    def diff(self, difference: Diff) -> None:
        self._draw(terminal_runs.diff(difference))

    def json(self, value: Any) -> None:
        """For programs: ASCII, neither wrapped nor coloured."""
        self._values.out(json.dumps(plain(value), indent=1), highlight=False)

    def _draw(self, parts: Iterable[RenderableType]) -> None:
        for part in parts:
            self.console.print(part, soft_wrap=isinstance(part, Text))  # a sentence ends where it ends


def _remaining(first: tuple[float, int], now: float, done: int, total: int) -> float:
    """Seconds left at the speed so far."""
    return (now - first[0]) * (total - done) / (done - first[1]) if done > first[1] else 0.0


def _left(seconds: float) -> str:
    """The time left in words, for jobs of more than a minute."""
    return f"  {seconds / 60:.0f} min left" if seconds >= 60 else ""
