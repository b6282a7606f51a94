"""The loss against a naive oracle, and the loop: exact, resumable, and better on what it has not seen."""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlx_distill.config import TrainingConfig
from mlx_distill.errors import DataError
from mlx_distill.records import Conversation, StepMetrics
from mlx_distill.students import Student
from mlx_distill.students import adapter as adapters
from mlx_distill.students.adapter import Adapter
from mlx_distill.train import SplitModel, evaluate, train
from mlx_distill.train import loss as loss_module
from mlx_distill.train.batches import make_batch
from mlx_distill.train.encode import Example, encode_all
from mlx_distill.train.loop import learning_rate
from mlx_distill.train.loss import frozen_head_losses, token_losses_in_lanes

CONFIG = TrainingConfig(
    student="smollm2-135m", epochs=2, batch_size=3, learning_rate=2e-3, layers=2, rank=4, checkpoint_every=2
)


def conversations(count: int, name: str) -> list[Conversation]:
    return [
        Conversation(
            f"{name}{i}",
            (
                {"role": "user", "content": f"Say the code of {name} {i}."},
                {"role": "assistant", "content": f"The code is zeta-{i}." + " Over." * (i % 4)},
            ),
        )
        for i in range(count)
    ]


@pytest.fixture
def adapter(smollm: Student) -> Iterator[Adapter]:
    made = adapters.attach(smollm.model, CONFIG)
    yield made
    made.switch(False)


@pytest.fixture(scope="module")
def data(smollm: Student) -> tuple[list[Example], list[Example]]:
    training = encode_all(conversations(7, "item"), smollm, "Answer.", 4096)
    heldout = encode_all(conversations(3, "thing"), smollm, "Answer.", 4096)
    return training, heldout


# ---------------------------------------------------------------- the loss


def naive_losses(student: Student, example: Example) -> list[float]:
    """One example, whole logits, numpy in float64."""
    logits = np.array(student.model(mx.array([example.tokens[:-1]]))[0], dtype=np.float64)
    found = []
    for start, stop in example.scored:
        for position in range(start, stop):
            row = logits[position - 1]
            found.append(np.log(np.exp(row - row.max()).sum()) + row.max() - row[example.tokens[position]])
    return found


def test_losses_equal_the_naive_ones_whatever_the_batch(
    smollm: Student, adapter: Adapter, data: tuple[list[Example], list[Example]]
) -> None:
    adapter.set_weights({n: mx.random.normal(a.shape) * 0.02 for n, a in adapter.weights().items()})
    split = SplitModel(smollm.model, adapter.layers)
    batch = make_batch(data[0])
    ((nats, _),) = token_losses_in_lanes(split, [batch], [split.entering(batch)])
    expected = [value for example in data[0] for value in naive_losses(smollm, example)]
    np.testing.assert_allclose(np.array(nats), expected, atol=5e-4)  # float32 sums over the vocabulary


def test_evaluation_is_by_example_and_in_order(
    smollm: Student, adapter: Adapter, data: tuple[list[Example], list[Example]]
) -> None:
    found = evaluate(SplitModel(smollm.model, adapter.layers), data[0], CONFIG)
    for (total, _, count), example in zip(found, data[0], strict=True):
        assert total == pytest.approx(sum(naive_losses(smollm, example)), rel=1e-4)
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
    smollm: Student, adapter: Adapter, data: tuple[list[Example], list[Example]]
) -> None:
    batch = make_batch(data[0][:3])
    split = SplitModel(smollm.model, adapter.layers)

    def cached(_: nn.Module) -> mx.array:
        ((nats, _),) = token_losses_in_lanes(split, [batch], [split.entering(batch)])
        return nats.sum() / len(batch.owners)

    def whole(model: nn.Module) -> mx.array:
        logits = model(batch.inputs()).reshape(-1, 49152)[batch.rows]
        return nn.losses.cross_entropy(logits, batch.targets).mean()

    _, ours = nn.value_and_grad(smollm.model, cached)(smollm.model)
    _, naive = nn.value_and_grad(smollm.model, whole)(smollm.model)
    theirs = dict(tree_flatten(naive))
    for name, gradient in tree_flatten(ours):
        assert mx.allclose(gradient, theirs[name], rtol=1e-3, atol=2e-5), name


# ---------------------------------------------------------------- the loop


def run(
    student: Student,
    data: tuple[list[Example], list[Example]],
    folder: Path,
    stop_after: int | None = None,
    config: TrainingConfig = CONFIG,
) -> tuple[list[StepMetrics], dict[str, mx.array]]:
    adapter = adapters.attach(student.model, config)
    try:
        split = SplitModel(student.model, adapter.layers)
        steps = train(student, split, adapter, *data, config, folder)
        metrics = list(itertools.islice(steps, stop_after))
        return metrics, {name: mx.array(array) for name, array in adapter.weights().items()}
    finally:
        adapter.switch(False)


def same(a: dict[str, mx.array], b: dict[str, mx.array]) -> bool:
    return a.keys() == b.keys() and all(mx.array_equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def straight(
    smollm: Student, data: tuple[list[Example], list[Example]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[StepMetrics], dict[str, mx.array], Path]:
    folder = tmp_path_factory.mktemp("straight")
    return *run(smollm, data, folder), folder


def test_held_out_loss_falls_and_the_first_row_is_the_base(
    straight: tuple[list[StepMetrics], dict[str, mx.array], Path],
) -> None:
    metrics, _, _ = straight
    assert [row.step for row in metrics] == list(range(7))
    heldout = [row.valid_loss for row in metrics if row.valid_loss is not None]
    assert len(heldout) == 3
    assert min(heldout[1:]) < 0.92 * heldout[0]
    assert metrics[3].tokens < metrics[1].tokens + metrics[2].tokens


def test_the_same_seed_gives_the_same_bits(
    straight: tuple[list[StepMetrics], dict[str, mx.array], Path],
    smollm: Student,
    data: tuple[list[Example], list[Example]],
    tmp_path: Path,
) -> None:
    metrics, weights, _ = straight
    again, others = run(smollm, data, tmp_path)
    assert same(weights, others)
    assert [row.loss for row in again] == [row.loss for row in metrics]


@pytest.mark.parametrize("stop_after", [1, 3, 4, 6])
def test_resuming_after_a_stop_gives_the_same_bits(
    straight: tuple[list[StepMetrics], dict[str, mx.array], Path],
    smollm: Student,
    data: tuple[list[Example], list[Example]],
    tmp_path: Path,
    stop_after: int,
) -> None:
    """Stopping right after a step was yielded is a kill before its checkpoint: the step is done again."""
    metrics, weights, _ = straight
    config = dataclasses.replace(CONFIG)
    run(smollm, data, tmp_path, stop_after, config)
    rest, others = run(smollm, data, tmp_path, config=config)
    assert same(weights, others)
    assert [row.loss for row in rest if row.step] == [row.loss for row in metrics][rest[0].step or 1 :]


@pytest.mark.slow
def test_dropout_follows_the_step_so_resuming_is_exact_with_it_too(
    smollm: Student, data: tuple[list[Example], list[Example]], tmp_path: Path
) -> None:
    config = dataclasses.replace(CONFIG, dropout=0.3)
    _, straight = run(smollm, data, tmp_path / "a", config=config)
    run(smollm, data, tmp_path / "b", 5, config)
    _, resumed = run(smollm, data, tmp_path / "b", config=config)
    assert same(straight, resumed)


def test_the_best_adapter_is_kept(
    straight: tuple[list[StepMetrics], dict[str, mx.array], Path],
    smollm: Student,
    data: tuple[list[Example], list[Example]],
) -> None:
    metrics, _, folder = straight
    adapter = adapters.load(smollm.model, folder)
    rows = evaluate(SplitModel(smollm.model, adapter.layers), data[1], CONFIG)
    adapter.switch(False)
    loss = sum(row[0] for row in rows) / sum(row[2] for row in rows)
    assert loss == pytest.approx(min(row.valid_loss for row in metrics if row.valid_loss), rel=1e-5)


def test_a_checkpoint_that_is_damaged_says_so(
    smollm: Student, data: tuple[list[Example], list[Example]], tmp_path: Path
) -> None:
    (tmp_path / "last").mkdir()
    (tmp_path / "last" / "checkpoint.safetensors").write_bytes(b"torn")
    with pytest.raises(DataError, match="damaged"):
        run(smollm, data, tmp_path)


def test_training_without_examples_or_held_out_ones_is_refused(smollm: Student, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="both must be there"):
        run(smollm, ([], []), tmp_path)


def test_a_loss_that_is_no_number_stops_with_advice(
    smollm: Student, data: tuple[list[Example], list[Example]], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="lower --learning-rate"):
        run(smollm, data, tmp_path, config=dataclasses.replace(CONFIG, learning_rate=1e30))


def test_the_rate_warms_up_then_falls_to_near_zero() -> None:
    rates = [learning_rate(step, 100, TrainingConfig(learning_rate=1.0, warmup=0.1)) for step in range(1, 101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert all(a > b for a, b in itertools.pairwise(rates[9:]))
    assert 0 < rates[-1] < 0.01
    assert learning_rate(1, 1, TrainingConfig(warmup=0.0)) > 0
