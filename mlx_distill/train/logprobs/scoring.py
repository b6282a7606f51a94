"""Scoring: a model's likeliest tokens at the scored positions of examples.

In: a model cut as for training, whose adapter is dialled by the caller; examples. Out: their log-probabilities, from
the store where they are there. The model may be any one with the examples' tokenizer. Every example is a batch of its
own, in a lane of its own: what is kept does not depend on who goes beside it, so that a stopped run goes on with the
same bits.
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
    different = {name_of(example): example for example in examples}
    stored = {name: store.get(example) for name, example in different.items()}
    tops: Scored = {name: top for name, top in stored.items() if top is not None}
    missing = [example for name, example in different.items() if name not in tops]
    for start in range(0, len(missing), len(split.lanes)):
        group = missing[start : start + len(split.lanes)]
        for example, top in zip(group, _score(split, prefix, group, store.k), strict=True):
            store.put(example, top)
            tops[name_of(example)] = top
            update(len(tops))
    return tops


def _score(split: SplitModel, prefix: FrozenPrefix, group: Sequence[Example], k: int) -> list[TopLogprobs]:
    """Of at most as many examples as there are lanes, side by side."""
    together = prefix.entering(make_batch(group, ()))
    arrays = []
    for place, (example, lane) in enumerate(zip(group, split.lanes, strict=False)):
        batch = make_batch([example], ())
        with mx.stream(lane):
            if together is None:
                arrays.append(top_logprobs(lambda logits: logits, split.whole_logits(batch), batch.targets, k))
            else:
                entering = together[place : place + 1, : batch.width]
                arrays.append(top_logprobs(split.head, split.hidden(batch, entering), batch.targets, k))
    mx.eval(arrays)
    return [TopLogprobs(np.array(ids, np.int32), np.array(tops).astype(np.float16)) for ids, tops in arrays]


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
