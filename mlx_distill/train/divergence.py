"""How far the student is from a reference model, such as its own base: KL( reference ‖ student ) of each next token.

In: what enters the head, and the reference's likeliest tokens with their log-probabilities (`logprobs`). Out: nats of
divergence for each position, beside the plain loss. The categories are those tokens, the token that stands there, and
one bucket for all the rest; with fewer categories a divergence can only be smaller (data-processing inequality), so it
is a lower bound, and exact where the tokens are the whole vocabulary. The trade-off: 126 bytes a token instead of a
whole row of logits.

As for the plain loss, the slope is formed in the forward pass, a chunk of rows at a time. With P and Q the masses that
reference and student give to a category, q the student's probabilities and c(j) the category of token j:

    D = Σ_c P_c (log P_c - log Q_c)      ∂D/∂z_j = q_j (g_c(j) - Σ_c g_c Q_c),  g_c = -P_c / Q_c
                                                 = q_j - q_j P_c(j) / Q_c(j)     since Σ_c g_c Q_c = -Σ_c P_c = -1

which is q_j - P_c(j) for a token with a category of its own, and q_j (1 - P / Q) in the bucket.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from mlx_distill.train.batches import Batch
from mlx_distill.train.logprobs.store import TopLogprobs
from mlx_distill.train.loss import LANE_SEEDS, Head, in_chunks
from mlx_distill.train.split import SplitModel

SMALLEST = 1e-37
"""A mass below this counts as this: its logarithm stays a number."""

Divergences = tuple[mx.array, mx.array, mx.array]
"""(nats, hits, divergences), each (n,): the plain loss of every position, and KL( reference ‖ student ) there."""


@dataclass(frozen=True)
class Reference:
    """ids (n, k + 1) and log-probabilities (n, k + 1), float32, of n positions; the last column is the token that
    stands there, which may be among the k as well."""

    ids: mx.array
    logprobs: mx.array

    @staticmethod
    def of(tops: Sequence[TopLogprobs]) -> Reference:
        """Of examples one after another, as a batch has their rows."""
        ids, logprobs = (np.concatenate([getattr(top, name) for top in tops]) for name in ("ids", "logprobs"))
        return Reference(mx.array(ids), mx.array(logprobs.astype(np.float32)))


def divergences_in_lanes(
    split: SplitModel,
    batches: Sequence[Batch],
    entering: Sequence[mx.array | None],
    references: Sequence[Reference],
    seed: int | None = None,
) -> list[Divergences]:
    """Of at most as many batches as there are lanes, side by side. seed: of the dropout masks."""
    parts = []
    for place, (batch, into, reference) in enumerate(zip(batches, entering, references, strict=True)):
        with mx.stream(split.lanes[place]):
            parts.append(
                _divergences(split, batch, into, reference, None if seed is None else seed + place * LANE_SEEDS)
            )
    return parts


def _divergences(
    split: SplitModel, batch: Batch, entering: mx.array | None, reference: Reference, seed: int | None
) -> Divergences:
    if entering is None:  # the model cannot be cut: its logits are differentiated as they are
        return frozen_head_divergences(lambda logits: logits, split.whole_logits(batch, seed), reference)
    divergences = frozen_head_divergences if split.model.training else head_divergences
    return divergences(split.head, split.hidden(batch, entering, seed), reference)


def head_divergences(head: Head, hidden: mx.array, reference: Reference) -> Divergences:
    """hidden (n, dim), a chunk of rows at a time."""
    nats, hits, divergences = in_chunks(
        lambda rows, ids, logprobs: _chunk(head, rows, ids, logprobs)[:3], hidden, reference.ids, reference.logprobs
    )
    return nats, hits, divergences


def frozen_head_divergences(head: Head, hidden: mx.array, reference: Reference) -> Divergences:
    """As `head_divergences`, whose third part is to be differentiated: for a head that is not trained."""

    @mx.custom_function
    def divergences(hidden: mx.array) -> tuple[mx.array, ...]:
        return in_chunks(
            lambda rows, ids, logprobs: _with_slope(head, rows, ids, logprobs),
            hidden,
            reference.ids,
            reference.logprobs,
        )

    @divergences.vjp
    def divergences_vjp(_: mx.array, cotangents: list[mx.array], outputs: list[mx.array]) -> mx.array:
        return cotangents[2][:, None].astype(outputs[3].dtype) * outputs[3]

    parts: tuple[mx.array, ...] = divergences(hidden)  # type: ignore[assignment]
    return parts[0], parts[1], parts[2]


def _with_slope(head: Head, hidden: mx.array, ids: mx.array, logprobs: mx.array) -> tuple[mx.array, ...]:
    """(nats, hits, divergences, d divergence / d hidden) of some rows."""
    nats, hits, divergences, slope = _chunk(head, hidden, ids, logprobs)
    _, (toward_hidden,) = mx.vjp(head, [hidden], [slope.astype(hidden.dtype)])
    return nats, hits, divergences, toward_hidden


def _chunk(head: Head, hidden: mx.array, ids: mx.array, logprobs: mx.array) -> tuple[mx.array, ...]:
    """(nats, hits, divergences, slope with respect to the logits) of some rows."""
    logits = head(hidden).astype(mx.float32)
    reference, rest, scale = _masses(ids, logprobs, logits.shape[-1])
    peak = logits.max(axis=-1, keepdims=True)
    weights = mx.exp(logits - peak)
    total = weights.sum(axis=-1, keepdims=True)
    normaliser = mx.log(total) + peak
    mine = mx.take_along_axis(logits, ids, axis=-1) - normaliser
    others = mx.put_along_axis(weights, ids, mx.array(0.0), axis=-1)
    left = mx.maximum(others.sum(axis=-1, keepdims=True), SMALLEST)
    divergence = (reference * (logprobs - scale - mine)).sum(axis=-1) + _of_rest(rest, left / total)[:, 0]
    own = mx.exp(mine) - mx.exp(logprobs - scale)  # a token that is there twice gets the same value twice
    slope = mx.put_along_axis(others * (1 / total - rest / left), ids, own, axis=-1)
    return -mine[:, -1], logits.argmax(axis=-1) == ids[:, -1], mx.maximum(divergence, 0.0), slope


def _masses(ids: mx.array, logprobs: mx.array, vocabulary: int) -> tuple[mx.array, mx.array, mx.array]:
    """The reference's masses (n, k + 1), a repeated token's as zero; that of the bucket (n, 1); and the logarithm of
    what they were divided by to add up to one: they were stored with few digits."""
    repeated = (ids[:, :-1] == ids[:, -1:]).any(axis=-1)
    masses = mx.exp(logprobs)
    masses = mx.concatenate([masses[:, :-1], mx.where(repeated, 0.0, masses[:, -1])[:, None]], axis=-1)
    covered = masses.sum(axis=-1, keepdims=True)
    rest = mx.zeros_like(covered) if ids.shape[-1] > vocabulary else mx.maximum(1 - covered, 0.0)
    whole = covered + rest
    return masses / whole, rest / whole, mx.log(whole)


def _of_rest(rest: mx.array, mine: mx.array) -> mx.array:
    """What the bucket adds to the divergence: nothing where the reference puts nothing there."""
    return rest * (mx.log(mx.maximum(rest, SMALLEST)) - mx.log(mx.maximum(mine, SMALLEST)))
