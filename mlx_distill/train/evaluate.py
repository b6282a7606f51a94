"""The held-out loss: what the model as it stands gives to answers that are not trained on; and its drift there.

In: examples. Out: nats, hits and scored tokens of each, in the order given, whoever computed them. Drift is
KL( base ‖ student ), the direction that predicts forgetting (Shenfeld et al. 2025, arXiv 2509.04259), in nats per
token along a given answer, from what is kept of the base's log-probabilities: `divergence` says how. It is measured in
the pass that measures the loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mlx.core as mx

from mlx_distill.train.batches import Batch, choose_widths, in_parts
from mlx_distill.train.divergence import Reference, divergences_in_lanes
from mlx_distill.train.encode import Example
from mlx_distill.train.group import Group
from mlx_distill.train.logprobs.store import TopLogprobs, name_of
from mlx_distill.train.loss import token_losses_in_lanes
from mlx_distill.train.prefix import FrozenPrefix
from mlx_distill.train.split import SplitModel
from mlx_distill.train.trainee import Trainee

Measured = list[tuple[float, int, int]]
"""(sum of nats, hits, scored tokens) of each example."""

Base = Mapping[str, TopLogprobs]
"""The base's log-probabilities, by the name of the example."""

Rows = list[tuple[float, int, int, float]]
"""As Measured, with the sum of divergences; 0 where there is no base."""


def evaluate(trainee: Trainee, examples: Sequence[Example], group: Group | None = None) -> Measured:
    """By the processes of `group`, which must all call it, or by this one alone."""
    return [row[:3] for row in _measure(trainee.split, trainee.prefix, examples, group or Group(), None)]


def measure(split: SplitModel, prefix: FrozenPrefix, examples: Sequence[Example]) -> Measured:
    """The same of a model as it stands, whether it is trained or not."""
    return [row[:3] for row in _measure(split, prefix, examples, Group(), None)]


def evaluate_with_drift(
    trainee: Trainee, examples: Sequence[Example], base: Base, group: Group | None = None
) -> tuple[Measured, list[float]]:
    """As `evaluate`, with the sum of divergences from the base of each example."""
    rows = _measure(trainee.split, trainee.prefix, examples, group or Group(), base)
    return [row[:3] for row in rows], [row[3] for row in rows]


def mean_loss(measured: Measured) -> tuple[float, float]:
    """(nats, share of hits) a token."""
    nats, hits, count = (sum(column) for column in zip(*measured, strict=True))
    return nats / count, hits / count


def references(batches: Sequence[Batch], base: Base) -> list[Reference]:
    """The base's log-probabilities in the order of each batch's rows."""
    return [Reference.of([base[name_of(example)] for example in batch.examples]) for batch in batches]


def _measure(
    split: SplitModel, prefix: FrozenPrefix, examples: Sequence[Example], group: Group, base: Base | None
) -> Rows:
    by_example: dict[Example, tuple[float, int, int, float]] = {}
    different = list(dict.fromkeys(examples))
    rounds = in_parts(different, len(split.lanes), split.layout.batch_tokens, choose_widths(different))
    for batches in group.share_of(rounds):
        entering = [prefix.entering(batch) for batch in batches]
        losses: Sequence[tuple[mx.array, ...]]
        if base is None:
            losses = token_losses_in_lanes(split, batches, entering)
        else:
            losses = divergences_in_lanes(split, batches, entering, references(batches, base))
        mx.eval(losses)
        for batch, columns in zip(batches, losses, strict=True):
            by_example |= _by_example(batch, columns)
    if group.size == 1:
        return [by_example[example] for example in examples]
    mine = mx.array([by_example.get(example, (0.0, 0, 0, 0.0)) for example in examples])
    rows: Any = group.sum({"rows": mine})["rows"].tolist()
    return [(nats, round(hits), round(count), divergence) for nats, hits, count, divergence in rows]


def _by_example(batch: Batch, columns: Sequence[mx.array]) -> dict[Example, tuple[float, int, int, float]]:
    lists: Any = [column.tolist() for column in columns]
    rows = list(zip(batch.owners, *lists, strict=True))
    losses = {}
    for index, example in enumerate(batch.examples):
        mine = [row[1:] for row in rows if row[0] == index]
        nats, hits, *more = (sum(column) for column in zip(*mine, strict=True))
        losses[example] = (nats, hits, len(mine), more[0] if more else 0.0)
    return losses
