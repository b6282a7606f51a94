"""Training on one's own data, and comparing: a teacher takes part only where there is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Options, fails, invoke
from tables import every

from mlx_distill.pipeline import wants_teacher
from mlx_distill.run import config as configuration
from mlx_distill.run.folder import RunDir
from mlx_distill.run.job import Job
from mlx_distill.run.stage import Stage

ALONE = "base and distilled are compared alone"
ANIMALS = ("goats", "larks", "moths", "newts", "otters", "pikes", "quails", "rooks", "swans", "tapirs")
STATIC = ("--judge", "static", "--layers", "2", "--max-tokens", "4")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    rows = [{"prompt": f"Where do {name} sleep?", "completion": f"{name} sleep on hills."} for name in ANIMALS]
    (tmp_path / "chat.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "tests.txt").write_text("Say how rivers reach the sea.\nName four colours of autumn leaves.\n")
    return tmp_path


def options(files: Path, short: Options) -> tuple[str | Path, ...]:
    common = ("--student", short[-1], "--run", files / "run", "--test-prompts", files / "tests.txt", *STATIC)
    return (*common, "--data", files / "chat.jsonl", "--steps", "1")


@pytest.mark.real
def test_who_trains_on_data_of_his_own_compares_without_a_teacher(files: Path, short: Options) -> None:
    given = options(files, short)
    assert invoke("train", *given).returncode == 0
    done = invoke("compare", *given)
    assert done.returncode == 0, done.stderr
    assert ALONE in " ".join(done.stdout.split()).lower()
    roles = {json.loads(line)["role"] for line in (files / "run" / "generations.jsonl").read_text().splitlines()}
    assert roles == {"base", "distilled"}
    done = invoke("report", "--run", files / "run")
    assert done.returncode == 0, done.stderr
    results = json.loads((files / "run" / "results.json").read_text())
    assert results["teacher"] is None
    assert any(ALONE in caveat for caveat in results["comparison"]["caveats"])

    other = files / "other.jsonl"
    other.write_text(json.dumps({"prompt": "another", "completion": "x"}) + "\n")
    done = invoke("compare", *given, "--teacher", f"recorded:{other}", "--update")
    assert done.returncode == 0, done.stderr
    assert "has no answer to" in " ".join(done.stdout.split())
    assert ALONE in " ".join(done.stdout.split()).lower()

    there = [
        json.dumps({"prompt": line, "completion": "so"}) for line in (files / "tests.txt").read_text().splitlines()
    ]
    other.write_text("\n".join(there))
    done = invoke("compare", *given, "--teacher", f"recorded:{other}", "--update")
    assert (done.returncode, ALONE in " ".join(done.stdout.split()).lower()) == (0, False), done.stderr
    assert '"teacher"' in (files / "run" / "generations.jsonl").read_text()


@pytest.mark.real
def test_a_recording_of_the_training_answers_alone_is_a_teacher_of_no_test_prompt(files: Path, short: Options) -> None:
    questions = [json.loads(line)["prompt"] for line in (files / "chat.jsonl").read_text().splitlines()]
    for name, lines in (("train.txt", questions[:-2]), ("valid.txt", questions[-2:])):
        (files / name).write_text("\n".join(lines))
    sets = ("--prompts", files / "train.txt", "--valid-prompts", files / "valid.txt")
    asked = (*options(files, short)[:-4], "--teacher", f"recorded:{files / 'chat.jsonl'}", *sets, "--steps", "1")
    done = invoke("run", *asked)
    assert done.returncode == 0, done.stderr
    assert ALONE in " ".join(done.stdout.split()).lower()
    results = json.loads((files / "run" / "results.json").read_text())
    assert results["teacher"]["completions"] == len(questions)
    assert list(results["comparison"]["answers"]) == ["base", "distilled"]


@pytest.mark.real
def test_a_whole_run_on_own_data_needs_no_key(files: Path, short: Options) -> None:
    done = invoke("run", *options(files, short), "--prompted-base")
    assert done.returncode == 0, done.stderr
    assert ALONE in " ".join(done.stdout.split()).lower()
    prompted = json.loads((files / "run" / "results.json").read_text())["comparison"]["prompted"]
    assert (prompted["examples"], prompted["answers"]["count"]) == (3, 2)
    shown = [json.loads(line)["messages"][0]["content"] for line in (files / "run/prompted/examples.jsonl").open()]
    assert set(shown) < {json.loads(line)["prompt"] for line in (files / "chat.jsonl").open()}
    assert "The prompted base" in (files / "run" / "RESULTS.md").read_text()


def test_a_teacher_that_was_named_is_asked_and_needs_its_key(files: Path, short: Options) -> None:
    fails(4, "needs a key", "run", *options(files, short), "--teacher", "claude-sonnet-4-6")


@every(
    "settings, named, wanted",
    [
        ({}, False, False),
        ({}, True, True),
        ({"teacher.spec": "claude-haiku-4-5"}, False, True),
        ({"comparison.against_teacher": True}, False, True),
        ({"training.data": None}, False, True),
    ],
)
def test_when_a_teacher_takes_part(settings: dict[str, Any], named: bool, wanted: bool, tmp_path: Path) -> None:
    config = configuration.resolve("standard", {"training.data": "chat.jsonl"} | settings)
    job = Job(RunDir(tmp_path), config, None, teacher_named=named)  # type: ignore[arg-type]
    assert wants_teacher(job) is wanted


def test_a_teacher_that_has_answered_takes_part_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(RunDir(tmp_path), configuration.resolve("standard", {"training.data": "chat.jsonl"}), None)  # type: ignore[arg-type]
    monkeypatch.setattr(Stage, "is_done", lambda stage, job: stage.name == "collect")
    assert wants_teacher(job)


def test_a_plan_does_not_count_a_teacher_that_is_not_asked(files: Path) -> None:
    own = ("--data", files / "chat.jsonl", "--test-prompts", files / "tests.txt", "--judge", "static")
    told = invoke("plan", *own, "--run", files / "run").stdout
    assert "none: base and distilled are compared alone" in " ".join(told.split())
    assert "$" not in told
    assert "$" in invoke("plan", *own, "--teacher", "claude-haiku-4-5", "--run", files / "run").stdout
