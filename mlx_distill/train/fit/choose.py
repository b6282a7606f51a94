"""Which settings fit: what does not change what is learnt is chosen, what does is only proposed.

In: a Task and how much memory there is. Out: a Choice. First fewer tokens go through at a time, which costs little;
then activations are computed twice instead of kept, which costs a third of the time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from mlx_distill.models.students.layout import BATCH_TOKENS, Layout, rounded
from mlx_distill.run.config import MachineConfig
from mlx_distill.run.errors import MachineError
from mlx_distill.train.fit.memory import Machine, Prediction, Task, predict

SPARED = {"Metal": 0.75, "CPU": 0.8}
"""Of the machine's memory: about what Metal recommends as working set; on the CPU the rest is for the system."""

GIB = 2**30


@dataclass(frozen=True)
class Choice:
    """Bytes. `prefix`: memory for the frozen layers' activations, half of what is left; the rest goes to disk."""

    layout: Layout
    prediction: Prediction
    limit: int

    @property
    def fits(self) -> bool:
        return self.prediction.needed <= self.limit

    @property
    def prefix(self) -> int:
        return max(0, min(self.prediction.prefix, (self.limit - self.prediction.needed) // 2))

    @property
    def peak(self) -> int:
        return self.prediction.needed + self.prefix


def limit_of(machine: Machine, settings: MachineConfig) -> int:
    """Bytes that training may take."""
    return int(settings.memory * GIB if settings.memory else machine.memory_bytes * SPARED[machine.backend])


def choose(task: Task, settings: MachineConfig, factor: float = 1.0, layout: Layout | None = None) -> Choice:
    """The first layout that fits, or the smallest. `factor`: what earlier runs took of what was predicted.
    `layout`: that of the steps so far."""
    limit = limit_of(task.machine, settings)
    choice = None
    for candidate in [layout] if layout else _layouts(task, settings):
        choice = Choice(candidate, predict(task, candidate).scaled(factor), limit)
        if choice.fits:
            break
    assert choice is not None
    return choice


def _layouts(task: Task, settings: MachineConfig) -> Iterator[Layout]:
    """What the user gave stays; a part holds an example a lane at least, so fewer tokens than these save nothing."""
    tokens = [settings.batch_tokens or BATCH_TOKENS]
    least = rounded(task.lengths.longest()) * task.machine.lanes
    while not settings.batch_tokens and tokens[-1] > least:
        tokens.append(max(tokens[-1] // 2, least))
    possible = (False, True) if task.shape.cuttable else (False,)
    twice = possible if settings.grad_checkpoint is None else (settings.grad_checkpoint,)
    return (Layout(count, recompute) for recompute in twice for count in tokens)


def most_layers(task: Task, settings: MachineConfig, factor: float = 1.0) -> int | None:
    """The most trained layers, at most as many as the task has, that fit; None where not even one does."""
    low, high = 0, task.layers
    while low < high:
        middle = (low + high + 1) // 2
        if choose(with_layers(task, middle), settings, factor).fits:
            low = middle
        else:
            high = middle - 1
    return low or None


def with_layers(task: Task, layers: int) -> Task:
    return dataclasses.replace(task, config=dataclasses.replace(task.config, layers=layers))


def require(task: Task, settings: MachineConfig, factor: float = 1.0) -> Choice:
    """Raises MachineError for what will not fit, with the largest setting that would."""
    choice = choose(task, settings, factor)
    if choice.fits:
        return choice
    raise MachineError(f"{lacking(task, choice)}: {advice(task, settings, factor)}.")


def lacking(task: Task, choice: Choice) -> str:
    return (
        f"Training {task.layers} layers of {task.config.student} takes about {in_gib(choice.prediction.needed)}, "
        f"and {in_gib(choice.limit)} can be spared"
    )


def advice(task: Task, settings: MachineConfig, factor: float = 1.0) -> str:
    layers = most_layers(task, settings, factor)
    if layers:
        needed = choose(with_layers(task, layers), settings, factor).prediction.needed
        return f"--layers {layers} would fit ({in_gib(needed)}), and --auto takes it"
    least = choose(with_layers(task, 1), settings, factor).prediction.needed
    return f"a single layer takes {in_gib(least)}, so choose a smaller or a quantised --student, or allow more --memory"


def in_gib(count: int) -> str:
    return f"{count / GIB:.2f} GiB" if count < 10 * GIB else f"{count / GIB:.1f} GiB"


def in_words(layout: Layout) -> str:
    twice = ", activations computed twice" if layout.grad_checkpoint else ""
    return f"{layout.batch_tokens:,} tokens at a time{twice}"
