"""A finished run in the terminal: the verdict, what it rests on, and nothing that a name could change."""

import copy
from pathlib import Path
from typing import Any

import pytest
from runs import ATTACK, Made, results_of
from screen import shown
from typed import run_before, self_check


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return results_of(tmp_path_factory.mktemp("made"), Made(samples=2, repeats=2, against_teacher=True))


@pytest.fixture
def results(made: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(made)


def test_the_preference_heads_the_scorecard_and_the_verdict_comes_before_the_caveats(results: dict[str, Any]) -> None:
    text = shown(results)
    parts = [
        "Held-out loss",
        "Scorecard",
        "Preference",
        "Code Correctness",
        "Executed checks",
        "Judge claude",
        "Verdict",
    ]
    places = [text.index(part) for part in (*parts, "! Judge and teacher", "runs/made-up/RESULTS.md")]
    assert places == sorted(places)


def test_the_figures_are_those_of_the_results(results: dict[str, Any]) -> None:
    text, comparison = shown(results), results["comparison"]
    entry, pairs = comparison["preferences"][0], comparison["checks"]["pairs"]
    preference = next(line for line in text.splitlines() if line.strip().startswith("Preference"))
    assert f" {entry['share']['mean']:.0%} [" in preference
    assert entry["verdict"] in preference
    assert (
        f"Preference: {entry['won']} won, {entry['tied']} tied, {entry['lost']} lost, of {entry['n']} prompts" in text
    )
    checks = next(line for line in text.splitlines() if line.strip().startswith("Executed checks"))
    assert f" {100 * pairs['difference']['mean']:+.0f} [" in checks
    assert f"Executed checks: {pairs['gained']} gained, {pairs['lost']} lost, of {pairs['n']} prompts" in text
    against_teacher = results["comparison"]["preferences"][1]
    assert f"Distilled preferred to teacher: {against_teacher['share']['mean']:.0%} [" in text
    assert f"({against_teacher['won']} won, {against_teacher['lost']} lost, {against_teacher['tied']} tied)" in text
    judge = entry["judges"][0]
    line = next(line for line in text.splitlines() if line.startswith(f"Judge {judge['judge']}:"))
    for name in ("swap_consistency", "first_slot", "repeat_agreement"):
        assert f" {judge[name]['mean']:.0%}" in line
    assert f"unscored {judge['unscored']}/{judge['questions']}" in line
    assert line.count("Judge ") == 1
    for dimension in comparison["dimensions"]:
        row = next(line for line in text.splitlines() if line.strip().startswith(dimension["name"]))
        assert f"{dimension['difference']['mean']:+.2f} [" in row
        assert dimension["verdict"] in row
    assert f"Verdict: {comparison['verdict']} (n = 28; {comparison['verdict_in_words']}" in text


def test_a_loss_is_as_loud_as_a_gain(results: dict[str, Any]) -> None:
    results["comparison"]["preferences"][0]["verdict"] = "worse"
    results["comparison"]["dimensions"][0]["verdict"] = "better"
    text = shown(results, colour=True)
    assert "\x1b[1;31mworse" in text
    assert "\x1b[32mbetter" in text


def test_no_difference_shown_says_what_would_have_been(results: dict[str, Any]) -> None:
    comparison = results["comparison"]
    rows = [comparison["preferences"][0], *comparison["dimensions"], comparison["checks"]["pairs"]]
    for place, row in enumerate(rows):
        row.update(verdict="no difference shown", smallest=place / 10)
    told = "".join(f"{row['name']} {place / 10:.2f}, " for place, row in enumerate(rows[1:6], 1))
    sentence = (
        f"No difference shown. Detectable with 80 % power: Preference 0% from even, {told}Executed checks 60 points."
    )
    assert sentence in shown(results, 80)
    for row in rows:
        row["verdict"] = "better"
    assert "Detectable" not in shown(results, 80)


def test_what_was_not_scored_is_a_row_that_says_so(results: dict[str, Any]) -> None:
    row = results["comparison"]["dimensions"][0]
    row.update(
        n=0, verdict="not scored", **dict.fromkeys(("teacher", "base", "distilled", "difference", "p", "p_holm"))
    )
    line = next(line for line in shown(results).splitlines() if line.strip().startswith(row["name"]))
    assert line.split(row["name"])[1].split() == ["—", "—", "—", "—", "0", "—", "not", "scored"]


@pytest.mark.parametrize("width", [80, 110, 200])
def test_tables_fit(results: dict[str, Any], width: int) -> None:
    table = shown(results, width).split("Scorecard")[1].split("Scores 0-10")[0]
    assert max(len(line.rstrip()) for line in table.splitlines()) <= width
    for row in results["comparison"]["dimensions"]:
        assert f"{row['name']} " in table
        assert f"{row['difference']['high']:+.2f}]" in table  # not folded


@pytest.mark.parametrize(
    "made",
    [
        Made(prompts=1, judges=("static",)),
        Made(prompts=4),
        Made(prompts=6, missing=("training",)),
        Made(prompts=6, missing=("comparison",)),
        Made(prompts=6, judges=("human: Ada", "b", "c")),
    ],
    ids=str,
)
def test_runs_of_every_kind_are_shown(made: Made, tmp_path: Path) -> None:
    text = shown(results_of(tmp_path, made), 80)
    assert ("Verdict" in text) == ("comparison" not in made.missing)
    assert ("Held-out loss" in text) == ("training" not in made.missing)
    assert "None" not in text
    assert "nan" not in text


def test_names_and_caveats_do_nothing(results: dict[str, Any]) -> None:
    evil = f"[red]{ATTACK}[/red]\x1b[2J\r\x07"
    comparison = results["comparison"]
    comparison.update(caveats=[evil], verdict_in_words=evil)
    comparison["dimensions"][0]["name"] = comparison["preferences"][0]["judges"][0]["judge"] = evil
    results["previous"] = run_before(name=evil, student=evil, epochs=3.0, verdict=evil)
    text = shown(results)
    assert not set("\x1b\x07\r") & set(text)
    assert text.count("[red]") >= 5


def test_the_run_before_and_the_self_check_have_a_line(results: dict[str, Any]) -> None:
    loss = {"base": None, "best": {"mean": 1.25, "n": 8}}
    results["previous"] = run_before(name="a", student="0.5B", epochs=3.0, verdict="worse", heldout_loss=loss)
    results["self_check"] = self_check(verdict="no difference shown", n=28)
    text = shown(results)
    assert "Previous run: a, 0.5B, 3 epochs, held-out loss 1.250, worse." in text
    assert "The base compared with itself: no difference shown (n = 28)." in text
