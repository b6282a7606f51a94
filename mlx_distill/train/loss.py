"""The loss: cross-entropy at completion positions only.

In: a model and a batch. Out: nats and hits for each scored token; sums are divided once, at the optimiser step,
so that a long answer's tokens count as much as a short one's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mlx.core as mx
import mlx.nn as nn

from mlx_distill.train.batches import Batch
from mlx_distill.train.split import SplitModel

LANE_SEEDS = 1000
"""Between the seeds of two lanes; a layer adds its number."""

CHUNK_ROWS = 128
"""Rows of logits that are worked on at a time: 128 · 151,936 · 4 bytes = 78 MB for Qwen2.5, whatever the batch. MLX
works on some operations ahead, so about nine times that exists. Smaller chunks take as long."""


Losses = tuple[mx.array, mx.array]
"""(nats, hits), each (n,): what every scored token cost, and whether it was the likeliest."""


def token_losses(split: SplitModel, batch: Batch, entering: mx.array | None, seed: int | None = None) -> Losses:
    if entering is not None:
        return frozen_head_losses(split.head, split.hidden(batch, entering, seed), batch.targets)
    logits = split.whole_logits(batch, seed)
    return nn.losses.cross_entropy(logits, batch.targets), logits.argmax(axis=-1) == batch.targets


def token_losses_in_lanes(
    split: SplitModel, batches: Sequence[Batch], entering: Sequence[mx.array | None], seed: int | None = None
) -> list[Losses]:
    """`token_losses` of at most as many batches as there are lanes, side by side. seed: of the dropout masks."""
    found = []
    for place, (batch, into, lane) in enumerate(zip(batches, entering, split.lanes, strict=False)):
        with mx.stream(lane):
            found.append(token_losses(split, batch, into, None if seed is None else seed + place * LANE_SEEDS))
    return found


def frozen_head_losses(
    head: Callable[[mx.array], mx.array], hidden: mx.array, targets: mx.array
) -> tuple[mx.array, mx.array]:
    """Cross-entropy of head(hidden) against targets, for a head that is not trained.

    hidden (n, dim) · targets (n,) → nats (n,), hits (n,). The gradient with respect to `hidden` is formed beside
    the loss, from the same exponentials, a chunk of rows at a time: logits are neither kept for the backward pass
    nor computed again in it. It is only evaluated when a gradient is asked for.
    """

    @mx.custom_function
    def losses(hidden: mx.array) -> tuple[mx.array, mx.array, mx.array]:
        parts: list[tuple[mx.array, mx.array, mx.array]] = []
        for i in range(0, hidden.shape[0], CHUNK_ROWS):
            rows = hidden[i : i + CHUNK_ROWS]
            if parts:  # else all chunks' logits are there at once
                (rows,) = mx.depends([rows], list(parts[-1]))
            parts.append(_chunk(head, rows, targets[i : i + CHUNK_ROWS]))
        nats, hits, slopes = zip(*parts, strict=True)
        return mx.concatenate(list(nats)), mx.concatenate(list(hits)), mx.concatenate(list(slopes))

    @losses.vjp
    def losses_vjp(_: mx.array, cotangents: list[mx.array], outputs: list[mx.array]) -> mx.array:
        return cotangents[0][:, None].astype(outputs[2].dtype) * outputs[2]

    found: tuple[mx.array, mx.array, mx.array] = losses(hidden)  # type: ignore[assignment]
    return found[0], found[1]


def _chunk(
    head: Callable[[mx.array], mx.array], hidden: mx.array, targets: mx.array
) -> tuple[mx.array, mx.array, mx.array]:
    """(nats, hits, d nats / d hidden) of some rows."""
    output = head(hidden)
    logits = output.astype(mx.float32)
    peak = logits.max(axis=-1, keepdims=True)
    weights = mx.exp(logits - peak)
    total = weights.sum(axis=-1, keepdims=True)
    rows = mx.arange(targets.shape[0])
    right = logits[rows, targets]
    nats = mx.log(total[:, 0]) + peak[:, 0] - right
    slope = (weights / total).at[rows, targets].add(-1.0)
    _, (toward_hidden,) = mx.vjp(head, [hidden], [slope.astype(output.dtype)])
    return nats, logits.argmax(axis=-1) == targets, toward_hidden
