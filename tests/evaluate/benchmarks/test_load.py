"""Where items come from: known files, one's own, and the hub, which no test reaches."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from mlx_distill.evaluate.benchmarks import BENCHMARKS, DEFAULT, SCORERS, Loaded, load
from mlx_distill.evaluate.benchmarks.own import own
from mlx_distill.machine.checks import VERSION
from mlx_distill.run.errors import DataError, UsageError

FILES = {
    "humaneval-plus": ("humaneval-plus/HumanEvalPlus-v0.1.10.jsonl.gz", 164),
    "mbpp-plus": ("mbpp-plus/MbppPlus-OriginFmt-v0.2.0.jsonl.gz", 378),
    "math-500": ("math-500/test.jsonl", 500),
    "gsm8k": ("gsm8k/test.jsonl", 1319),
    "ifeval": ("ifeval/input_data.jsonl", 541),
    "aime24": ("aime/aime24.jsonl", 30),
    "aime25": ("aime/aime25.jsonl", 30),
}
SUITE = ["humaneval-plus", "mbpp-plus", "math-500", "gsm8k", "ifeval"]


def loaded(*files: Path | str, names: tuple[str, ...] = ()) -> list[Loaded]:
    return load(names, [str(file) for file in files], "2024-08-01", "2025-02-01")


def written(folder: Path, rows: list[dict[str, Any]], name: str = "mine.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.mark.real
@pytest.mark.parametrize("name", FILES)
def test_a_published_file_is_known_by_its_columns(shared: Path, name: str) -> None:
    file, count = FILES[name]
    (found,) = loaded(shared / "benchmarks" / file)
    assert found.benchmark.name == name
    assert len(found.items) == count == BENCHMARKS[name].size
    assert len({item.id for item in found.items}) == count
    assert all(item.benchmark == name and item.prompt.strip() for item in found.items)
    assert found.source == f"file {Path(file).name}"


def test_the_default_suite_is_five_and_every_source_is_pinned() -> None:
    assert [name for name, benchmark in BENCHMARKS.items() if benchmark.default] == SUITE
    for benchmark in BENCHMARKS.values():
        assert len(benchmark.source.revision) == 40
        assert benchmark.deviations
        assert benchmark.default or benchmark.floor is not None


@pytest.mark.real
def test_files_stand_in_for_the_hub_in_a_fixed_order(shared: Path) -> None:
    folder = shared / "benchmarks"
    files = [folder / FILES[name][0] for name in reversed(SUITE)]
    assert [found.benchmark.name for found in loaded(*files, names=(DEFAULT,))] == SUITE


def test_a_changed_item_changes_the_digest(shared: Path) -> None:
    (found,) = loaded(shared / "benchmarks" / FILES["gsm8k"][0])
    assert len(found.digest) == 12
    assert found.digest != Loaded(found.benchmark, found.items[1:], found.source).digest


def test_ones_own_has_checks_or_answers(tmp_path: Path) -> None:
    rows = [
        {"prompt": "Write f.", "checks": [{"run": "f()", "expected": "1"}], "category": "code"},
        {"prompt": "2 + 2?", "answer": 4, "id": "sum", "difficulty": "easy"},
    ]
    (found,) = loaded(written(tmp_path, rows))
    assert (found.benchmark.name, [item.id for item in found.items][1]) == ("mine", "sum")
    assert [(item.category, item.difficulty) for item in found.items] == [("code", ""), ("", "easy")]
    (zipped,) = [tmp_path / "z.jsonl.gz"]
    zipped.write_bytes(gzip.compress((tmp_path / "mine.jsonl").read_bytes()))
    assert [item.prompt for item in loaded(zipped)[0].items] == [item.prompt for item in found.items]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "is empty"),
        ([{"question": 1}], "none of the published formats"),
        ([{"prompt": "a", "answer": None}], "neither checks nor an answer"),
        ([{"prompt": 1, "answer": "x"}], "mine, item 1 has no 'prompt' or 'text'"),
        ([{"prompt": "a", "checks": [{"run": "x", "expected": "1 +"}]}], "item 1: a check is not"),
    ],
)
def test_what_is_no_benchmark_is_one_clear_error(tmp_path: Path, rows: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(DataError, match=words):
        loaded(written(tmp_path, rows))


@pytest.mark.real
def test_names_are_known_and_a_benchmark_comes_once(shared: Path) -> None:
    with pytest.raises(UsageError, match="no benchmark 'mmlu': choose humaneval-plus"):
        loaded(names=("mmlu",))
    folder = shared / "benchmarks/humaneval-plus"
    with pytest.raises(UsageError, match="Two files are of one benchmark"):
        loaded(*sorted(folder.glob("*OriginFmt*")), *sorted(folder.glob("*Plus-v0*")))


@pytest.mark.parametrize("name", ["gsm8k", "livecodebench"])
def test_without_the_hub_the_advice_is_a_file(name: str) -> None:
    with pytest.raises(DataError, match=r"cannot be loaded from the hub .* give its file with --data"):
        loaded(names=(name,))


def test_another_version_of_any_scorer_marks_anew() -> None:
    """Also of the checks that a benchmark of one's own may have."""
    mine = own("mine").scorer
    assert {mine, *(benchmark.scorer for benchmark in BENCHMARKS.values())} == set(SCORERS)
    assert VERSION in mine
