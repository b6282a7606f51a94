"""The table of stages, and how often a command looks at what it has recorded of them."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import Options, invoke

from mlx_distill.pipeline import STAGES, outlook
from mlx_distill.run import config as configuration
from mlx_distill.run.decode import plain
from mlx_distill.run.folder import PROMPTS, STAGE_STATES, RunDir
from mlx_distill.run.job import Job
from mlx_distill.run.stage import Stage, run_stage


class Watcher:
    def __init__(self) -> None:
        self.kept_stages: list[str] = []

    def kept(self, stage: str) -> None:
        self.kept_stages.append(stage)


def job(run: Path, **settings: Any) -> Job:
    changes = {name.replace("__", "."): value for name, value in settings.items()}
    return Job(RunDir(run), configuration.resolve("demo", changes), Watcher())  # type: ignore[arg-type]


def wanted(job: Job) -> list[str]:
    return [name for name, stage in STAGES.items() if stage.wanted(job)]


def test_the_stages_stand_in_the_order_of_the_work(tmp_path: Path) -> None:
    stages = ["prompts", "collect", "choose", "filter", "replay", "train", "select", "generate", "judge", "prompted"]
    assert list(STAGES) == [*stages, "bench"]
    assert wanted(job(tmp_path)) == ["prompts", "collect", "filter", "train", "generate", "judge"]
    assert wanted(job(tmp_path, bench__benchmarks=("gsm8k",), selection__items=10))[-4:] == (
        ["select", "generate", "judge", "bench"]
    )
    assert wanted(job(tmp_path, prompts__test=()))[-1] == "train"
    assert wanted(job(tmp_path, training__data="chat.jsonl", prompts__test=())) == ["train"]
    assert wanted(job(tmp_path, teacher__spec="hf:a/b"))[0] == "collect"
    own = {"training__data": "chat.jsonl", "prompts__test": ()}
    for more in ({"replay__share": 0.25}, {"replay__drift": True}):
        assert wanted(job(tmp_path, **own, **more)) == ["replay", "train"]


def test_what_a_stage_reads_an_earlier_one_writes(tmp_path: Path) -> None:
    written: set[str] = set()
    for stage in STAGES.values():
        reads = stage.reads if not callable(stage.reads) else stage.reads(job(tmp_path))
        assert set(reads) <= written, stage.name
        written |= set(stage.writes if not callable(stage.writes) else stage.writes(job(tmp_path)))


def test_an_attempt_from_other_inputs_finds_nothing_stale(tmp_path: Path) -> None:
    runs: list[str] = []
    stage = Stage("x", lambda job: [1], (), ("out",), lambda job: runs.append("x"), stale=("half",))
    work = job(tmp_path)
    (tmp_path / "half").write_text("of another attempt")
    run_stage(work, stage)
    assert not (tmp_path / "half").exists()
    (tmp_path / "half").write_text("of this attempt")
    run_stage(work, stage)  # its output is missing
    assert (tmp_path / "half").exists()
    (tmp_path / "out").write_text("")
    run_stage(work, stage)
    assert (runs, work.view.kept_stages) == (["x", "x"], ["x"])  # type: ignore[attr-defined]
    run_stage(work, dataclasses.replace(stage, settings=lambda job: [2]))
    assert len(runs) == 3


def test_a_plan_says_which_stages_would_run(finished: Path, tmp_path: Path, short: Options) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    told = " ".join(invoke("plan", *short, "--run", run).stdout.split())
    assert "Stages to run report" in told
    assert "Stages up to date prompts, collect, filter, train, generate, judge" in told
    (run / PROMPTS).unlink()
    assert "Stages to run prompts, collect, filter, train" in " ".join(invoke("plan", "--run", run).stdout.split())


def test_a_plan_says_what_would_stop_the_run(tmp_path: Path) -> None:
    told = " ".join(invoke("plan", "--run", tmp_path / "run").stdout.split())
    assert "claude-sonnet-4-6 needs a key" in told
    assert "Then add --accept-terms, once." in told
    assert not list(outlook.obstacles(job(tmp_path), False))


def test_a_command_reads_the_record_of_the_stages_once(
    finished: Path, tmp_path: Path, short: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    opened: list[Path] = []
    read_text = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda path, *a, **k: opened.append(path) or read_text(path, *a, **k))
    done = invoke("run", *short, "--run", run)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in opened].count(STAGE_STATES) == 1


def test_the_record_of_the_stages_is_what_was_written_last(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert run.stages() == {}
    run.mark("a", "1", "done", 1.0)
    run.mark("b", "2", "running", 2.0)
    assert json.loads((tmp_path / STAGE_STATES).read_text()) == plain(run.stages())
    assert run.stages() == RunDir(tmp_path).stages()
    run.write_json(STAGE_STATES, {})
    assert run.stages() == {}
