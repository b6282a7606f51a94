"""The frozen prefix: with LoRA on the top layers, what enters them never changes, so it is computed once.

In: examples. Out: the activations entering the lowest trained layer, from memory after the first time. Each
example goes through the lower layers alone, so that its activations do not depend on whom it was batched with: a
resumed run gets the same bits. The trade-off: tokens · dim · 4 bytes an example, up to CACHE_BYTES, for a forward
pass through the lower layers in every epoch and every validation.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from mlx_distill.train.batches import WIDTH_STEP, Batch
from mlx_distill.train.encode import Example

SPLITTABLE = ("llama", "qwen2")
"""Model types that are embedding → equal layers → norm → head and nothing else."""

CACHE_BYTES = 4 * 2**30


class SplitModel:
    """A model cut below its `layers` top layers. Other model types run whole, at every step."""

    def __init__(self, model: Any, layers: int) -> None:
        self.model = model
        self.splittable = model.model_type in SPLITTABLE
        self._cut = len(model.layers) - layers
        self._cache: dict[str, mx.array] = {}
        self._bytes = 0

    def entering(self, batch: Batch) -> mx.array | None:
        """(batch, width, dim): what the trained layers get; None for a model that cannot be cut."""
        if not self.splittable:
            return None
        rows = [self._activations(example) for example in batch.examples]
        return mx.stack([mx.pad(row, [(0, batch.width - row.shape[0]), (0, 0)]) for row in rows])

    def hidden(self, batch: Batch, entering: mx.array) -> mx.array:
        """(n, dim): what the head gets, at the positions that predict a scored token.

        The other positions' logits are never formed: with half of the tokens scored that saves a fifth of a 0.5B
        model's training FLOPs and half of its logits memory.
        """
        hidden = self.model.model.norm(self._through(entering, self._cut, len(self.model.layers)))
        return hidden.reshape(-1, hidden.shape[-1])[batch.rows]

    def head(self, hidden: mx.array) -> mx.array:
        """(n, dim) → (n, vocabulary)."""
        tied = self.model.args.tie_word_embeddings
        return self.model.model.embed_tokens.as_linear(hidden) if tied else self.model.lm_head(hidden)

    def whole_logits(self, batch: Batch) -> mx.array:
        """(n, vocabulary) in float32, for a model that cannot be cut."""
        whole = self.model(batch.inputs())
        return whole.reshape(-1, whole.shape[-1])[batch.rows].astype(mx.float32)

    def _activations(self, example: Example) -> mx.array:
        if (known := self._cache.get(example.id)) is not None:
            return known
        tokens = example.tokens[:-1]
        padding = -len(tokens) % WIDTH_STEP
        embedded = self.model.model.embed_tokens(mx.array([[*tokens, *([0] * padding)]]))
        found = self._through(embedded, 0, self._cut)[0, : len(tokens)]
        mx.eval(found)
        if self._bytes + found.nbytes <= CACHE_BYTES:
            self._cache[example.id] = found
            self._bytes += found.nbytes
        return found

    def _through(self, hidden: mx.array, first: int, last: int) -> mx.array:
        for layer in self.model.layers[first:last]:
            hidden = layer(hidden, "causal" if hidden.shape[1] > 1 else None)
        return hidden
