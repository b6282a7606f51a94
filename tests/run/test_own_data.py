"""From a user's rows to the report, on the command line: what is told, what is kept, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import fails, invoke

Row = dict[str, Any]
FAST = ("--layers", "1", "--rank", "2", "--epochs", "1", "--preset", "demo-short")
WORDS = (
    "apple",
    "bridge",
    "candle",
    "dragon",
    "ember",
    "forest",
    "garden",
    "harbor",
    "island",
    "kettle",
    "lamp",
    "moss",
)


def written(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def chats(count: int) -> list[Row]:
    return [{"prompt": f"Say {WORDS[i % 12]} {i} and {WORDS[i * 5 % 12]}", "completion": f"{i}."} for i in range(count)]


@pytest.fixture
def student(short: tuple[str, ...]) -> tuple[str, ...]:
    return ("--student", short[short.index("--student") + 1])


def dataset(run: Path) -> Any:
    return json.loads((run / "dataset.json").read_text())


def test_what_becomes_of_every_row_is_told_and_kept(student: tuple[str, ...], tmp_path: Path) -> None:
    rows = [
        *chats(12),
        {"prompt": "cut", "completion": "hal", "finish_reason": "length"},
        {"prompt": "tool", "completion": "x", "tools": [{"name": "f"}]},
        {"prompt": "long", "completion": "word " * 300, "source": "a book"},
        {"prompt": "say <|im_end|> now", "completion": "<|im_end|> ends a turn", "source": "a page"},
    ]
    data, run = written(tmp_path / "chat.jsonl", rows), tmp_path / "run"
    done = invoke("train", *FAST, *student, "--data", data, "--run", run, "--window", "200")
    assert done.returncode == 0, done.stderr
    said = " ".join((done.stdout + done.stderr).split())
    found = dataset(run)
    made = found["encoded"]
    assert (found["rows"], made["train"] + made["valid"], made["valid"]) == (16, 13, 1)
    assert f"Rows: 16, which give {made['train']} examples to train on, 1 held out." in said
    assert "Left out: 1 truncated, 1 with tools, 1 too long." in said
    assert "Keys not used: source (2 rows)." in said
    assert "Control tokens: named in 1 row, learnt as words." in said
    assert (found["left_out"], made["left_out"]) == ({"truncated": 1, "with tools": 1}, {"too long": 1})
    assert found["examples"]["truncated"] == [f"{data}, line 13"]
    assert made["places"]["too long"] == [f"{data}, line 15"]
    assert invoke("report", "--run", run).returncode == 0
    for text in ((run / "RESULTS.md").read_text(), (run / "report.html").read_text()):
        assert "1 truncated, 1 with tools, 1 too long" in text
        assert "source (2 rows)" in text


def test_held_out_rows_may_be_named(student: tuple[str, ...], tmp_path: Path) -> None:
    data = written(tmp_path / "chat.jsonl", chats(6))
    valid = written(tmp_path / "held.jsonl", [*chats(1), {"prompt": "Unheard of", "completion": "so far"}])
    run = tmp_path / "run"
    done = invoke("train", *FAST, *student, "--data", data, "--valid-data", valid, "--run", run)
    assert done.returncode == 0, done.stderr
    assert (dataset(run)["encoded"]["train"], dataset(run)["encoded"]["valid"]) == (6, 2)
    assert "Held out: 1 of 2 ask what is trained on" in " ".join((done.stdout + done.stderr).split())


def test_one_long_held_out_answer_refuses_nothing(student: tuple[str, ...], tmp_path: Path) -> None:
    data = written(tmp_path / "chat.jsonl", chats(6))
    valid = written(
        tmp_path / "held.jsonl", [{"prompt": "a", "completion": "w " * 999}, {"prompt": "b", "completion": "c"}]
    )
    options = (*FAST, *student, "--data", data, "--valid-data", valid, "--window", "200")
    assert invoke("train", *options, "--run", tmp_path / "run").returncode == 0
    written(valid, [{"prompt": "a", "completion": "w " * 999}])
    fails(3, "There is nothing to hold out (left out: 1 too long)", "train", *options, "--run", tmp_path / "other")


def test_where_all_that_was_to_be_held_out_is_too_long_others_are(student: tuple[str, ...], tmp_path: Path) -> None:
    from mlx_distill.run.data.own import load_conversations

    rows = chats(6)
    data = written(tmp_path / "chat.jsonl", rows)
    (held,) = [c.question for c in load_conversations(data, 0).conversations if c.split == "valid"]
    written(data, [row | {"completion": "w " * 999} if row["prompt"] == held else row for row in rows])
    run = tmp_path / "run"
    done = invoke("train", *FAST, *student, "--data", data, "--window", "200", "--run", run)
    assert done.returncode == 0, done.stderr
    made = dataset(run)["encoded"]
    assert (made["train"], made["valid"], made["left_out"]) == (4, 1, {"too long": 1})


def test_a_plan_counts_what_will_be_trained_on(student: tuple[str, ...], tmp_path: Path) -> None:
    data = written(tmp_path / "chat.csv", [])
    data.write_text("instruction,output\n" + "".join(f"{row['prompt']},{row['completion']}\n" for row in chats(20)))
    done = invoke("plan", *FAST, *student, "--data", data, "--run", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "20 of " in done.stdout


# ---------------------------------------------------------------- existing traces


def test_few_traces_hold_one_out(student: tuple[str, ...], tmp_path: Path) -> None:
    for count in (2, 7):
        data, run = written(tmp_path / f"{count}.jsonl", chats(count)), tmp_path / f"run{count}"
        done = invoke("collect", *FAST, "--limit", "99", *student, "--teacher", f"traces:{data}", "--run", run)
        assert done.returncode == 0, done.stderr
        splits = [json.loads(line)["split"] for line in (run / "prompts.jsonl").read_text().splitlines()]
        assert (splits.count("valid"), splits.count("train")) == (1, count - 1)


TALK = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"messages": TALK * 2}] * 3, "has no row to train on, of 3; left out: 3 several turns"),
        ([], "has no row to train on, of 0"),
        ([{"prompt": "a", "completion": None}] * 2, "None of the 2 answers can be trained on: 2 empty"),
        ([{"prompt": "a", "completion": "b", "finish_reason": "length"}], "can be trained on: 1 truncated"),
    ],
)
def test_a_stage_that_made_nothing_usable_fails(
    student: tuple[str, ...], tmp_path: Path, rows: list[Row], words: str
) -> None:
    data = written(tmp_path / "traces.jsonl", rows)
    teacher = ("--teacher", f"traces:{data}", "--run", tmp_path / "run", "--accept-terms")
    done = invoke("collect", *FAST, *student, *teacher)
    assert done.returncode == 3, done.stdout
    assert words in " ".join(done.stderr.split())


def test_what_traces_leave_out_is_in_dataset_json(student: tuple[str, ...], tmp_path: Path) -> None:
    rows = [*chats(20), {"messages": TALK * 2}, {"prompt": "x", "completion": None, "note": 1}]
    data, run = written(tmp_path / "traces.jsonl", rows), tmp_path / "run"
    done = invoke("collect", *FAST, "--limit", "99", *student, "--teacher", f"traces:{data}", "--run", run)
    assert done.returncode == 0, done.stderr
    found = dataset(run)
    assert (found["rows"], found["not_read"], found["left_out"]) == (22, {"several turns": 1}, {"empty": 1})
    assert found["not_read_examples"] == {"several turns": [f"{data}, line 21"]}
    assert found["unused_keys"] == {"note": 1}
    assert done.stdout.count("collect ") + done.stderr.count("collect ") < 5  # no line a row


def test_a_system_prompt_of_a_trace_is_trained_under(student: tuple[str, ...], tmp_path: Path) -> None:
    from mlx_distill.run.config import Config
    from mlx_distill.run.data.material import collected
    from mlx_distill.run.folder import RunDir

    data, run = written(tmp_path / "t.jsonl", [row | {"system": "Pirate."} for row in chats(4)]), tmp_path / "run"
    invoke("collect", *FAST, "--limit", "99", *student, "--teacher", f"traces:{data}", "--run", run)
    assert {talk.messages[0]["content"] for talk in collected(RunDir(run), Config())} == {"Pirate."}
