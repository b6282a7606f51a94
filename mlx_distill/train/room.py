"""How training is made to fit the machine, before any weight is read.

In: a Job and its examples. Out: the Room that training has; or fewer trained layers, where `--auto` asks for that.
What a checkpoint was computed with stays, so that it goes on with the same bits.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlx_distill.machine import environment
from mlx_distill.run.errors import MachineError
from mlx_distill.run.job import ADAPTER, Job
from mlx_distill.train import fit
from mlx_distill.train.fit import Choice, Layout, Lengths, Machine, Task

if TYPE_CHECKING:
    from mlx_distill.train.encode import Example

Parts = Mapping[str, Sequence["Example"]]
General = tuple[Sequence["Example"], Sequence["Example"]] | None
"""What is replayed, and what drift is measured on."""


@dataclass(frozen=True)
class Room:
    """Bytes. `prefix`: for the frozen layers' activations; `step`: what comes and goes with every step, if known."""

    layout: Layout
    prefix: int
    step: int | None


def room(job: Job, parts: Parts, general: General = None) -> Room:
    """Raises MachineError for what will not fit, with the largest setting that would."""
    from mlx_distill.models.students.checkpoint import progress
    from mlx_distill.train.prefix import CACHE_BYTES

    done = progress(job.run / ADAPTER)
    layout = _going_on(job, done.layout) if done.step else None
    task, settings = _task(job, parts, general), job.config.machine
    if task is None:
        asked = Layout(settings.batch_tokens or Layout.batch_tokens, bool(settings.grad_checkpoint))
        return Room(layout or asked, CACHE_BYTES, None)
    factor = _correction(job)
    choice = _kept(task, job, layout, factor) if layout else fit.require(task, settings, factor)
    if choice.layout != Layout():
        job.view.note(f"{fit.in_words(choice.layout)}: about {fit.in_gib(choice.peak)} of {fit.in_gib(choice.limit)}")
    return Room(choice.layout, choice.prefix, choice.prediction.step)


def _going_on(job: Job, layout: Layout) -> Layout:
    """The checkpoint's, unless the user asks for another: whoever ran out of memory has to."""
    asked = job.config.machine
    wanted = Layout(
        asked.batch_tokens or layout.batch_tokens,
        layout.grad_checkpoint if asked.grad_checkpoint is None else asked.grad_checkpoint,
    )
    if wanted != layout:
        job.view.note("From here on steps are computed in other parts, as asked: the last bits may differ.")
    return wanted


def _kept(task: Task, job: Job, layout: Layout, factor: float) -> Choice:
    """What training goes on with. Raises MachineError where that no longer fits."""
    choice = fit.choose(task, job.config.machine, factor, layout)
    if not choice.fits:
        raise MachineError(
            f"{fit.lacking(task, choice)}: take a smaller --batch-tokens or --grad-checkpoint, or allow more --memory."
        )
    return choice


def with_fitting_layers(job: Job, parts: Parts, general: General = None) -> Job:
    """Trains only the most layers that fit in memory. Where not even one fits, training itself says so."""
    task, settings = _task(job, parts, general), job.config.machine
    layers = fit.most_layers(task, settings, _correction(job)) if task else None
    if task is None or layers is None or layers == task.layers:
        return job
    limit = fit.in_gib(fit.limit_of(task.machine, settings))
    job.view.note(f"--auto: {layers} layers are trained instead of {task.layers}, so that it fits {limit}.")
    training = dataclasses.replace(job.config.training, layers=layers)
    return dataclasses.replace(job, config=dataclasses.replace(job.config, training=training))


def _task(job: Job, parts: Parts, general: General = None) -> Task | None:
    """None for a student whose config.json does not say enough."""
    from mlx_distill.train.group import launched

    config, group = job.config.training, launched()
    shape = fit.find(config.student)
    if shape is None:
        return None
    machine = Machine.of(environment.hardware(), alone=environment.launched_rank() is None)
    every = {"train": parts["train"], "valid": parts["valid"]}
    if general:
        every |= dict(zip(("replayed", "general"), general, strict=True))
    sizes = {
        split: tuple((len(example.tokens) - 1, example.scored_count) for example in examples)
        for split, examples in every.items()
    }
    share = dataclasses.replace(config, batch_size=math.ceil(config.batch_size / group.size))
    return Task(shape, share, Lengths(**sizes, ratio=job.config.replay.ratio), machine)


def _correction(job: Job) -> float:
    """Of predictions, by the runs beside this one."""
    runs = fit.earlier_runs(job.run.path.resolve().parent, but=job.run.path)
    return fit.correction(runs, job.config.training.student, Machine.of(environment.hardware()).backend)[0]
