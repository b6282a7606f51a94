"""Replay: the same training where nothing is replayed; exact, resumable and near its base where something is."""

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from command_line import invoke
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny
from training_data import CONFIG, Data, chat_folder, conversations, examples_of, metrics_of

from mlx_distill.models.students import Student
from mlx_distill.models.students.layout import Layout
from mlx_distill.run import config as configuration
from mlx_distill.run.errors import DataError
from mlx_distill.run.prompts import load_prompts, load_set, overlaps
from mlx_distill.run.records import StepMetrics
from mlx_distill.train.drift import drift
from mlx_distill.train.encode import Example, encode_all
from mlx_distill.train.logprobs.scoring import scored
from mlx_distill.train.logprobs.store import LogprobStore
from mlx_distill.train.loop import train
from mlx_distill.train.replay.answers import check
from mlx_distill.train.replay.examples import Replay
from mlx_distill.train.replay.order import ReplayOrder, replayed
from mlx_distill.train.trainee import Trainee, attach

K = 4096
"""A random model finds thousands of tokens about equally likely."""


@pytest.fixture(scope="module")
def data(smollm: Student) -> Data:
    return examples_of(smollm)


@pytest.fixture(scope="module")
def replay(smollm: Student, data: Data, tmp_path_factory: pytest.TempPathFactory) -> Replay:
    general = encode_all(conversations(8, "general thing"), smollm, "Answer.", 4096).examples
    trainee = attach(tiny(smollm), CONFIG)
    trainee.adapter.dial(0)
    store = LogprobStore(tmp_path_factory.mktemp("logprobs"), "tiny", K)
    return Replay(
        1.0, 1.0, general[:6], general[6:], scored(trainee.split, trainee.prefix, store, [*general, *data[1]])
    )


def run(
    smollm: Student,
    data: Data,
    folder: Path,
    replay: Replay | None,
    *,
    layout: Layout | None = None,
    stop: int | None = None,
    lanes: int | None = None,
    splittable: bool = True,
    **changes: Any,
) -> tuple[list[StepMetrics], dict[str, mx.array]]:
    trainee: Trainee = attach(tiny(smollm), dataclasses.replace(CONFIG, **changes), layout)
    trainee.split.splittable &= splittable
    if lanes:
        del trainee.split.lanes[lanes:]
    metrics = list(itertools.islice(train(trainee, *data, folder, replay), stop))
    return metrics, trainee.adapter.weights()


def same(a: dict[str, mx.array], b: dict[str, mx.array]) -> bool:
    return all(mx.array_equal(a[name], b[name]) for name in a)


def test_without_replay_training_is_the_same_bit_for_bit_also_where_drift_is_measured(
    smollm: Student, data: Data, replay: Replay, tmp_path: Path
) -> None:
    plain, weights = run(smollm, data, tmp_path / "plain", None)
    metered, others = run(smollm, data, tmp_path / "drift", dataclasses.replace(replay, ratio=0.0, training=()))
    assert same(weights, others)
    assert [row.loss for row in plain] == [row.loss for row in metered]
    assert all(row.replay_tokens == 0 and row.divergence is None for row in metered)
    measured = [row for row in metered if row.valid_loss is not None]
    assert measured[0].drift == pytest.approx(0, abs=1e-4)
    assert all((row.drift or 0) > 1e-4 and (row.replay_drift or 0) > 1e-4 for row in measured[1:])
    assert [row.valid_loss for row in measured] == pytest.approx([row.valid_loss for row in plain if row.valid_loss])


def test_replay_holds_the_student_near_its_base(smollm: Student, data: Data, replay: Replay, tmp_path: Path) -> None:
    settings = {"epochs": 3, "learning_rate": 0.02}
    plain, _ = run(smollm, data, tmp_path / "plain", dataclasses.replace(replay, kl_coef=0.0), **settings)
    held, _ = run(smollm, data, tmp_path / "held", dataclasses.replace(replay, kl_coef=5.0), **settings)
    assert (held[-1].replay_drift or 0) < 0.5 * (plain[-1].replay_drift or 0)
    assert (held[-1].valid_loss or 0) < (held[0].valid_loss or 0)


@pytest.mark.real
@pytest.mark.parametrize("changes", [{"dropout": 0.3, "layout": Layout(1)}, {"fine_tune": "dora"}], ids=str)
def test_replay_resumes_with_the_same_bits(
    smollm: Student, data: Data, replay: Replay, tmp_path: Path, changes: dict[str, Any]
) -> None:
    metrics, straight = run(smollm, data, tmp_path / "straight", replay, **changes)
    assert sum(row.replay_tokens for row in metrics) > 0
    for stop in (3, 6):
        folder = tmp_path / str(stop)
        run(smollm, data, folder, replay, stop=stop, **changes)
        rest, resumed = run(smollm, data, folder, replay, **changes)
        assert same(straight, resumed)
        assert [row.divergence for row in rest] == [row.divergence for row in metrics][-len(rest) :]
        assert [row.drift for row in rest] == [row.drift for row in metrics][-len(rest) :]


@pytest.mark.real
@pytest.mark.parametrize(
    "other", [{"layout": Layout(1)}, {"layout": Layout(2048, True)}, {"lanes": 1}, {"splittable": False}], ids=str
)
def test_a_step_with_replay_is_the_same_however_it_is_computed(
    smollm: Student, data: Data, replay: Replay, tmp_path: Path, other: dict[str, Any]
) -> None:
    one, weights = run(smollm, data, tmp_path / "one", replay)
    many, others = run(smollm, data, tmp_path / "many", replay, **other)
    for name in ("loss", "divergence", "drift", "replay_drift"):
        mine, theirs = ([getattr(row, name) or 0 for row in rows] for rows in (one, many))
        np.testing.assert_allclose(theirs, mine, rtol=1e-3, atol=1e-6)
    assert [row.replay_tokens for row in one] == [row.replay_tokens for row in many]
    assert all(mx.allclose(weights[name], others[name], atol=2e-4) for name in weights)


def test_drift_is_known_of_every_saved_step_at_every_strength(
    smollm: Student, data: Data, replay: Replay, tmp_path: Path
) -> None:
    trainee = attach(tiny(smollm), dataclasses.replace(CONFIG, save_every=3, learning_rate=0.02))
    metrics = {row.step: row for row in train(trainee, *data, tmp_path, replay)}
    before = trainee.adapter.weights()
    measured = drift(trainee, data[1], replay, tmp_path, (0.25, 1.0))
    assert same(before, trainee.adapter.weights())
    found = {(each.step, each.strength): each for each in measured.candidates}
    assert sorted(found) == [(3, 0.25), (3, 1.0), (6, 0.25), (6, 1.0)]
    for step in (3, 6):
        assert found[step, 1.0].own == pytest.approx(metrics[step].drift, rel=1e-3)
        assert found[step, 1.0].replay == pytest.approx(metrics[step].replay_drift, rel=1e-3)
        assert found[step, 0.25].own < found[step, 1.0].own
    assert drift(trainee, data[1], replay, tmp_path, ()).candidates == ()


def test_what_other_processes_get_is_the_same(replay: Replay) -> None:
    there = Replay.from_row(json.loads(json.dumps(replay.to_row())))
    assert (list(there.training), list(there.heldout)) == (list(replay.training), list(replay.heldout))
    assert (there.ratio, there.kl_coef) == (replay.ratio, replay.kl_coef)
    assert {name: top.to_bytes() for name, top in there.base.items()} == {
        name: top.to_bytes() for name, top in replay.base.items()
    }


# ---------------------------------------------------------------- which examples


@given(
    st.lists(st.integers(1, 128), min_size=1, max_size=20),
    st.lists(st.integers(1, 900), min_size=1, max_size=40),
    st.sampled_from([0.1, 0.25, 0.5, 0.9]),
)
def test_replayed_tokens_are_the_share_to_half_an_answer(answers: list[int], steps: list[int], share: float) -> None:
    examples = [Example(str(i), tuple(range(count + 1)), ((1, count + 1),)) for i, count in enumerate(answers)]
    ratio = share / (1 - share)
    order = ReplayOrder(examples, ratio, 0)
    taken: list[Example] = []
    for place, tokens in enumerate(steps, 1):
        taken += order.beside(tokens)
        owed = ratio * sum(steps[:place]) - sum(example.scored_count for example in taken)
        assert abs(owed) <= max(answers) / 2 + 1e-6
    for start in range(0, len(taken) - len(examples) + 1, len(examples)):
        assert {e.id for e in taken[start : start + len(examples)]} == {e.id for e in examples}
    again = ReplayOrder(examples, ratio, 0)
    assert [example for tokens in steps for example in again.beside(tokens)] == taken
    assert set(replayed(examples, ratio, 0, sum(steps))) == set(taken)


def test_the_general_prompts_are_two_hundred_and_apart_from_every_other_set() -> None:
    general = list(load_set("general", "train"))
    assert len(general) == len({prompt.id for prompt in general}) == 200
    others = [
        prompt for preset in configuration.PRESETS for prompt in load_prompts(configuration.resolve(preset).prompts)
    ]
    assert overlaps(general, others) == []


def test_the_general_prompts_are_no_questions_of_published_benchmarks(shared: Path) -> None:
    from mlx_distill.evaluate.benchmarks.load import load
    from mlx_distill.run.records import Prompt

    found = sorted(map(str, (shared / "benchmarks").rglob("*.jsonl*")))
    files = [path for path in found if "Mini" not in path and "OriginFmt" not in path]  # the same items again
    loaded = load((), tuple(files), None, None)
    items = [Prompt(item.key, item.prompt, split="train") for one in loaded for item in one.items]
    assert len(items) > 2000
    assert overlaps(list(load_set("general", "train")), items) == []


def test_a_set_that_is_too_small_or_asks_what_is_compared_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    asked = next(iter(load_set("functions-test", "test"))).text
    for text, words in (
        ("One.\nTwo, please.", "has 2 prompts"),
        ("\n".join([asked, *"abcde"]), "overlaps the replayed"),
    ):
        file.write_text(text)
        config = configuration.resolve("demo", {"replay.share": 0.25, "replay.prompts": str(file)})
        with pytest.raises(DataError, match=words):
            check(config)
    check(configuration.resolve("demo", {"replay.share": 0.25}))


# ---------------------------------------------------------------- from the command line

FLAGS = (
    *("--student", "student", "--data", "chat.jsonl", "--layers", "2", "--rank", "4", "--epochs", "2"),
    *("--batch-size", "4", "--learning-rate", "0.01", "--replay-tokens", "6", "--replay-prompts", "few.txt"),
)


@pytest.mark.long
def test_a_run_with_replay_shares_answers_and_log_probabilities_and_keeps_the_plain_run(
    smollm: Student, tmp_path: Path
) -> None:
    chat_folder(smollm, tmp_path, 20)
    (tmp_path / "few.txt").write_text("\n".join(f"Tell me about the number {i} and its friends." for i in range(12)))

    def train_as(run: str, *more: str) -> str:
        done = invoke("train", *FLAGS, "--run", run, "--shared", "shared", *more, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    train_as("plain")
    train_as("metered", "--drift")
    train_as("replayed", "--replay", "0.25")
    stored = {path: path.stat().st_mtime_ns for path in (tmp_path / "shared" / "logprobs").rglob("*.bin")}
    train_as("again", "--replay", "0.25", "--seed", "1")
    assert {path: path.stat().st_mtime_ns for path in stored} == stored
    adapters = {
        name: (tmp_path / name / "distilled-student" / "adapters.safetensors").read_bytes()
        for name in ("plain", "metered", "replayed")
    }
    assert adapters["plain"] == adapters["metered"] != adapters["replayed"]
    rows = metrics_of(tmp_path / "replayed")
    assert sum(row["replay_tokens"] for row in rows) == pytest.approx(sum(row["tokens"] for row in rows) / 3, abs=8)
    assert all((row["drift"] is None) == (row["valid_loss"] is None) for row in rows)
    assert "up to date" in train_as("replayed", "--replay", "0.25")
