"""A model cut in three: the frozen layers below, the trained ones above, the head.

In: batches, and what enters the trained layers. Out: what the head gets, or logits. Models of another build (found
by comparing one short pass of the parts with the model's own) run whole at every step: slower, and just as right.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

from mlx_distill.machine.environment import launched_rank
from mlx_distill.models.students.layout import WIDTH_STEP, Layout, lane_count
from mlx_distill.train.batches import Batch

PROBE = tuple(range(1, WIDTH_STEP + 1))
"""Token ids that every vocabulary has."""


def lanes() -> list[mx.Stream]:
    """Streams to work on side by side.

    What runs in which lane follows from its place in the batch, so results do not depend on timing.
    """
    device = mx.default_device()
    count = lane_count("CPU" if device == mx.cpu else "Metal", os.cpu_count(), alone=launched_rank() is None)
    return [mx.default_stream(device), *(mx.new_stream(device) for _ in range(count - 1))]


class SplitModel:
    """A model cut below its `layers` top layers."""

    def __init__(self, model: Any, layers: int, layout: Layout) -> None:
        self.model = model
        self.layout = layout
        self.cut = len(model.layers) - layers
        self.lanes = lanes()
        self.splittable = self._is_sum_of_parts()

    def lower(self, tokens: Sequence[int]) -> mx.array:
        """(n, dim): what enters the trained layers, for one text of n tokens alone.

        Alone, so that it does not depend on whom the text is batched with: a resumed run gets the same bits.
        """
        padding = -len(tokens) % WIDTH_STEP
        embedded = self.model.model.embed_tokens(mx.array([[*tokens, *([0] * padding)]]))
        return self._through(embedded, self.model.layers[: self.cut])[0, : len(tokens)]

    def hidden(self, batch: Batch, entering: mx.array, seed: int | None = None) -> mx.array:
        """(n, dim): what the head gets, at the positions that predict a scored token.

        entering (batch, width, dim) · seed: of the dropout masks. The other positions' logits are never formed: with
        half of the tokens scored that saves a fifth of a 0.5B model's training FLOPs and half of its logits memory.
        """
        top = self._through(entering, self.model.layers[self.cut :], seed, self.layout.grad_checkpoint)
        hidden = self.model.model.norm(top)
        rows: mx.array = hidden.reshape(-1, hidden.shape[-1])[batch.rows]
        return rows

    def head(self, hidden: mx.array) -> mx.array:
        """(n, dim) → (n, vocabulary)."""
        tied = self.model.args.tie_word_embeddings
        head = self.model.model.embed_tokens.as_linear if tied else self.model.lm_head
        logits: mx.array = head(hidden)
        return logits

    def whole_logits(self, batch: Batch, seed: int | None = None) -> mx.array:
        """(n, vocabulary) in float32, for a model that cannot be cut."""
        if seed is not None:
            mx.random.seed(seed)
        whole = self.model(batch.inputs())
        logits: mx.array = whole.reshape(-1, whole.shape[-1])[batch.rows].astype(mx.float32)
        return logits

    def _through(
        self, hidden: mx.array, layers: Sequence[Any], seed: int | None = None, recompute: bool = False
    ) -> mx.array:
        for place, layer in enumerate(layers):
            call = _seeded(layer, None if seed is None else seed + place)
            hidden = mx.checkpoint(call)(layer.trainable_parameters(), hidden) if recompute else call(None, hidden)
        return hidden

    def _is_sum_of_parts(self) -> bool:
        """Layers that see a window or keep a state agree on a short text only: their caches tell them apart."""
        from mlx_lm.models.cache import KVCache, make_prompt_cache

        if any(type(cache) is not KVCache for cache in make_prompt_cache(self.model)):
            return False
        try:
            parts = self.head(self.model.model.norm(self._through(self._embedded(), self.model.layers)))
        except (AttributeError, TypeError, ValueError, KeyError, IndexError):
            return False
        return bool(mx.array_equal(parts, self.model(mx.array([PROBE]))))

    def _embedded(self) -> mx.array:
        embedded: mx.array = self.model.model.embed_tokens(mx.array([PROBE]))
        return embedded


def _seeded(layer: Any, seed: int | None) -> Callable[[Any, mx.array], mx.array]:
    """The layer as a function of its trained arrays and its input. Each call draws the same dropout masks: gradient
    checkpointing calls twice."""

    def call(weights: Any, hidden: mx.array) -> mx.array:
        if seed is not None:
            mx.random.seed(seed)
        if weights is not None:
            layer.update(weights)
        out: mx.array = layer(hidden, "causal" if hidden.shape[1] > 1 else None)
        return out

    return call
