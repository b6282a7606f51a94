"""What rows say: a conversation in every form, every reason to leave a row out, and the user's own data as a whole."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import every

from mlx_distill.run.data.conversations import dialogues
from mlx_distill.run.data.dialogue import Account, Dialogue
from mlx_distill.run.data.own import OwnData, load_conversations
from mlx_distill.run.data.rows import Found
from mlx_distill.run.errors import DataError

Row = dict[str, Any]


def message(role: str, content: Any, **more: Any) -> Row:
    return {"role": role, "content": content} | more


def read(*rows: Row, **columns: str) -> tuple[list[Dialogue], Account]:
    account = Account()
    found = (Found(f"row {number}", row) for number, row in enumerate(rows, 1))
    return [dialogue for _, dialogue in dialogues(found, columns, account)], account


def said(row: Row) -> list[tuple[str, str]]:
    (dialogue,), account = read(row)
    assert not account.unused
    return [(turn.role, turn.text) for turn in dialogue.turns]


# ---------------------------------------------------------------- the same in every form

EXCHANGES: dict[str, Callable[[str, str], Row]] = {
    "messages": lambda q, a: {"messages": [message("user", q), message("assistant", a)]},
    "ShareGPT": lambda q, a: {"conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]},
    "Alpaca": lambda q, a: {"instruction": q, "input": "", "output": a},
    "prompt and completion": lambda q, a: {"prompt": q, "completion": a},
    "lists of messages": lambda q, a: {"prompt": [message("user", q)], "completion": [message("assistant", a)]},
    "parts": lambda q, a: {
        "messages": [message("user", [{"type": "text", "text": q}]), message("assistant", [a[:1], a[1:]])]
    },
    "messages in a cell": lambda q, a: {"messages": json.dumps([message("user", q), message("assistant", a)])},
    "SQuAD": lambda q, a: {"question": q, "context": " ", "answers": {"text": [a], "answer_start": [0]}},
    "an earlier run": lambda q, a: {"prompt_id": "x", "prompt": q, "completion": a, "stop_reason": "end_turn"},
}
words = st.text("ab <>\n\u2028é", min_size=1, max_size=9).filter(str.strip)


@pytest.mark.parametrize("form", EXCHANGES)
@given(asked=words, answered=words)
def test_one_exchange_is_the_same_in_every_form(form: str, asked: str, answered: str) -> None:
    assert said(EXCHANGES[form](asked, answered)) == [("user", asked), ("assistant", answered)]


@every(
    "row, turns",
    [
        ({"system": "S", "prompt": "q", "completion": "a"}, ["S", "q", "a"]),
        ({"system": "S", "messages": [message("system", "T"), message("user", "q"), message("gpt", "a")]}, "Sqa"),
        ({"messages": [message("developer", "S"), message("human", "q"), message("model", "a")]}, "Sqa"),
        ({"prompt": [message("system", "S"), message("user", "q")], "completion": "a"}, "Sqa"),
        ({"instruction": "q", "context": "about", "response": "a"}, ["q\n\nabout", "a"]),
        ({"instruction": "q", "input": "about", "output": "a"}, ["q\n\nabout", "a"]),
        ({"input": "q", "output": "a"}, "qa"),
        ({"prompt": None, "question": "q", "answer": "a"}, "qa"),
        (
            {"messages": [message(role, text) for role, text in zip(["user", "assistant"] * 2, "qarb", strict=True)]},
            "qarb",
        ),
    ],
)
def test_what_a_row_says_beside_question_and_answer_is_kept(row: Row, turns: list[str]) -> None:
    assert [text for _, text in said(row)] == list(turns)


@every(
    "row, thought",
    [
        ({"prompt": "q", "completion": "<think>t</think>\n\na"}, "t"),
        ({"prompt": "q", "completion": "t\n</think>\n\na"}, "t"),
        ({"prompt": "q", "completion": "a", "reasoning_content": "t"}, "t"),
        ({"messages": [message("user", "q"), message("assistant", "a", reasoning_content="t")]}, "t"),
        ({"messages": [message("user", "q"), message("assistant", "a")], "reasoning": "t"}, "t"),
        ({"prompt": "q", "completion": "a"}, ""),
    ],
)
def test_reasoning_stands_apart_from_the_answer(row: Row, thought: str) -> None:
    (dialogue,), _ = read(row)
    assert (dialogue.turns[-1].text, dialogue.thoughts.get(1, "")) == ("a", thought)


@every(
    "ends, stop",
    [
        *((word, "end_turn") for word in ("stop", "eos", "end_turn", "", None, "STOP")),
        *((word, "max_tokens") for word in ("length", "max_tokens")),
        ("content_filter", "refusal"),
        ("stop_sequence", "stop_sequence"),
        ("tool_calls", "tool_calls"),
    ],
)
def test_why_an_answer_ended_is_read_in_the_words_of_every_api(ends: str | None, stop: str) -> None:
    for row in (
        {"prompt": "q", "completion": "a", "finish_reason": ends},
        {"messages": [message("user", "q"), message("assistant", "a", stop_reason=ends)]},
    ):
        (dialogue,), _ = read(row)
        assert dialogue.stop_reason == stop


def test_an_answer_of_weight_0_is_read_and_not_learnt() -> None:
    draft, better = message("assistant", "draft", weight=0), message("assistant", "better", weight=1)
    (dialogue,), _ = read({"messages": [message("user", "q"), draft, message("user", "again"), better]})
    assert [turn.scored for turn in dialogue.turns] == [True, False, True, True]
    (dialogue,), _ = read({"messages": [message("user", "q"), {**draft, "weight": None, "train": False}, better]})
    assert [turn.scored for turn in dialogue.turns] == [True, False, True]


def test_keys_that_nothing_reads_are_counted() -> None:
    row = {"prompt": "q", "completion": "a", "source": "x", "difficulty": 3}
    _, account = read(row, row | {"input": "not Alpaca's"}, {"prompt": "q", "completion": "a", "id": 1, "model": "m"})
    assert account.unused == {"source": 2, "difficulty": 2, "input": 1}


# ---------------------------------------------------------------- every reason

TALK = [message("user", "q"), message("assistant", "a")]
LEFT_OUT: dict[str, list[Row]] = {
    "with tools": [
        {"messages": TALK, "tools": [{"name": "f"}]},
        {"messages": [*TALK, message("tool", "12 C"), message("assistant", "b")]},
        {"messages": [message("user", "q"), message("assistant", None, tool_calls=[{"id": "1"}])]},
    ],
    "marked as not to be trained on": [
        {"messages": TALK, "weight": 0},
        {"messages": [message("user", "q"), message("assistant", "a", train=False)]},
    ],
    "with a weight other than 0 and 1": [{"messages": [message("user", "q"), message("assistant", "a", weight=0.5)]}],
    "with more than text": [{"messages": [message("user", [{"type": "image_url", "image_url": {}}]), TALK[1]]}],
    "without an answer": [{"messages": TALK[:1]}],
    "beginning with an answer": [{"messages": [TALK[1], *TALK]}],
    "without a question": [{"prompt": " ", "completion": "a"}, {"prompt": None, "completion": "a"}],
    "empty": [{"prompt": "q", "completion": None}, {"messages": [TALK[0], message("assistant", " ")]}],
    "truncated": [
        {"prompt": "q", "completion": "a", "finish_reason": "length"},
        {"prompt": "q", "completion": "<think>never ends"},
    ],
    "refused": [{"prompt": "q", "completion": "a", "stop_reason": "refusal"}],
    "stopped (tool_calls)": [{"prompt": "q", "completion": "a", "finish_reason": "tool_calls"}],
    "duplicate": [{"prompt": "kept 1", "completion": "1"}],
}
GOOD = [{"prompt": f"kept {number}", "completion": str(number)} for number in range(4)]


def own(folder: Path, rows: list[Row], name: str = "chat.jsonl", **options: Any) -> OwnData:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_conversations(folder / name, 0, **options)


@every("reason", list(LEFT_OUT))
def test_a_row_that_is_left_out_is_counted_under_its_reason(tmp_path: Path, reason: str) -> None:
    data = own(tmp_path, [*GOOD, *LEFT_OUT[reason]])
    assert data.account.left_out == {reason: len(LEFT_OUT[reason])}
    places = [f"{tmp_path}/chat.jsonl, line {number}" for number in range(5, 5 + len(LEFT_OUT[reason]))]
    assert data.account.examples[reason] == places
    assert (data.account.rows, len(data.conversations)) == (4 + len(places), 4)


# ---------------------------------------------------------------- held out


def sides(data: OwnData, begin: str) -> set[str]:
    return {c.split for c in data.conversations if c.question.startswith(begin)}


def test_a_tenth_is_held_out_the_same_each_time(tmp_path: Path) -> None:
    rows = [{"prompt": f"question number {i} about topic {i * 7}", "completion": f"{i}"} for i in range(21)]
    data = own(tmp_path, rows)
    assert sum(c.split == "valid" for c in data.conversations) == 2
    assert data == load_conversations(tmp_path / "chat.jsonl", 0)


def test_conversations_that_ask_the_same_stay_on_one_side(tmp_path: Path) -> None:
    topics = [" ".join(f"t{j}x{i}" for j in range(9)) for i in range(10)]
    rows = [{"prompt": f"explain in {s} words how {t} works", "completion": s} for t in topics for s in "abc"]
    rows += [{"prompt": "the very same long question about one thing", "completion": f"{i}"} for i in range(14)]
    (tmp_path / "chat.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for seed in range(8):
        data = load_conversations(tmp_path / "chat.jsonl", seed)
        assert len(sides(data, "the very same")) == 1
        for topic in topics:
            assert len({c.split for c in data.conversations if topic in c.question}) == 1


@every("asked", ["Classify the review as good or bad, in one word: {}", "Tell me a story of the sea"])
def test_what_all_rows_share_keeps_nothing_from_being_held_out(tmp_path: Path, asked: str) -> None:
    rows = [{"prompt": asked.format(f"w{i * 7} w{i * 11} w{i * 13}"), "completion": f"answer {i}"} for i in range(40)]
    data = own(tmp_path, rows)
    assert sum(c.split == "valid" for c in data.conversations) == 4


def test_the_users_own_held_out_part_is_taken_and_what_it_shares_is_counted(tmp_path: Path) -> None:
    own(tmp_path, [{"prompt": "never seen", "completion": "x"}, GOOD[1] | {"completion": "other"}], "valid.jsonl")
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in GOOD))
    for data in (
        load_conversations(tmp_path / "train.jsonl", 0, valid=tmp_path / "valid.jsonl"),
        load_conversations(tmp_path, 0),
    ):
        assert [c.split for c in data.conversations] == ["train"] * 4 + ["valid"] * 2
        assert (data.account.rows, data.account.overlapping) == (6, 1)


@every(
    "rows, complaint",
    [
        ([{"text": "a"}], r"line 1 has no prompt\. Its columns are text: name them with --columns"),
        ([{"messages": [message("robot", "a")]}], "line 1 has no known role in a message, but 'robot'"),
        ([GOOD[0]], "has 1 different conversations to train on, of 1 rows: give at least two"),
        ([GOOD[0], *LEFT_OUT["refused"]], r"of 2 rows \(left out: 1 refused\)"),
        ([], "has 0 different conversations to train on, of 0 rows"),
    ],
)
def test_what_cannot_be_trained_on_is_one_clear_error(tmp_path: Path, rows: list[Row], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        own(tmp_path, rows)


def test_columns_can_be_named(tmp_path: Path) -> None:
    rows = [{"meta": {"q": f"kept {i}"}, "said": [f"{i}"]} for i in range(3)]
    data = own(tmp_path, rows, columns={"prompt": "meta.q", "completion": "said.0"})
    assert sorted(c.messages[1]["content"] for c in data.conversations) == ["0", "1", "2"]


def test_the_work_grows_with_the_rows_and_not_with_their_square(tmp_path: Path) -> None:
    """By counting the lines of code that run, which a busy machine does not change."""
    asked = "Classify the sentiment of this review in one word, positive or negative. Review: "
    counted = []
    for count in (100, 400):
        rows = [{"prompt": f"{asked} a{i} b{i} c{i} d{i}", "completion": f"{i}"} for i in range(count)]
        (tmp_path / "chat.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        counted.append(_lines_run(tmp_path / "chat.jsonl"))
    assert counted[1] < 5 * counted[0]


def _lines_run(path: Path) -> int:
    script = (
        "import sys; from pathlib import Path; from mlx_distill.run.data.own import load_conversations; import numpy\n"
        "load_conversations(Path(sys.argv[1]), 0); count = 0\n"
        "def local(frame, event, arg):\n    global count; count += event == 'line'; return local\n"
        "sys.settrace(lambda frame, event, arg: local if 'mlx_distill' in frame.f_code.co_filename else None)\n"
        "load_conversations(Path(sys.argv[1]), 0); sys.settrace(None); print(count)"
    )
    return int(subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True).stdout)
