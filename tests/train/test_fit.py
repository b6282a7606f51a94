"""The planner against what MLX really takes, and what it chooses, refuses and learns from earlier runs."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
import pytest
import tomli_w
from command_line import invoke, started
from hypothesis import given
from hypothesis import strategies as st
from mlx.utils import tree_flatten

from mlx_distill.machine import environment
from mlx_distill.models import students
from mlx_distill.models.students import Student, checkpoint
from mlx_distill.models.students import adapter as adapters
from mlx_distill.models.students.checkpoint import Progress
from mlx_distill.models.students.layout import in_rounds
from mlx_distill.run import config as configuration
from mlx_distill.run.config import Config, MachineConfig, TrainingConfig
from mlx_distill.run.errors import MachineError
from mlx_distill.run.folder import RunDir
from mlx_distill.run.job import ADAPTER, Job
from mlx_distill.run.results.hardware import Hardware
from mlx_distill.train import fit
from mlx_distill.train import room as fitting
from mlx_distill.train import stage as training
from mlx_distill.train.encode import Example
from mlx_distill.train.fit import Layout, Lengths, Machine, Shape, Task
from mlx_distill.train.fit.lengths import LONGEST, SAMPLE, sizes_of
from mlx_distill.train.fit.shape import KNOWN_SHAPES
from mlx_distill.train.logprobs.store import TopLogprobs, name_of
from mlx_distill.train.loop import train
from mlx_distill.train.replay.examples import Replay
from mlx_distill.train.split import SplitModel
from mlx_distill.train.trainee import attach

MIB, GIB = 2**20, 2**30

SMOLLM = KNOWN_SHAPES["smollm2-135m"] | {"torch_dtype": "bfloat16"}


def shape(**changes: Any) -> Shape:
    found = fit.shape_of(SMOLLM | changes)
    assert found is not None
    return found


def task(
    sizes: list[tuple[int, int]], *, machine: Machine | None = None, built: Shape | None = None, **settings: Any
) -> Task:
    config = TrainingConfig(student="smollm2-135m", **settings)
    return Task(built or shape(), config, Lengths(tuple(sizes)), machine or Machine("CPU", 2, 8 * GIB))


# ---------------------------------------------------------------- against what MLX takes


def example(name: str, length: int) -> Example:
    """Half of it is scored."""
    return Example(name, tuple(range(100, 100 + length)), ((length // 2, length),))


@pytest.fixture
def base(smollm: Student) -> Iterator[Student]:
    yield smollm
    smollm.model.freeze()


MIDDLING = SMOLLM | {
    "hidden_size": 192,
    "intermediate_size": 768,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
    "vocab_size": 16384,
    "rms_norm_eps": 1e-5,
}
"""A model of SmolLM2's depth in a fraction of its size: what it takes is told apart from what Python takes, and a step
takes a second."""


@pytest.fixture(scope="module")
def middling() -> Student:
    """With random weights."""
    from mlx_lm.models import llama

    mx.random.seed(0)
    model: Any = llama.Model(llama.ModelArgs.from_dict(MIDDLING))
    model.eval()
    mx.eval(model.parameters())
    return Student("middling", Path("middling"), model, None)


def measured_and_predicted(
    student: Student,
    folder: Path,
    lengths: tuple[int, ...],
    layout: Layout,
    *,
    replayed: tuple[int, ...] = (),
    ratio: float = 0.0,
    **settings: Any,
) -> tuple[float, float]:
    """Bytes at the peak of two real steps, the weights included."""
    config = TrainingConfig(student="smollm2-135m", batch_size=len(lengths), steps=2, epochs=1, **settings)
    train_on = [example(f"e{place}", length) for place, length in enumerate(lengths)]
    heldout = [example("heldout", 40)]
    general = [example(f"g{place}", length) for place, length in enumerate(replayed)]
    parameters: Any = tree_flatten(student.model.parameters())
    weights = sum(array.nbytes for _, array in parameters)
    mx.eval(parameters)  # weights are read when they are first used
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    trainee = attach(student, config, layout)
    try:
        list(train(trainee, train_on, heldout, folder, replay_of(general, heldout, ratio) if ratio else None))
    finally:
        trainee.adapter.dial(0)
    taken = weights + mx.get_peak_memory() - before
    built = fit.find("smollm2-135m") if student.spec == "smollm2-135m" else fit.shape_of(MIDDLING)
    assert built is not None
    sizes = [tuple((len(e.tokens) - 1, e.scored_count) for e in part) for part in (train_on, heldout, general)]
    machine = Machine.of(environment.hardware())
    prediction = fit.predict(Task(built, config, Lengths(*sizes, ratio=ratio), machine), layout)
    return taken, prediction.needed + prediction.prefix


def replay_of(general: list[Example], heldout: list[Example], ratio: float) -> Replay:
    """With log-probabilities that no model gave: what they are changes no memory."""
    tops = {
        name_of(e): TopLogprobs(
            np.tile(np.arange(21, dtype=np.int32), (e.scored_count, 1)), np.full((e.scored_count, 21), -4, np.float16)
        )
        for e in (*general, *heldout)
    }
    return Replay(ratio, 1.0, general, heldout, tops)


FAST = [
    ((257, 257), Layout(), {"layers": 4}),
    ((129, 257, 129, 100), Layout(256, True), {"layers": 6, "rank": 32}),
    ((65,) * 4, Layout(), {"layers": 3, "fine_tune": "dora"}),
]
GRID = [
    ((65,) * 8, Layout(512), {"layers": 16, "rank": 8}),
    ((257,) * 4, Layout(), {"layers": 8}),
    ((257,) * 4, Layout(), {"layers": 30, "rank": 32}),
    ((601, 601), Layout(4096), {"layers": 8}),
    ((129, 150, 200, 257, 257, 300, 400, 513), Layout(1024), {"layers": 16}),
    ((513,) * 8, Layout(4096), {"layers": 4, "rank": 8}),
    ((257,) * 2, Layout(2048, True), {"layers": 30}),
    ((601, 601), Layout(2048, True), {"layers": 16}),
    ((129,) * 16, Layout(2048, True), {"layers": 30, "rank": 32}),
    ((257, 257), Layout(), {"layers": 16, "fine_tune": "dora"}),
    ((257, 257), Layout(2048, True), {"layers": 30, "fine_tune": "dora"}),
    ((257, 257), Layout(), {"layers": 4, "fine_tune": "full"}),
    ((257,) * 8, Layout(1024), {"layers": 16, "fine_tune": "full"}),
    ((257,) * 4, Layout(2048, True), {"layers": 30, "fine_tune": "full"}),
    ((257, 257), Layout(), {"layers": 8, "targets": ("q_proj", "v_proj")}),
]


@pytest.mark.real
@pytest.mark.parametrize(("lengths", "layout", "settings"), FAST)
def test_the_peak_is_predicted_within_a_fifth(
    base: Student, tmp_path: Path, lengths: tuple[int, ...], layout: Layout, settings: dict[str, Any]
) -> None:
    taken, predicted = measured_and_predicted(base, tmp_path, lengths, layout, **settings)
    weights = 513 * MIB
    print(f"{settings} {layout} {lengths}: {predicted / MIB:.0f} of {taken / MIB:.0f} MiB, {predicted / taken:.2f}")
    assert predicted == pytest.approx(taken, rel=0.2)
    assert predicted - weights == pytest.approx(taken - weights, rel=0.35)  # weights must not hide the rest


@pytest.mark.long
@pytest.mark.parametrize(("lengths", "layout", "settings"), GRID)
def test_so_is_that_of_a_smaller_model_in_every_layout(
    middling: Student, tmp_path: Path, lengths: tuple[int, ...], layout: Layout, settings: dict[str, Any]
) -> None:
    taken, predicted = measured_and_predicted(middling, tmp_path, lengths, layout, **settings)
    print(f"{settings} {layout} {lengths}: {predicted / MIB:.0f} of {taken / MIB:.0f} MiB, {predicted / taken:.2f}")
    assert predicted == pytest.approx(taken, rel=0.2)


@pytest.mark.real
@pytest.mark.parametrize(("lengths", "replayed", "ratio"), [((257,) * 4, (129,) * 6, 0.3), ((65, 65), (257,) * 8, 6.5)])
def test_so_is_that_of_steps_with_replay(
    middling: Student, tmp_path: Path, lengths: tuple[int, ...], replayed: tuple[int, ...], ratio: float
) -> None:
    settings: dict[str, Any] = {"layers": 8, "replayed": replayed, "ratio": ratio}
    taken, predicted = measured_and_predicted(middling, tmp_path, lengths, Layout(), **settings)
    print(f"{settings} {lengths}: {predicted / MIB:.0f} of {taken / MIB:.0f} MiB, {predicted / taken:.2f}")
    assert predicted == pytest.approx(taken, rel=0.2)


@pytest.mark.long
@pytest.mark.parametrize(("lengths", "layers"), [((257, 257), 8), ((129,) * 8, 4), ((513,), 8)])
def test_so_is_that_of_a_model_that_cannot_be_cut(
    middling: Student, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lengths: tuple[int, ...], layers: int
) -> None:
    monkeypatch.setattr(SplitModel, "_is_sum_of_parts", lambda split: False)
    odd = shape(**MIDDLING | {"model_type": "odd"})
    monkeypatch.setattr(fit, "shape_of", lambda _: odd)
    taken, predicted = measured_and_predicted(middling, tmp_path, lengths, Layout(), layers=layers)
    print(f"{layers} {lengths}: {predicted / MIB:.0f} of {taken / MIB:.0f} MiB, {predicted / taken:.2f}")
    assert predicted == pytest.approx(taken, rel=0.2)


@pytest.mark.real
@pytest.mark.parametrize("settings", [{}, {"fine_tune": "dora"}, {"targets": ("q_proj", "mlp")}, {"layers": "all"}])
def test_trainable_numbers_are_those_of_the_adapter(base: Student, settings: dict[str, Any]) -> None:
    config = TrainingConfig(**{"layers": 3, "rank": 5} | settings)
    adapter = adapters.attach(base.model, config)
    try:
        assert fit.trainable(shape(), config) == adapter.parameter_count()
    finally:
        adapter.dial(0)


def test_weights_are_counted_from_the_files_headers() -> None:
    folder, built = students.model_folder("smollm2-135m"), fit.find("smollm2-135m")
    assert folder is not None
    assert built is not None
    assert built.floats == 134_515_008
    assert built.weights() == pytest.approx(built.floats, rel=1e-3)


@pytest.mark.parametrize(("backend", "each"), [("CPU", 4), ("Metal", 2)])
def test_packed_weights_take_their_bits_and_a_scale_and_a_bias_a_group(backend: str, each: int) -> None:
    built = shape(quantization={"bits": 4, "group_size": 64})
    found = fit.predict(task([(100, 50)], machine=Machine(backend, 1, GIB), built=built), Layout())
    assert found.weights == int(built.weights() * (0.5 + 2 * each / 64))


def test_what_names_no_parts_is_unknown_and_torn_files_count_as_none(tmp_path: Path) -> None:
    assert fit.shape_of({"model_type": "mamba", "d_model": 768}) is None
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 40)
    torn = fit.shape_of(SMOLLM, tmp_path)
    assert torn is not None
    assert torn.floats == 0


# ---------------------------------------------------------------- more never takes less


KINDS = st.sampled_from(["lora", "dora", "full"])


@given(st.integers(1, 29), st.integers(1, 900), KINDS, st.booleans())
def test_more_layers_never_take_less(layers: int, length: int, kind: str, twice: bool) -> None:
    few = task([(length, length // 2 + 1)] * 5, layers=layers, fine_tune=kind)
    layout = Layout(1024, twice)
    assert fit.predict(few, layout).needed <= fit.predict(fit.with_layers(few, layers + 1), layout).needed


@given(st.integers(1, 2000), st.integers(0, 500), KINDS, st.booleans())
def test_a_longer_example_never_takes_less(length: int, more: int, kind: str, twice: bool) -> None:
    short, long = (task([(n, n // 2 + 1)], batch_size=1, fine_tune=kind) for n in (length, length + more))
    assert fit.predict(short, Layout(2048, twice)).needed <= fit.predict(long, Layout(2048, twice)).needed


@given(st.integers(1, 600), st.integers(64, 4096), st.integers(0, 4096), st.integers(1, 16), st.booleans())
def test_more_tokens_at_a_time_never_take_less(length: int, tokens: int, more: int, size: int, twice: bool) -> None:
    given_task = task([(length, length)] * 16, batch_size=size)
    needed = [fit.predict(given_task, Layout(count, twice)).needed for count in (tokens, tokens + more)]
    assert needed[0] <= needed[1]


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=40), st.integers(1, 4), st.integers(1, 3000))
def test_rounds_hold_every_example_once_within_the_tokens(widths: list[int], lanes: int, tokens: int) -> None:
    widths.sort()
    rounds = in_rounds(widths, lanes, tokens)
    places = [place for groups in rounds for group in groups for place in group]
    assert sorted(places) == list(range(len(widths)))
    for groups in rounds:
        assert len(groups) <= lanes
        for group in groups:
            assert len(group) == 1 or len(group) * widths[group[-1]] <= tokens // lanes


# ---------------------------------------------------------------- what is chosen, and what is refused


def needed(subject: Task, layout: Layout) -> int:
    return fit.predict(subject, layout).needed


def within(count: int) -> MachineConfig:
    return MachineConfig(memory=count / GIB)


SIXTEEN = [(400, 200)] * 16


def test_levers_are_pulled_in_order_and_only_as_far_as_needed() -> None:
    subject = task(SIXTEEN, layers=16, batch_size=8)
    layouts = [Layout(), Layout(1024), Layout(800), Layout(2048, True), Layout(1024, True), Layout(800, True)]
    for layout in layouts:
        assert fit.choose(subject, within(needed(subject, layout))).layout in layouts[: layouts.index(layout) + 1]
        assert fit.choose(subject, within(needed(subject, layout))).fits
    assert fit.choose(subject, MachineConfig()).layout == Layout()
    assert fit.choose(subject, within(needed(subject, Layout()))).layout == Layout()
    assert fit.choose(subject, within(needed(subject, Layout()) - 1)).layout == Layout(1024)
    assert fit.choose(subject, within(needed(subject, Layout(800)) - 1)).layout.grad_checkpoint


def test_what_the_user_says_stays() -> None:
    subject = task(SIXTEEN, layers=16, batch_size=8)
    tight = needed(subject, Layout(800, True)) / GIB
    assert fit.choose(subject, MachineConfig(tight, batch_tokens=3000)).layout.batch_tokens == 3000
    assert not fit.choose(subject, MachineConfig(tight, grad_checkpoint=False)).fits
    assert fit.choose(subject, MachineConfig(grad_checkpoint=True)).layout == Layout(2048, True)


def test_a_model_that_cannot_be_cut_is_not_computed_twice() -> None:
    subject = task(SIXTEEN, layers=16, batch_size=8, built=shape(model_type="gemma3"))
    assert not fit.choose(subject, MachineConfig(memory=0.01)).layout.grad_checkpoint


@pytest.mark.parametrize(("backend", "share"), [("CPU", 0.8), ("Metal", 0.75)])
def test_the_limit_is_what_the_machine_can_spare_or_what_the_user_says(backend: str, share: float) -> None:
    machine = Machine(backend, 1, 16 * GIB)
    assert fit.limit_of(machine, MachineConfig()) == int(16 * GIB * share)
    assert fit.limit_of(machine, MachineConfig(memory=2.5)) == int(2.5 * GIB)


def test_a_refusal_names_the_most_layers_that_fit() -> None:
    subject = task(SIXTEEN, layers=16, batch_size=8, fine_tune="full")
    limit = within(needed(fit.with_layers(subject, 5), Layout(800, True)))
    with pytest.raises(MachineError, match=r"16 layers .* takes about .* --layers 5 would fit .* --auto takes it\.$"):
        fit.require(subject, limit)
    assert fit.most_layers(subject, limit) == 5
    assert fit.choose(fit.with_layers(subject, 5), limit).fits
    assert not fit.choose(fit.with_layers(subject, 6), limit).fits


def test_where_not_even_a_layer_fits_a_smaller_student_is_proposed() -> None:
    with pytest.raises(MachineError, match=r"a single layer takes .* smaller or a quantised --student"):
        fit.require(task(SIXTEEN, layers=16), MachineConfig(memory=0.4))


def test_the_prefix_gets_half_of_what_is_left_and_never_decides() -> None:
    subject = task([(1000, 500)] * 400, layers=4, batch_size=1)
    prediction = fit.predict(subject, Layout())
    assert prediction.prefix == 400 * 1000 * 576 * 4
    tight = fit.choose(subject, within(prediction.needed + 1000 * MIB))
    assert tight.prefix == 500 * MIB
    assert tight.layout == Layout()
    assert fit.choose(subject, MachineConfig(memory=60)).prefix == prediction.prefix


def test_a_settled_number_of_layers_stays_in_its_run() -> None:
    asked = configuration.resolve("demo", {"machine.auto": True})
    found = configuration.replace(asked, {"training.layers": 3})
    assert configuration.with_chosen_layers(asked, found) == found
    fewer = configuration.replace(asked, {"training.layers": 2})
    assert configuration.with_chosen_layers(fewer, found) == fewer
    by_hand = configuration.resolve("demo", {"training.layers": 3})
    assert configuration.with_chosen_layers(asked, by_hand) == asked
    assert configuration.with_chosen_layers(by_hand, found) == by_hand


# ---------------------------------------------------------------- earlier runs


def earlier(folder: Path, name: str, ratio: float, seconds: float = 100.0, **hardware: Any) -> Path:
    """A finished run of the demo, that took `ratio` times what is predicted."""
    run = folder / name
    run.mkdir()
    config = configuration.resolve("demo")
    (run / "config.toml").write_text(tomli_w.dumps(configuration.to_table(config)))
    there = {
        "chip": "Test",
        "cores": 2,
        "memory_bytes": 8 * GIB,
        "os": "Linux",
        "backend": "CPU",
        "blas": None,
    } | hardware
    counted = {"tokens": [[100, 101]] * 10, "examples": {"train": 8, "valid": 2}, "layout": {"batch_tokens": 512}}
    sizes = ((200, 101),) * 10
    built = fit.find("smollm2-135m")
    assert built is not None
    subject = Task(built, config.training, Lengths(sizes[:8], sizes[8:]), Machine.of(Hardware(**there)))
    peak = fit.choose(subject, config.machine, layout=Layout(512)).peak
    training = {"student": "smollm2-135m", "layers": 8, "peak_memory_bytes": round(peak * ratio), "steps": 4}
    results = {"training": training | {"seconds": seconds}, "run": {"hardware": there}}
    (run / "results.json").write_text(json.dumps(results))
    (run / "training.json").write_text(json.dumps(counted))
    return run


def test_earlier_runs_are_read_back_from_their_own_files(tmp_path: Path) -> None:
    run = earlier(tmp_path, "a", 1.1)
    earlier(tmp_path, "b", 0.9, chip="Other", backend="Metal")
    earlier(tmp_path, "not finished", 1.0).joinpath("training.json").unlink()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "results.json").write_text("{")
    found = {entry.name: entry for entry in fit.earlier_runs(tmp_path)}
    assert {name: entry.ratio for name, entry in found.items()} == pytest.approx({"a": 1.1, "b": 0.9}, rel=1e-6)
    assert [entry.name for entry in fit.earlier_runs(tmp_path, but=run)] == ["b"]


def test_predictions_are_corrected_by_the_median_on_the_same_backend(tmp_path: Path) -> None:
    for name, ratio in {"a": 1.1, "b": 1.2, "c": 1.4}.items():
        earlier(tmp_path, name, ratio)
    runs = fit.earlier_runs(tmp_path)
    assert fit.correction(runs, "smollm2-135m", "CPU") == (pytest.approx(1.2, rel=1e-6), 3)
    assert fit.correction(runs, "another", "CPU") == (pytest.approx(1.2, rel=1e-6), 3)
    assert fit.correction(runs, "smollm2-135m", "Metal") == (1.0, 0)
    other = dataclasses.replace(runs[0], student="another", ratio=0.9)
    assert fit.correction([*runs, other], "another", "CPU") == (0.9, 1)
    assert fit.correction([dataclasses.replace(other, ratio=7.0)], "another", "CPU") == (1.5, 1)


def test_the_speed_is_that_of_the_newest_run_on_the_same_chip(tmp_path: Path) -> None:
    earlier(tmp_path, "a", 1.0, seconds=50.0)
    (run,) = fit.earlier_runs(tmp_path)
    flops = run.flops_per_second
    assert flops is not None
    subject = task([(200, 101)] * 8, layers=8, batch_size=4)
    two_epochs = 2 * fit.flops.epoch(subject, Layout(512)) + fit.flops.prefix(subject)
    assert flops == pytest.approx(two_epochs / 50)
    assert fit.speed([run], "smollm2-135m", "Test") == (flops, "a")
    assert fit.speed([run], "smollm2-135m", "Another") is None


def test_flops_are_two_for_each_weight_and_token_in_each_direction() -> None:
    subject = task([(1, 1)], layers=30, rank=1, targets=("k_proj",))
    weights = shape().layer_weights() * 30
    head = 49152 * 576
    found = fit.flops.epoch(subject, Layout())
    assert found == pytest.approx(2 * 2 * weights + 4 * head, rel=2e-3)
    assert fit.flops.epoch(subject, Layout(2048, True)) - found == pytest.approx(2 * weights, rel=2e-3)
    assert fit.flops.prefix(subject) == 0


def test_an_epoch_with_replay_takes_as_much_more_as_tokens_are_replayed() -> None:
    plain = task([(100, 50)] * 8, layers=8)
    sizes = ((100, 50),) * 3
    lengths = dataclasses.replace(plain.lengths, replayed=sizes, general=sizes[:1], ratio=0.5)
    replayed = dataclasses.replace(plain, lengths=lengths)
    assert fit.flops.epoch(replayed, Layout()) == pytest.approx(1.5 * fit.flops.epoch(plain, Layout()))
    assert fit.flops.prefix(replayed) == pytest.approx(12 / 8 * fit.flops.prefix(plain))
    assert fit.flops.heldout(replayed) > fit.flops.heldout(plain) == 0


# ---------------------------------------------------------------- lengths


def test_lengths_count_every_turn_and_score_the_answers() -> None:
    turns = [("user", "a b c"), ("assistant", "d e"), ("user", "f"), ("assistant", "g")]
    ((tokens, scored),) = sizes_of([turns], "be kind", lambda text: len(text.split()))
    assert (tokens, scored) == (2 + 3 + 2 + 1 + 1 + 5 * 5, 2 + 1 + 2 * 5)
    ((own, _),) = sizes_of([[("system", "x"), *turns]], "be kind", lambda text: len(text.split()))
    assert own == tokens - 1


def test_of_many_conversations_a_sample_is_counted_and_the_longest() -> None:
    asked = []

    def count(text: str) -> int:
        asked.append(text)
        return len(text)

    turns = [[("user", "x" * (1 + place % 7)), ("assistant", "y")] for place in range(20_000)]
    turns[12_345] = [("user", "x" * 5000), ("assistant", "y")]
    sizes = sizes_of(turns, "", count)
    assert len(sizes) == 20_000
    assert sizes[-1][0] == 5000 + 1 + 3 * 5
    assert len(asked) < 2 * (2 * SAMPLE + LONGEST) + 2


# ---------------------------------------------------------------- the stage


class Silent:
    """A View of which only notes and warnings are asked."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.notes.append(text)


def job(chat: Path, run: Path, **changes: Any) -> tuple[Job, Silent]:
    view: Any = Silent()
    named = {name.replace("__", "."): value for name, value in changes.items()}
    settings = {"training.data": str(chat), "training.fine_tune": "full", "training.layers": 12} | named
    return Job(RunDir(run), configuration.resolve("demo", settings), view), view


def test_what_will_not_fit_is_refused_before_the_weights_are_read(chat: Path, tmp_path: Path) -> None:
    before = mx.get_active_memory()
    with pytest.raises(MachineError, match="12 layers of smollm2-135m"):
        training.train(job(chat, tmp_path, machine__memory=0.8)[0])
    assert mx.get_active_memory() - before < 10 * MIB


def test_a_checkpoints_layout_stays_and_must_still_fit(chat: Path, tmp_path: Path) -> None:
    parts = {split: [example(f"{split}{n}", 300) for n in range(6)] for split in ("train", "valid")}
    checkpoint.save(tmp_path / ADAPTER, {}, optim.AdamW(1e-3), Progress(step=3, layout=Layout(640, True)))
    assert fitting.room(job(chat, tmp_path)[0], parts).layout == Layout(640, True)
    with pytest.raises(
        MachineError, match="take a smaller --batch-tokens or --grad-checkpoint, or allow more --memory"
    ):
        fitting.room(job(chat, tmp_path, machine__memory=0.6)[0], parts)


def test_levers_that_are_pulled_are_told_in_one_line(chat: Path, tmp_path: Path) -> None:
    parts = {split: [example(f"{split}{n}", 300) for n in range(6)] for split in ("train", "valid")}
    roomy, told = job(chat, tmp_path, training__fine_tune="lora", machine__memory=60.0)
    assert (fitting.room(roomy, parts).layout, told.notes) == (Layout(), [])
    tight, told = job(chat, tmp_path, training__fine_tune="lora", machine__memory=0.8)
    found = fitting.room(tight, parts)
    assert found.layout != Layout()
    assert found.step is not None
    (line,) = told.notes
    assert f"{found.layout.batch_tokens:,} tokens at a time" in line


def test_a_student_of_unknown_build_is_trained_as_it_is_asked(
    chat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "find", lambda student: None)
    asked, _ = job(chat, tmp_path, machine__batch_tokens=77, machine__grad_checkpoint=True)
    found = fitting.room(asked, {"train": [], "valid": []})
    assert (found.layout, found.step) == (Layout(77, True), None)
    assert fitting.with_fitting_layers(asked, {"train": [], "valid": []}) is asked


# ---------------------------------------------------------------- the command line


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("chat") / "chat.jsonl"
    rows = [{"prompt": f"Say the code of {name}.", "completion": f"It is zeta {name}."} for name in "abcdef"]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def whole_layers(chat: Path, run: Path) -> list[str | Path]:
    wanted = ("--data", chat, "--run", run, "--student", "smollm2-135m", "--fine-tune", "full", "--layers", "12")
    return ["train", *wanted, "--epochs", "1", "--memory", "0.8"]


@pytest.fixture(scope="module")
def settled(chat: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run that was refused, and then trained with --auto."""
    run = tmp_path_factory.mktemp("runs") / "auto"
    refused = invoke(*whole_layers(chat, run))
    assert refused.returncode == 6, refused.stderr
    done = started(*whole_layers(chat, run), "--auto")  # a process of its own: what others hold counts for its peak
    assert done.returncode == 0, done.stderr
    return run, refused.stderr


@pytest.mark.real
def test_training_that_does_not_fit_is_refused_in_one_line(settled: tuple[Path, str]) -> None:
    run, refusal = settled
    (line,) = refusal.strip().splitlines()
    layers = configuration.load(run / "config.toml").training.layers
    assert isinstance(layers, int)
    assert 1 <= layers < 12
    assert f"--layers {layers} would fit" in line


@pytest.mark.real
def test_auto_trains_what_fits_and_stays_within_it(settled: tuple[Path, str]) -> None:
    run, _ = settled
    layers = configuration.load(run / "config.toml").training.layers
    assert json.loads((run / "distilled-student" / "adapter_config.json").read_text())["num_layers"] == layers
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert max(row["peak_memory"] for row in rows) < 1.05 * 0.8 * GIB


@pytest.mark.real
def test_the_same_command_again_keeps_what_it_settled_on(settled: tuple[Path, str], chat: Path) -> None:
    run, _ = settled
    before = (run / "config.toml").read_text(), (run / "stages.json").read_text()
    again = invoke(*whole_layers(chat, run), "--auto")
    assert again.returncode == 0, again.stderr
    assert "up to date" in again.stdout
    assert ((run / "config.toml").read_text(), (run / "stages.json").read_text()) == before


@pytest.mark.long
def test_more_memory_changes_nothing_without_update(settled: tuple[Path, str], chat: Path, tmp_path: Path) -> None:
    run = shutil.copytree(settled[0], tmp_path / "run")
    arguments = [*whole_layers(chat, run)[:-1], "4"]
    again = invoke(*arguments, "--auto")
    assert (again.returncode, "up to date" in again.stdout) == (0, True), again.stderr
    updated = invoke(*arguments, "--auto", "--update")
    assert updated.returncode == 0, updated.stderr
    assert configuration.load(run / "config.toml").training.layers == 12


# ---------------------------------------------------------------- going on


@pytest.mark.parametrize(
    ("settings", "expected", "notes"),
    [
        (MachineConfig(), Layout(512, True), 0),
        (MachineConfig(batch_tokens=512), Layout(512, True), 0),
        (MachineConfig(batch_tokens=64), Layout(64, True), 1),
        (MachineConfig(grad_checkpoint=False), Layout(512, False), 1),
    ],
    ids=str,
)
def test_a_resumed_run_is_computed_as_before_unless_asked_otherwise(
    tmp_path: Path, settings: MachineConfig, expected: Layout, notes: int
) -> None:
    """Out of memory at step 50, the same layout would be out of memory for ever."""
    said: list[str] = []

    class View:
        note = said.append

    job = Job(RunDir(tmp_path), dataclasses.replace(Config(), machine=settings), View())  # type: ignore[arg-type]
    assert fitting._going_on(job, Layout(512, True)) == expected
    assert len(said) == notes
