"""The command line of sweeps, with real runs of a random student: what is shared, kept, refused, and divided."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from sweeping import Watcher, invoke, rows, three
from training_data import chat_folder, metrics_of
from typed import as_dict

from mlx_distill import cli
from mlx_distill.models.asking.ledger import Ledger
from mlx_distill.models.students import Student
from mlx_distill.run.errors import UsageError
from mlx_distill.run.folder import LEDGER, RunDir
from mlx_distill.sweep import SweepOptions, make, report

pytestmark = pytest.mark.real

SMALL = """
preset = "demo"
[prompts]
test = []
[training]
student = "student"
layers = 2
rank = 4
epochs = 2
save_every = 7
window = 256
batch_size = 4
[bench]
data = ["own.jsonl"]
own = ["own"]
max_tokens = 6
[selection]
items = 4
strengths = [1.0]
"""
AXES = """
[axes.data]
none = { training.data = "missing.jsonl" }
chat = { training.data = "chat.jsonl" }
[axes]
"training.learning_rate" = [1e-3, 1e-2]
[[exclude]]
data = "none"
learning_rate = 1e-2
"""
FOLDER = Path("sweeps", "small")
RATES = ("chat-0.001", "chat-0.01")


def folder_of(smollm: Student, path: Path) -> Path:
    chat_folder(smollm, path, 16)
    (path / "own.jsonl").write_text(
        "".join(json.dumps({"prompt": f"{i}?", "answer": str(i)}) + "\n" for i in range(10))
    )
    return path


@pytest.fixture(scope="module")
def made(smollm: Student, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A sweep of three runs, of which the first fails; and what the command said."""
    folder = folder_of(smollm, tmp_path_factory.mktemp("made"))
    (folder / "small.toml").write_text(SMALL + AXES)
    return folder, invoke(folder, "small.toml")


@pytest.fixture
def swept(made: tuple[Path, Any], tmp_path: Path) -> Path:
    """A copy to go on with, whose runs name the files beside it."""
    copy = Path(shutil.copytree(made[0], tmp_path / "copy"))
    for file in (copy / FOLDER / ".origin", *(copy / FOLDER).rglob("*.toml")):
        file.write_text(file.read_text().replace(str(made[0]), str(copy)))
    return copy


def state(folder: Path, run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / FOLDER / run / "sweep-run.json").read_text())
    return found


def base_answers(run: Path, name: str = "bench") -> dict[str, float]:
    """Of each item, the seconds that it took: no two answers took the same."""
    found = rows(run / ("bench/answers.jsonl" if name == "bench" else "selection/base/bench/answers.jsonl"))
    return {row["prompt_id"]: row["seconds"] for row in found if row["role"] == "base"}


def times(folder: Path) -> dict[str, int]:
    """When each file of the runs was written."""
    files = [path for path in (folder / FOLDER).glob("[cn]*-*/**/*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in files}


def test_a_failing_run_is_marked_and_the_others_share_what_is_the_same(made: tuple[Path, Any]) -> None:
    folder, done = made
    assert done.returncode == 8, done.stderr
    assert done.stderr.startswith("Error: 1 of 3 runs failed (none-0.001): sweeps/small/sweep.md ")
    failed = state(folder, "none-0.001")
    assert (failed["state"], failed["exit_code"]) == ("failed", 3)
    assert failed["words"].startswith("missing.jsonl does not exist")
    sweep = json.loads((folder / FOLDER / "sweep.json").read_text())
    assert [run["state"] for run in sweep["runs"]] == ["failed", "done", "done"]
    assert sweep["runs"][0]["why"].startswith("missing.jsonl does not exist")
    assert len(sweep["baselines"]) == 1
    first, second = (folder / FOLDER / run for run in RATES)
    for name in ("bench", "selection"):
        assert base_answers(first, name) == base_answers(second, name) != {}
    shared = folder / FOLDER / "shared"
    kept = [row for path in shared.glob("baselines/*-answers.jsonl") for row in rows(path)]
    assert sorted(row["prompt_id"] for row in kept) == sorted({row["prompt_id"] for row in kept})
    assert len(kept) == 7  # nobody gained where it was chosen, so nobody was put to confirmation
    assert (first / "distilled-student/adapters.safetensors").read_bytes() != (
        second / "distilled-student/adapters.safetensors"
    ).read_bytes()


def test_activations_are_computed_once(made: tuple[Path, Any]) -> None:
    """They stay as long as a run is not done: one may still need them."""
    (store,) = (made[0] / FOLDER / "shared" / "prefix-cache").iterdir()
    names = [row["name"] for row in rows(store / "index.jsonl")[1:]]
    assert len(names) == len(set(names)) == 16
    writers = [run for run in RATES if (made[0] / FOLDER / run / "prefix-cache").exists()]
    assert writers == []


@pytest.mark.long
def test_again_only_what_failed_is_tried_and_then_the_activations_go(swept: Path) -> None:
    before = {name: at for name, at in times(swept).items() if "/chat-" in name}
    (swept / "missing.jsonl").write_text((swept / "chat.jsonl").read_text())
    again = invoke(swept, "--resume", FOLDER)
    assert again.returncode == 0, again.stdout + again.stderr
    assert {name: at for name, at in times(swept).items() if "/chat-" in name} == before
    assert state(swept, "none-0.001")["state"] == "done"
    ends = [json.loads((swept / FOLDER / run / "results.json").read_text()) for run in ("none-0.001", RATES[0])]
    assert ends[0]["benchmarks"] == ends[1]["benchmarks"]  # the same data, and the same rate
    assert not (swept / FOLDER / "shared" / "prefix-cache").exists()
    assert json.loads((swept / FOLDER / "sweep.json").read_text())["sweep"]["name"] == "small"


def test_a_plan_starts_and_writes_nothing(swept: Path) -> None:
    before = times(swept)
    planned = invoke(swept, "small.toml", "--plan")
    assert planned.returncode == 0, planned.stderr
    assert "cannot be made: missing.jsonl" in " ".join(planned.stdout.split())
    assert times(swept) == before
    invoke(swept, "small.toml", "--plan", "--sweep", "elsewhere")
    assert not (swept / "elsewhere").exists()


def test_other_settings_are_refused_before_anything_is_written(swept: Path) -> None:
    file = swept / "small.toml"
    before = times(swept)
    file.write_text(file.read_text().replace("epochs = 2", "epochs = 1"))
    refused = invoke(swept, "small.toml")
    assert refused.returncode == 2
    for words in ("chat-0.001: training.epochs: 2 → 1", "chat-0.01: ", "add --update", "--sweep"):
        assert words in refused.stderr
    assert times(swept) == before
    assert (swept / FOLDER / "sweep.toml").read_text() != file.read_text()


@pytest.mark.long
def test_only_changed_runs_are_made_anew(swept: Path) -> None:
    """One rate is another. What was made with the one that is gone stays."""
    (swept / "small.toml").write_text(
        SMALL + '[axes.data]\nchat = { training.data = "chat.jsonl" }\n[axes]\n"training.learning_rate" = [1e-3, 2e-2]'
    )
    kept = {name: at for name, at in times(swept).items() if "/chat-" in name}
    done = invoke(swept, "small.toml")
    assert done.returncode == 0, done.stdout + done.stderr
    after = times(swept)
    assert {name: after[name] for name in kept} == kept
    # the copy's student lies elsewhere, so among the baselines it is another base: that it is asked once is
    # tested where the sweep was made
    names = [run["name"] for run in json.loads((swept / FOLDER / "sweep.json").read_text())["runs"]]
    assert names == ["chat-0.001", "chat-0.02"]


@pytest.mark.long
def test_a_loss_that_is_no_number_is_a_runs_failure(smollm: Student, tmp_path: Path) -> None:
    folder = folder_of(smollm, tmp_path)
    (folder / "wild.toml").write_text(
        SMALL.replace("[bench]", 'data = "chat.jsonl"\nclip = 1e30\n[bench]')
        + '[axes]\n"training.learning_rate" = [1e30, 1e31]'
    )
    done = invoke(folder, "wild.toml", "--no-keep-going")
    assert done.returncode == 8, done.stdout + done.stderr
    failed = json.loads((folder / "sweeps/wild/1e+30/sweep-run.json").read_text())
    assert (failed["state"], "nan" in failed["words"] or "loss" in failed["words"]) == ("failed", True)
    assert not (folder / "sweeps/wild/1e+31/run.log").exists()


# ---------------------------------------------------------------- what cannot be meant


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "Which sweep? Give its FILE"),
        (("--resume",), 2, "Which sweep?"),
        (("nothing.toml",), 3, "nothing.toml does not exist"),
        ((".",), 2, "--resume"),
        (("--resume", "."), 3, ". holds no sweep to go on with"),
        (("--resume", "small.toml"), 3, "sweeps/small holds no sweep to go on with"),
        (("--resume", "--sweep", "elsewhere"), 3, "elsewhere holds no sweep"),
        (("small.toml", "--shard", "3/2"), 2, "--shard 3/2 cannot be read"),
        (("small.toml", "--shard", "0/2"), 2, "such as 1/2 and 2/2"),
        (("small.toml", "--shard", "²/2"), 2, "cannot be read"),
        (("small.toml", "--max-cost", "-1"), 2, "give dollars, 0 or more"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    (tmp_path / "small.toml").write_text(SMALL.replace("[selection]\nitems = 4\nstrengths = [1.0]", "") + AXES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["mlx-distill", "sweep", *arguments])
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    signal.signal(signal.SIGTERM, handler)
    said = capsys.readouterr().err
    assert (ended.value.code, len(said.strip().splitlines())) == (code, 1), said
    assert words in said
    assert not (tmp_path / "elsewhere").exists()
    assert not (tmp_path / FOLDER / "sweep.toml").exists()


def test_metrics_are_there_for_every_step(made: tuple[Path, Any]) -> None:
    assert {len(metrics_of(made[0] / FOLDER / run)) for run in RATES} == {2 * 4 + 1}


def test_a_sweep_of_which_nothing_is_done_is_drawn(tmp_path: Path) -> None:
    """A machine is not known yet, and nobody was paid."""
    sweep = three(tmp_path)
    sweep.mark(sweep.matrix.members[0], "failed", "it has <b>failed</b>", 5.0, 3)
    sweep.mark(sweep.matrix.members[1], "running", "step 3", 5.0)
    found = as_dict(report(sweep, tmp_path / "three.toml"))
    assert [run["state"] for run in found["runs"]] == ["failed", "stopped", "waiting"]
    assert (found["sweep"]["hardware"], found["sweep"]["usd"], found["sweep"]["seconds"]) == (None, None, 10.0)
    assert found == json.loads((sweep.folder / "sweep.json").read_text())
    assert "2 of 3 runs are not done: what is compared will change." in (sweep.folder / "sweep.md").read_text()
    assert "<b>failed" not in (sweep.folder / "sweep.html").read_text()


def test_a_ledger_that_another_shard_pays_from_leaves_the_sum_open(tmp_path: Path) -> None:
    sweep = three(tmp_path)
    for name in ("shared", "shared-1-of-2"):
        with Ledger(sweep.folder / name / LEDGER):
            pass
    assert report(sweep, tmp_path / "three.toml").sweep.usd == 0
    with Ledger(sweep.folder / "shared-1-of-2" / LEDGER):
        assert report(sweep, tmp_path / "three.toml").sweep.usd is None


def test_two_sweeps_in_one_folder_are_refused(tmp_path: Path) -> None:
    sweep = three(tmp_path)
    with (
        RunDir(sweep.shared).locked(),
        pytest.raises(UsageError, match="sweeps/three is in use by another process: wait for it, or name another"),
    ):
        make(sweep, tmp_path / "three.toml", SweepOptions(), Watcher())
