"""Examples → batches of near-equal length, drawn anew for every epoch from (seed, epoch) alone.

Nothing but the seed and the epoch decides the order, so a resumed run sees the same batches without stored state. The
remainder is a batch like any other. The trade-off: sorting by length makes batches less random than a shuffle; a
jitter of 10 % on the lengths and a shuffled batch order give most of it back, at little padding.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx

from mlx_distill.models.students.layout import in_rounds, rounded
from mlx_distill.train.encode import Example

MOST_WIDTHS = 10
"""Different widths of all batches: few shapes, so that the allocator's buffers fit again and kernels stay compiled."""

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


def choose_widths(examples: Sequence[Example], most: int = MOST_WIDTHS) -> tuple[int, ...]:
    """At most `most` widths, ascending, that pad these examples least when each takes the next width above it.

    Exact, by dynamic programming over the distinct lengths: the cost of the first j lengths with k widths is the
    best over i < j of the first i with k - 1, plus (j - i lengths) at the j-th.
    """
    widths = Counter(rounded(len(example.tokens) - 1) for example in examples)
    lengths = sorted(widths)
    before = [0]
    for length in lengths:
        before.append(before[-1] + widths[length])
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, ()), *[(float("inf"), ())] * len(lengths)]
    for _ in range(min(most, len(lengths))):
        best = [
            min(
                (best[i][0] + (before[j] - before[i]) * lengths[j - 1], (*best[i][1], lengths[j - 1])) for i in range(j)
            )
            if j
            else (0.0, ())
            for j in range(len(lengths) + 1)
        ]
    return best[-1][1]


def epoch_batches(examples: Sequence[Example], size: int, seed: int, epoch: int) -> list[list[Example]]:
    """Every example once, in groups of `size`, the last possibly smaller, in shuffled order."""
    draw = random.Random(f"{seed}/{epoch}")
    jittered = {example.id: len(example.tokens) * (1 + JITTER * draw.random()) for example in examples}
    ordered = sorted(examples, key=lambda example: jittered[example.id])
    groups = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    draw.shuffle(groups)
    return groups


def in_parts(examples: Sequence[Example], lanes: int, tokens: int, widths: Sequence[int]) -> list[list[Batch]]:
    """The examples in rounds of at most `lanes` batches, each round within `tokens`, padding included.

    An example longer than a lane's share goes alone. What the parts say is added up, so a step is the same in one
    part or in many.
    """
    ordered = sorted(examples, key=lambda example: (len(example.tokens), example.id))
    rounds = in_rounds([_width(example, widths) for example in ordered], lanes, tokens)
    return [[make_batch([ordered[place] for place in group], widths) for group in groups] for groups in rounds]


def make_batch(examples: Sequence[Example], widths: Sequence[int]) -> Batch:
    width = max(_width(example, widths) for example in examples)
    rows: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    for index, example in enumerate(examples):
        for start, stop in example.scored:
            rows += range(index * width + start - 1, index * width + stop - 1)
            targets += example.tokens[start:stop]
            owners += [index] * (stop - start)
    return Batch(tuple(examples), width, mx.array(rows), mx.array(targets), tuple(owners))


def _width(example: Example, widths: Sequence[int]) -> int:
    """The next width above; an example that the widths were not chosen for gets its own."""
    length = len(example.tokens) - 1
    return next((width for width in widths if width >= length), rounded(length))
