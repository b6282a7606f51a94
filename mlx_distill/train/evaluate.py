"""The held-out loss: what the model as it stands gives to answers that are not trained on.

In: examples. Out: nats, hits and scored tokens of each, in the order given, whoever computed them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from mlx_distill.train.batches import Batch, choose_widths, in_parts
from mlx_distill.train.encode import Example
from mlx_distill.train.group import Group
from mlx_distill.train.loss import token_losses_in_lanes
from mlx_distill.train.prefix import FrozenPrefix
from mlx_distill.train.split import SplitModel
from mlx_distill.train.trainee import Trainee

Measured = list[tuple[float, int, int]]
"""(sum of nats, hits, scored tokens) of each example."""


def evaluate(trainee: Trainee, examples: Sequence[Example], group: Group | None = None) -> Measured:
    """By the processes of `group`, which must all call it, or by this one alone."""
    return measure(trainee.split, trainee.prefix, examples, group or Group())


def measure(
    split: SplitModel,
    prefix: FrozenPrefix,
    examples: Sequence[Example],
    group: Group = Group(),  # noqa: B008
) -> Measured:
    """The same of a model as it stands, whether it is trained or not."""
    by_example: dict[Example, tuple[float, int, int]] = {}
    different = list(dict.fromkeys(examples))
    rounds = in_parts(different, len(split.lanes), split.layout.batch_tokens, choose_widths(different))
    for batches in group.share_of(rounds):
        losses = token_losses_in_lanes(split, batches, [prefix.entering(batch) for batch in batches])
        mx.eval(losses)
        for batch, (nats, hits) in zip(batches, losses, strict=True):
            by_example |= _by_example(batch, nats, hits)
    if group.size == 1:
        return [by_example[example] for example in examples]
    empty = (0.0, 0, 0)
    mine = mx.array([by_example.get(example, empty) for example in examples])
    rows: Any = group.sum({"rows": mine})["rows"].tolist()
    return [(nats, round(hits), round(count)) for nats, hits, count in rows]


def mean_loss(measured: Measured) -> tuple[float, float]:
    """(nats, share of hits) a token."""
    nats, hits, count = (sum(column) for column in zip(*measured, strict=True))
    return nats / count, hits / count


def _by_example(batch: Batch, nats: mx.array, hits: mx.array) -> dict[Example, tuple[float, int, int]]:
    columns: Any = (batch.owners, nats.tolist(), hits.tolist())
    rows = list(zip(*columns, strict=True))
    losses = {}
    for index, example in enumerate(batch.examples):
        mine = [(nat, hit) for owner, nat, hit in rows if owner == index]
        losses[example] = (sum(nat for nat, _ in mine), sum(hit for _, hit in mine), len(mine))
    return losses
