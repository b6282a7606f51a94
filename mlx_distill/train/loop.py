"""The training loop: examples in, StepMetrics out, the best adapter and a resumable checkpoint on disk.

One optimiser step a batch: AdamW with bias correction, linear warm-up then cosine to zero, clipping by the global
norm, held-out loss after every epoch. The trade-off: a checkpoint costs three times the adapter's bytes every few
steps, and buys resuming with the same bits as an uninterrupted run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim

from mlx_distill.config import TrainingConfig
from mlx_distill.errors import DataError
from mlx_distill.records import StepMetrics
from mlx_distill.students import Student
from mlx_distill.students.adapter import Adapter
from mlx_distill.train import checkpoint
from mlx_distill.train.batches import Batch, by_length, epoch_batches, make_batch
from mlx_distill.train.checkpoint import Progress
from mlx_distill.train.encode import Example
from mlx_distill.train.loss import token_losses_in_lanes
from mlx_distill.train.prefix import SplitModel


def learning_rate(step: int, total: int, config: TrainingConfig) -> float:
    """The rate of step 1 … total: linear warm-up, then cosine to zero (Loshchilov & Hutter 2017)."""
    warmup = math.ceil(config.warmup * total)
    if step <= warmup:
        return config.learning_rate * step / warmup
    progress = (step - warmup) / max(1, total - warmup + 1)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def train(
    student: Student,
    split: SplitModel,
    adapter: Adapter,
    training: Sequence[Example],
    heldout: Sequence[Example],
    config: TrainingConfig,
    folder: Path,
) -> Iterator[StepMetrics]:
    """Trains to the end, from the last checkpoint in `folder` when there is one, yielding every step.

    The best adapter by held-out loss is in `folder` when the iterator is exhausted. Raises DataError when
    there is nothing to train on or the loss is no longer a number.
    """
    if not training or not heldout:
        raise DataError(
            f"{len(training)} examples to train on and {len(heldout)} held out: both must be there. "
            "See dataset.json for what was left out and why."
        )
    optimiser = optim.AdamW(config.learning_rate, weight_decay=config.weight_decay, bias_correction=True)
    optimiser.init(student.model.trainable_parameters())
    steps_per_epoch = math.ceil(len(training) / config.batch_size)
    total = steps_per_epoch * config.epochs
    progress = checkpoint.restore(folder, adapter, optimiser)
    if progress.step == 0:
        start = _validated(_start_metrics(), split, heldout, config)
        progress = Progress(0, 0, start.valid_loss)
        adapter.save(folder, student.spec)
        checkpoint.save(folder, adapter, optimiser, progress)
        yield start
    for step in range(progress.step + 1, total + 1):
        epoch, index = divmod(step - 1, steps_per_epoch)
        if index == 0 or step == progress.step + 1:
            batches = epoch_batches(training, config.batch_size, config.seed, epoch)
        optimiser.learning_rate = learning_rate(step, total, config)
        metrics = _step(split, optimiser, batches[index], config, step, steps_per_epoch)
        if index + 1 == steps_per_epoch:
            metrics = _validated(metrics, split, heldout, config)
            if metrics.valid_loss is not None and metrics.valid_loss < (progress.best_loss or math.inf):
                progress = Progress(step, step, metrics.valid_loss)
                adapter.save(folder, student.spec)
        progress = Progress(step, progress.best_step, progress.best_loss)
        yield metrics
        if index + 1 == steps_per_epoch or step % config.checkpoint_every == 0:
            checkpoint.save(folder, adapter, optimiser, progress)


def _step(
    split: SplitModel,
    optimiser: optim.Optimizer,
    batch: Batch,
    config: TrainingConfig,
    step: int,
    steps_per_epoch: int,
) -> StepMetrics:
    started = time.monotonic()
    model, count = split.model, len(batch.owners)
    parts = [make_batch(batch.examples[place :: len(split.lanes)]) for place in range(len(split.lanes))]
    entering = [split.entering(part) for part in parts]
    mx.random.seed(config.seed * 1_000_003 + step)  # dropout follows from the step: nothing to save
    model.train()

    def mean_loss(_: nn.Module) -> tuple[mx.array, mx.array]:
        losses = token_losses_in_lanes(split, parts, entering)
        nats, hits = (mx.concatenate(list(column)) for column in zip(*losses, strict=True))
        return nats.sum() / count, hits.sum()

    (loss, hits), gradients = nn.value_and_grad(model, mean_loss)(model)
    gradients, _ = optim.clip_grad_norm(gradients, config.clip)
    optimiser.update(model, gradients)
    mx.eval(model.trainable_parameters(), optimiser.state, loss, hits)
    model.eval()
    if not math.isfinite(loss.item()):
        raise DataError(f"The loss of step {step} is {loss.item()}: lower --learning-rate, in a new --run.")
    seconds = time.monotonic() - started
    return StepMetrics(
        step=step,
        epoch=step / steps_per_epoch,
        loss=loss.item(),
        accuracy=hits.item() / count,
        tokens=count,
        tokens_per_second=count / seconds,
        learning_rate=float(optimiser.learning_rate),
        peak_memory=mx.get_peak_memory(),
        seconds=seconds,
    )


def _start_metrics() -> StepMetrics:
    """Before the first step the adapter changes nothing: this row is the base."""
    return StepMetrics(0, 0.0, None, None, 0, 0.0, 0.0, mx.get_peak_memory(), 0.0)


def _validated(
    metrics: StepMetrics, split: SplitModel, heldout: Sequence[Example], config: TrainingConfig
) -> StepMetrics:
    nats, hits, count = (sum(column) for column in zip(*evaluate(split, heldout, config), strict=True))
    return StepMetrics(**(vars(metrics) | {"valid_loss": nats / count, "valid_accuracy": hits / count}))


def evaluate(split: SplitModel, examples: Sequence[Example], config: TrainingConfig) -> list[tuple[float, int, int]]:
    """(sum of nats, hits, scored tokens) of each example, in the order given, with the model as it stands."""
    found: dict[str, tuple[float, int, int]] = {}
    batches, count = by_length(examples, max(1, config.batch_size // len(split.lanes))), len(split.lanes)
    for start in range(0, len(batches), count):
        side_by_side = batches[start : start + count]
        losses = token_losses_in_lanes(split, side_by_side, [split.entering(batch) for batch in side_by_side])
        mx.eval(losses)
        for batch, (nats, hits) in zip(side_by_side, losses, strict=True):
            found |= _by_example(batch, nats, hits)
    return [found[example.id] for example in examples]


def _by_example(batch: Batch, nats: mx.array, hits: mx.array) -> dict[str, tuple[float, int, int]]:
    columns: Any = (batch.owners, nats.tolist(), hits.tolist())
    rows = list(zip(*columns, strict=True))
    found = {}
    for index, example in enumerate(batch.examples):
        mine = [(nat, hit) for owner, nat, hit in rows if owner == index]
        found[example.id] = (sum(nat for nat, _ in mine), sum(hit for _, hit in mine), len(mine))
    return found
