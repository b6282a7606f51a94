"""KL( reference ‖ student ) over k + 1 categories, and its slope, against naive ones that autograd differentiates."""

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_data import CONFIG, examples_of

from mlx_distill.models.students import Student
from mlx_distill.train import loss as loss_module
from mlx_distill.train.batches import make_batch
from mlx_distill.train.divergence import Reference, divergences_in_lanes, frozen_head_divergences, head_divergences
from mlx_distill.train.evaluate import evaluate, evaluate_with_drift
from mlx_distill.train.logprobs.scoring import scored, top_logprobs
from mlx_distill.train.logprobs.store import LogprobStore, name_of
from mlx_distill.train.loss import CHUNK_ROWS, head_losses
from mlx_distill.train.trainee import attach

DIM, VOCABULARY = 8, 24


def naive(logits: mx.array, ids: Sequence[Sequence[int]], logprobs: Sequence[Sequence[float]]) -> mx.array:
    """Row by row: each token of the support by itself, and everything else together."""
    total = mx.array(0.0)
    for row, (own, given_logprobs) in enumerate(zip(ids, logprobs, strict=True)):
        support = dict(zip(own, given_logprobs, strict=True))
        mine = logits[row] - mx.logsumexp(logits[row])
        total = total + sum(float(np.exp(p)) * (p - mine[token]) for token, p in support.items())
        others = [token for token in range(logits.shape[-1]) if token not in support]
        rest = 1 - float(sum(np.exp(p) for p in support.values()))
        if others and rest > 0:
            total = total + rest * (float(np.log(rest)) - mx.logsumexp(mine[mx.array(others)]))
    return total


@given(
    st.integers(1, VOCABULARY),
    st.integers(0, 2**16),
    st.sampled_from([0.1, 1.0, 4.0]),
    st.booleans(),
    st.sampled_from([1, 3, 512]),
)
@settings(max_examples=60, deadline=None)
def test_value_and_slope_are_those_of_the_naive_one(k: int, seed: int, spread: float, ties: bool, chunk: int) -> None:
    """Whether the realised token is among the likeliest or not, with ties among them, in chunks of any size."""
    mx.random.seed(seed)
    head = nn.Linear(DIM, VOCABULARY, bias=False)
    hidden, theirs = (mx.random.normal((5, DIM)) * 3 * spread for _ in range(2))
    base = head(theirs)
    if ties:
        base = mx.round(base)
    ids, logprobs = top_logprobs(lambda logits: logits, base, mx.random.randint(0, VOCABULARY, (5,)), k)
    reference = Reference(ids, logprobs)

    def ours(h: mx.array) -> mx.array:
        return frozen_head_divergences(head, h, reference)[2].sum()

    def plain(h: mx.array) -> mx.array:
        return naive(head(h), ids.tolist(), logprobs.tolist())  # type: ignore[arg-type]

    chunked(chunk, lambda: compare(ours, plain, hidden))


def chunked(rows: int, work: Callable[[], None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss_module, "CHUNK_ROWS", rows)
        work()


def compare(ours: Any, plain: Any, hidden: mx.array) -> None:
    (a, slope), (b, other) = mx.value_and_grad(ours)(hidden), mx.value_and_grad(plain)(hidden)
    assert a.item() == pytest.approx(b.item(), rel=1e-5, abs=1e-5)
    assert mx.allclose(slope, other, rtol=1e-5, atol=1e-5)


def test_with_the_whole_vocabulary_it_is_the_exact_divergence() -> None:
    mx.random.seed(1)
    base, mine = (mx.random.normal((6, VOCABULARY)) * 3 for _ in range(2))
    ids, logprobs = top_logprobs(lambda logits: logits, base, mx.zeros((6,), mx.int32), VOCABULARY)

    def ours(logits: mx.array) -> mx.array:
        return frozen_head_divergences(lambda each: each, logits, Reference(ids, logprobs))[2].sum()

    def exact(logits: mx.array) -> mx.array:
        p, q = nn.log_softmax(base), nn.log_softmax(logits)
        return (mx.exp(p) * (p - q)).sum()

    compare(ours, exact, mine)


def test_fewer_categories_never_show_more_and_a_model_is_at_none_from_itself() -> None:
    mx.random.seed(2)
    base, mine = (mx.random.normal((50, VOCABULARY)) * 4 for _ in range(2))
    targets = mx.random.randint(0, VOCABULARY, (50,))
    before = mx.zeros((50,))
    for k in (1, 2, 5, 12, VOCABULARY):
        ids, logprobs = top_logprobs(lambda logits: logits, base, targets, k)
        stored = Reference(ids, logprobs.astype(mx.float16).astype(mx.float32))
        _, _, now = head_divergences(lambda logits: logits, mine, Reference(ids, logprobs))
        assert mx.all(now >= before - 1e-5).item()
        before = now
        _, _, own = head_divergences(lambda logits: logits, base, stored)
        assert 0 <= own.min().item() <= own.max().item() < 1e-4  # type: ignore[operator]


def test_a_student_that_gives_the_rest_nothing_has_a_finite_divergence_and_slope() -> None:
    logits = mx.array([[200.0] + [0.0] * (VOCABULARY - 1)])
    reference = Reference(mx.array([[0, 0]]), mx.log(mx.array([[0.5, 0.5]])))

    def ours(each: mx.array) -> mx.array:
        return frozen_head_divergences(lambda logits: logits, each, reference)[2].sum()

    value, slope = mx.value_and_grad(ours)(logits)
    assert value.item() > 40  # type: ignore[operator]
    assert mx.isfinite(slope).all().item()


def test_the_losses_beside_it_are_those_of_the_plain_loss() -> None:
    mx.random.seed(3)
    head = nn.Linear(DIM, VOCABULARY, bias=False)
    hidden, targets = mx.random.normal((7, DIM)), mx.random.randint(0, VOCABULARY, (7,))
    nats, hits = head_losses(head, hidden, targets)
    ids, logprobs = top_logprobs(head, hidden, targets, 3)
    ours = head_divergences(head, hidden, Reference(ids, logprobs))
    assert mx.allclose(ours[0], nats, atol=1e-5)
    assert ours[1].tolist() == hits.tolist()


@pytest.mark.real
def test_on_the_real_student_parts_lanes_and_a_model_that_is_not_cut_agree(smollm: Student, tmp_path: Any) -> None:
    training, heldout = examples_of(smollm)
    trainee = attach(smollm, CONFIG)
    trainee.adapter.dial(0)
    base = scored(trainee.split, trainee.prefix, LogprobStore(tmp_path, "base", 20), [*training, *heldout])
    trainee.adapter.dial(1)
    _, own = evaluate_with_drift(trainee, heldout, base)
    assert max(own) < 1e-3  # a new adapter changes nothing
    trainee.adapter.set_weights({n: mx.random.normal(a.shape) * 0.1 for n, a in trainee.adapter.weights().items()})
    plain = evaluate(trainee, heldout)
    measured, drift = evaluate_with_drift(trainee, heldout, base)
    np.testing.assert_allclose([row[0] for row in measured], [row[0] for row in plain], rtol=1e-5)
    assert min(drift) > 0.01
    batch = make_batch(heldout, ())
    reference = Reference.of([base[name] for name in map(name_of, heldout)])
    together = divergences_in_lanes(trainee.split, [batch], [trainee.prefix.entering(batch)], [reference])
    whole = divergences_in_lanes(trainee.split, [batch], [None], [reference])
    trainee.adapter.dial(0)
    assert mx.allclose(together[0][2], whole[0][2], atol=1e-3)
    assert float(together[0][2].sum().item()) == pytest.approx(sum(drift), rel=1e-3)  # type: ignore[arg-type]


@pytest.mark.real
def test_its_memory_is_no_larger_than_that_of_the_plain_loss() -> None:
    head = nn.Linear(32, 49152, bias=False)
    mx.eval(head.parameters())
    hidden = mx.random.normal((8 * CHUNK_ROWS, 32))
    targets = mx.zeros((hidden.shape[0],), mx.int32)
    ids, logprobs = top_logprobs(head, hidden, targets, 20)
    mx.eval(hidden, targets, ids, logprobs)
    peaks = []
    for work in (
        lambda h: loss_module.frozen_head_losses(head, h, targets)[0].sum(),
        lambda h: frozen_head_divergences(head, h, Reference(ids, logprobs))[2].sum(),
    ):
        mx.reset_peak_memory()
        mx.eval(mx.grad(work)(hidden))
        peaks.append(mx.get_peak_memory() - mx.get_active_memory())
    assert peaks[1] <= 1.05 * peaks[0]
