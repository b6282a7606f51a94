"""Settings as users give them: from a file, from a preset, typed, taken back, from another folder."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from command_line import fails, invoke
from tables import every

from mlx_distill.cli.configuration import configuration_of
from mlx_distill.run import config as configuration
from mlx_distill.run import paths
from mlx_distill.run.config import Config
from mlx_distill.run.errors import UsageError
from mlx_distill.run.folder import RunDir
from mlx_distill.sweep import open_sweep
from mlx_distill.sweep.matrix import read_matrix
from mlx_distill.sweep.members import Shard, fingerprint

FREE = (
    *("prompts.limit", "teacher.columns", "collect.max_cost", "collect.price", "collect.ledger", "filters.language"),
    *(
        "training.data",
        "training.valid_data",
        "training.steps",
        "training.alpha",
        "training.evaluate_every",
        "training.patience",
    ),
    *("training.save_every", "machine.memory", "machine.batch_tokens", "machine.grad_checkpoint", "machine.shared"),
    *("comparison.samples", "selection.items", "selection.most", "choice.answers_of", "run.headroom"),
)
GIVEN = {"prompts.limit": 3, "training.steps": 7, "training.patience": 2, "filters.language": "en"}


def written(folder: Path, text: str, name: str = "mine.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def typed(run: Path, *arguments: str | Path, update: bool = True) -> Config:
    """The configuration that a command line means."""
    import cloup

    from mlx_distill.cli.options import settings

    found: list[Config] = []

    @cloup.command()
    @settings("run")
    def command(**options: Any) -> None:
        found.append(configuration_of(options)[0])

    command.main(["--run", str(run), *(("--update",) if update else ()), *map(str, arguments)], standalone_mode=False)
    return found[0]


def kept(run: Path, config: Config) -> None:
    RunDir(run).write_text("config.toml", tomli_w.dumps(configuration.to_table(config)))


# ---------------------------------------------------------------- files


def test_a_file_that_names_a_preset_means_its_values(tmp_path: Path) -> None:
    file = written(tmp_path, 'preset = "demo-short"\n[training]\nepochs = 2\n')
    assert configuration.load(file) == configuration.resolve("demo-short", {"training.epochs": 2})
    done = invoke("plan", "--config", file, "--run", tmp_path / "run")
    assert "recorded" in done.stdout
    assert "claude" not in done.stdout


@every(
    "text, words",
    [
        ('preset = "fast"\n', "no preset 'fast'"),
        ("preset = 3\n", "no preset 3"),
        ('[training]\npreset = "demo"\n', "preset stands inside of [training]: write it above the first [section]"),
        ("[prompts]\ntrain = [1, 2]\n", "prompts.train = [1, 2] is not of the right kind: it takes a list, each text"),
        ('[selection]\nstrengths = ["a"]\n', "a list, each a number"),
        ("[selection]\nstrengths = [true]\n", "a list, each a number"),
        ('[training]\ntargets = "q_proj"\n', "a list, each text"),
        ("[training]\ndata = [1]\n", "it takes text or none"),
        ('[training]\nepochs = "none"\n', "it takes a whole number"),
        ("epochs = 2\n", "outside of a [section] (epochs)"),
        ('[axes]\n"training.rank" = [4, 8]\n', "describes a sweep"),
    ],
)
def test_what_a_file_cannot_mean_is_said_with_its_name(text: str, words: str, tmp_path: Path) -> None:
    file = written(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        configuration.load(file)
    assert words in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_folder_is_no_file_of_settings(tmp_path: Path) -> None:
    fails(2, "is a folder", "plan", "--config", tmp_path)


def test_a_byte_order_mark_is_no_setting(tmp_path: Path) -> None:
    plain = written(tmp_path, "[training]\nepochs = 2\n")
    marked = written(tmp_path, "\ufeff[training]\nepochs = 2\n", "marked.toml")
    assert configuration.load(marked) == configuration.load(plain)
    sweep = written(tmp_path, '\ufeffpreset = "demo"\n[axes]\n"training.rank" = [4, 8]\n', "sweep.toml")
    assert len(read_matrix(sweep).members) == 2


# ---------------------------------------------------------------- taken back


def test_every_setting_that_may_be_without_a_value_can_be_taken_back() -> None:
    found = {
        f"{section}.{name}"
        for section, part in vars(Config()).items()
        if section != "preset"
        for name in vars(part)
        if configuration.takes_none(type(part), name)
    }
    assert found - {"bench.limit", "bench.max_tokens", "bench.samples"} == set(FREE)
    assert configuration.replace(configuration.resolve("demo", GIVEN), dict.fromkeys(found, "none")) == (
        configuration.resolve("demo", dict.fromkeys(found))
    )


def test_what_was_given_once_is_taken_back_on_the_command_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    kept(run, configuration.resolve("demo", GIVEN | {"machine.grad_checkpoint": True, "comparison.human": ["a.csv"]}))
    flags = ("limit", "steps", "patience", "language", "grad-checkpoint", "human")
    config = typed(run, *(part for flag in flags for part in (f"--{flag}", "none")))
    assert config == configuration.resolve("demo")
    kept(run, config)
    assert configuration.load(run / "config.toml") == config


def test_what_a_preset_gives_stays_taken_back(tmp_path: Path) -> None:
    config = typed(tmp_path / "run", "--preset", "demo-short", "--limit", "none")
    assert config.prompts.limit is None
    kept(tmp_path / "run", config)
    assert configuration.load(tmp_path / "run" / "config.toml") == config


@every(
    "arguments, found",
    [
        (("--grad-checkpoint",), True),
        (("--no-grad-checkpoint",), False),
        (("--grad-checkpoint", "none"), None),
        (("--grad-checkpoint", "--epochs", "3"), True),
    ],
)
def test_a_switch_has_three_states(arguments: tuple[str, ...], found: bool | None, tmp_path: Path) -> None:
    assert typed(tmp_path / "run", *arguments).machine.grad_checkpoint is found


def test_epochs_take_the_place_of_steps_and_none_is_no_second_way(tmp_path: Path) -> None:
    assert typed(tmp_path / "run", "--epochs", "3", "--steps", "none").training.epochs == 3
    fails(2, "say the same in two ways", "plan", "--epochs", "3", "--steps", "9")
    fails(2, "none and something else", "plan", "--human", "none", "--human", "b.csv")
    fails(2, "training.data is empty", "train", "--data", "")


def test_help_says_how_a_setting_is_taken_back() -> None:
    told = invoke("run", "--help").stdout
    assert "none resets a setting" in " ".join(told.split())
    assert "--limit INTEGER|NONE" in told


# ---------------------------------------------------------------- paths


@pytest.fixture
def proj(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the user's files, in which he is; beside it another one."""
    folder = tmp_path / "proj"
    (folder / "model").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for name in ("chat.jsonl", "prompts.txt", "votes.csv", "old.jsonl"):
        (folder / name).write_text("")
    monkeypatch.chdir(folder)
    return folder


TYPED = (
    *("--data", "chat.jsonl", "--prompts", "prompts.txt", "--prompts", "coding:base", "--human", "votes.csv"),
    *("--teacher", "recorded:old.jsonl", "--judge", "recorded:old.jsonl", "--judge", "static", "--student", "model"),
    *("--ledger", "all.sqlite", "--shared", "../shared"),
)


def test_typed_paths_are_kept_absolute(proj: Path) -> None:
    config = typed(proj / "run", *TYPED)
    assert config.training.data == str(proj / "chat.jsonl")
    assert config.training.student == str(proj / "model")
    assert config.prompts.train == (str(proj / "prompts.txt"), "coding:base")
    assert config.comparison.human == (str(proj / "votes.csv"),)
    assert config.teacher.spec == f"recorded:{proj / 'old.jsonl'}"
    assert config.comparison.judges == (f"recorded:{proj / 'old.jsonl'}", "static")
    assert (config.collect.ledger, config.machine.shared) == (str(proj / "all.sqlite"), str(proj.parent / "shared"))


def test_names_are_no_paths(proj: Path) -> None:
    (proj / "coding").write_text("")
    config = typed(proj / "run", "--teacher", "hf:open-r1/Mixture", "--prompts", "coding", "--prompts", "hf:x:y")
    assert (config.teacher.spec, config.prompts.train) == ("hf:open-r1/Mixture", ("coding", "hf:x:y"))
    assert config.training.student == "qwen2.5-1.5b"


def test_a_run_works_from_another_folder(proj: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(proj / "run", typed(proj / "run", *TYPED))
    before = configuration.load(proj / "run" / "config.toml")
    monkeypatch.chdir(proj.parent / "elsewhere")
    assert typed(proj / "run", update=False) == before
    assert typed(proj / "copy", "--config", proj / "run" / "config.toml") == before


def test_a_run_of_relative_paths_stays_the_same_one(proj: Path) -> None:
    old = configuration.resolve("demo", {"training.data": "chat.jsonl", "teacher.spec": "recorded:old.jsonl"})
    kept(proj / "run", old)
    again = typed(proj / "run", "--data", "chat.jsonl", "--teacher", f"recorded:{proj / 'old.jsonl'}", update=False)
    assert again == old
    assert typed(proj / "run", "--data", "prompts.txt").training.data == str(proj / "prompts.txt")


def test_a_files_paths_go_from_its_folder_and_then_from_the_current_one(
    proj: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = proj.parent / "elsewhere"
    file = written(there, '[training]\ndata = "chat.jsonl"\n[collect]\nledger = "all.sqlite"\n')
    assert typed(proj / "run", "--config", file).training.data == str(proj / "chat.jsonl")
    (there / "chat.jsonl").write_text("")
    assert typed(proj / "run", "--config", file).training.data == str(there / "chat.jsonl")
    assert typed(proj / "run", "--config", file).collect.ledger == str(there / "all.sqlite")
    monkeypatch.chdir(there)
    assert typed(proj / "run", "--config", "mine.toml").training.data == str(there / "chat.jsonl")


def test_an_earlier_runs_relative_paths_go_from_the_current_folder(proj: Path) -> None:
    old = proj / "old"
    kept(old, configuration.resolve("demo", {"prompts.train": ("prompts.txt",)}))
    (old / "prompts.txt").write_text("")
    assert typed(proj / "new", "--config", old / "config.toml").prompts.train == (str(proj / "prompts.txt"),)


def test_a_sweeps_paths_go_from_its_file_also_when_it_goes_on(proj: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(proj, 'preset = "demo"\n[axes]\n"training.data" = ["chat.jsonl", "old.jsonl"]\n')
    folder = proj.parent / "elsewhere" / "sweep"
    monkeypatch.chdir(proj.parent)
    found, _ = open_sweep(file, folder, Shard())
    assert [member.name for member in found.matrix.members] == ["chat.jsonl", "old.jsonl"]
    found.write(file.read_text(), None, file.parent)
    again, _ = open_sweep(None, folder, Shard(), resume=True)
    expected = [str(proj / "chat.jsonl"), str(proj / "old.jsonl")]
    assert [member.config.training.data for member in again.matrix.members] == expected


def test_a_sweep_that_lies_elsewhere_is_the_same_one(proj: Path) -> None:
    one = configuration.resolve("demo", {"training.data": str(proj / "chat.jsonl")})
    shutil.copytree(proj, proj.parent / "moved")
    other = configuration.resolve("demo", {"training.data": str(proj.parent / "moved" / "chat.jsonl")})
    assert fingerprint(one) == fingerprint(other)
    (proj.parent / "moved" / "chat.jsonl").write_text("other")
    assert fingerprint(one) != fingerprint(other)


def test_reports_do_not_tell_where_files_lie() -> None:
    assert paths.shown("recorded:/home/me/old.jsonl") == "recorded:old.jsonl"
    assert paths.shown("/home/me/model") == "model"
    for name in ("claude-sonnet-4-6", "hf:a/b", "Qwen/Qwen2.5-0.5B-Instruct", "models/mine", "coding:base"):
        assert paths.shown(name) == name


def test_the_reports_of_a_run_hold_no_absolute_path(finished: Path) -> None:
    results = json.dumps(json.loads((finished / "results.json").read_text()))
    assert f"{os.sep}student" not in results.replace("distilled-student", "")
