"""Examples → batches of near-equal length, drawn anew for every epoch from (seed, epoch) alone.

Nothing but the seed and the epoch decides the order, so a resumed run sees the same batches without stored
state. The remainder is a batch like any other. The trade-off: sorting by length makes batches less random than a
shuffle; a jitter of 10 % on the lengths and a shuffled batch order give most of it back, at little padding.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx

from mlx_distill.train.encode import Example

WIDTH_STEP = 16
"""Batch widths are multiples of this, so that few different shapes occur."""

JITTER = 0.1


@dataclass(frozen=True)
class Batch:
    """Examples side by side, padded on the right to `width`: under causal attention no token sees the padding.

    rows (n,) flat positions that predict a scored token · targets (n,) those tokens · owners: of each of the n,
    the index of its example.
    """

    examples: tuple[Example, ...]
    width: int
    rows: mx.array
    targets: mx.array
    owners: tuple[int, ...]

    def inputs(self) -> mx.array:
        """(batch, width) tokens, padded with 0."""
        tokens = [example.tokens[:-1] for example in self.examples]
        return mx.array([[*row, *([0] * (self.width - len(row)))] for row in tokens])


def epoch_batches(examples: Sequence[Example], size: int, seed: int, epoch: int) -> list[Batch]:
    """Every example once, in batches of `size`, the last group possibly smaller, in shuffled order."""
    draw = random.Random(f"{seed}/{epoch}")
    jittered = {example.id: len(example.tokens) * (1 + JITTER * draw.random()) for example in examples}
    batches = group(sorted(examples, key=lambda example: jittered[example.id]), size)
    draw.shuffle(batches)
    return batches


def by_length(examples: Sequence[Example], size: int) -> list[Batch]:
    """For evaluation: always the same batches."""
    return group(sorted(examples, key=lambda example: (len(example.tokens), example.id)), size)


def group(examples: Sequence[Example], size: int) -> list[Batch]:
    return [make_batch(examples[start : start + size]) for start in range(0, len(examples), size)]


def make_batch(examples: Sequence[Example]) -> Batch:
    """No examples make an empty batch: a lane may have nothing to do."""
    longest = max((len(example.tokens) - 1 for example in examples), default=0)
    width = -(-longest // WIDTH_STEP) * WIDTH_STEP
    rows: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    for index, example in enumerate(examples):
        for start, stop in example.scored:
            rows += [index * width + position - 1 for position in range(start, stop)]
            targets += example.tokens[start:stop]
            owners += [index] * (stop - start)
    return Batch(tuple(examples), width, mx.array(rows), mx.array(targets), tuple(owners))
