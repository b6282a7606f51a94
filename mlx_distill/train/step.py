"""One optimiser step: examples in, new trained arrays and what the step measured out.

A batch goes through the model in parts of at most `batch_tokens`; nats and gradients are summed over parts and
processes and divided once, by all scored tokens, so that k parts are one big batch. The trade-off of parts: one
evaluation each, for memory that does not grow with the batch. Replayed examples are parts of their own, whose
divergence from the base is likewise divided once, by all replayed tokens of the step.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.optimizers as optim

from mlx_distill.train.batches import Batch, in_parts
from mlx_distill.train.divergence import Reference, divergences_in_lanes
from mlx_distill.train.encode import Example
from mlx_distill.train.evaluate import references
from mlx_distill.train.loss import token_losses_in_lanes
from mlx_distill.train.replay.examples import Replay
from mlx_distill.train.trainee import Trainee
from mlx_distill.train.weights import weighted

Arrays = dict[str, mx.array]


@dataclass(frozen=True)
class Part:
    """Batches that go through side by side, with what enters the trained layers. `references`: of replayed ones, which
    count by their divergence from it."""

    batches: Sequence[Batch]
    entering: Sequence[mx.array | None]
    references: Sequence[Reference] | None = None


@dataclass(frozen=True)
class Prepared:
    """A step's work, ready to compute. tokens: scored, of the whole group; `replay_tokens` likewise."""

    parts: Sequence[Part]
    tokens: int
    replay_tokens: int = 0


@dataclass(frozen=True)
class Launched:
    """A step under way: nothing here has been waited for."""

    nats: mx.array
    hits: mx.array
    divergence: mx.array | None
    tokens: int
    replay_tokens: int


class Stepper:
    """Holds what changes from step to step: the trained arrays, in float32, and the optimiser."""

    def __init__(self, trainee: Trainee, replay: Replay | None = None) -> None:
        self._trainee, self._replay, config = trainee, replay, trainee.config
        self.masters = trainee.adapter.weights()
        self.optimiser = optim.AdamW(config.learning_rate, weight_decay=config.weight_decay, bias_correction=True)
        self.optimiser.init(self.masters)

    def prepare(self, examples: Sequence[Example], widths: Sequence[int], replayed: Sequence[Example] = ()) -> Prepared:
        """Work of the host, which hides behind the step that is being computed."""
        parts = [Part(batches, self._entering(batches)) for batches in self._rounds(examples, widths)]
        tokens, replay_tokens = (sum(example.scored_count for example in each) for each in (examples, replayed))
        if self._replay and replayed:
            base = self._replay.base
            rounds = self._rounds(replayed, ())
            parts += [Part(batches, self._entering(batches), references(batches, base)) for batches in rounds]
        return Prepared(parts, tokens, replay_tokens)

    def _rounds(self, examples: Sequence[Example], widths: Sequence[int]) -> list[list[Batch]]:
        split, mine = self._trainee.split, self._trainee.group.share_of(examples)
        return in_parts(mine, len(split.lanes), split.layout.batch_tokens, widths)

    def _entering(self, batches: Sequence[Batch]) -> list[mx.array | None]:
        return [self._trainee.prefix.entering(batch) for batch in batches]

    def launch(self, prepared: Prepared, step: int, rate: float) -> Launched:
        """Starts a step. What it changes is in `masters` as soon as somebody waits for it."""
        self._trainee.split.model.train()
        sums: Arrays = {}
        for number, part in enumerate(prepared.parts):
            if number:
                mx.eval(sums)  # one part's activations at a time
            work = self._part if part.references is None else self._replayed
            tokens = prepared.tokens if part.references is None else prepared.replay_tokens
            sums = _added(sums, work(part, tokens, self._seed(step, number)))
            for names in _from_the_top(self.masters):
                mx.async_eval([sums[name] for name in names])  # type: ignore[no-untyped-call]
        self._trainee.split.model.eval()
        sums = self._trainee.group.sum(sums or self._zeros())
        nats, hits, divergence = sums.pop("/nats"), sums.pop("/hits"), sums.pop("/divergence", None)
        self._update(sums, rate)
        mx.async_eval(self.optimiser.state, nats, hits, divergence)  # type: ignore[no-untyped-call]
        return Launched(nats, hits, divergence, prepared.tokens, prepared.replay_tokens)

    def _update(self, sums: Arrays, rate: float) -> None:
        self.optimiser.learning_rate = mx.array(rate)
        gradients, _ = optim.clip_grad_norm(sums, self._trainee.config.clip)
        self.masters = self.optimiser.apply_gradients(gradients, self.masters)
        sums.clear()
        gradients.clear()
        for names in _from_the_top(self.masters):
            changed = [(self.masters[name], self.optimiser.state[name]) for name in names]
            mx.async_eval(changed)  # type: ignore[no-untyped-call]

    def _part(self, part: Part, tokens: int, seed: int) -> Arrays:
        """Gradients of the mean over the step's tokens, with the sums of nats and hits beside them."""
        kind = self._trainee.config.token_weight

        def mean_loss(masters: Arrays) -> tuple[mx.array, mx.array, mx.array]:
            self._trainee.adapter.place(masters)
            losses = token_losses_in_lanes(self._trainee.split, part.batches, part.entering, seed)
            counted = [weighted(kind, each[0], batch) for each, batch in zip(losses, part.batches, strict=True)]
            nats, hits = (mx.concatenate(list(column)) for column in zip(*losses, strict=True))
            return mx.concatenate(counted).sum() / tokens, nats.sum(), hits.sum()

        (_, nats, hits), gradients = mx.value_and_grad(mean_loss)(self.masters)
        self._trainee.adapter.place(self.masters)  # what was traced is of no use outside
        return self._sums(gradients, nats, hits.astype(mx.float32), mx.array(0.0))

    def _replayed(self, part: Part, tokens: int, seed: int) -> Arrays:
        """As `_part`, of the divergence from the base on replayed examples."""
        assert self._replay is not None
        weight, trainee, base = self._replay.kl_coef, self._trainee, part.references or ()

        def weighted(masters: Arrays) -> tuple[mx.array, mx.array]:
            trainee.adapter.place(masters)
            parts = divergences_in_lanes(trainee.split, part.batches, part.entering, base, seed)
            divergence = mx.concatenate([each[2] for each in parts]).sum()
            return weight * divergence / tokens, divergence

        (_, divergence), gradients = mx.value_and_grad(weighted)(self.masters)
        trainee.adapter.place(self.masters)
        return self._sums(gradients, mx.array(0.0), mx.array(0.0), divergence)

    def _sums(self, gradients: Any, nats: mx.array, hits: mx.array, divergence: mx.array) -> Arrays:
        """What is added up, over parts and processes: in every process the same names in the same order."""
        replayed = {"/divergence": divergence} if self._replay else {}
        return {**gradients, "/nats": nats, "/hits": hits, **replayed}

    def _zeros(self) -> Arrays:
        """What a process without examples adds."""
        zero = mx.array(0.0)
        return self._sums({name: mx.zeros_like(array) for name, array in self.masters.items()}, zero, zero, zero)

    def _seed(self, step: int, part: int) -> int:
        """Of the dropout masks, which follow from the step: nothing to save."""
        number = (self._trainee.config.seed * 1_000_003 + step) * self._trainee.group.size + self._trainee.group.rank
        return (number * 1009 + part) * 100_003 % 2**32


def _added(sums: Arrays, gradients: Arrays) -> Arrays:
    """Nothing here outlives the sum: a part's gradients are as large as all of them."""
    return gradients if not sums else {name: array + gradients[name] for name, array in sums.items()}


def _from_the_top(names: Iterable[str]) -> list[list[str]]:
    """Names of trained arrays by layer, the topmost first.

    Gradients are asked for in this order, a layer at a time: asked for all at once, MLX computes them last of all,
    and until then keeps what each layer's was to be made of. So gradient checkpointing takes a fifth of the memory.
    """
    groups = itertools.groupby(names, key=lambda name: name.partition("layers.")[2].partition(".")[0])
    return [list(group) for _, group in groups][::-1]
