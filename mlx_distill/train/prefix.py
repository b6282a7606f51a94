"""The frozen prefix: with the adapter on the top layers, what enters them never changes, so it is computed once.

In: batches. Out: the activations entering the lowest trained layer, from the store after the first time. The
trade-off: tokens · dim · 2 or 4 bytes an example, for a forward pass through the lower layers in every epoch and
every validation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import mlx.core as mx
import numpy as np

from mlx_distill.train.batches import Batch
from mlx_distill.train.encode import Example
from mlx_distill.train.split import SplitModel
from mlx_distill.train.store import Store

CACHE_BYTES = 4 * 2**30


class FrozenPrefix:
    """Where nothing lies below the trained layers only embeddings enter them: these are not stored."""

    def __init__(self, split: SplitModel, store: Store) -> None:
        self._split, self._store = split, store

    def entering(self, batch: Batch) -> mx.array | None:
        """(batch, width, dim), padded with zeros; None for a model that cannot be cut."""
        if not self._split.splittable:
            return None
        rows = self._activations(batch.examples)
        return mx.stack([mx.pad(row, [(0, batch.width - row.shape[0]), (0, 0)]) for row in rows])

    def _activations(self, examples: Sequence[Example]) -> list[mx.array]:
        """Computes what is missing, a few examples side by side, each in a lane of its own."""
        names = [_name(example) for example in examples]
        stored = {name: self._store.get(name) for name in names}
        missing = [example for name, example in zip(names, examples, strict=True) if stored[name] is None]
        count = len(self._split.lanes)
        for start in range(0, len(missing), count):
            group = missing[start : start + count]
            computed = []
            for example, lane in zip(group, self._split.lanes, strict=False):
                with mx.stream(lane):
                    computed.append(self._split.lower(example.tokens[:-1]))
            mx.eval(*computed)
            for example, activations in zip(group, computed, strict=True):
                stored[_name(example)] = activations
                if self._split.cut:
                    self._store.put(_name(example), activations)
        return [array for name in names if (array := stored[name]) is not None]


def _name(example: Example) -> str:
    """Of what the activations depend on: the tokens alone, whatever rendered them."""
    return hashlib.sha256(np.array(example.tokens, np.int64).tobytes()).hexdigest()[:32]
