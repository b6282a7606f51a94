"""A run writes into a folder of its own, and over nothing that it reads."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
import tomli_w
from command_line import fails, invoke
from tables import every

from mlx_distill.models.students.peft import is_ours
from mlx_distill.run import config as configuration
from mlx_distill.run import ownership
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.folder import file_hash

ROWS = "".join(json.dumps({"prompt": f"What is {n} + 1?", "completion": str(n + 1)}) + "\n" for n in range(8))


def contents(folder: Path) -> dict[str, str]:
    return {str(path): file_hash(path) for path in folder.rglob("*") if path.is_file()}


def refused(words: str, kept: Path, *arguments: str | Path, code: int = 2) -> None:
    """The command is refused, and nothing in the folder is another one afterwards, or more."""
    before = contents(kept)
    fails(code, words, *arguments)
    assert contents(kept) == before


# ---------------------------------------------------------------- folders


@every("name", ["prompts.jsonl", "config.toml", "notes.txt", "data/chat.jsonl", "stages.json"])
def test_a_folder_of_the_users_own_is_no_run(name: str, tmp_path: Path) -> None:
    mine = tmp_path / name.replace("/", "-") / "proj"
    (mine / name).parent.mkdir(parents=True)
    (mine / name).write_text("[training]\nepochs = 2\n" if name.endswith("toml") else "{}\n")
    for command in ("run", "collect", "train", "compare", "bench", "report", "select"):
        refused("new or empty folder", mine, command, "--run", mine)


@every("name", [".DS_Store", "run.log", ".lock", "ledger.sqlite", "terms.json"])
def test_what_may_lie_in_a_folder_before_a_run(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("")
    ownership.check_run_folder(tmp_path)


def test_a_run_is_known_by_its_configuration_or_its_stages(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "prompts.jsonl").write_text("")
    with pytest.raises(UsageError, match=r"prompts\.jsonl"):
        ownership.check_run_folder(run)
    (run / "config.toml").write_text(tomli_w.dumps(configuration.to_table(configuration.resolve("demo"))))
    ownership.check_run_folder(run)
    (run / "config.toml").unlink()
    (run / "stages.json").write_text('{"prompts": {"fingerprint": "0"}}')
    ownership.check_run_folder(run)


@every("flag, command", [("--run", ("run",)), ("--run", ("export", "votes")), ("--sweep", ("sweep", "x.toml"))])
def test_an_empty_folder_name_is_refused(flag: str, command: tuple[str, ...]) -> None:
    done = invoke(*command, flag, "")
    assert done.returncode == 2
    assert "it is empty" in done.stderr


def test_a_shared_folder_of_the_users_own_is_refused(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("")
    refused("give --shared a new", mine, "collect", "--preset", "demo", "--shared", mine, "--run", tmp_path / "r")
    (mine / "date.json").write_text("{}")
    ownership.check(configuration.resolve("demo", {"machine.shared": str(mine)}), tmp_path / "r")


def test_a_sweep_does_not_fill_a_folder_of_the_users_own(tmp_path: Path) -> None:
    mine, file = tmp_path / "mine", tmp_path / "small.toml"
    file.write_text('preset = "demo"\n[axes]\n"training.rank" = [1]\n')
    mine.mkdir()
    (mine / "sweep.toml").write_text("")
    refused("give --sweep a new", mine, "sweep", file, "--sweep", mine, "--plan")


def test_an_export_does_not_fill_a_folder_of_the_users_own(finished: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "peft_version": "0.21"}))
    refused("give --to a new", mine, "export", "peft", "--run", finished, "--to", mine)
    for _ in range(2):  # an export of ours may be made again
        assert invoke("export", "peft", "--run", finished, "--to", tmp_path / "peft").returncode == 0
    assert is_ours(tmp_path / "peft")


# ---------------------------------------------------------------- inputs


def test_a_run_does_not_cut_the_file_that_it_imports(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    for spec in ("traces:", "recorded:"):
        teacher = ("--teacher", f"{spec}{run / 'teacher_data.jsonl'}")
        refused("teacher.spec names", run, "collect", *teacher, "--run", run, "--limit", "3", "--update")


@every(
    "setting, file",
    [
        ("training.data", "teacher_data.jsonl"),
        ("training.data", "Teacher_Data.jsonl"),
        ("prompts.test", "prompts.jsonl"),
        ("comparison.judges", "recorded:scores.jsonl"),
        ("filters.benchmarks", "bench/items.jsonl"),
        ("bench.data", "bench/items.jsonl"),
        ("bench.published", "bench/published.json"),
        ("comparison.human", "preferences.jsonl"),
        ("training.student", "kept-student"),
    ],
)
def test_no_input_may_be_what_the_run_writes(setting: str, file: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "bench").mkdir(parents=True, exist_ok=True)
    (run / "stages.json").write_text('{"prompts": {"fingerprint": "0"}}')
    kind, _, name = file.rpartition(":")
    (run / name).mkdir(exist_ok=True) if name == "kept-student" else (run / name).write_text("")
    spec = f"{kind}:{run / name}" if kind else str(run / name)
    listed = setting not in ("training.data", "training.student")
    config = configuration.resolve("demo", {setting: (spec,) if listed else spec})
    with pytest.raises(UsageError, match="the run itself would write"):
        ownership.check(config, run)
    ownership.check(config, tmp_path / "another")


def test_a_link_to_a_file_of_the_run_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").write_text("")
    (tmp_path / "mine.jsonl").symlink_to(tmp_path / "run" / "metrics.jsonl")
    (tmp_path / "run" / "stages.json").write_text('{"prompts": {"fingerprint": "0"}}')
    with pytest.raises(UsageError, match="the run itself would write"):
        ownership.check(
            configuration.resolve("demo", {"training.data": str(tmp_path / "mine.jsonl")}), tmp_path / "run"
        )


def test_answers_that_are_scored_are_not_the_runs_own(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (run / "bench").mkdir()
    (run / "bench" / "answers.jsonl").write_text("")
    refused("The command reads", run, "bench", "--answers", run / "bench" / "answers.jsonl", "--run", run)


def test_votes_and_a_judges_words_may_lie_in_the_run(tmp_path: Path) -> None:
    for name in ("exports/votes.csv", "judge_data/claude.jsonl"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
        assert not ownership.is_written(tmp_path / name, tmp_path)


def test_every_file_that_a_run_writes_is_known_as_its_own(finished: Path) -> None:
    files = [path for path in finished.rglob("*") if path.is_file() and not path.name.startswith(".")]
    unknown = [path.name for path in files if not ownership.is_written(path, finished)]
    assert [name for name in unknown if "judge_data" not in name] == []


# ---------------------------------------------------------------- ledgers


@every("name", ["prompts.jsonl", "results.json", "mine.jsonl"])
def test_a_ledger_does_not_take_another_files_place(name: str, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text(ROWS)
    run = tmp_path / "run"
    ledger = tmp_path / name if name == "mine.jsonl" else run / name
    options = ("--teacher", f"traces:{tmp_path / 'mine.jsonl'}", "--ledger", ledger, "--run", run)
    refused("", tmp_path, "collect", "--preset", "demo", *options)


def test_another_programs_database_is_left_as_it_is(tmp_path: Path) -> None:
    from mlx_distill.models.asking.ledger import Ledger

    mine = tmp_path / "mine.sqlite"
    with sqlite3.connect(mine) as database:
        database.execute("CREATE TABLE mine (x)")
    before = mine.read_bytes()
    with pytest.raises(DataError, match="another program"), Ledger(mine):
        pass
    assert mine.read_bytes() == before
