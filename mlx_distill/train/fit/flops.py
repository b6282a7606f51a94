"""What training computes, in floating-point operations: with an earlier run's FLOP/s that gives seconds.

In: a Task and a Layout. Out: counts. A product of (n, a) with (a, b) counts 2 · n · a · b; norms, activations and the
optimiser are left out, and so is padding.
"""

from __future__ import annotations

from collections.abc import Iterable

from mlx_distill.models.students.layout import Layout
from mlx_distill.train.fit.memory import Task
from mlx_distill.train.fit.shape import trainable


def epoch(task: Task, layout: Layout) -> int:
    """All optimiser steps of one epoch: forward, backward, and forward again with gradient checkpointing."""
    replayed = task.lengths.replays * _steps(task, layout, task.lengths.replayed)
    return _steps(task, layout, task.lengths.train) + round(replayed)


def _steps(task: Task, layout: Layout, examples: tuple[tuple[int, int], ...]) -> int:
    tokens = sum(count for count, _ in examples)
    passes = 3 if layout.grad_checkpoint and task.shape.cuttable else 2
    forward = _forward(task, examples, task.layers)
    attention_back = _attention(task, examples) * task.layers  # twice its forward pass, of which one counted
    own = (2 if task.config.fine_tune == "full" else 6) * trainable(task.shape, task.config) * tokens
    return passes * forward + attention_back + own + 4 * _head(task, examples)


def prefix(task: Task) -> int:
    """The frozen layers, once for every example; in every epoch where the model cannot be cut."""
    lengths, frozen, count = task.lengths, task.shape.layers - task.layers, len(task.lengths.train)
    epochs = task.config.all_steps(count) / task.config.epoch_steps(count)
    replayed = min(1.0, epochs * lengths.replays) * _forward(task, lengths.replayed, frozen)
    return _forward(task, (*lengths.train, *lengths.general), frozen) + round(replayed)


def heldout(task: Task) -> int:
    """One held-out loss, with what is measured of drift beside it."""
    examples = (*task.lengths.valid, *task.lengths.general)
    return _forward(task, examples, task.layers) + 4 * _head(task, examples)


def _forward(task: Task, examples: Iterable[tuple[int, int]], layers: int) -> int:
    examples = tuple(examples)
    tokens = sum(count for count, _ in examples)
    return layers * (2 * task.shape.layer_weights() * tokens + _attention(task, examples))


def _attention(task: Task, examples: Iterable[tuple[int, int]]) -> int:
    return 4 * task.shape.queries * sum(count * count for count, _ in examples)


def _head(task: Task, examples: Iterable[tuple[int, int]]) -> int:
    """Numbers of a product with the head."""
    return task.shape.vocabulary * task.shape.dim * sum(scored for _, scored in examples)
