"""The loss: cross-entropy at completion positions only.

In: a model and a batch. Out: nats and hits for each scored token; sums are divided once, at the optimiser step,
so that a long answer's tokens count as much as a short one's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mlx.core as mx
import mlx.nn as nn

from mlx_distill.models.students.layout import CHUNK_ROWS
from mlx_distill.train.batches import Batch
from mlx_distill.train.split import SplitModel

LANE_SEEDS = 1000
"""Between the seeds of two lanes; a layer adds its number."""

Losses = tuple[mx.array, mx.array]
"""(nats, hits), each (n,): what every scored token cost, and whether it was the likeliest."""


def token_losses(split: SplitModel, batch: Batch, entering: mx.array | None, seed: int | None = None) -> Losses:
    if entering is not None:
        losses = frozen_head_losses if split.model.training else head_losses
        return losses(split.head, split.hidden(batch, entering, seed), batch.targets)
    logits = split.whole_logits(batch, seed)
    return nn.losses.cross_entropy(logits, batch.targets), logits.argmax(axis=-1) == batch.targets


def token_losses_in_lanes(
    split: SplitModel, batches: Sequence[Batch], entering: Sequence[mx.array | None], seed: int | None = None
) -> list[Losses]:
    """`token_losses` of at most as many batches as there are lanes, side by side. seed: of the dropout masks."""
    losses = []
    for place, (batch, into, lane) in enumerate(zip(batches, entering, split.lanes, strict=False)):
        with mx.stream(lane):
            losses.append(token_losses(split, batch, into, None if seed is None else seed + place * LANE_SEEDS))
    return losses


Head = Callable[[mx.array], mx.array]


def head_losses(head: Head, hidden: mx.array, targets: mx.array) -> Losses:
    """Cross-entropy of head(hidden) against targets, a chunk of rows at a time. hidden (n, dim) · targets (n,)."""
    nats, hits = in_chunks(lambda rows, wanted: _chunk(head, rows, wanted)[:2], hidden, targets)
    return nats, hits


def frozen_head_losses(head: Head, hidden: mx.array, targets: mx.array) -> Losses:
    """As `head_losses`, to be differentiated: for a head that is not trained.

    The gradient with respect to `hidden` is formed beside the loss, from the same exponentials: logits are neither
    kept for the backward pass nor computed again in it.
    """

    @mx.custom_function
    def losses(hidden: mx.array) -> tuple[mx.array, ...]:
        return in_chunks(lambda rows, wanted: _with_slope(head, rows, wanted), hidden, targets)

    @losses.vjp
    def losses_vjp(_: mx.array, cotangents: list[mx.array], outputs: list[mx.array]) -> mx.array:
        return cotangents[0][:, None].astype(outputs[2].dtype) * outputs[2]

    parts: tuple[mx.array, ...] = losses(hidden)  # type: ignore[assignment]
    return parts[0], parts[1]


def in_chunks(work: Callable[..., tuple[mx.array, ...]], hidden: mx.array, *columns: mx.array) -> tuple[mx.array, ...]:
    """`work` on some rows at a time, of `hidden` and of each column: only one chunk's logits are there at once."""
    parts: list[tuple[mx.array, ...]] = []
    for start in range(0, hidden.shape[0], CHUNK_ROWS):
        rows = hidden[start : start + CHUNK_ROWS]
        if parts:  # else all chunks' logits are there at once
            (rows,) = mx.depends([rows], list(parts[-1]))
        parts.append(work(rows, *(column[start : start + CHUNK_ROWS] for column in columns)))
    return tuple(mx.concatenate(list(column)) for column in zip(*parts, strict=True))


def _chunk(head: Head, hidden: mx.array, targets: mx.array) -> tuple[mx.array, mx.array, mx.array]:
    """(nats, hits, probabilities) of some rows."""
    logits = head(hidden).astype(mx.float32)
    peak = logits.max(axis=-1, keepdims=True)
    weights = mx.exp(logits - peak)
    total = weights.sum(axis=-1, keepdims=True)
    right = logits[mx.arange(targets.shape[0]), targets]
    nats = mx.log(total[:, 0]) + peak[:, 0] - right
    return nats, logits.argmax(axis=-1) == targets, weights / total


def _with_slope(head: Head, hidden: mx.array, targets: mx.array) -> tuple[mx.array, mx.array, mx.array]:
    """(nats, hits, d nats / d hidden) of some rows."""
    nats, hits, probabilities = _chunk(head, hidden, targets)
    slope = probabilities.at[mx.arange(targets.shape[0]), targets].add(-1.0)
    _, (toward_hidden,) = mx.vjp(head, [hidden], [slope.astype(hidden.dtype)])
    return nats, hits, toward_hidden
