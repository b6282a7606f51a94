"""The loss, its gradients and its memory against naive ones."""

import importlib
from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx_lm.models.cache import KVCache, RotatingKVCache
from tiny import tiny
from training_data import CONFIG, Data, examples_of

from mlx_distill.models.students import Student
from mlx_distill.train import loss as loss_module
from mlx_distill.train.batches import make_batch
from mlx_distill.train.encode import Example
from mlx_distill.train.evaluate import evaluate
from mlx_distill.train.loss import CHUNK_ROWS, frozen_head_losses, token_losses_in_lanes
from mlx_distill.train.trainee import Trainee, attach


@pytest.fixture(scope="module")
def data(smollm: Student) -> Data:
    return examples_of(smollm)


@pytest.fixture(scope="module", params=["random", pytest.param("SmolLM2", marks=pytest.mark.real)])
def student(request: pytest.FixtureRequest, smollm: Student) -> Student:
    return smollm if request.param == "SmolLM2" else tiny(smollm)


@pytest.fixture
def trainee(student: Student) -> Iterator[Trainee]:
    made = attach(student, CONFIG)
    yield made
    made.adapter.dial(0)


def naive_losses(student: Student, example: Example) -> list[float]:
    """One example, whole logits, numpy in float64."""
    logits = np.array(student.model(mx.array([example.tokens[:-1]]))[0], dtype=np.float64)
    found = []
    for start, stop in example.scored:
        for position in range(start, stop):
            row = logits[position - 1]
            found.append(np.log(np.exp(row - row.max()).sum()) + row.max() - row[example.tokens[position]])
    return found


def test_losses_equal_the_naive_ones_whatever_the_batch(student: Student, trainee: Trainee, data: Data) -> None:
    trainee.adapter.set_weights({n: mx.random.normal(a.shape) * 0.02 for n, a in trainee.adapter.weights().items()})
    batch = make_batch(data[0], [])
    ((nats, _),) = token_losses_in_lanes(trainee.split, [batch], [trainee.prefix.entering(batch)])
    expected = [value for example in data[0] for value in naive_losses(student, example)]
    np.testing.assert_allclose(np.array(nats), expected, atol=5e-4)  # float32 sums over the vocabulary


def test_evaluation_is_by_example_and_in_order(student: Student, trainee: Trainee, data: Data) -> None:
    found = evaluate(trainee, data[0])
    for (total, _, count), example in zip(found, data[0], strict=True):
        assert total == pytest.approx(sum(naive_losses(student, example)), rel=1e-4)
        assert count == example.scored_count


@pytest.mark.parametrize("chunk", [1, 3, 512])
def test_head_gradient_equals_autograd(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_module, "CHUNK_ROWS", chunk)
    mx.random.seed(0)
    head = nn.Linear(16, 50, bias=False)
    hidden, targets = mx.random.normal((7, 16)), mx.random.randint(0, 50, (7,))
    weights = mx.random.uniform(shape=(7,))

    def ours(h: mx.array) -> mx.array:
        return (frozen_head_losses(head, h, targets)[0] * weights).sum()

    def plain(h: mx.array) -> mx.array:
        return (nn.losses.cross_entropy(head(h), targets) * weights).sum()

    (a, slope_a), (b, slope_b) = mx.value_and_grad(ours)(hidden), mx.value_and_grad(plain)(hidden)
    assert a.item() == pytest.approx(b.item(), rel=1e-6)
    assert mx.allclose(slope_a, slope_b, atol=1e-6)


def test_gradients_with_the_prefix_cache_equal_those_of_the_whole_model(
    student: Student, trainee: Trainee, data: Data
) -> None:
    batch = make_batch(data[0][:3], [])

    def cached(masters: dict[str, mx.array]) -> mx.array:
        trainee.adapter.place(masters)
        ((nats, _),) = token_losses_in_lanes(trainee.split, [batch], [trainee.prefix.entering(batch)])
        return nats.sum() / len(batch.owners)

    def whole(masters: dict[str, mx.array]) -> mx.array:
        trainee.adapter.place(masters)
        logits = student.model(batch.inputs()).reshape(-1, 49152)[batch.rows]
        return nn.losses.cross_entropy(logits, batch.targets).mean()

    student.model.train()
    masters = trainee.adapter.weights()
    ours, naive = mx.grad(cached)(masters), mx.grad(whole)(masters)
    for name, gradient in ours.items():
        assert mx.allclose(gradient, naive[name], rtol=1e-3, atol=2e-5), name
    student.model.eval()


def test_a_model_that_cannot_be_cut_gives_the_same_losses_and_gradients(student: Student, data: Data) -> None:
    """Other architectures run whole."""
    cut, whole = (attach(tiny(student), CONFIG) for _ in range(2))
    assert cut.split.splittable
    whole.split.splittable = False
    batch = make_batch(data[0][:3], ())
    found = []
    for trainee in (cut, whole):

        def loss(masters: dict[str, mx.array], trainee: Trainee = trainee) -> mx.array:
            trainee.adapter.place(masters)
            ((nats, _),) = token_losses_in_lanes(trainee.split, [batch], [trainee.prefix.entering(batch)])
            return nats.sum()

        found.append(mx.value_and_grad(loss)(trainee.adapter.weights()))
    (a, slopes), (b, others) = found
    assert a.item() == pytest.approx(b.item(), rel=1e-5)
    assert all(mx.allclose(slopes[name], others[name], rtol=1e-3, atol=1e-4) for name in slopes)


@pytest.mark.parametrize("flaw", ["scaled embeddings", "no such parts", "sliding window"])
def test_a_model_that_is_no_sum_of_its_parts_is_found_out(smollm: Student, flaw: str) -> None:
    student: Any = tiny(smollm)
    if flaw == "scaled embeddings":
        inner = student.model.model

        class Scaled(type(inner)):  # type: ignore[misc]
            def __call__(self, inputs: Any, *rest: Any) -> Any:
                return super().__call__(inputs, rest[0], self.embed_tokens(inputs) * 2)

        inner.__class__ = Scaled
    elif flaw == "no such parts":
        student.model.model.embedding = student.model.model.pop("embed_tokens")
        student.model.__class__ = type("Odd", (type(student.model),), {"__call__": lambda self, x: x})
    else:
        student.model.make_cache = lambda: [KVCache(), RotatingKVCache(32), KVCache(), KVCache()]
    assert not attach(student, CONFIG).split.splittable


@pytest.mark.real
def test_the_memory_of_logits_does_not_grow_with_the_rows() -> None:
    head = nn.Linear(32, 49152, bias=False)
    mx.eval(head.parameters())
    peaks = []
    for chunks in (4, 24):
        hidden = mx.random.normal((chunks * CHUNK_ROWS, 32))
        targets = mx.zeros((chunks * CHUNK_ROWS,), mx.int32)
        mx.eval(hidden, targets)
        mx.reset_peak_memory()
        mx.eval(mx.grad(lambda h, t=targets: frozen_head_losses(head, h, t)[0].sum())(hidden))
        peaks.append(mx.get_peak_memory() - mx.get_active_memory())
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 10 * CHUNK_ROWS * 49152 * 4


SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "rms_norm_eps": 1e-5,
    "vocab_size": 49152,
    "max_position_embeddings": 512,
    "rope_theta": 1e4,
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}


@pytest.mark.parametrize(
    ("architecture", "more", "is_cut"),
    [
        ("qwen2", {"tie_word_embeddings": False}, True),
        ("qwen3", {"tie_word_embeddings": True}, True),
        ("phi3", {}, True),
        ("qwen2_moe", EXPERTS | {"shared_expert_intermediate_size": 32}, True),
        ("gemma2", {}, False),
        ("cohere", {}, False),
    ],
)
def test_every_model_of_mlx_lm_can_be_trained(
    smollm: Student, data: Data, architecture: str, more: dict[str, Any], is_cut: bool
) -> None:
    module = importlib.import_module(f"mlx_lm.models.{architecture}")
    mx.random.seed(0)
    model = module.Model(module.ModelArgs.from_dict({"model_type": architecture, **SHAPE, **more}))
    model.eval()
    trainee = attach(Student(architecture, smollm.folder, model, smollm.tokenizer), CONFIG)
    assert trainee.split.splittable == is_cut
    batch = make_batch(data[0][:3], ())
    ((nats, _),) = token_losses_in_lanes(trainee.split, [batch], [trainee.prefix.entering(batch)])
    logits = model(batch.inputs()).reshape(-1, 49152)[batch.rows]
    assert mx.allclose(nats, nn.losses.cross_entropy(logits, batch.targets), atol=1e-5)


def test_examples_that_share_an_id_are_measured_each(smollm: Student) -> None:
    """Traces bring several answers to one prompt."""
    trainee = attach(tiny(smollm), CONFIG)
    examples = [Example("same", (5, 6, 7, 8), ((2, 4),)), Example("same", (5, 6, 9, 10, 11), ((2, 5),))]
    together = evaluate(trainee, [*examples, examples[0]])
    alone = [evaluate(trainee, [example])[0] for example in examples]
    assert [row[2] for row in together] == [2, 3, 2]
    for (a, _, _), (b, _, _) in zip(together, [*alone, alone[0]], strict=True):
        assert a == pytest.approx(b, rel=1e-5)
