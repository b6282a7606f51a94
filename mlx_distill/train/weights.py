"""How much each token counts in the loss: all the same, or less where the student finds it unlikely.

In: the nats of a batch's scored tokens. Out: weights, which are not differentiated. `dft` weights by the probability
that the student gives the token (dynamic fine-tuning, Wu et al. 2025, arXiv 2508.05629). `likely` leaves out the fifth
of each answer that is least likely to the student: what is least likely moves it most (Wu et al. 2025, arXiv
2501.14315). The trade-off: less is forgotten and less is learnt. The loss that is reported stays the unweighted one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import mlx.core as mx

from mlx_distill.train.batches import Batch

LEFT_OUT = 5
"""One token in so many."""

Weigh = Callable[[mx.array, Batch], mx.array]


def _dft(nats: mx.array, batch: Batch) -> mx.array:
    return mx.exp(-nats)


def _likely(nats: mx.array, batch: Batch) -> mx.array:
    """By example, so that a step is the same in any parts. Tokens as likely as the last that counts also count."""
    weights, start = [], 0
    for _, owned in itertools.groupby(batch.owners):
        count = len(list(owned))
        mine = nats[start : start + count]
        weights.append(mine <= mx.sort(mine)[count - 1 - count // LEFT_OUT])
        start += count
    return mx.concatenate(weights).astype(nats.dtype)


WEIGHTS: Mapping[str, Weigh | None] = {"uniform": None, "dft": _dft, "likely": _likely}


def weighted(kind: str, nats: mx.array, batch: Batch) -> mx.array:
    """(n,) nats as they count."""
    weigh = WEIGHTS[kind]
    return nats if weigh is None else mx.stop_gradient(weigh(nats, batch)) * nats
