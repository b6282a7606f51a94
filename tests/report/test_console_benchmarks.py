"""The benchmarks in the terminal: every loss, what is doubtful, and the gate where eyes are."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from benchmarked import BENCHMARKS, benchmarked
from runs import ATTACK, Made, results_of
from screen import shown


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made")


@pytest.fixture(scope="module")
def bare(folder: Path) -> dict[str, Any]:
    return results_of(folder, Made(prompts=6, missing=("comparison", "training")))


@pytest.fixture(scope="module")
def made(bare: dict[str, Any], folder: Path) -> dict[str, Any]:
    return benchmarked(bare, folder / "study")


@pytest.fixture
def results(made: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(made)


def test_the_figures_are_those_of_the_results(results: dict[str, Any]) -> None:
    lines = shown(results).splitlines()
    for row in results["benchmarks"]:
        line = next(line for line in lines if line.strip().startswith(row["title"]))
        difference = row["difference"]
        assert f"{100 * difference['mean']:+.1f} [{100 * difference['low']:+.1f}" in line
        assert f"+{row['gained']} −{row['lost']}" in line
        assert f" {row['n']} " in line
        assert f"{100 * row['base']['mean']:.1f}" in line
        assert f"{100 * row['distilled']['mean']:.1f}" in line
        assert row["verdict"] in line


def test_the_gate_comes_after_the_tables_and_then_what_is_degraded(results: dict[str, Any]) -> None:
    text = shown(results)
    parts = ["Benchmarks, % passed", "By domain", "Gate: mixed. MBPP+", "✗ no benchmark worse (does not hold)"]
    parts += [
        "! IFEval, distilled: 14 of 541 answers cut off",
        "! No difference shown does not mean that there is none",
    ]
    parts += ["runs/made-up"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert text.count("14 of 541 answers cut off") == 1
    assert "No difference shown. Detectable with 80 % power: AIME 2024 38 points." in text


def test_losses_gains_and_doubts_have_their_colours(results: dict[str, Any]) -> None:
    text = shown(results, colour=True)
    assert "\x1b[1;31mworse" in text
    assert "\x1b[32mbetter" in text
    assert "\x1b[33m! IFEval, distilled" in text
    assert "Gate: \x1b[1;33mmixed" in text
    for word, code in (("ship", "1;32"), ("do not ship", "1;31")):
        results["gate"]["verdict"] = word
        assert f"Gate: \x1b[{code}m{word}\x1b[0m" in shown(results, colour=True)


def test_rules_that_hold_say_so(bare: dict[str, Any], tmp_path: Path) -> None:
    text = shown(benchmarked(bare, tmp_path, "one"))
    assert "✓ no benchmark worse (holds)" in text
    assert "Gate: ship. " in text
    assert "By domain" not in text  # it would say the same again


@pytest.mark.parametrize("width", [80, 120, 200])
def test_tables_fit(results: dict[str, Any], width: int) -> None:
    table = shown(results, width).split("Benchmarks, %")[1].split("+ −: items")[0]
    assert max(len(line.rstrip()) for line in table.splitlines()) <= width
    for row in results["benchmarks"]:
        assert f"{100 * row['difference']['high']:+.1f}]" in table  # not folded


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmarks_of_every_kind_are_shown(bare: dict[str, Any], tmp_path: Path, name: str) -> None:
    results = benchmarked(bare, tmp_path, name)
    text = shown(results, 80)
    assert text.count("Gate: ") == 1
    assert not re.search(r"\bNone\b(?! of)", text)
    assert "nan" not in text


def test_without_benchmarks_nothing_is_said(bare: dict[str, Any]) -> None:
    for results in (bare, {key: value for key, value in bare.items() if key not in ("benchmarks", "gate")}):
        text = shown(results)
        assert "Gate" not in text
        assert "Benchmarks" not in text


def test_coverage_and_names_do_nothing(results: dict[str, Any]) -> None:
    evil = f"[red]{ATTACK}[/red]\x1b[2J\r\x07"
    row, gate = results["benchmarks"][0], results["gate"]
    row.update(title=evil, verdict=evil, degraded=[evil])
    gate.update(because=evil, caveats=[evil], coverage={"rho": None, "p": 1.0, "categories": [], "words": evil})
    gate["rules"][0].update(rule=evil, because=evil)
    gate["forgetting"][0].update(domain=evil)
    text = shown(results)
    assert not set("\x1b\x07\r") & set(text)
    assert text.count("[red]") >= 7
