"""Answers made elsewhere: matched to items, given a role, and never silently left out."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlx_distill.evaluate.benchmarks.benchmark import Item
from mlx_distill.evaluate.benchmarks.elsewhere import Given, given, read_answers
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.records import Generation

QUESTION = "How many legs have three spiders and two flies together?"
ITEMS = [
    Item("gsm8k", "gsm8k-0", f"{QUESTION}\n\nPlease reason.", data={"answer": "36"}),
    Item("humaneval-plus", "HumanEval/0", "Complete:\n```python\ndef f():\n```", data={"published": "def f():\n"}),
]


def read(folder: Path, rows: list[dict[str, Any]], role: str = "distilled") -> list[Generation]:
    path = folder / "answers.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return read_answers([Given(path, role)], ITEMS)  # type: ignore[arg-type]


def test_items_are_found_by_id_key_and_question(tmp_path: Path) -> None:
    rows = [
        {"task_id": "gsm8k-0", "text": "a"},
        {"task_id": "gsm8k/gsm8k-0", "text": "b", "role": "base"},
        {"prompt": QUESTION, "text": "c", "role": "teacher"},
        {"prompt": ITEMS[0].prompt, "text": "d", "finish_reason": "length"},
    ]
    found = read(tmp_path, rows)
    assert {g.prompt_id for g in found} == {"gsm8k/gsm8k-0"}
    assert [(g.role, g.sample, g.finish_reason) for g in found] == [
        ("distilled", 0, "stop"),
        ("base", 0, "stop"),
        ("teacher", 0, "stop"),
        ("distilled", 1, "length"),
    ]


def test_samples_of_evalplus_are_read(tmp_path: Path) -> None:
    rows = [
        {"task_id": "HumanEval/0", "solution": "def f():\n    return 1"},
        {"task_id": "HumanEval/0", "completion": "    return 1"},
    ]
    assert [g.text for g in read(tmp_path, rows, "base")] == ["def f():\n    return 1", "def f():\n    return 1"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"text": "a"}, "neither task_id nor prompt"),
        ({"task_id": "HumanEval/1", "text": "a"}, "is no item of the chosen benchmarks"),
        ({"task_id": "gsm8k-0", "text": "a", "role": "student"}, "role 'student' is none of"),
        ({"task_id": "gsm8k-0"}, "has no text, solution, completion"),
    ],
)
def test_a_row_that_cannot_be_meant_is_named(tmp_path: Path, row: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=f"line 2.* {words}|line 2: .*{words}"):
        read(tmp_path, [{"task_id": "gsm8k-0", "text": "a"}, row])


def test_no_answers_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no answers are in there"):
        read(tmp_path, [])


def test_a_file_may_come_with_its_role() -> None:
    assert given("base=x.jsonl") == Given(Path("x.jsonl"), "base")
    assert given("x.jsonl") == Given(Path("x.jsonl"), "distilled")
    with pytest.raises(UsageError, match="base=FILE or distilled=FILE"):
        given("student=x.jsonl")
