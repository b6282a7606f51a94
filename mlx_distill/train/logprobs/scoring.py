"""Scoring: a model's likeliest tokens at the scored positions of examples.

In: a model cut as for training, whose adapter is dialled by the caller; examples. Out: their log-probabilities, from
the store where they are there. The model may be any one with the examples' tokenizer. Every example goes alone: what
is kept does not depend on whom it was batched with, so that a stopped run goes on with the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mlx.core as mx
import numpy as np

from mlx_distill.train.batches import make_batch
from mlx_distill.train.encode import Example
from mlx_distill.train.logprobs.store import LogprobStore, TopLogprobs, name_of
from mlx_distill.train.loss import Head, in_chunks
from mlx_distill.train.prefix import FrozenPrefix
from mlx_distill.train.split import SplitModel

LEAST = -65504.0
"""The lowest number of float16: a log-probability below it counts as this."""

Scored = dict[str, TopLogprobs]
"""By the name of the example."""


def scored(
    split: SplitModel,
    prefix: FrozenPrefix,
    store: LogprobStore,
    examples: Sequence[Example],
    update: Callable[[int], None] = lambda count: None,
) -> Scored:
    """Of every example; computes and keeps what the store lacks. `update` is told how many are done."""
    tops: Scored = {}
    for count, example in enumerate(examples, 1):
        top = store.get(example)
        if top is None:
            top = _score(split, prefix, example, store.k)
            store.put(example, top)
        tops[name_of(example)] = top
        update(count)
    return tops


def _score(split: SplitModel, prefix: FrozenPrefix, example: Example, k: int) -> TopLogprobs:
    batch = make_batch([example], ())
    entering = prefix.entering(batch)
    if entering is None:
        ids, logprobs = top_logprobs(lambda logits: logits, split.whole_logits(batch), batch.targets, k)
    else:
        ids, logprobs = top_logprobs(split.head, split.hidden(batch, entering), batch.targets, k)
    return TopLogprobs(np.array(ids, np.int32), np.array(logprobs).astype(np.float16))


def top_logprobs(head: Head, hidden: mx.array, targets: mx.array, k: int) -> tuple[mx.array, mx.array]:
    """ids (n, k + 1) and log-probabilities (n, k + 1) in float32 of the k likeliest tokens, the likeliest first, and of
    the target. hidden (n, dim) · targets (n,)."""

    def chunk(rows: mx.array, wanted: mx.array) -> tuple[mx.array, ...]:
        logits = head(rows).astype(mx.float32)
        logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
        if k < logits.shape[-1]:
            top = mx.argpartition(-logits, k - 1, axis=-1)[:, :k]
        else:
            top = mx.broadcast_to(mx.arange(logits.shape[-1]), logits.shape)
        order = mx.argsort(-mx.take_along_axis(logits, top, axis=-1), axis=-1)
        ids = mx.concatenate([mx.take_along_axis(top, order, axis=-1), wanted[:, None]], axis=-1)
        return ids, mx.maximum(mx.take_along_axis(logprobs, ids, axis=-1), LEAST)

    ids, logprobs = in_chunks(chunk, hidden, targets)
    return ids, logprobs
