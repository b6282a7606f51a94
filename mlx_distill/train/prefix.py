"""The frozen prefix: with LoRA on the top layers, what enters them never changes, so it is computed once.

In: examples. Out: the activations entering the lowest trained layer, from memory after the first time. Each
example goes through the lower layers alone, so that its activations do not depend on whom it was batched with: a
resumed run gets the same bits. The trade-off: tokens · dim · 4 bytes an example, up to CACHE_BYTES, for a forward
pass through the lower layers in every epoch and every validation.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from mlx_distill.train.batches import WIDTH_STEP, Batch
from mlx_distill.train.encode import Example

SPLITTABLE = ("llama", "qwen2")
"""Model types that are embedding → equal layers → norm → head and nothing else."""

CACHE_BYTES = 4 * 2**30


def lanes() -> list[mx.Stream]:
    """Streams to work on side by side: one on Metal, one a core on the CPU, whose operations use a single core each.

    What runs in which lane follows from its place in the batch, so results do not depend on timing.
    """
    if mx.default_device() != mx.cpu:
        return [mx.default_stream(mx.default_device())]
    others = min(4, os.cpu_count() or 1) - 1
    return [mx.default_stream(mx.cpu), *(mx.new_stream(mx.cpu) for _ in range(others))]


class SplitModel:
    """A model cut below its `layers` top layers. Other model types run whole, at every step."""

    def __init__(self, model: Any, layers: int) -> None:
        self.model = model
        sliding = any(getattr(layer, "use_sliding", False) for layer in model.layers)
        self.splittable = model.model_type in SPLITTABLE and not sliding
        self._cut = len(model.layers) - layers
        self.lanes = lanes()
        self._cache: dict[str, mx.array] = {}
        self._passing: set[str] = set()
        self._bytes = 0

    def entering(self, batch: Batch) -> mx.array | None:
        """(batch, width, dim): what the trained layers get; None for a model that cannot be cut."""
        if not self.splittable or not batch.examples:
            return None
        self._fill(batch.examples)
        rows = [self._cache.pop(e.id) if e.id in self._passing else self._cache[e.id] for e in batch.examples]
        self._passing.clear()
        return mx.stack([mx.pad(row, [(0, batch.width - row.shape[0]), (0, 0)]) for row in rows])

    def hidden(self, batch: Batch, entering: mx.array) -> mx.array:
        """(n, dim): what the head gets, at the positions that predict a scored token.

        The other positions' logits are never formed: with half of the tokens scored that saves a fifth of a 0.5B
        model's training FLOPs and half of its logits memory.
        """
        hidden = self.model.model.norm(self._through(entering, self._cut, len(self.model.layers)))
        found: mx.array = hidden.reshape(-1, hidden.shape[-1])[batch.rows]
        return found

    def head(self, hidden: mx.array) -> mx.array:
        """(n, dim) → (n, vocabulary)."""
        tied = self.model.args.tie_word_embeddings
        head = self.model.model.embed_tokens.as_linear if tied else self.model.lm_head
        logits: mx.array = head(hidden)
        return logits

    def whole_logits(self, batch: Batch) -> mx.array:
        """(n, vocabulary) in float32, for a model that cannot be cut."""
        whole = self.model(batch.inputs())
        logits: mx.array = whole.reshape(-1, whole.shape[-1])[batch.rows].astype(mx.float32)
        return logits

    def _fill(self, examples: Sequence[Example]) -> None:
        """Computes what is missing, a few examples side by side, each in a lane of its own."""
        missing = [example for example in examples if example.id not in self._cache]
        for start in range(0, len(missing), len(self.lanes)):
            group = missing[start : start + len(self.lanes)]
            found = []
            for example, lane in zip(group, self.lanes, strict=False):
                with mx.stream(lane):
                    found.append(self._activations(example))
            mx.eval(*found)
            for example, array in zip(group, found, strict=True):
                self._keep(example.id, array)

    def _keep(self, name: str, array: mx.array) -> None:
        self._cache[name] = array
        if self._bytes + array.nbytes > CACHE_BYTES:
            self._passing.add(name)
        else:
            self._bytes += array.nbytes

    def _activations(self, example: Example) -> mx.array:
        tokens = example.tokens[:-1]
        padding = -len(tokens) % WIDTH_STEP
        embedded = self.model.model.embed_tokens(mx.array([[*tokens, *([0] * padding)]]))
        return self._through(embedded, 0, self._cut)[0, : len(tokens)]

    def _through(self, hidden: mx.array, first: int, last: int) -> mx.array:
        for layer in self.model.layers[first:last]:
            hidden = layer(hidden, "causal" if hidden.shape[1] > 1 else None)
        return hidden
