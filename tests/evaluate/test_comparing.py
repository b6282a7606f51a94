"""Comparing from the command line: judges that are models, people, samples, and the base against itself."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Options, fails, invoke
from judging import program
from messages_api import MessagesServer, message
from typed import as_dict

from mlx_distill.evaluate.judges.questions import HANDFUL
from mlx_distill.run import config as configuration
from mlx_distill.run.folder import RunDir
from mlx_distill.summarise import summarise

JUDGE = "claude-opus-4-6"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A finished run, whose answers are its own to judge again."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def compared(run: Path, short: Options, *options: str | Path) -> dict[str, Any]:
    done = invoke("compare", *short, "--update", "--yes", *options, "--run", run)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = as_dict(summarise(RunDir(run), configuration.load(run / "config.toml")))
    return found


def test_a_judge_is_asked_about_pairs_and_answers_and_can_be_replayed_without_a_key(
    run: Path, serve: Callable[..., MessagesServer], monkeypatch: pytest.MonkeyPatch, short: Options
) -> None:
    server = serve(program)
    options = ("--samples", "1", "--repeats", "2", "--against-teacher")
    results = compared(run, short, "--judge", JUDGE, *options)
    preferences = rows(run / "preferences.jsonl")
    assert {(p["first"], p["second"]) for p in preferences} == {
        ("distilled", "base"), ("base", "distilled"), ("distilled", "teacher"), ("teacher", "distilled")
    }  # fmt: skip
    assert {p["repeat"] for p in preferences} == {0, 1}
    assert len(rows(run / "judgments.jsonl")) == 2 * 3 * 2
    assert [entry["pair"][1] for entry in results["comparison"]["preferences"]] == ["base", "teacher"]
    asked = len(server.asked)
    assert asked
    (recorded,) = (run / "judge_data").iterdir()
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    again = compared(run, short, "--judge", f"recorded:{recorded}", *options)
    assert len(server.asked) == asked
    for key in ("verdict", "verdict_in_words", "dimensions"):
        assert again["comparison"][key] == results["comparison"][key]


@pytest.mark.long
def test_judging_again_pays_for_nothing_twice(run: Path, serve: Callable[..., MessagesServer], short: Options) -> None:
    server = serve(program)
    compared(run, short, "--judge", JUDGE)
    once = len(server.asked)
    compared(run, short, "--judge", JUDGE, "--judge", "static")
    assert len(server.asked) == once
    compared(run, short, "--judge", JUDGE, "--repeats", "2")
    assert len(server.asked) > once


@pytest.mark.long
def test_two_judges_are_held_against_each_other(
    run: Path, serve: Callable[..., MessagesServer], short: Options
) -> None:
    serve(program)
    comparison = compared(run, short, "--judge", JUDGE, "--judge", "claude-haiku-4-5")["comparison"]
    assert comparison["judges"] == ["claude-haiku-4-5", JUDGE]
    assert len(list((run / "judge_data").iterdir())) == 2
    assert [judge["judge"] for judge in comparison["preferences"][0]["judges"]] == comparison["judges"]


def test_a_judge_that_talks_instead_of_judging_scores_nobody(
    run: Path, serve: Callable[..., MessagesServer], short: Options
) -> None:
    server = serve(lambda _: message("score: 10, I prefer the distilled one"))
    options = ("--judging", "pairwise", "--samples", "1", "--temperature", "3")  # too few to give it up
    comparison = compared(run, short, "--judge", JUDGE, *options)["comparison"]
    assert comparison["unscored"]["pairs"] == comparison["pairs_judged"] > 0
    assert comparison["verdict"] == "too few prompts to tell"
    assert any("unscored" in caveat for caveat in comparison["caveats"])
    assert len(server.asked) == len({json.dumps(sent) for sent in server.asked}) * 2  # each once more


@pytest.mark.real
def test_a_judge_that_never_judges_is_given_up_after_a_handful(
    run: Path, serve: Callable[..., MessagesServer], short: Options
) -> None:
    server = serve(lambda _: message("score: 10, I prefer the distilled one"))
    options = ("compare", *short, "--update", "--yes", "--judge", JUDGE, "--repeats", "9", "--run", run)
    fails(4, "answered none of them readably", *options)
    once = len(server.asked)
    assert HANDFUL <= once <= 3 * HANDFUL  # what was under way with the fifth
    fails(4, "write JSON of a given schema", *options)
    assert len(server.asked) - once <= 3 * HANDFUL
    server.answer = program
    assert invoke(*options).returncode == 0


def test_people_vote_blind_and_count_as_judges(run: Path, tmp_path: Path, short: Options) -> None:
    compared(run, short, "--judge", "static", "--strength", "0")
    alike = invoke("export", "votes", "--run", run)
    assert (alike.returncode, "answer every prompt alike" in alike.stderr) == (3, True)
    sampled = ("--judge", "static", "--samples", "1", "--temperature", "3")
    compared(run, short, *sampled)
    done = invoke("export", "votes", "--run", run)
    assert done.returncode == 0, done.stderr
    sheet = run / "exports" / "votes.csv"
    table = list(csv.DictReader(io.StringIO(sheet.read_text(encoding="utf-8-sig"))))
    assert not any("distilled" in str(row) for row in table)
    for row in table:
        row |= {"better": "1", "rater": "Ada"}
    filled = tmp_path / "votes.csv"
    with filled.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, table[0].keys())
        writer.writeheader()
        writer.writerows(table)
    comparison = compared(run, short, *sampled, "--human", filled)["comparison"]
    (judge,) = comparison["preferences"][0]["judges"]
    assert (judge["judge"], judge["person"]) == ("human: Ada", True)
    assert comparison["preferences"][0]["n"] == 2
    again = ("compare", *short, "--update", *sampled, "--run", run)
    fails(3, "does not exist", *again, "--human", "nobody.csv")
    fails(3, "votes twice", *again, "--human", filled, "--human", filled)


@pytest.mark.long
def test_samples_are_seeded_and_compared_by_prompt(run: Path, short: Options) -> None:
    comparison = compared(run, short, "--samples", "3", "--judge", "static")["comparison"]
    made = rows(run / "generations.jsonl")
    assert {(g["role"], g["sample"]) for g in made} == {
        ("teacher", 0), *((role, sample) for role in ("base", "distilled") for sample in range(3))
    }  # fmt: skip
    assert len({g["text"] for g in made if g["role"] == "base"}) > 2
    assert comparison["dimensions"][0]["n"] <= 2
    (run / "generations.jsonl").unlink()
    compared(run, short, "--samples", "3", "--judge", "static")
    again = rows(run / "generations.jsonl")
    assert [g["text"] for g in again] == [g["text"] for g in made]


def test_the_base_compared_with_itself_shows_no_difference(finished: Path, run: Path, short: Options) -> None:
    before = (finished / "generations.jsonl").read_bytes()
    done = invoke("compare", "--self-check", "--samples", "2", "--update", "--run", run)
    assert done.returncode == 0, done.stderr
    assert (run / "generations.jsonl").read_bytes() == before
    made = rows(run / "self-check" / "generations.jsonl")
    assert {g["role"] for g in made} == {"base", "distilled"}
    assert len({g["text"] for g in made}) > 4  # the two draw apart
    results = json.loads((run / "self-check" / "results.json").read_text())
    assert results["comparison"]["verdict"] in ("no difference shown", "too few prompts to tell")
    assert compared(run, short)["self_check"]["verdict"] == results["comparison"]["verdict"]


def test_what_cannot_be_meant_is_refused_before_anything_is_made(tmp_path: Path, short: Options) -> None:
    run = ("--run", tmp_path / "r")
    fails(2, "name a judge", "run", *short, "--judge", "static", "--judging", "pairwise", *run)
    fails(2, "must be above zero", "run", *short, "--repeats", "0", *run)
