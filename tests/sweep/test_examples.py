"""The example sweeps: each is a file that can be meant, and the small one has what it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlx_distill.evaluate.benchmarks import load, named
from mlx_distill.pipeline.terms import accept_terms
from mlx_distill.run.data.own import load_conversations
from mlx_distill.run.data.rows import rows_of
from mlx_distill.run.errors import DataError, TeacherError
from mlx_distill.run.folder import RunDir
from mlx_distill.sweep.matrix import Matrix, read_matrix

EXAMPLES = Path(__file__).parents[2] / "examples"


def matrix(name: str) -> Matrix:
    return read_matrix(EXAMPLES / f"{name}.toml")


def test_the_small_sweep_is_two_teachers_and_two_rates_with_three_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES.parent)
    small = matrix("small")
    assert [axis.name for axis in small.axes] == ["teacher", "learning_rate"]
    assert len(small.members) == 4
    for member in small.members:
        training, bench = member.config.training, member.config.bench
        conversations = load_conversations(Path(training.data or ""), training.seed).conversations
        steps = training.all_steps(sum(one.split == "train" for one in conversations))
        saved = {step for step in range(1, steps + 1) if step % (training.save_every or 0) == 0 or step == steps}
        assert len(saved) == 3
        titles = [one.benchmark.title for one in load(bench.benchmarks, bench.data, bench.since, bench.until)]
        assert titles == ["last-line", "first-functions"]
        assert set(bench.own) <= set(titles)


def test_no_item_of_the_small_sweep_is_trained_on() -> None:
    asked = {
        row["prompt"] for name in ("last-line", "first-functions") for row in rows_of(EXAMPLES / f"small/{name}.jsonl")
    }
    for name in ("terse", "sentence"):
        trained = {row["prompt"] for row in rows_of(EXAMPLES / f"small/{name}.jsonl")}
        assert len(trained) == 48
        assert not trained & asked


def test_study_1_is_one_student_on_four_benchmarks() -> None:
    (bench,) = {member.config.bench for member in matrix("study-1").members}
    assert named(bench.benchmarks) == ["humaneval-plus", "ifeval", "aime24", "aime25"]


def test_study_2_is_ten_runs_with_a_checkpoint_every_hundred_steps() -> None:
    study = matrix("study-2")
    assert ([axis.name for axis in study.axes], len(study.members)) == (["teacher", "data", "student"], 10)
    for member in study.members:
        config = member.config
        assert (config.training.rank, config.training.batch_size, config.training.window) == (32, 50, 4096)
        assert (config.prompts.limit, config.training.save_every) == (25_000, 100)
        assert config.teacher.spec.startswith(("hf:open-r1/", "traces:sonnet-"))
        assert (member.values["data"] == "math") == (config.bench.own == ("mathematics",))


@pytest.mark.parametrize("name", ["study-1", "study-2"])
def test_whoever_trains_on_claude_s_answers_is_told_of_the_terms(name: str, tmp_path: Path) -> None:
    claude = [member for member in matrix(name).members if "r1" not in member.values.values()]
    for member in claude:
        with pytest.raises(TeacherError, match="terms"):
            accept_terms(RunDir(tmp_path / member.name), member.config, accepted=False)
    assert claude


def test_a_file_that_is_not_there_is_said() -> None:
    with pytest.raises(DataError, match="does not exist"):
        matrix("missing")


def test_the_sweep_in_the_docs_can_be_meant(tmp_path: Path) -> None:
    text = (EXAMPLES.parent / "docs" / "sweeps.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    file = tmp_path / "sweep.toml"
    file.write_text(block)
    found = read_matrix(file)
    assert ([member.name for member in found.members], found.budget) == (
        ["small-0.0001", "small-0.0003", "large-0.0001"],
        40.0,
    )
    assert [member.config.training.epochs for member in found.members] == [3, 3, 5]
