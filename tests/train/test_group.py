"""Data-parallel training under MLX's own launcher: the same as one process with the whole batch."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from training_data import chat_folder, metrics_of

from mlx_distill.models.students import Student
from mlx_distill.models.students.adapter import read_weights

BIN = Path(sys.executable).parent
FLAGS = "--layers 2 --rank 4 --epochs 2 --batch-size 6 --learning-rate 0.01 --batch-tokens 64 --seed 3"
SETTINGS = FLAGS.split()
REPLAYED = ["--replay", "0.3", "--replay-tokens", "8", "--replay-prompts", "general.txt"]


def train(folder: Path, run: str, *launcher: str, expect: int = 0, settings: list[str] = SETTINGS) -> str:
    command = [*launcher, str(BIN / "mlx-distill"), "train", "--data", "chat.jsonl", "--student", "student"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--run", run, *settings], cwd=folder, capture_output=True, text=True, env=environment, timeout=240
    )
    assert done.returncode == expect or launcher, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(smollm: Student, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    (folder / "general.txt").write_text("\n".join(f"What can be said of the number {i} in general?" for i in range(20)))
    return chat_folder(smollm, folder, 23)


@pytest.mark.long
@pytest.mark.parametrize("more", [[], REPLAYED], ids=["plain", "replay"])
def test_two_processes_give_the_losses_of_one_with_the_whole_batch(folder: Path, more: list[str]) -> None:
    """The last batch is smaller than the group, so one process has nothing to do in it."""
    name, settings = "-replay" if more else "", [*SETTINGS, *more]
    train(folder, f"one{name}", settings=settings)
    said = train(folder, f"two{name}", str(BIN / "mlx.launch"), "-n", "2", settings=settings)
    one, two = metrics_of(folder / f"one{name}"), metrics_of(folder / f"two{name}")
    assert [row["step"] for row in one] == [row["step"] for row in two], said
    assert one[-1]["tokens"] > 0
    for a, b in zip(one, two, strict=True):
        assert a["tokens"] == b["tokens"]
        assert a["replay_tokens"] == b["replay_tokens"]
        for value in ("loss", "accuracy", "valid_loss", "valid_accuracy"):
            assert a[value] is None or a[value] == pytest.approx(b[value], rel=1e-5)
        for value in ("divergence", "drift", "replay_drift"):  # small differences of large numbers
            assert a[value] is None or a[value] == pytest.approx(b[value], rel=1e-3, abs=1e-6)
    first, second = (read_weights(folder / f"{run}{name}" / "distilled-student") for run in ("one", "two"))
    for weight, array in first.items():
        assert abs(array - second[weight]).max().item() < 1e-4
    assert said.count("trainable parameters") == 1  # one of them speaks
    assert "up to date" in train(folder, f"two{name}", str(BIN / "mlx.launch"), "-n", "2", settings=settings)


@pytest.mark.long
def test_two_processes_that_are_killed_go_on_where_they_were(folder: Path) -> None:
    """Within float32: with several processes the BLAS may round the last digit otherwise from run to run."""
    together = (str(BIN / "mlx.launch"), "-n", "2", str(BIN / "mlx-distill"), "train", "--data", "chat.jsonl")
    settings = [*SETTINGS, "--fine-tune", "dora", "--epochs", "4", "--student", "student"]
    train(folder, "whole", *together[:3], settings=settings)
    process = subprocess.Popen([*together, "--run", "killed", *settings], cwd=folder, start_new_session=True)
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and len(metrics_of(folder / "killed")) < 13:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    train(folder, "killed", *together[:3], settings=settings)
    resumed, whole = ([row["loss"] or 0.0 for row in metrics_of(folder / run)] for run in ("killed", "whole"))
    assert resumed == pytest.approx(whole, rel=1e-5)
    first, second = (read_weights(folder / run / "distilled-student") for run in ("whole", "killed"))
    assert all(abs(array - second[name]).max().item() < 1e-4 for name, array in first.items())


@pytest.mark.long
def test_a_failure_of_the_first_ends_all(folder: Path) -> None:
    said = train(folder, "refused", str(BIN / "mlx.launch"), "-n", "2", settings=["--layers", "9"])
    assert "The student has 4 layers, not 9" in said
