"""Sweeps that pay a teacher: each answer once, within one budget, after one yes; then divided among machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from messages_api import MessagesServer
from sweeping import invoke, invoke_other, program, rows

Serve = Callable[..., MessagesServer]

PAID = """
preset = "quick"
[prompts]
train = ["train.txt"]
valid = ["valid.txt"]
test = []
[training]
student = "smollm2-135m"
[axes]
"training.rank" = [8, 16]
"""
FOLDER = Path("sweeps", "paid")
YES = ("--yes", "--accept-terms")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.txt").write_text("".join(f"Explain topic {i} to a colleague\n" for i in range(20)))
    (tmp_path / "valid.txt").write_text("What would you rather hold out\n")
    (tmp_path / "paid.toml").write_text(PAID)
    return tmp_path


def run_states(folder: Path) -> list[tuple[str, str]]:
    found = json.loads((folder / FOLDER / "sweep.json").read_text())
    return [(run["state"], run["why"]) for run in found["runs"]]


@pytest.mark.real
def test_without_a_yes_or_the_terms_nothing_starts(serve: Serve, folder: Path) -> None:
    server = serve()
    asked = invoke(folder, "paid.toml", "--accept-terms")
    assert (asked.returncode, "agree to the cost with --yes" in asked.stderr) == (2, True)
    refused = invoke(folder, "paid.toml", "--yes")
    assert (refused.returncode, "--accept-terms, once" in refused.stderr) == (4, True)
    assert server.asked == []
    assert not (folder / FOLDER / "sweep.toml").exists()
    assert not (folder / FOLDER / "8").exists()


@pytest.mark.real
def test_each_answer_is_paid_for_once_and_then_the_runs_are_divided(serve: Serve, folder: Path) -> None:
    server = serve()
    early = invoke(folder, "paid.toml", "--shard", "1/2", *YES)
    assert (early.returncode, "ask the teachers once, with --collect" in early.stderr) == (2, True)
    done = invoke(folder, "paid.toml", "--collect", *YES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(server.asked) == 21
    answers = [rows(folder / FOLDER / run / "teacher_data.jsonl") for run in ("8", "16")]
    assert answers[0] == answers[1]
    assert run_states(folder) == [("waiting", ""), ("waiting", "")]
    assert json.loads((folder / FOLDER / "sweep.json").read_text())["sweep"]["usd"] == pytest.approx(
        sum(row["usd"] for row in answers[0])
    )
    fake = program(folder, "done()")
    for shard in ("1/2", "2/2"):  # nothing is paid any more, so nobody has to say yes
        divided = invoke_other(folder, fake, "paid.toml", "--shard", shard)
        assert divided.returncode == 0, divided.stderr
    started = [(folder / FOLDER / run / "started").read_text().splitlines() for run in ("8", "16")]
    assert [len(lines) for lines in started] == [1, 1]
    assert run_states(folder) == [("done", ""), ("done", "")]
    ledgers = [(folder / FOLDER / "configs" / f"{run}.toml").read_text() for run in ("8", "16")]
    assert ["shared-1-of-2/ledger" in ledgers[0], "shared-2-of-2/ledger" in ledgers[1]] == [True, True]
    assert len(server.asked) == 21


@pytest.mark.real
def test_a_budget_holds_for_all_runs_together(serve: Serve, folder: Path) -> None:
    """An answer may cost a tenth of a cent here, and there are 21."""
    server = serve()
    (folder / "paid.toml").write_text(f"budget = 0.003\n{PAID}[teacher]\nmax_tokens = 50\n")
    stopped = invoke(folder, "paid.toml", *YES)
    assert stopped.returncode == 8, stopped.stdout
    assert "2 of 2 runs failed" in stopped.stderr
    assert "the budget does not reach" in stopped.stderr
    states = run_states(folder)
    assert [state for state, _ in states] == ["failed", "failed"]
    assert all(why.startswith("Stopped at $0.") and "--max-cost" in why for _, why in states)
    assert 0 < json.loads((folder / FOLDER / "sweep.json").read_text())["sweep"]["usd"] <= 0.003
    assert 0 < len(server.asked) < 21
    more = invoke(folder, "--resume", FOLDER, "--collect", "--max-cost", "1", "--yes")
    assert more.returncode == 0, more.stdout + more.stderr
    assert len(server.asked) == 21
