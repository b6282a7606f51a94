import hashlib
import math
import multiprocessing
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from tables import every

from mlx_distill.pipeline.prepare import prepare
from mlx_distill.run import config as configuration
from mlx_distill.run.data.rows import lines_of
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.folder import RunDir, write_atomic
from mlx_distill.run.records import Estimate, StepMetrics

ROW = StepMetrics(1, 0.5, 1.0, 0.5, 10, 5.0, 1e-4, 100, 2.0)


@pytest.mark.parametrize("preset", configuration.PRESETS)
def test_a_written_config_reads_back_the_same(preset: str, tmp_path: Path) -> None:
    config = configuration.resolve(preset, {"collect.max_cost": 2.5})
    (tmp_path / "config.toml").write_text(tomli_w.dumps(configuration.to_table(config)))
    assert configuration.load(tmp_path / "config.toml") == config


def test_presets_are_those_of_the_original_runs() -> None:
    standard, quick = configuration.resolve("standard"), configuration.resolve("quick")
    assert (standard.training.student, standard.training.epochs) == ("qwen2.5-1.5b", 5)
    assert (quick.training.student, quick.training.epochs) == ("qwen2.5-0.5b", 3)
    assert standard.teacher.spec == "claude-sonnet-4-6"
    assert standard.comparison.judges == ("claude-opus-4-6",)


@every(
    "name, value, complaint",
    [
        ("training.epochs", 0, "above zero"),
        ("training.epochs", "many", "not of the right kind"),
        ("training.epochs", True, "not of the right kind"),
        ("training.dropout", 1.0, "below 1"),
        ("training.nothing", 1, "no setting"),
        ("collect.max_cost", -1.0, "at least 0"),
        ("training.learning_rate", math.inf, "a finite number"),
        ("training.scale", math.inf, "a finite number"),
        ("training.weight_decay", math.nan, "a finite number"),
        ("training.layers", "some", "choose a number or all"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(name: str, value: object, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        configuration.resolve("demo", {name: value})


def test_another_configuration_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    prepare(run, configuration.resolve("demo"))
    run.append("metrics.jsonl", ROW)
    before = (run / "config.toml").read_text()
    other = configuration.resolve("demo", {"training.epochs": 9})
    with pytest.raises(UsageError, match=r"training\.epochs: 4 → 9"):
        prepare(run, other)
    assert (run / "config.toml").read_text() == before
    prepare(run, other, update=True)
    assert configuration.load(run / "config.toml") == other


def test_a_run_in_which_nothing_was_made_yet_takes_a_corrected_configuration(tmp_path: Path) -> None:
    run, corrected = RunDir(tmp_path), configuration.resolve("demo", {"training.epochs": 9})
    prepare(run, configuration.resolve("demo"))
    prepare(run, corrected)
    assert configuration.load(run / "config.toml") == corrected


def test_a_mistyped_student_is_found_before_the_configuration_is_kept(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no student 'quen'"):
        prepare(RunDir(tmp_path), configuration.resolve("demo", {"training.student": "quen"}), update=True)
    assert not (tmp_path / "config.toml").exists()


def test_how_collecting_is_done_may_change_in_a_run(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    prepare(run, configuration.resolve("demo"))
    run.append("metrics.jsonl", ROW)
    prepare(run, configuration.resolve("demo", {"collect.concurrency": 2}))


def _hold(path: Path, held: object, release: object) -> None:
    with RunDir(path).locked():
        held.set()  # type: ignore[attr-defined]
        release.wait(30)  # type: ignore[attr-defined]


def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, held, release))
    process.start()
    assert held.wait(30)
    with pytest.raises(UsageError, match="another process"), RunDir(tmp_path).locked():
        pass
    release.set()
    process.join()
    with RunDir(tmp_path).locked():
        pass


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old")

    @dataclass
    class Unwritable:
        pass

    with pytest.raises(TypeError):
        write_atomic(path, Unwritable())  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_line_torn_by_a_crash_is_dropped(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.append("metrics.jsonl", ROW)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "epo')
    assert run.read_resumable("metrics.jsonl", StepMetrics) == [ROW]
    run.append("metrics.jsonl", ROW)
    assert run.read("metrics.jsonl", StepMetrics) == [ROW, ROW]


def test_a_stage_is_current_until_an_input_or_setting_changes(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.write_text("in", "1")
    run.write_text("out", "1")
    run.mark("stage", run.fingerprint({"a": 1}, ["in"]), "done", 1.0)
    assert run.is_current("stage", run.fingerprint({"a": 1}, ["in"]), ["out"])
    assert not run.is_current("stage", run.fingerprint({"a": 2}, ["in"]), ["out"])
    assert not run.is_current("stage", run.fingerprint({"a": 1}, ["in"]), ["out", "missing"])
    run.write_text("in", "2")
    assert not run.is_current("stage", run.fingerprint({"a": 1}, ["in"]), ["out"])


def test_broken_json_lines_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(DataError, match="line 2 is not JSON"):
        list(lines_of(path))


def test_a_files_content_is_read_once_and_again_when_it_has_changed(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert (run.content("x").sha256, run.content("x").lines) == ("missing", 0)
    contents = []
    for text in ("one\n", "two\n", "one\ntwo\n"):
        run.write_text("x", text)
        contents.append(run.content("x"))
        assert contents[-1].sha256 == hashlib.sha256(text.encode()).hexdigest()
        assert run.content("x") is contents[-1]
    run.append("x", Estimate(1.0, 1))
    contents.append(run.content("x"))
    assert [content.lines for content in contents] == [1, 1, 2, 3]
    assert len({content.sha256 for content in contents}) == 4


@given(lines=st.integers(0, 20), skip=st.integers(0, 25), step=st.integers(1, 7))
def test_reading_some_lines_agrees_with_reading_all(lines: int, skip: int, step: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("".join(f'{{"n": {n}}}\n' for n in range(lines)))
        assert [row["n"] for row in lines_of(path, skip, step)] == list(range(lines))[skip::step]
