"""Which replayed examples stand beside a step.

In: the tokens that a step scores otherwise. Out: examples whose tokens are `ratio` times as many, as nearly as whole
answers allow; what is missing or too much is made up for by the next steps. Their order, an epoch of their own after
another, follows from the seed alone, and which of them a step gets from the steps before it: nothing is saved.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from mlx_distill.train.encode import Example


def replayed(examples: Sequence[Example], ratio: float, seed: int, tokens: int) -> list[Example]:
    """Those of the examples that a training replays which scores so many tokens otherwise: few, where it is short."""
    return list(dict.fromkeys(ReplayOrder(examples, ratio, seed).beside(tokens)))


class ReplayOrder:
    def __init__(self, examples: Sequence[Example], ratio: float, seed: int) -> None:
        self._examples, self._ratio, self._seed = examples, ratio, seed
        self._epoch, self._owed = 0, 0.0
        self._queue: list[Example] = []

    def beside(self, tokens: int) -> list[Example]:
        """Those of the next step, which scores so many tokens otherwise. An answer is taken as soon as half of it is
        owed."""
        self._owed += tokens * self._ratio
        taken: list[Example] = []
        while self._ratio and self._owed >= self._next().scored_count / 2:
            taken.append(self._queue.pop())
            self._owed -= taken[-1].scored_count
        return taken

    def _next(self) -> Example:
        if not self._queue:
            self._queue = list(self._examples)
            random.Random(f"{self._seed}/replay/{self._epoch}").shuffle(self._queue)
            self._epoch += 1
        return self._queue[-1]
