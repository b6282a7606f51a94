"""The training loop: examples in, StepMetrics out, the best adapter and a resumable checkpoint on disk.

AdamW with bias correction, warm-up and a schedule, clipping by the global norm, held-out loss after every epoch or
some steps. The trade-off: a checkpoint costs three times the adapter's bytes every few steps, and buys resuming with
the same bits as an uninterrupted run.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_distill.models.students import checkpoint
from mlx_distill.models.students.adapter import not_numbers
from mlx_distill.models.students.checkpoint import Progress
from mlx_distill.run.config import TrainingConfig
from mlx_distill.run.errors import DataError
from mlx_distill.run.records import StepMetrics
from mlx_distill.train.batches import choose_widths, epoch_batches
from mlx_distill.train.encode import Example
from mlx_distill.train.evaluate import evaluate, evaluate_with_drift, mean_loss
from mlx_distill.train.replay.examples import Replay
from mlx_distill.train.replay.order import ReplayOrder
from mlx_distill.train.step import Launched, Stepper
from mlx_distill.train.trainee import Trainee

STEPS_FOLDER = "checkpoints"


def learning_rate(step: int, total: int, config: TrainingConfig) -> float:
    """The rate of step 1 … total: linear warm-up, then constant, or falling to zero as a line or a cosine
    (Loshchilov & Hutter 2017, arXiv 1608.03983)."""
    warmup = math.ceil(config.warmup * total)
    if step <= warmup:
        return config.learning_rate * step / warmup
    progress = (step - warmup) / max(1, total - warmup + 1)
    factor = {"constant": 1.0, "linear": 1 - progress, "cosine": 0.5 * (1 + math.cos(math.pi * progress))}
    return config.learning_rate * factor[config.schedule]


def train(
    trainee: Trainee,
    training: Sequence[Example],
    heldout: Sequence[Example],
    folder: Path,
    replay: Replay | None = None,
) -> Iterator[StepMetrics]:
    """Trains to the end, from the last checkpoint in `folder` when there is one, yielding every step. With `replay`
    every step also holds the student near its base on some of those examples, and drift is measured.

    The best adapter by held-out loss is in `folder` when the iterator is exhausted, and what `config.save_every`
    asks for in its checkpoints/. Raises DataError when there is nothing to train on or the loss is no number.
    """
    if not training or not heldout:
        raise DataError(
            f"{len(training)} examples to train on and {len(heldout)} held out: both must be there. "
            "See dataset.json for what was left out and why."
        )
    return _Training(trainee, training, heldout, folder, replay).run()


class _Training:
    def __init__(
        self,
        trainee: Trainee,
        training: Sequence[Example],
        heldout: Sequence[Example],
        folder: Path,
        replay: Replay | None,
    ) -> None:
        self._trainee, self._config, self._group = trainee, trainee.config, trainee.group
        self._training, self._heldout, self._folder = training, heldout, folder
        self._total = self._config.all_steps(len(training))
        self._epoch = self._config.epoch_steps(len(training))
        self._widths = choose_widths(training)
        self._drawn: tuple[int, list[list[Example]]] = (-1, [])
        self._replay, self._replayed_to = replay, 0
        self._order = ReplayOrder(replay.training, replay.ratio, self._config.seed) if replay else None
        self._stepper = Stepper(trainee, replay)
        self._progress = self._resume()
        self._since = time.monotonic()

    def run(self) -> Iterator[StepMetrics]:
        if self._progress.step == 0:
            yield self._base()
        if self._is_over():
            return
        under_way: Launched | None = None
        self._since = time.monotonic()
        for step in range(self._progress.step + 1, self._total + 1):
            prepared = self._stepper.prepare(self._examples(step), self._widths, self._replayed(step))
            if under_way is not None:
                yield from self._finish(step - 1, under_way)
                if self._is_over():
                    return
            under_way = self._stepper.launch(prepared, step, learning_rate(step, self._total, self._config))
        if under_way is not None:
            yield from self._finish(self._total, under_way)

    def _resume(self) -> Progress:
        """The leader's checkpoint, in every process."""
        stepper = self._stepper
        masters, progress = (
            checkpoint.restore(self._folder, stepper.optimiser) if self._group.leads else ({}, Progress())
        )
        if masters:
            self._trainee.adapter.set_weights(masters)
        row = self._group.broadcast(dataclasses.asdict(progress))
        stepper.masters = self._group.from_first(self._trainee.adapter.weights())
        checkpoint.set_state(stepper.optimiser, self._group.from_first(checkpoint.flat_state(stepper.optimiser)))
        return Progress(**row | {"layout": self._trainee.split.layout})

    def _base(self) -> StepMetrics:
        """Before the first step the adapter changes nothing: this row is the base."""
        measured = self._measure()
        loss = measured["valid_loss"]
        if not math.isfinite(loss):
            raise DataError(f"The base's held-out loss is {loss}, so nothing can be learnt from it: {self._damage()}.")
        self._progress = Progress(layout=self._trainee.split.layout).after(0, loss)
        if self._group.leads:
            self._trainee.adapter.save(self._folder, self._config.student)
        self._save()
        return StepMetrics(0, 0.0, None, None, 0, 0.0, 0.0, mx.get_peak_memory(), 0.0, **measured)

    def _examples(self, step: int) -> Sequence[Example]:
        epoch, index = divmod(step - 1, self._epoch)
        if self._drawn[0] != epoch:
            self._drawn = (epoch, epoch_batches(self._training, self._config.batch_size, self._config.seed, epoch))
        return self._drawn[1][index]

    def _replayed(self, step: int) -> Sequence[Example]:
        """What a step replays follows from all steps before it."""
        replayed: Sequence[Example] = ()
        while self._order and self._replayed_to < step:
            self._replayed_to += 1
            replayed = self._order.beside(sum(example.scored_count for example in self._examples(self._replayed_to)))
        return replayed

    def _finish(self, step: int, launched: Launched) -> Iterator[StepMetrics]:
        """Waits for a step, measures and saves what is due after it."""
        total: Any = launched.nats.item()
        loss = total / launched.tokens
        if not math.isfinite(loss):
            raise DataError(f"The loss of step {step} is {loss}: lower --learning-rate, in a new --run.")
        metrics = self._metrics(step, loss, launched)
        self._trainee.adapter.set_weights(self._stepper.masters)
        is_due = self._is_due(step, self._config.evaluate_every or self._epoch)
        if is_due:
            measured = self._measure()
            heldout = measured["valid_loss"]
            if not math.isfinite(heldout):
                raise DataError(
                    f"The held-out loss after step {step} is {heldout}: lower --learning-rate, in a new --run. "
                    f"The adapter is that of step {self._progress.best_step}."
                )
            metrics = dataclasses.replace(metrics, **measured)
        self._progress = self._progress.after(step, metrics.valid_loss)
        if self._group.leads:
            self._keep(step)
        yield metrics
        if is_due or step % self._config.checkpoint_every == 0:
            self._save()
        self._since = time.monotonic()

    def _metrics(self, step: int, loss: float, launched: Launched) -> StepMetrics:
        seconds = time.monotonic() - self._since
        hits: Any = launched.hits.item()
        replayed = launched.replay_tokens
        divergence: Any = None if launched.divergence is None or not replayed else launched.divergence.item()
        return StepMetrics(
            step=step,
            epoch=step / self._epoch,
            loss=loss,
            accuracy=hits / launched.tokens,
            tokens=launched.tokens,
            tokens_per_second=(launched.tokens + replayed) / seconds,
            learning_rate=learning_rate(step, self._total, self._config),
            peak_memory=mx.get_peak_memory(),
            seconds=seconds,
            replay_tokens=replayed,
            divergence=None if divergence is None else divergence / replayed,
        )

    def _keep(self, step: int) -> None:
        """The adapter, where it is the best so far, and by its number where that is asked for."""
        if self._progress.best_step == step:
            self._trainee.adapter.save(self._folder, self._config.student)
        if self._config.save_every and self._is_due(step, self._config.save_every):
            self._trainee.adapter.save(self._folder / STEPS_FOLDER / f"{step:07d}", self._config.student)

    def _measure(self) -> dict[str, Any]:
        """What a held-out measurement adds to a step's metrics."""
        if self._replay is None:
            loss, accuracy = mean_loss(evaluate(self._trainee, self._heldout, self._group))
            return {"valid_loss": loss, "valid_accuracy": accuracy}
        measured, drift = evaluate_with_drift(self._trainee, self._heldout, self._replay.base, self._group)
        loss, accuracy = mean_loss(measured)
        general, general_drift = evaluate_with_drift(
            self._trainee, self._replay.heldout, self._replay.base, self._group
        )
        return {
            "valid_loss": loss,
            "valid_accuracy": accuracy,
            "drift": sum(drift) / sum(row[2] for row in measured),
            "replay_drift": sum(general_drift) / sum(row[2] for row in general),
        }

    def _damage(self) -> str:
        """What makes a loss of no number: a weight of the student, or else what it computes with."""
        if words := not_numbers(self._trainee.split.model):
            return f"{words} in {self._config.student}: download or convert it again"
        long = max(self._heldout, key=lambda example: len(example.tokens))
        return (
            f"all weights of {self._config.student} are numbers, so its activations overflow (the longest held-out "
            f"example, {long.id}, has {len(long.tokens)} tokens): take a student in bfloat16 or float32"
        )

    def _save(self) -> None:
        if self._group.leads:
            checkpoint.save(self._folder, self._stepper.masters, self._stepper.optimiser, self._progress)

    def _is_due(self, step: int, every: int) -> bool:
        return step % every == 0 or step == self._total

    def _is_over(self) -> bool:
        """Early stopping (Prechelt 1998): the held-out loss has not improved for `patience` measurements."""
        return self._config.patience is not None and self._progress.stale >= self._config.patience
