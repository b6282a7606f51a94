"""The loop: exact, resumable, and better on what it has not seen."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.tuner.utils import load_adapters
from tiny import tiny
from training_data import CONFIG, Data, examples_of

from mlx_distill.models.students import Student
from mlx_distill.models.students import adapter as adapters
from mlx_distill.models.students.layout import Layout
from mlx_distill.run.config import TrainingConfig
from mlx_distill.run.errors import DataError
from mlx_distill.run.records import StepMetrics
from mlx_distill.train.batches import choose_widths
from mlx_distill.train.encode import Example
from mlx_distill.train.evaluate import evaluate
from mlx_distill.train.loop import learning_rate, train
from mlx_distill.train.step import Stepper
from mlx_distill.train.store import Store
from mlx_distill.train.trainee import attach


@pytest.fixture(scope="module")
def data(smollm: Student) -> Data:
    return examples_of(smollm)


def run(
    student: Student,
    data: Data,
    folder: Path,
    stop_after: int | None = None,
    config: TrainingConfig = CONFIG,
    layout: Layout | None = None,
) -> tuple[list[StepMetrics], dict[str, mx.array]]:
    trainee = attach(student, config, layout)
    try:
        metrics = list(itertools.islice(train(trainee, *data, folder), stop_after))
        return metrics, trainee.adapter.weights()
    finally:
        trainee.adapter.dial(0)


def briefly(
    smollm: Student,
    data: Data,
    folder: Path,
    *,
    layout: Layout | None = None,
    stop: int | None = None,
    store: Store | None = None,
    dtype: Any = mx.float32,
    bits: int | None = None,
    **changes: Any,
) -> tuple[list[StepMetrics], dict[str, mx.array]]:
    """A run on a random model of a few thousand weights."""
    trainee = attach(tiny(smollm, dtype=dtype, bits=bits), dataclasses.replace(CONFIG, **changes), layout, store)
    metrics = list(itertools.islice(train(trainee, *data, folder), stop))
    return metrics, trainee.adapter.weights()


def losses(metrics: list[StepMetrics]) -> list[float]:
    return [row.loss for row in metrics if row.loss is not None]


def same(a: dict[str, mx.array], b: dict[str, mx.array]) -> bool:
    return a.keys() == b.keys() and all(mx.array_equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module", params=["random", pytest.param("SmolLM2", marks=pytest.mark.real)])
def student(request: pytest.FixtureRequest, smollm: Student) -> Student:
    return smollm if request.param == "SmolLM2" else tiny(smollm)


def knows_something(student: Student) -> bool:
    return student.spec == "smollm2-135m"


@pytest.fixture(scope="module")
def straight(
    student: Student, data: Data, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[StepMetrics], dict[str, mx.array], Path]:
    folder = tmp_path_factory.mktemp("straight")
    return *run(student, data, folder), folder


def test_held_out_loss_falls_and_the_first_row_is_the_base(
    straight: tuple[list[StepMetrics], dict[str, mx.array], Path], student: Student
) -> None:
    metrics, _, _ = straight
    assert [row.step for row in metrics] == list(range(7))
    heldout = [row.valid_loss for row in metrics if row.valid_loss is not None]
    assert len(heldout) == 3
    assert min(heldout[1:]) < (0.92 if knows_something(student) else 0.995) * heldout[0]
    assert metrics[3].tokens < metrics[1].tokens + metrics[2].tokens


def test_the_same_seed_gives_the_same_bits(
    straight: tuple[list[StepMetrics], dict[str, mx.array], Path],
    student: Student,
    data: Data,
    tmp_path: Path,
) -> None:
    metrics, weights, _ = straight
    again, others = run(student, data, tmp_path)
    assert same(weights, others)
    assert [row.loss for row in again] == [row.loss for row in metrics]


def test_resuming_after_a_stop_gives_the_same_bits(
    straight: tuple[list[StepMetrics], dict[str, mx.array], Path], student: Student, data: Data, tmp_path: Path
) -> None:
    """Stopping right after a step was yielded is a kill before its checkpoint: the step is done again."""
    metrics, weights, _ = straight
    for stop_after in (3,) if knows_something(student) else (1, 3, 4, 6):
        folder = tmp_path / str(stop_after)
        run(student, data, folder, stop_after)
        rest, others = run(student, data, folder)
        assert same(weights, others)
        assert [row.loss for row in rest if row.step] == [row.loss for row in metrics][rest[0].step or 1 :]


def test_the_best_adapter_is_kept(
    straight: tuple[list[StepMetrics], dict[str, mx.array], Path],
    student: Student,
    data: Data,
) -> None:
    metrics, _, folder = straight
    trainee = attach(student, CONFIG)
    trainee.adapter.set_weights(adapters.read_weights(folder))
    rows = evaluate(trainee, data[1])
    trainee.adapter.dial(0)
    loss = sum(row[0] for row in rows) / sum(row[2] for row in rows)
    assert loss == pytest.approx(min(row.valid_loss for row in metrics if row.valid_loss), rel=1e-5)


def test_a_checkpoint_that_is_damaged_says_so(student: Student, data: Data, tmp_path: Path) -> None:
    (tmp_path / "last").mkdir()
    (tmp_path / "last" / "checkpoint.safetensors").write_bytes(b"torn")
    with pytest.raises(DataError, match="damaged"):
        run(student, data, tmp_path)


def test_training_without_examples_or_held_out_ones_is_refused(student: Student, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="both must be there"):
        run(student, ([], []), tmp_path)


def test_a_loss_that_is_no_number_stops_with_advice(student: Student, data: Data, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lower --learning-rate"):
        run(student, data, tmp_path, config=dataclasses.replace(CONFIG, learning_rate=1e30))


@pytest.mark.parametrize("broken", [True, False])
def test_a_held_out_loss_that_is_no_number_stops_before_the_first_step(
    smollm: Student, data: Data, tmp_path: Path, broken: bool
) -> None:
    student = tiny(smollm)
    where: Any = student.model.layers[2].mlp.down_proj if broken else student.model.model.norm
    where.weight = where.weight * (float("nan") if broken else 1e38)
    words = r"stand in model\.layers\.2\.mlp\.down_proj\.weight" if broken else "its activations overflow"
    with pytest.raises(DataError, match=words):
        run(student, data, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_step_has_a_rate() -> None:
    assert learning_rate(1, 1, TrainingConfig(warmup=0.0)) > 0


# ---------------------------------------------------------------- ways to compute the same


@pytest.mark.real
@pytest.mark.parametrize("fine_tune", ["lora", "dora", "full"])
@pytest.mark.parametrize("layout", [Layout(1), Layout(100), Layout(2048, True), Layout(1, True)], ids=str)
def test_a_step_is_the_same_in_one_part_or_in_many(
    smollm: Student, data: Data, tmp_path: Path, fine_tune: str, layout: Layout
) -> None:
    """Token-weighted accumulation, and gradient checkpointing, change no more than the last bits."""
    one, whole = briefly(smollm, data, tmp_path / "one", fine_tune=fine_tune)
    many, parts = briefly(smollm, data, tmp_path / "many", fine_tune=fine_tune, layout=layout)
    np.testing.assert_allclose(losses(many), losses(one), rtol=1e-6)
    for name, array in whole.items():
        np.testing.assert_allclose(np.array(parts[name]), np.array(array), atol=1e-4)


def test_gradients_of_parts_add_up_to_those_of_the_batch(smollm: Student, data: Data) -> None:
    found = []
    for layout in (Layout(1), Layout(100_000)):
        stepper = Stepper(attach(tiny(smollm), CONFIG, layout))
        prepared = stepper.prepare(data[0][:5], choose_widths(data[0]))
        sums: dict[str, mx.array] = {}
        for part in prepared.parts:
            for name, array in stepper._part(part, prepared.tokens, 0).items():
                sums[name] = sums[name] + array if name in sums else array
        found.append((len(prepared.parts), sums))
    (many, parts), (one, whole) = found
    assert many > one == 1
    for name, array in whole.items():
        np.testing.assert_allclose(np.array(parts[name]), np.array(array), atol=1e-6, rtol=1e-6)


@pytest.mark.real
@pytest.mark.parametrize(
    "changes",
    [
        {"fine_tune": "dora"},
        pytest.param({"fine_tune": "full", "layers": "all"}, marks=pytest.mark.long),
        {"dropout": 0.3, "layout": Layout(1)},
        pytest.param({"dropout": 0.3, "layout": Layout(2048, True)}, marks=pytest.mark.long),
        pytest.param({"dtype": mx.bfloat16}, marks=pytest.mark.long),
        pytest.param({"bits": 4}, marks=pytest.mark.long),
        {"weight_decay": 0.1, "schedule": "linear", "evaluate_every": 2, "save_every": 3},
    ],
    ids=str,
)
def test_every_kind_of_training_resumes_with_the_same_bits(
    smollm: Student, data: Data, tmp_path: Path, changes: dict[str, Any]
) -> None:
    metrics, straight = briefly(smollm, data, tmp_path / "straight", **changes)
    for stop in (2, 4, 5):
        folder = tmp_path / f"stopped-{stop}"
        briefly(smollm, data, folder, stop=stop, **changes)
        rest, resumed = briefly(smollm, data, folder, **changes)
        assert same(straight, resumed)
        assert losses(rest) == losses(metrics)[-len(losses(rest)) :]
        assert tree(folder) == tree(tmp_path / "straight")


def tree(folder: Path) -> dict[str, bytes]:
    """Every file but the checkpoint, whose arrays are compared otherwise."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "last"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_dropout_masks_do_not_depend_on_gradient_checkpointing(smollm: Student, data: Data, tmp_path: Path) -> None:
    kept, _ = briefly(smollm, data, tmp_path / "a", dropout=0.5)
    twice, _ = briefly(smollm, data, tmp_path / "b", dropout=0.5, layout=Layout(2048, True))
    np.testing.assert_allclose(losses(kept), losses(twice), rtol=1e-6)
    without, _ = briefly(smollm, data, tmp_path / "c")
    assert losses(without) != losses(kept)


@pytest.mark.real
def test_the_frozen_prefix_from_a_file_gives_the_same_bits(smollm: Student, data: Data, tmp_path: Path) -> None:
    """In memory, in a file, in the file of a killed process, or computed anew each time."""
    runs = [briefly(smollm, data, tmp_path / "memory")]
    for name in ("file", "again"):
        runs.append(briefly(smollm, data, tmp_path / name, store=Store(0, tmp_path / "prefix", "k")))
    runs.append(briefly(smollm, data, tmp_path / "none", store=Store(0)))
    assert (tmp_path / "prefix" / "arrays.bin").stat().st_size > 0
    for metrics, weights in runs[1:]:
        assert same(weights, runs[0][1])
        assert losses(metrics) == losses(runs[0][0])


# ---------------------------------------------------------------- how long, what is kept


def test_steps_go_before_epochs_and_through_them(smollm: Student, data: Data, tmp_path: Path) -> None:
    metrics, _ = briefly(smollm, data, tmp_path, steps=4)
    assert [row.step for row in metrics] == [0, 1, 2, 3, 4]
    assert [row.step for row in metrics if row.valid_loss is not None] == [0, 3, 4]


def test_training_stops_when_the_held_out_loss_no_longer_improves(student: Student, data: Data, tmp_path: Path) -> None:
    """A rate so high that it gets worse: the best adapter is that of the base, and the rest is not computed."""
    config = dataclasses.replace(CONFIG, learning_rate=0.5, evaluate_every=1, patience=2, epochs=9, checkpoint_every=1)
    metrics, _ = run(student, data, tmp_path, config=config)
    heldout = [row.valid_loss or 0.0 for row in metrics]
    best = heldout.index(min(heldout))
    assert metrics[-1].step == best + 2 < 27
    assert run(student, data, tmp_path, config=config)[0] == []


def test_checkpoints_are_kept_by_number_and_load_in_mlx_lm(smollm: Student, data: Data, tmp_path: Path) -> None:
    _, last = briefly(smollm, data, tmp_path, save_every=4)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["0000004", "0000006"]
    assert same(adapters.read_weights(tmp_path / "checkpoints" / "0000006"), last)
    student = tiny(smollm)
    load_adapters(student.model, str(tmp_path / "checkpoints" / "0000004"))
    logits: Any = student.model(mx.array([data[0][0].tokens]))
    assert mx.isfinite(logits).all().item()


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_schedules_warm_up_and_then_do_what_their_name_says(schedule: str) -> None:
    config = TrainingConfig(learning_rate=1.0, warmup=0.2, schedule=schedule)
    rates = [learning_rate(step, 50, config) for step in range(1, 51)]
    assert rates[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    falls = [a - b for a, b in itertools.pairwise(rates[10:])]
    if schedule == "constant":
        assert set(rates[10:]) == {1.0}
    elif schedule == "linear":
        assert falls == pytest.approx([1 / 41] * 39)
    else:
        assert rates[30] == pytest.approx(0.5, abs=0.02)
    assert schedule == "constant" or 0 < rates[-1] < 0.03


def test_a_pad_token_that_is_a_real_token_is_learnt_where_it_is_text(smollm: Student) -> None:
    """Batches are padded with id 0, which stands for a real token in many vocabularies."""
    examples = [Example("long", (5, 6, 0, 7, 0), ((2, 5),)), Example("short", (5, 0, 2), ((1, 3),))]
    trainee = attach(tiny(smollm), CONFIG)
    alone = [evaluate(trainee, [example])[0] for example in examples]
    together = evaluate(trainee, examples)
    assert [row[2] for row in together] == [3, 2]
    for (a, _, _), (b, _, _) in zip(alone, together, strict=True):
        assert a == pytest.approx(b, rel=1e-5)


def test_the_first_step_is_as_large_as_the_rate(smollm: Student, data: Data, tmp_path: Path) -> None:
    """Adam with its bias corrected (Kingma and Ba 2015, section 3): uncorrected, it would be 3.2 times as large."""
    settings = {"schedule": "constant", "warmup": 0.0, "learning_rate": 1e-3, "steps": 1}
    _, weights = briefly(smollm, data, tmp_path, **settings)
    moved = np.concatenate([np.abs(np.array(array)).ravel() for name, array in weights.items() if "lora_b" in name])
    assert np.median(moved) == pytest.approx(1e-3, rel=0.01)
