"""A sweep that is killed, as a user meets it: kill -9 at any moment, and the same command again.

Words are not compared: a random student is so undecided that MLX's CPU backend answers the same question differently a
second time. What was trained is the same to the bit.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from command_line import command
from training_data import chat_folder, metrics_of

from mlx_distill.models.students import Student
from mlx_distill.models.students.checkpoint import progress

TEXT = """
preset = "demo"
[prompts]
test = []
[training]
student = "student"
data = "chat.jsonl"
layers = 2
rank = 4
epochs = 3
save_every = 6
checkpoint_every = 2
dropout = 0.1
window = 256
[bench]
data = ["own.jsonl"]
own = ["own"]
max_tokens = 12
batch_size = 3
[selection]
items = 12
strengths = [0.5, 1.0]
[axes]
"training.learning_rate" = [1e-3, 1e-2]
"""
RUNS = ("0.001", "0.01")
Answers = dict[tuple[str, str, str], float]


@pytest.fixture
def folder(smollm: Student, tmp_path: Path) -> Path:
    chat_folder(smollm, tmp_path, 20)
    rows = [json.dumps({"prompt": f"{i} and {i}?", "answer": str(i)}) for i in range(30)]
    (tmp_path / "own.jsonl").write_text("\n".join(rows) + "\n")
    (tmp_path / "kills.toml").write_text(TEXT)
    return tmp_path


def start(folder: Path, name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command("sweep", "kills.toml", "--sweep", name), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def lines(path: Path) -> list[dict[str, Any]]:
    """The whole ones: a kill may tear off the last."""
    return [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def answers(sweep: Path) -> Answers:
    """The seconds that each took: no two took the same."""
    return {
        (str(path.relative_to(sweep)), row["role"], row["prompt_id"]): row["seconds"]
        for run in RUNS
        for path in (sweep / run).glob("**/bench/answers.jsonl")
        for row in lines(path)
    }


def trained(sweep: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """The steps of each run that its last checkpoint holds."""
    return {
        (run, row["step"]): row
        for run in RUNS
        for row in metrics_of(sweep / run)
        if row["step"] <= progress(sweep / run / "distilled-student").step
    }


def amount(sweep: Path) -> int:
    return len(answers(sweep)) + sum(len(metrics_of(sweep / run)) for run in RUNS)


def outcome(sweep: Path) -> dict[str, Any]:
    """What a sweep comes to, apart from times."""
    found: dict[str, Any] = {}
    for path in sorted(sweep.glob("*/**/*")):
        name = str(path.relative_to(sweep))
        if path.name == "adapters.safetensors":
            found[name] = path.read_bytes()
        elif path.name in ("answers.jsonl", "scores.jsonl") and not name.startswith("shared"):
            found[name] = sorted((row["role"], row.get("prompt_id", row.get("item_id"))) for row in lines(path))
        elif path.name == "metrics.jsonl":
            found[name] = [(row["step"], row["loss"], row["valid_loss"]) for row in lines(path)]
    whole = json.loads((sweep / "sweep.json").read_text())["runs"]
    cells = [[(cell["name"], cell["n"]) for cell in run["benchmarks"]] for run in whole]
    return found | {"cells": cells, "states": [run["state"] for run in whole]}


def kill(process: subprocess.Popen[bytes], alone: bool) -> None:
    """The sweep, and what it started, unless that is to go on as an orphan."""
    beside = [] if alone else psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for one in beside:
        one.kill()
    process.communicate()


def killed(folder: Path, times: int, seed: int) -> int:
    """Kills it so often, then lets it end. Returns how many of the kills met it at work."""
    draw = random.Random(seed)
    sweep, kept, met = folder / "killed", Answers(), 0
    steps: dict[tuple[str, int], dict[str, Any]] = {}
    for _ in range(times):
        process, wanted = start(folder, "killed"), amount(sweep) + draw.randint(0, 15)
        deadline = time.monotonic() + 60
        while process.poll() is None and amount(sweep) <= wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.05))
        met += process.poll() is None
        if process.poll() is None:
            kill(process, draw.random() < 0.3)
        kept |= answers(sweep)
        steps |= trained(sweep)
    last = start(folder, "killed")
    said, _ = last.communicate(timeout=300)
    assert last.returncode == 0, said.decode()
    now, rows = answers(sweep), trained(sweep)
    assert {key: now.get(key) for key in kept} == kept  # nothing that was answered was answered again
    assert {key: rows.get(key) for key in steps} == steps
    return met


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2))
def test_killed_at_random_moments_it_comes_to_the_same_and_repeats_nothing(folder: Path, seed: int) -> None:
    whole = start(folder, "whole")
    said, _ = whole.communicate(timeout=300)
    assert whole.returncode == 0, said.decode()
    assert killed(folder, 6, seed) >= 4
    assert outcome(folder / "killed") == outcome(folder / "whole")
    assert not (folder / "killed" / "shared" / "prefix-cache").exists()


@pytest.mark.long
def test_interrupted_it_goes_on_too(folder: Path) -> None:
    process = start(folder, "killed")
    while amount(folder / "killed") < 20 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    state = json.loads((folder / "killed" / RUNS[0] / "sweep-run.json").read_text())
    assert state["state"] == "stopped"
    kept = answers(folder / "killed")
    last = start(folder, "killed")
    last.communicate(timeout=300)
    now = answers(folder / "killed")
    assert last.returncode == 0
    assert {key: now.get(key) for key in kept} == kept
