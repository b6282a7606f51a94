"""Training that is killed, as a user meets it: the command line, kill -9, and the same command again."""

import random
import subprocess
import sys
import time
from pathlib import Path

import mlx.core as mx
import pytest
from training_data import chat_folder, metrics_of

from mlx_distill.models.students import Student

FLAGS = (
    "--student student --layers 2 --rank 4 --epochs 3 --batch-size 4 --learning-rate 0.01 --dropout 0.2 "
    "--seed 5 --batch-tokens 96 --evaluate-every 4 --patience 3 --save-every 5 --data chat.jsonl"
)
SETTINGS = FLAGS.split()
REPLAYED = ("--replay", "0.3", "--replay-tokens", "8", "--replay-prompts", "general.txt")
ENDED = -9


@pytest.fixture
def folder(smollm: Student, tmp_path: Path) -> Path:
    (tmp_path / "general.txt").write_text(
        "\n".join(f"What can be said of the number {i} in general?" for i in range(40))
    )
    return chat_folder(smollm, tmp_path, 30)


def start(folder: Path, run: str, more: tuple[str, ...]) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "mlx_distill", "train", *SETTINGS, *more, "--run", run]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def outcome(run: Path) -> tuple[dict[str, bytes], list[tuple[float, ...]]]:
    """The bytes of every adapter, and what was measured, apart from times and memory."""
    adapters = {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("adapters.safetensors")}
    measured = [
        tuple(value for name, value in row.items() if name not in ("tokens_per_second", "peak_memory", "seconds"))
        for row in metrics_of(run)
    ]
    return adapters, measured


@pytest.mark.long
@pytest.mark.parametrize(("seed", "more"), [(0, ()), (1, ()), (2, REPLAYED)])
def test_killed_at_random_moments_it_ends_with_the_same_bits(folder: Path, seed: int, more: tuple[str, ...]) -> None:
    draw = random.Random(seed)
    whole = start(folder, "whole", more)
    said, _ = whole.communicate(timeout=200)
    assert whole.returncode == 0, said
    kills = 0
    for _ in range(40):
        process = start(folder, "killed", more)
        seen = len(metrics_of(folder / "killed"))
        wanted = seen + draw.randint(0, 6)
        deadline = time.monotonic() + 100
        while process.poll() is None and len(metrics_of(folder / "killed")) <= wanted and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(draw.uniform(0, 0.03))
        process.kill()
        kills += process.wait() == ENDED
        if process.returncode == 0:
            break
    assert process.returncode == 0
    assert kills >= 3
    assert outcome(folder / "killed") == outcome(folder / "whole")
    last = [mx.load(str(folder / run / "distilled-student/last/checkpoint.safetensors")) for run in ("whole", "killed")]
    assert last[0].keys() == last[1].keys()
    assert all(mx.array_equal(last[0][name], last[1][name]) for name in last[0])
    assert not (folder / "killed" / "prefix-cache").exists()
