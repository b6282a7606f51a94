"""The collecting stage as a whole: prompts and a teacher in, the run's files out."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from messages_api import BatchRules, Faults, MessagesServer, Reply

from mlx_distill.pipeline import commands
from mlx_distill.pipeline.prepare import prepare
from mlx_distill.pipeline.terms import accept_terms
from mlx_distill.run import config as configuration
from mlx_distill.run.data.material import collected
from mlx_distill.run.errors import BudgetError, DataError, TeacherError, UsageError
from mlx_distill.run.folder import RunDir
from mlx_distill.run.job import Job
from mlx_distill.run.patience import Patience
from mlx_distill.run.records import StepMetrics

Serve = Callable[..., MessagesServer]


class Watcher:
    """A View that remembers what it was told."""

    def __init__(self, answer: bool = True) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self._answer = answer

    def kept(self, stage: str) -> None:
        self.said.append(f"{stage} kept")

    def note(self, text: str) -> None:
        self.said.append(text)

    warn = note

    def confirm(self, question: str) -> bool:
        self.asked.append(question)
        return self._answer

    @contextlib.contextmanager
    def tracking(self, stage: str, total: int) -> Iterator[Callable[[int, str], None]]:
        yield lambda done, text: self.said.append(f"{stage} {done}/{total} {text}")

    @contextlib.contextmanager
    def training(self, total: int, earlier: Sequence[StepMetrics] = ()) -> Iterator[Callable[[StepMetrics], None]]:
        yield lambda metrics: self.said.append(f"train {metrics.step}/{total}")


@pytest.fixture
def sets(tmp_path: Path) -> Callable[[int], dict[str, Any]]:
    """Writes so many training prompts, and one each to hold out; returns the settings that name them."""

    def write(count: int) -> dict[str, Any]:
        (tmp_path / "train.txt").write_text("".join(f"Explain topic {i} to a colleague\n" for i in range(count)))
        (tmp_path / "valid.txt").write_text("What would you rather hold out\n")
        (tmp_path / "test.txt").write_text("Which of all the many questions decides it in the end\n")
        return {f"prompts.{name}": (str(tmp_path / f"{name}.txt"),) for name in ("train", "valid", "test")}

    return write


def collect(run: Path, settings: dict[str, Any], watcher: Watcher | None = None, **more: Any) -> Watcher:
    watcher = watcher or Watcher()
    config = configuration.resolve("quick", {"training.student": "smollm2-135m"} | settings)
    waits = Patience(base_seconds=0.01, cap_seconds=0.05, poll_seconds=0.05, unheard_seconds=0.1)
    with RunDir(run).locked() as folder:
        changed = prepare(folder, config, update=True)
        commands.collect(Job(folder, config, watcher, changed, patience=waits, **more))
    return watcher


def rows(run: Path, name: str = "teacher_data.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / name).read_text().splitlines()]


# ---------------------------------------------------------------- what is asked, and what is not


def test_a_prompt_more_is_one_question_more_and_a_filter_none(
    serve: Serve, sets: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    server = serve()
    collect(tmp_path / "run", sets(200))
    assert len(server.asked) == 202
    collect(tmp_path / "run", sets(201))
    assert len(server.asked) == 203
    collect(tmp_path / "run", sets(201) | {"filters.language": "en", "training.window": 512})
    assert len(server.asked) == 203
    assert [row["prompt"] for row in rows(tmp_path / "run")][-3].startswith("Explain topic 200 ")
    first = rows(tmp_path / "run")[0]
    assert first["message_id"].startswith("msg_")
    assert first["request_id"].startswith("req_")
    assert first["attempt"] == 1
    assert abs(first["answered_at"] - time.time()) < 600
    assert first["sdk"].startswith("anthropic ")
    assert first["prices_dated"]


def test_a_larger_cap_asks_only_what_was_cut_again(
    serve: Serve, sets: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    def answer(request: dict[str, Any]) -> Reply:
        text = request["messages"][0]["content"]
        cut = "topic 1" in text and request["max_tokens"] <= 3072
        return Reply(f"about {text}", "max_tokens" if cut else "end_turn")

    server = serve(answer)
    collect(tmp_path / "run", sets(20))
    summary = json.loads((tmp_path / "run" / "dataset.json").read_text())
    assert summary["left_out"] == {"truncated": 11}
    collect(tmp_path / "run", sets(20))
    assert len(server.asked) == 22
    collect(tmp_path / "run", sets(20) | {"teacher.max_tokens": 4000})
    assert len(server.asked) == 22 + 11
    assert json.loads((tmp_path / "run" / "dataset.json").read_text())["left_out"] == {}


def test_a_shared_ledger_makes_a_second_run_free(
    serve: Serve, sets: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    server = serve()
    shared = {"collect.ledger": str(tmp_path / "all.sqlite")}
    collect(tmp_path / "one", sets(20) | shared)
    watcher = collect(tmp_path / "two", sets(20) | shared)
    assert len(server.asked) == 22
    assert rows(tmp_path / "one") == rows(tmp_path / "two")
    assert watcher.asked == []


def test_identical_prompts_are_asked_once_kept_each_and_trained_on_once(
    serve: Serve, sets: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    server = serve()
    settings = sets(5)
    path = tmp_path / "train.txt"
    path.write_text(path.read_text() * 3)
    collect(tmp_path / "run", settings)
    assert len(server.asked) == 7
    assert len(rows(tmp_path / "run")) == 17
    summary = json.loads((tmp_path / "run" / "dataset.json").read_text())
    assert (summary["usable"], summary["left_out"]) == (7, {"duplicate": 10})


def test_refusals_are_kept_with_their_category_and_left_out(
    serve: Serve, sets: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    server = serve(faults=Faults(2, {"refusal": 0.3, "empty": 0.2, "unknown_stop": 0.1}))
    for _ in range(2):
        collect(tmp_path / "run", sets(30))
    assert len(server.asked) == 32
    refused = [row for row in rows(tmp_path / "run") if row["stop_reason"] == "refusal"]
    assert refused
    assert {row["refusal_category"] for row in refused} == {"cyber"}
    left_out = json.loads((tmp_path / "run" / "dataset.json").read_text())["left_out"]
    assert left_out["refused"] == len(refused)
    assert set(left_out) == {"refused", "empty", "stopped (surprise)"}


# ---------------------------------------------------------------- cut short


@pytest.mark.parametrize(("kind", "error"), [("401", TeacherError), ("cap", BudgetError)])
def test_what_came_before_a_failure_is_exported(
    serve: Serve, sets: Callable[[int], dict[str, Any]], tmp_path: Path, kind: str, error: type[Exception]
) -> None:
    server = serve(output_tokens=lambda request, text: 1000)
    collect(tmp_path / "run", sets(10))
    limits = {"collect.max_cost": 0.3} if kind == "cap" else {}
    if kind == "401":
        server.faults = Faults(1, {"401": 1.0})
    with pytest.raises(error):
        collect(tmp_path / "run", sets(60) | limits)
    partial = rows(tmp_path / "run")
    assert 10 <= len(partial) < 62
    server.faults = Faults(1, {})
    collect(tmp_path / "run", sets(60))
    whole = rows(tmp_path / "run")
    assert len(whole) == 62
    assert [row for row in whole if row in partial] == partial
    assert not server.billing.billed_more_than_once


def test_an_export_that_is_lost_is_made_again_and_answers_that_are_lost_are_asked_again(
    serve: Serve, sets: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    server = serve()
    run = tmp_path / "run"
    collect(run, sets(10))
    before = rows(run)
    (run / "teacher_data.jsonl").unlink()
    collect(run, sets(10))
    assert rows(run) == before
    assert len(server.asked) == 12
    (run / "teacher_data.jsonl").unlink()
    with sqlite3.connect(run / "ledger.sqlite") as database:
        database.execute("DELETE FROM answers WHERE attempt IN (SELECT attempt FROM answers LIMIT 3)")
    with pytest.raises(DataError, match="lacks 3 answers"):
        collect(run, sets(10))
    collect(run, sets(10))
    assert len(rows(run)) == 12
    assert len(server.asked) == 15


def command(run: Path, settings: dict[str, Any], *more: str) -> list[str]:
    flags = {"prompts.train": "--prompts", "prompts.valid": "--valid-prompts", "prompts.test": "--test-prompts"}
    given = [part for name, values in settings.items() for part in (flags[name], values[0])]
    options = ["--run", str(run), "--accept-terms", "--yes", *more]
    return [sys.executable, "-m", "mlx_distill", "collect", *options, *given]


def start(server: MessagesServer, arguments: list[str], answered: int) -> "subprocess.Popen[str]":
    """A collecting process, once the server has answered so many more."""
    before = server.billing.posts
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while server.billing.posts - before < answered and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    return process


@pytest.mark.long
def test_after_kill_9_nothing_received_is_paid_again(
    serve: Serve, sets: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    server = serve(delay=0.03)
    settings, draw = sets(400), random.Random(4)
    for _ in range(4):
        process = start(server, command(tmp_path / "run", settings), draw.randint(5, 60))
        process.kill()
        process.communicate()
    server.delay = 0.0
    assert subprocess.run(command(tmp_path / "run", settings), capture_output=True).returncode == 0
    assert len(rows(tmp_path / "run")) == 402
    with sqlite3.connect(tmp_path / "run" / "ledger.sqlite") as database:
        kept = [json.loads(row[0]) for row in database.execute("SELECT request FROM attempts WHERE state='answered'")]
        under_way = database.execute("SELECT count(*) FROM attempts WHERE state = 'sent'").fetchone()[0]
    repeats = sum(server.billing.billed(name) - 1 for name in server.billing.billed_more_than_once)
    assert repeats <= under_way <= 4 * 32
    assert len({row["prompt"] for row in kept}) == len(kept) == 402


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Ended")]
)
def test_a_signal_waits_for_what_is_under_way_and_exports_it(
    serve: Serve, sets: Callable[[int], dict[str, Any]], tmp_path: Path, number: int, code: int, word: str
) -> None:
    server = serve(delay=0.3)
    settings = sets(300)
    process = start(server, command(tmp_path / "run", settings), 20)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code, errors
    assert errors.strip().startswith(word)
    assert len(rows(tmp_path / "run")) == server.billing.posts < 302
    server.delay = 0.0
    assert subprocess.run(command(tmp_path / "run", settings), capture_output=True).returncode == 0
    assert len(rows(tmp_path / "run")) == 302
    assert not server.billing.billed_more_than_once


@pytest.mark.skipif(
    os.geteuid() == 0 and not Path("/proc/sys").exists(), reason="needs a folder that root cannot write"
)
def test_a_ledger_where_nothing_can_be_written_is_one_line(
    serve: Serve, sets: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    server = serve()
    with pytest.raises(DataError, match="check its permissions"):
        collect(tmp_path / "run", sets(3) | {"collect.ledger": "/proc/sys/ledger.sqlite"})
    assert server.asked == []


# ---------------------------------------------------------------- money


def test_the_cost_is_said_and_agreed_to_before_anything_is_sent(
    serve: Serve, sets: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    server = serve()
    no = Watcher(answer=False)
    with pytest.raises(UsageError, match="nothing was sent"):
        collect(tmp_path / "run", sets(30), no)
    assert server.asked == []
    (said,) = (line for line in no.said if line.startswith("32 prompts to ask claude-sonnet-4-6"))
    assert "at most $1.54, if every answer reaches the limit" in said
    yes = collect(tmp_path / "run", sets(30))
    assert len(yes.asked) == 1
    again = collect(tmp_path / "run", sets(30))
    assert again.asked == []
    more = collect(tmp_path / "run", sets(60) | {"collect.max_cost": 5.0})
    said = next(line for line in more.said if "prompts to ask" in line)
    assert said.startswith("30 prompts to ask")
    assert "estimated from 32 earlier answers" in said
    assert "stops before $5.00" in said
    assert collect(tmp_path / "run", sets(61), yes=True).asked == []


def test_many_prompts_suggest_batches_and_batches_cost_half(
    serve: Serve, sets: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    server = serve(batch=BatchRules(seconds=0.1))
    no = Watcher(answer=False)
    with pytest.raises(UsageError):
        collect(tmp_path / "run", sets(1500), no)
    assert any("With --batch it costs half" in line for line in no.said)
    watcher = collect(tmp_path / "run", sets(50) | {"collect.batch": True})
    assert len(rows(tmp_path / "run")) == 52
    assert server.asked == []
    assert sum(row["usd"] for row in rows(tmp_path / "run")) == pytest.approx(float(server.billing.total_usd))
    assert any("Submitted 52 prompts as" in line for line in watcher.said)
    shown = [line for line in watcher.said if line.startswith("collect ")]
    assert any("52 with the server; you may stop and come back" in line for line in shown)
    assert "with the server" not in shown[-1]


def test_a_short_prefix_is_not_cached_in_vain_and_a_long_one_is(
    serve: Serve, sets: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    server = serve(delay=0.01)
    with pytest.raises(UsageError, match="caches a prefix from 2048"):
        collect(tmp_path / "run", sets(20) | {"collect.cache_prompt": True})
    assert server.asked == []
    system = "Answer as the house style says. " * 400
    watcher = collect(tmp_path / "run", sets(20) | {"collect.cache_prompt": True, "teacher.system": system})
    found = rows(tmp_path / "run")
    assert sum(row["cache_write_tokens"] > 0 for row in found) == 1
    assert sum(row["usd"] for row in found) == pytest.approx(float(server.billing.total_usd))
    assert any("of the input tokens were read from the prompt cache" in line for line in watcher.said)


# ---------------------------------------------------------------- thinking, traces, a local teacher


def test_thinking_is_kept_apart_and_trained_on_only_when_asked(
    serve: Serve, sets: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    def answer(request: dict[str, Any]) -> Any:
        from messages_api import message

        content = [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "so"}]
        return message("", content=content if "thinking" in request else content[1:])

    serve(answer)
    settings = sets(3) | {"teacher.thinking": True}
    collect(tmp_path / "run", settings)
    assert {(row["reasoning"], row["completion"]) for row in rows(tmp_path / "run")} == {("hm", "so")}
    for wanted, text in ((False, "so"), (True, "<think>\nhm\n</think>\n\nso")):
        config = configuration.resolve("quick", settings | {"training.thinking": wanted})
        conversations = collected(RunDir(tmp_path / "run"), config)
        assert {conversation.messages[1]["content"] for conversation in conversations} == {text}


def test_existing_traces_need_no_teacher(serve: Serve, sets: Callable[[int], dict[str, Any]], tmp_path: Path) -> None:
    server = serve()
    traces = tmp_path / "traces.jsonl"
    pairs = [
        {"problem": f"Compute the sum of {i} and {i}", "generations": [f"<think>easy</think>It is {2 * i}."]}
        for i in range(200)
    ]
    leak = {"problem": "Tell me which of all the many questions decides it in the end?", "generations": ["this one"]}
    traces.write_text("".join(json.dumps(row) + "\n" for row in [*pairs, leak]))
    run = tmp_path / "run"
    settings = sets(3) | {"teacher.spec": f"traces:{traces}"}
    collect(run, settings)
    assert server.asked == []
    found = rows(run)
    assert (found[3]["completion"], found[3]["reasoning"]) == ("It is 6.", "easy")
    splits = [row["split"] for row in rows(run, "prompts.jsonl")]
    assert 2 <= splits.count("valid") <= 30
    assert splits.count("test") == 1
    summary = json.loads((run / "dataset.json").read_text())
    assert splits[200] == "train"
    assert summary["left_out_lines"]["201"] == ["held-out overlap"]
    traces.write_text(traces.read_text() + json.dumps(pairs[0] | {"problem": "One more question, then"}) + "\n")
    collect(run, settings)
    assert len(rows(run)) == 202


def test_traces_that_claude_wrote_need_the_acknowledgement(tmp_path: Path) -> None:
    config = configuration.resolve("quick", {"teacher.spec": "hf:somebody/claude-4.5-opus-reasoning"})
    with pytest.raises(TeacherError, match="Anthropic's terms"):
        accept_terms(RunDir(tmp_path), config, accepted=False)


@pytest.mark.real
def test_a_local_model_teaches_without_key_terms_or_cost(
    sets: Callable[[int], dict[str, Any]], tmp_path: Path, smollm: Any
) -> None:
    """With so few tokens every answer is cut: what it wrote is kept, and nothing of it can be trained on."""
    settings = sets(4) | {"teacher.spec": "mlx:smollm2-135m", "teacher.max_tokens": 12}
    for watcher in (Watcher(), Watcher()):
        with pytest.raises(DataError, match="None of the 6 answers can be trained on: 6 truncated"):
            collect(tmp_path / "run", settings, watcher)
        found = rows(tmp_path / "run")
        assert len(found) == 6
        assert all(row["completion"] and row["usd"] is None for row in found)
        assert watcher.asked == []
    assert "collect kept" in watcher.said


def test_what_is_collected_needs_no_key_and_asks_nothing(
    serve: Serve, sets: Callable[[int], dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve()
    collect(tmp_path / "run", sets(5))
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert "collect kept" in collect(tmp_path / "run", sets(5)).said
    with pytest.raises(TeacherError, match="needs a key"):
        collect(tmp_path / "run", sets(6))


# ---------------------------------------------------------------- several answers to a prompt


def test_further_answers_are_asked_for_training_prompts_alone_and_nothing_is_paid_twice(
    serve: Serve, sets: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    server = serve(lambda request: Reply(f"answer {len(server.asked)} to {request['messages'][0]['content']}"))
    run, settings = tmp_path / "run", sets(10)
    collect(run, settings)
    first = rows(run)
    said = collect(run, settings | {"choice.teacher_answers": 3}).said
    assert len(server.asked) == 12 + 2 * 10
    assert any(words.startswith("20 answers to ask claude-sonnet-4-6 for: $") for words in said)
    assert any(words.startswith("collect 32/32 ") for words in said)
    found = rows(run)
    assert [row for row in found if row in first] == first
    assert [row["prompt"] for row in found] == [row["prompt"] for row in first[:10] for _ in range(3)] + [
        row["prompt"] for row in first[10:]
    ]
    assert len({row["completion"] for row in found}) == len(found) == 32
    collect(run, settings | {"choice.teacher_answers": 4})
    assert len({row["message_id"] for row in rows(run)}) == len(server.asked) == 12 + 3 * 10
    collect(run, settings)
    assert rows(run) == first
    assert len(server.asked) == 12 + 3 * 10


def test_whoever_stops_early_has_one_answer_to_each_prompt(
    serve: Serve, sets: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    serve(output_tokens=lambda request, text: 1000)
    settings = sets(10) | {"choice.teacher_answers": 3, "collect.concurrency": 1}
    with pytest.raises(BudgetError):
        collect(tmp_path / "run", settings | {"collect.max_cost": 0.3})
    part = [row["prompt"] for row in rows(tmp_path / "run")]
    assert len(set(part)) == 12 < len(part) < 32
    collect(tmp_path / "run", settings)
    assert len(rows(tmp_path / "run")) == 32


def test_recorded_answers_are_taken_in_order_and_where_there_are_fewer_that_is_said(
    sets: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    settings = sets(3)
    asked = [row for name in ("train", "valid", "test") for row in (tmp_path / f"{name}.txt").read_text().splitlines()]
    lines = [{"prompt": text, "completion": f"{k} of {text}"} for text in asked for k in range(3)]
    file = tmp_path / "answers.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines[:-6][1:] + lines[-6:]))
    more = {"teacher.spec": f"recorded:{file}", "choice.teacher_answers": 3}
    said = collect(tmp_path / "run", settings | more).said
    assert any("fewer than 3 different answers to some prompts: 1 of 6 further ones" in words for words in said)
    found = [row["completion"] for row in rows(tmp_path / "run")]
    assert found == [f"{k} of {asked[0]}" for k in (1, 2)] + [
        f"{k} of {text}" for text in asked[1:3] for k in range(3)
    ] + [f"0 of {text}" for text in asked[3:]]
    again = {"teacher.spec": f"recorded:{tmp_path / 'run' / 'teacher_data.jsonl'}", "choice.teacher_answers": 2}
    collect(tmp_path / "again", settings | again)
    assert [row["completion"] for row in rows(tmp_path / "again")] == [
        text for text in found if not (text.startswith("2 of") and asked[0] not in text)
    ]
