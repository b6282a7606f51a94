"""Selection from the command line: checkpoints at several strengths tried, resumed, kept, and reported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from command_line import fails, invoke
from training_data import chat_folder

from mlx_distill.models import students
from mlx_distill.models.students import Student, adapter

TRAINED = (
    *("--student", "student", "--layers", "2", "--rank", "4", "--epochs", "2", "--batch-size", "4"),
    *("--learning-rate", "0.01", "--evaluate-every", "5", "--save-every", "5", "--data", "chat.jsonl"),
)


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def trained(smollm: Student, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random student, a run in it that has saved two checkpoints, and two benchmarks."""
    folder = chat_folder(smollm, tmp_path_factory.mktemp("selecting"), 24)
    done = invoke("train", *TRAINED, "--run", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    for name in ("own", "other"):
        written(folder / f"{name}.jsonl", [{"prompt": f"Say {name} {i}.", "answer": str(i)} for i in range(20)])
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "folder"))


ASKED = (
    *("--data", "own.jsonl", "--data", "other.jsonl", "--own-domain", "own", "--max-tokens", "3"),
    *("--strengths", "0.5,1", "--select", "9"),
)


@pytest.mark.real
def test_candidates_are_answered_once_and_a_model_that_knows_nothing_keeps_its_base(folder: Path) -> None:
    done = invoke("select", "--run", "run", *ASKED, cwd=folder)
    assert done.returncode == 0, done.stderr
    run = folder / "run"
    part = json.loads((run / "selection.json").read_text())
    assert (part["chosen"], part["steps"], part["strengths"]) == (None, [5, 10, 12], [0.5, 1.0])
    assert [(b["title"], b["choosing"], b["confirming"]) for b in part["benchmarks"]] == [
        ("own", 3, 6),
        ("other", 3, 6),
    ]
    assert "The base is kept: none of 6 candidates gains" in done.stdout + done.stderr
    assert not (run / "kept-student").exists()
    results = json.loads((run / "results.json").read_text())
    assert results["selection"] == part
    names = {path.name for path in (run / "selection").iterdir()}
    assert names == {"base", *(f"{step:07d}-{strength}" for step in (5, 10, 12) for strength in ("0.5", "1"))}
    answers = {name: lines(run / "selection" / name / "bench/answers.jsonl") for name in names}
    assert {name: len(rows) for name, rows in answers.items()} == dict.fromkeys(names, 6)

    assert "select    up to date" in invoke("select", "--run", "run", *ASKED, cwd=folder).stdout
    (run / "selection.json").unlink()  # as if it had been killed while the last candidate answered
    last = run / "selection/0000012-1/bench"
    written(last / "answers.jsonl", answers["0000012-1"][:2])
    invoke("select", "--run", "run", *ASKED, cwd=folder)
    assert json.loads((run / "selection.json").read_text()) == part
    assert lines(last / "answers.jsonl")[:2] == answers["0000012-1"][:2]
    assert lines(run / "selection/base/bench/answers.jsonl") == answers["base"]


@pytest.mark.real
def test_what_chose_is_not_reported(folder: Path) -> None:
    done = invoke("bench", "--run", "run", "--json", *ASKED, cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    run = folder / "run"
    for row in found["benchmarks"]:
        assert (row["items"], row["subset"]) == (10, "10 of 20 items; 10 others choose the candidate")
    chose = {answer["prompt_id"] for answer in lines(run / "selection/base/bench/answers.jsonl")}
    reported = {f"{item['benchmark']}/{item['id']}" for item in lines(run / "bench/items.jsonl")}
    assert (len(chose), len(reported), chose & reported) == (6, 20, set())
    assert found["gate"]["verdict"] == "do not ship"
    assert found["gate"]["rules"][0]["rule"] == "the selection kept a candidate"
    assert not found["gate"]["rules"][0]["holds"]


@pytest.mark.real
def test_without_a_selection_what_it_left_is_gone(folder: Path) -> None:
    invoke("select", "--run", "run", *ASKED, cwd=folder)
    run = folder / "run"
    config = (run / "config.toml").read_text().replace("items = 9\n", "")
    (run / "config.toml").write_text(config)
    done = invoke("bench", "--run", "run", "--limit", "2", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert not (run / "selection.json").exists()
    assert json.loads((run / "results.json").read_text())["selection"] is None


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("name some with --benchmark or --data", ("--select", "9")),
        ("No benchmark is of the own domain (code)", ("--select", "9", "--data", "own.jsonl")),
        ("needs --select N (items to choose by)", ("--data", "own.jsonl")),
        ("give numbers above 0", ("--select", "9", "--data", "own.jsonl", "--strengths", "0,1")),
        ("not a list of numbers", ("--strengths", "half")),
        ("selection.items is 0", ("--select", "0", "--data", "own.jsonl")),
    ],
)
def test_what_cannot_be_meant_is_refused(folder: Path, words: str, options: tuple[str, ...]) -> None:
    done = invoke("select", "--run", "run", *options, cwd=folder)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert words in done.stderr


def test_a_run_that_was_not_trained_has_nothing_to_choose(folder: Path) -> None:
    fails(3, "no trained checkpoint to choose", "select", "--run", "new", "--student", "student", *ASKED, cwd=folder)


# ---------------------------------------------------------------- an adapter at a strength, as one of its own


@pytest.mark.real
@pytest.mark.parametrize("kind", ["lora", "full"])
@pytest.mark.parametrize("strength", [0.0, 0.25, 0.75, 1.0])
def test_an_adapter_saved_at_a_strength_is_that_dial(folder: Path, kind: str, strength: float) -> None:
    student = students.load(str(folder / "student"))
    made = _moved(student, kind)
    made.save_at(strength, folder / "kept", "student")
    made.dial(strength)
    tokens = mx.array([[5, 9, 200, 31]])
    wanted = student.model(tokens)

    again = students.load(str(folder / "student"))
    adapter.load(again.model, folder / "kept")
    assert mx.allclose(again.model(tokens), wanted, atol=1e-5)
    assert all(
        (made.weights()[name] == array).all()
        for name, array in _moved(students.load(str(folder / "student")), kind).weights().items()
    )


def test_a_dora_adapter_has_no_strength_between(folder: Path) -> None:
    made = _moved(students.load(str(folder / "student")), "dora")
    made.save_at(1.0, folder / "kept", "student")
    with pytest.raises(adapter.UsageError, match="DoRA"):
        made.save_at(0.5, folder / "kept", "student")


def _moved(student: Student, kind: str) -> adapter.Adapter:
    """An adapter that changes something."""
    from mlx_distill.run.config import TrainingConfig

    made = adapter.attach(student.model, TrainingConfig(fine_tune=kind, layers=2, rank=4, seed=3))
    mx.random.seed(4)
    made.set_weights({name: array + 0.05 * mx.random.normal(array.shape) for name, array in made.weights().items()})
    return made


# ---------------------------------------------------------------- the real student

SMALL = Path(__file__).parents[2] / "examples" / "small"


@pytest.mark.long
def test_a_student_trained_too_hard_is_caught_and_a_weaker_adapter_loses_less(tmp_path: Path) -> None:
    """SmolLM2 learns to repeat its answer on the last line, which is form and not knowledge: its held-out loss falls
    to a twentieth, while at full strength it forgets how to write a function."""
    run = ("--run", tmp_path / "run")
    hard = ("--learning-rate", "5e-3", "--epochs", "2", "--evaluate-every", "22", "--save-every", "22")
    done = invoke("train", "--preset", "demo", *run, "--data", SMALL / "sentence.jsonl", *hard)
    assert done.returncode == 0, done.stderr
    files = ("--data", SMALL / "last-line.jsonl", "--data", SMALL / "first-functions.jsonl")
    limits = ("--own-domain", "last-line", "--max-tokens", "80", "--select", "36", "--strengths", "0.25,1")
    done = invoke("select", *run, *files, *limits)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "run/results.json").read_text())
    loss = results["training"]["heldout_loss"]
    assert loss["best"]["mean"] < loss["base"]["mean"] / 2
    tried = {row["strength"]: row for row in results["selection"]["candidates"]}
    whole, quarter = tried[1.0], tried[0.25]
    assert whole["elsewhere"]["mean"] < -0.15
    assert quarter["elsewhere"]["mean"] - whole["elsewhere"]["mean"] > 0.15
    assert (results["selection"]["chosen"] or {"strength": 0})["strength"] < 1
