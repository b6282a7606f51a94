"""Existing traces: files as the published data sets have them, and what is said about rows that do not fit."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import every

from mlx_distill.collect.traces import read_traces
from mlx_distill.run.data.conversations import FIELDS, dialogues, parse_columns
from mlx_distill.run.data.dialogue import Account
from mlx_distill.run.data.rows import Found, rows_of
from mlx_distill.run.digest import content_id
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.records import Completion, Prompt

Row = dict[str, Any]

MATH = {
    "problem": "What is 1 + 1?",
    "solution": "It is 2.",
    "answer": "2",
    "problem_type": "Algebra",
    "generations": ["<think>\nOne and one.\n</think>\n\nIt is \\boxed{2}.", "<think>\nAgain"],
    "finish_reasons": None,
    "messages": [
        {"role": "user", "content": "What is 1 + 1?"},
        {"role": "assistant", "content": "<think>\nOne and one.\n</think>\n\nIt is \\boxed{2}."},
    ],
}
CODE = {"id": "a1", "input": "Add two numbers.", "output": "<think>\nEasy.\n</think>\n\n```python\na + b\n```"}
CHAT = {
    "messages": [
        {"role": "system", "content": ""},
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "<think>Hm.</think>\nBecause."},
    ]
}


def write(path: Path, *rows: Row) -> Path:
    if path.suffix == ".parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
        return path
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def pairs(
    path: Path, columns: dict[str, str] | None = None, limit: int | None = None
) -> list[tuple[Prompt, Completion]]:
    return list(read_traces(f"traces:{path}", columns or {}, limit))


def completion(tmp_path: Path, row: Row, **columns: str) -> Completion:
    [(_, found)] = pairs(write(tmp_path / "one.jsonl", row), columns)
    return found


# ---------------------------------------------------------------- the published forms


@pytest.mark.parametrize(
    "name", ["data.jsonl", "data.json", "data.ndjson", "data.jsonl.gz", "data.json.gz", "data.parquet"]
)
@pytest.mark.parametrize(
    ("row", "asked", "answered", "reasoning"),
    [
        pytest.param(MATH, "What is 1 + 1?", "It is \\boxed{2}.", "One and one.", id="OpenR1-Math"),
        pytest.param(CODE, "Add two numbers.", "```python\na + b\n```", "Easy.", id="OpenCodeReasoning"),
        pytest.param(CHAT, "Why?", "Because.", "Hm.", id="claude-reasoning"),
    ],
)
def test_published_data_sets_are_understood_without_a_mapping(
    tmp_path: Path, name: str, row: Row, asked: str, answered: str, reasoning: str
) -> None:
    path = write(tmp_path / name, row)
    [(prompt, found)] = pairs(path)
    spec = f"traces:{path}"
    assert prompt == Prompt(content_id(asked), asked, source=spec)
    assert found == Completion(prompt.id, asked, answered, "end_turn", spec, reasoning=reasoning)


@every(
    "row, asked, answered",
    [
        ({"prompt": "a", "completion": "b", "text": "c"}, "a", "b"),
        ({"question": "a", "response": "b", "answer": "c"}, "a", "b"),
        ({"problem": "a", "generations": ["b", "c"]}, "a", "b"),
        ({"instruction": "a", "input": "", "output": "b"}, "a", "b"),
        ({"instruction": "a", "input": "about this", "output": "b"}, "a\n\nabout this", "b"),
        ({"messages": None, "prompt": "a", "solution": "b"}, "a", "b"),
        ({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, "a", "b"),
    ],
)
def test_usual_columns_are_found(tmp_path: Path, row: Row, asked: str, answered: str) -> None:
    found = completion(tmp_path, row)
    assert (found.prompt, found.completion, found.reasoning) == (asked, answered, "")


def test_named_columns_come_before_guessed_ones(tmp_path: Path) -> None:
    found = completion(tmp_path, MATH, completion="generations.1")
    assert (found.prompt, found.completion, found.reasoning) == ("What is 1 + 1?", "", "Again")
    row = {"prompt": "no", "a.b": "dotted", "a": {"b": "nested", "c": [{"d": "deep"}]}, "why": "so", "completion": "x"}
    found = completion(tmp_path, row, prompt="a.b", completion="a.c.0.d", reasoning="why")
    assert (found.prompt, found.completion, found.reasoning) == ("dotted", "deep", "so")
    chat = {"prompt": "no", "completion": "no", "talk": {"turns": CHAT["messages"]}}
    assert completion(tmp_path, chat, messages="talk.turns").completion == "Because."


# ---------------------------------------------------------------- thoughts and stop reasons

plain = st.text(st.sampled_from("ab \n<>/"), max_size=12).filter(lambda text: "think>" not in text)


@given(plain, plain)
def test_a_leading_thought_is_split_off(thought: str, text: str) -> None:
    row = {"prompt": "a", "completion": f"\n<think>{thought}</think>{text}"}
    [(_, found)] = read_rows_of([row])
    assert (found.reasoning, found.completion, found.stop_reason) == (thought.strip(), text.lstrip(), "end_turn")
    [(_, found)] = read_rows_of([{"prompt": "a", "completion": f"x{text}<think>{thought}</think>"}])
    assert (found.reasoning, found.completion) == ("", f"x{text}<think>{thought}</think>")
    [(_, found)] = read_rows_of([{"prompt": "a", "completion": f"<think>{thought}", "stop_reason": "stop"}])
    assert (found.reasoning, found.completion, found.stop_reason) == (thought.strip(), "", "max_tokens")


def read_rows_of(rows: list[Row]) -> list[tuple[Prompt, Completion]]:
    from mlx_distill.collect.traces import _pairs

    account = Account()
    found = (Found(f"row {number}", row) for number, row in enumerate(rows, 1))
    return list(_pairs(dialogues(found, {}, account), "traces:x", account))


@every(
    "row, stop",
    [
        ({}, "end_turn"),
        ({"finish_reason": "stop"}, "end_turn"),
        ({"finish_reason": "length"}, "max_tokens"),
        ({"finish_reason": "content_filter"}, "refusal"),
        ({"stop_reason": "stop_sequence", "finish_reason": "length"}, "stop_sequence"),
        ({"stop_reason": ""}, "end_turn"),
        ({"stop_reason": "pause_turn"}, "pause_turn"),
    ],
)
def test_stop_reasons_are_read_where_there_are_any(tmp_path: Path, row: Row, stop: str) -> None:
    assert completion(tmp_path, {"prompt": "a", "completion": "b"} | row).stop_reason == stop


def test_stop_reasons_and_the_model_can_be_mapped(tmp_path: Path) -> None:
    row = {"prompt": "a", "completion": "b", "model": "m-1", "meta": {"ends": ["length"], "who": "m-2"}}
    assert completion(tmp_path, row).model == "m-1"
    found = completion(tmp_path, row, stop_reason="meta.ends.0", model="meta.who")
    assert (found.model, found.stop_reason) == ("m-2", "max_tokens")


# ---------------------------------------------------------------- conversations


def test_only_single_exchanges_are_taken_and_the_others_counted(tmp_path: Path) -> None:
    turns = CHAT["messages"]
    system = {"role": "system", "content": "Be brief."}
    path = write(
        tmp_path / "data.jsonl",
        {"messages": turns},
        {"messages": [*turns, *turns[1:]]},
        {"messages": [system, *turns[1:]]},
        {"messages": [*turns, {"role": "user", "content": "And?"}]},
    )
    account = Account()
    found = list(read_traces(f"traces:{path}", {}, None, account))
    assert [answer.completion for _, answer in found] == ["Because.", "Because."]
    assert [answer.system for _, answer in found] == ["", "Be brief."]
    assert (account.rows, account.left_out) == (4, {"several turns": 2})
    assert account.examples == {"several turns": [f"{path}, line 2", f"{path}, line 4"]}
    assert len(pairs(path, limit=1)) == 1
    assert len(pairs(path, limit=2)) == 2


# ---------------------------------------------------------------- what does not fit


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"a": "x", "b": "y"}, r"line 2 has no prompt\. Its columns are a, b: name them with --columns"),
        ({"prompt": "a"}, "line 2 has no completion"),
        ({"prompt": "a", "completion": ["b"]}, "line 2 has no list of messages"),
        ({"prompt": "a", "completion": 4}, "line 2 has no text for its completion"),
    ],
)
def test_a_row_without_text_is_named(tmp_path: Path, row: Row, complaint: str) -> None:
    path = write(tmp_path / "data.jsonl", {"prompt": "a", "completion": ""}, row)
    with pytest.raises(DataError, match=complaint):
        pairs(path)


@every("messages", [None, "text", ["text"], [], [{"role": "robot", "content": "a"}], [{"role": "user", "content": 3}]])
def test_what_is_no_conversation_is_named(tmp_path: Path, messages: Any) -> None:
    with pytest.raises(DataError, match="line 2 has no "):
        pairs(write(tmp_path / "data.jsonl", CHAT, {"messages": messages}))


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    path = write(tmp_path / "data.jsonl", MATH)
    for wrong in ("generations.7", "generations.x", "answers", "solution.0"):
        with pytest.raises(DataError, match=r"has no completion\. Its columns are problem, solution, "):
            pairs(path, {"completion": wrong})


@every(
    "name, content, complaint",
    [
        ("a.jsonl", b'{"prompt": "a", "completion": "b"}\n{"prompt"', "line 2 is not JSON"),
        ("a.jsonl", b"[1]\n", "item 1 is not a JSON object"),
        ("a.jsonl", b"\n[" * 100_000, "is nested too deeply"),
        ("a.jsonl", b'{"prompt": ' + b"[" * 100_000 + b"\n", "a.jsonl, line 1 is nested too deeply"),
        ("a.jsonl", b'{"a": "\xff"}\n', "line 1 is not UTF-8"),
        ("a.jsonl", b'{"a": "\\ud800"}\n', "line 1 holds half a character"),
        ("a.jsonl", b'{"a": ' + b"9" * 5000 + b"}\n", "line 1 is nested too deeply, or holds a number"),
        ("a.jsonl.gz", b"not gzip", "line 1 is not JSON"),
        ("a.jsonl.gz", gzip.compress(b'{"prompt": "a", "completion": "b"}\n' * 9, mtime=0)[:-9], "cannot be read"),
        ("a.parquet", b"not parquet", "is not a Parquet file"),
    ],
)
def test_a_broken_file_is_one_clear_error(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=complaint) as raised:
        pairs(tmp_path / name)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_a_file_that_is_not_there_is_one_clear_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="does not exist"):
        pairs(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match="is a folder without a train file"):
        pairs(tmp_path / name)


def test_rows_are_read_as_they_are_wanted(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n\n{"prompt": "c", "completion": "d"}\nbroken\n')
    assert [prompt.text for prompt, _ in pairs(path, limit=2)] == ["a", "c"]
    with pytest.raises(DataError, match="line 4"):
        pairs(path)


def test_all_rows_of_a_parquet_file_come_in_order(tmp_path: Path) -> None:
    path = write(tmp_path / "data.parquet", *({"number": number} for number in range(1000)))
    assert [row["number"] for row in rows_of(path)] == list(range(1000))


# ---------------------------------------------------------------- data sets of the hub


def hub_folder(path: Path, configs: dict[str, list[str]]) -> str:
    """A data set of the given splits of each configuration; row 1 of split b of a asks "a b 1"."""
    lines = ["---", "configs:"]
    for config, splits in configs.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split in splits:
            lines += [f"  - split: {split}", f"    path: {config}-{split}.jsonl"]
            rows = [{"input": f"{config} {split} {number}", "output": "b"} for number in range(3)]
            write(path / f"{config}-{split}.jsonl", *rows)
    (path / "README.md").write_text("\n".join([*lines, "---"]))
    return f"hf:{path}"


def test_a_data_set_is_read_by_configuration_and_split(tmp_path: Path) -> None:
    spec = hub_folder(tmp_path, {"split_0": ["split_0"], "split_1": ["split_1"]})
    for full in (f"{spec}:split_1", f"{spec}:split_1@split_1"):
        found = list(read_traces(full, {}, 2))
        assert [prompt.text for prompt, _ in found] == ["split_1 split_1 0", "split_1 split_1 1"]
        assert {(prompt.source, answer.model) for prompt, answer in found} == {(full, full)}
    with pytest.raises(DataError, match=r"has the splits split_1: name one, as in .*:split_1@split_1\."):
        list(read_traces(f"{spec}:split_1@test", {}, None))
    with pytest.raises(DataError, match="Config name is missing"):
        list(read_traces(spec, {}, None))


def test_the_train_split_is_the_default_where_there_are_several(tmp_path: Path) -> None:
    spec = hub_folder(tmp_path, {"one": ["extra", "train"], "two": ["extra", "more"]})
    assert [prompt.text for prompt, _ in read_traces(f"{spec}:one", {}, 1)] == ["one train 0"]
    assert [prompt.text for prompt, _ in read_traces(f"{spec}:one@extra", {}, 1)] == ["one extra 0"]
    with pytest.raises(DataError, match="has the splits extra, more: name one"):
        list(read_traces(f"{spec}:two", {}, 1))


def test_a_data_set_is_never_loaded_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    spec = hub_folder(tmp_path, {"one": ["train"]})
    prepared: list[str] = []
    monkeypatch.setattr(datasets.DatasetBuilder, "download_and_prepare", lambda *_, **__: prepared.append("whole"))
    assert len(list(read_traces(spec, {}, None))) == 3
    assert prepared == []


def test_an_unknown_data_set_is_one_clear_error() -> None:
    with pytest.raises(DataError, match=r"hf:nobody/nothing cannot be read \(.+\): check the name") as raised:
        list(read_traces("hf:nobody/nothing", {}, None))
    assert "\n" not in str(raised.value)


# ---------------------------------------------------------------- the command line's words


paths = st.text(st.sampled_from("ab.0_"), min_size=1, max_size=8)


@given(st.dictionaries(st.sampled_from(FIELDS), paths))
def test_columns_are_read_as_they_are_written(columns: dict[str, str]) -> None:
    assert parse_columns(",".join(f"{field}={path}" for field, path in columns.items())) == columns
    assert parse_columns(" , ".join(f"{field} = {path}" for field, path in columns.items())) == columns
    assert parse_columns(None) == {}


@every("text", ["problem", "prompt=", "=a", "answer=a", "prompt=a,prompt=b", "prompt=a,", ","])
def test_malformed_columns_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not FIELD=COLUMN"):
        parse_columns(text)
