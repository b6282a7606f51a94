"""A training as the terminal shows it: a bar, the loss as a curve, and the figures of the latest steps.

In: StepMetrics, one after the other, and the time. Out: what rich draws, or one line; terminal.py prints it.
The loss of one step says little, so the panel shows the mean of the last WINDOW steps, weighted by their tokens, beside
a curve of the whole training. A line of plain text has the figures of its own step, as metrics.jsonl has them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mlx_distill.run.records import StepMetrics

WINDOW = 20
"""Number of latest steps whose means are shown: loss, accuracy, speed, time left."""

POINTS = 40
"""Most points of the curve; an even number, so that points can be joined in pairs."""

BLOCKS = "▁▂▃▄▅▆▇█"
GIB = 2**30

Point = tuple[float, int, int]
"""Nats, scored tokens, steps."""


@dataclass(frozen=True)
class Curve:
    """The loss of a whole training: each point is of `stride` steps, the last one perhaps of fewer.

    When there are too many points, each two become one. A curve of the last steps alone would make mountains of
    noise once the loss falls slowly.
    """

    stride: int = 1
    points: tuple[Point, ...] = ()

    def after(self, loss: float, tokens: int) -> Curve:
        point, before = (loss * tokens, tokens, 1), self.points
        if before and before[-1][2] < self.stride:
            point, before = _joined(before[-1], point), before[:-1]
        if len(before) < POINTS:
            return Curve(self.stride, (*before, point))
        pairs = (_joined(*pair) for pair in zip(before[::2], before[1::2], strict=True))
        return Curve(self.stride * 2, (*pairs, point))

    @property
    def losses(self) -> list[float]:
        """The mean loss of every complete point."""
        return [nats / max(1, tokens) for nats, tokens, steps in self.points if steps == self.stride]


def _joined(first: Point, second: Point) -> Point:
    return first[0] + second[0], first[1] + second[1], first[2] + second[2]


@dataclass(frozen=True)
class Training:
    """A training after its latest row. Replaced as a whole, because another thread draws it meanwhile."""

    total: int
    latest: StepMetrics | None = None
    recent: tuple[StepMetrics, ...] = ()
    curve: Curve = Curve()
    base: StepMetrics | None = None
    best: StepMetrics | None = None
    heldout: StepMetrics | None = None

    def after(self, row: StepMetrics) -> Training:
        updated = dataclasses.replace(self, latest=row)
        if row.loss is not None:
            recent = (*self.recent, row)[-WINDOW:]
            updated = dataclasses.replace(updated, recent=recent, curve=self.curve.after(row.loss, row.tokens))
        if row.valid_loss is None:
            return updated
        base = row if row.step == 0 else self.base
        best = row if self.best is None or row.valid_loss < (self.best.valid_loss or 0.0) else self.best
        return dataclasses.replace(updated, base=base, best=best, heldout=row)

    @property
    def step(self) -> int:
        return self.latest.step if self.latest else 0

    @property
    def seconds_left(self) -> float | None:
        """At the speed of the recent steps; None before the first."""
        if not self.recent:
            return None
        return (self.total - self.step) * sum(row.seconds for row in self.recent) / len(self.recent)

    @property
    def tokens_per_second(self) -> float:
        seconds = sum(row.seconds for row in self.recent)
        return sum(row.tokens for row in self.recent) / seconds if seconds else 0.0

    def mean(self, name: str) -> float:
        """The mean over the recent steps' scored tokens: a step with more tokens counts for more."""
        tokens = sum(row.tokens for row in self.recent)
        return sum((getattr(row, name) or 0.0) * row.tokens for row in self.recent) / max(1, tokens)


def training_from(total: int, earlier: Sequence[StepMetrics]) -> Training:
    """A training before its first row: of nothing, or of the steps before a resume."""
    training = Training(total)
    for row in earlier:
        training = training.after(row)
    return training


class Panel:
    """What rich draws at every refresh: the training at that moment."""

    def __init__(self, training: Training, clock: Callable[[], float]) -> None:
        self.training = training
        self.over = False
        self._clock = clock
        self._started = clock()

    def show(self, row: StepMetrics) -> None:
        self.training = self.training.after(row)

    def __rich__(self) -> RenderableType:
        return draw(self.training, self._clock() - self._started, self.over)


def draw(training: Training, elapsed: float, over: bool) -> RenderableType:
    """Six rows. `over`: no more steps will come, even if the last one was not reached."""
    return Group(_bar(training, elapsed, over), _figures(training))


def _bar(training: Training, elapsed: float, over: bool) -> Table:
    row = Table.grid(padding=(0, 2, 0, 0), pad_edge=False, expand=True)
    row.add_column(width=8)
    row.add_column(ratio=1)
    for width in (0, 5, 10):
        row.add_column(no_wrap=True, justify="right", min_width=width)
    total = f"{training.total:,}"
    bar = ProgressBar(total=training.total, completed=training.step, complete_style="cyan", finished_style="green")
    row.add_row("train", bar, f"{training.step:>{len(total)},}/{total}", _time(elapsed), _ahead(training, over))
    return row


def _ahead(training: Training, over: bool) -> Text:
    if over:
        return Text("stopped early") if training.step < training.total else Text("done", style="green")
    left = training.seconds_left
    return Text("" if left is None else f"{_time(left)} left", style="cyan")


def _figures(training: Training) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False, expand=True)
    table.add_column(width=8)
    table.add_column(style="dim", width=14, no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for label, figures in (
        ("loss", _loss(training)),
        ("held-out loss", _heldout(training)),
        ("token accuracy", _accuracy(training)),
        ("scored tokens", _speed(training)),
        ("peak memory", _memory(training)),
    ):
        table.add_row("", label, figures)
    return table


UNKNOWN = Text("–", style="dim")


def _loss(training: Training) -> Text:
    if not training.recent:
        return UNKNOWN
    curve = sparkline(training.curve.losses)
    return Text.assemble((f"{training.mean('loss'):.3f}", "bold"), "  ", (curve, "cyan"))


def _heldout(training: Training) -> Text:
    base, best, last = training.base, training.best, training.heldout
    if best is None or last is None:
        return UNKNOWN
    places = [] if base is None else [_place(base, "base", "")]
    if best is not base:
        places.append(_place(best, f"best (step {best.step:,})", "green"))
    if last is not best:
        worse = base is not None and (last.valid_loss or 0.0) > (base.valid_loss or 0.0)
        places.append(_place(last, "last", "red" if worse else ""))
    drift = Text("" if last.drift is None else f"   drift {last.drift:.3f}")
    return Text(" → ").join(places) + drift


def _place(row: StepMetrics, word: str, style: str) -> Text:
    return Text.assemble((f"{row.valid_loss:.3f}", f"bold {style}"), (f" {word}", style))


def _accuracy(training: Training) -> Text:
    figures = []
    if training.recent:
        figures.append(f"{training.mean('accuracy'):.2f} training")
    if training.heldout and training.heldout.valid_accuracy is not None:
        figures.append(f"{training.heldout.valid_accuracy:.2f} held-out")
    return Text("   ".join(figures)) if figures else UNKNOWN


def _speed(training: Training) -> Text:
    if not training.recent:
        return UNKNOWN
    rate = training.recent[-1].learning_rate
    speed = f"{training.tokens_per_second:,.0f}/s"
    return Text(f"{speed:<15} learning rate {rate:.1e}")


def _memory(training: Training) -> Text:
    if training.latest is None:
        return UNKNOWN
    memory = f"{training.latest.peak_memory / GIB:.1f} GiB"
    return Text(f"{memory:<15} epoch {training.latest.epoch:.2f}")


def sparkline(values: Sequence[float]) -> str:
    """One character a value, from the lowest to the highest of them in eight heights."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((value - low) * scale)] for value in values)


def _time(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def line(row: StepMetrics, total: int) -> str:
    """A row in plain text, e.g. `train     8/16  loss 1.926  accuracy 0.59  159 tok/s  1.2 GiB`."""
    parts = [f"{'train':<9} {row.step:,}/{total:,}"]
    if row.loss is not None:
        parts += [f"loss {row.loss:.3f}", f"accuracy {row.accuracy or 0.0:.2f}", f"{row.tokens_per_second:,.0f} tok/s"]
        parts.append(f"{row.peak_memory / GIB:.1f} GiB")
    if row.valid_loss is not None:
        parts.append(f"held-out loss {row.valid_loss:.3f}")
    if row.drift is not None:
        parts.append(f"drift {row.drift:.3f}")
    return "  ".join(parts)
