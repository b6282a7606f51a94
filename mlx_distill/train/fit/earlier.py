"""What earlier runs took and how fast they were: predictions are corrected by it.

In: the folder that holds the runs. Out: for each finished training, measured over predicted bytes, and FLOP/s. A run
is predicted again from its own files, so that a better formula needs no new runs.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mlx_distill.models.students.layout import Layout
from mlx_distill.run import config as configuration
from mlx_distill.run.errors import DistillError
from mlx_distill.run.files import File
from mlx_distill.run.folder import CONFIG, RESULTS, TRAINING
from mlx_distill.run.results.hardware import Hardware
from mlx_distill.train.fit import flops
from mlx_distill.train.fit.choose import choose
from mlx_distill.train.fit.memory import Lengths, Machine, Task
from mlx_distill.train.fit.shape import Shape, find


class _Training(File, frozen=True, kw_only=True):
    student: str
    layers: int | str
    peak_memory_bytes: int
    steps: int
    seconds: float


class _Run(File, frozen=True, kw_only=True):
    hardware: Hardware


class _Results(File, frozen=True, kw_only=True):
    """What of results.json tells how a training went, whatever the schema: runs of before count as well."""

    run: _Run
    training: _Training | None


class _Counted(File, frozen=True, kw_only=True):
    """Of training.json."""

    examples: dict[str, int]
    tokens: tuple[tuple[int, int], ...]
    replay_tokens: tuple[tuple[int, int], ...] = ()
    layout: Layout = Layout()


FindShape = Callable[[str], Shape | None]

FARTHEST = 1.5
"""However far off earlier runs were, a prediction moves by this factor at most, either way."""


@dataclass(frozen=True)
class Earlier:
    """`ratio`: measured over predicted bytes at the peak."""

    name: str
    student: str
    backend: str
    chip: str
    ratio: float
    flops_per_second: float | None


def earlier_runs(folder: Path, but: Path | None = None) -> list[Earlier]:
    """The newest first; `but`: the run that asks."""
    files = sorted(folder.glob("*/results.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    runs = [path.parent for path in files if but is None or path.parent.resolve() != but.resolve()]
    find_once = functools.cache(find)
    return [run for run in (_read(path, find_once) for path in runs) if run]


def correction(runs: Sequence[Earlier], student: str, backend: str) -> tuple[float, int]:
    """(factor, how many runs say so): the median of those with this student, or else of all on this backend."""
    there = [run for run in runs if run.backend == backend]
    same = [run.ratio for run in there if run.student == student] or [run.ratio for run in there]
    if not same:
        return 1.0, 0
    return min(FARTHEST, max(1 / FARTHEST, statistics.median(same))), len(same)


def speed(runs: Sequence[Earlier], student: str, chip: str) -> tuple[float, str] | None:
    """(FLOP/s, the run's name) of the newest run on this chip, with this student if there is one."""
    there = [run for run in runs if run.chip == chip and run.flops_per_second]
    for run in [run for run in there if run.student == student] or there:
        return run.flops_per_second or 0.0, run.name
    return None


def _read(run: Path, shape_of: FindShape) -> Earlier | None:
    """None for a run whose training is not finished, or whose files are not those of one training."""
    try:
        results = msgspec.json.decode((run / RESULTS).read_bytes(), type=_Results)
        training, hardware = results.training, results.run.hardware
        config = configuration.load(run / CONFIG)
        counted = msgspec.json.decode((run / TRAINING).read_bytes(), type=_Counted)
        now = (config.training.student, config.training.layers)
        if training is None or hardware.backend is None or (training.student, training.layers) != now:
            return None
        shape = shape_of(config.training.student)
        if shape is None:
            return None
        task = _task(shape, config, counted, hardware)
        layout = counted.layout
        return Earlier(
            name=run.name,
            student=training.student,
            backend=hardware.backend,
            chip=hardware.chip,
            ratio=training.peak_memory_bytes / choose(task, config.machine, layout=layout).peak,
            flops_per_second=_speed(task, layout, training),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError, DistillError):
        return None


def _task(shape: Shape, config: configuration.Config, counted: _Counted, hardware: Hardware) -> Task:
    sizes, replayed = (
        tuple((asked + scored - 1, scored) for asked, scored in each)
        for each in (counted.tokens, counted.replay_tokens)
    )
    count = counted.examples["train"]
    lengths = Lengths(sizes[:count], sizes[count:], replayed, ratio=config.replay.ratio)
    return Task(shape, config.training, lengths, Machine.of(hardware))


def _speed(task: Task, layout: Layout, training: _Training) -> float | None:
    if not training.seconds:
        return None
    epochs = training.steps * task.config.batch_size / len(task.lengths.train)
    done: float = epochs * flops.epoch(task, layout) + flops.prefix(task)
    return done / training.seconds
