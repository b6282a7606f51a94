"""The selection in the terminal: few lines, and a base that is kept as loud as a loss."""

import copy
import itertools
from typing import Any

import pytest
from runs import ATTACK, Made, results_of
from screen import shown
from selected import SELECTIONS, selected
from tables import every
from typed import typed

from mlx_distill.run.wording import points


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return results_of(tmp_path_factory.mktemp("made"), Made(prompts=4, missing=("comparison", "training")))


def test_the_best_candidates_and_what_is_kept(bare: dict[str, Any]) -> None:
    results = selected(bare)
    text = shown(results, 200)
    selection = typed(results).selection
    assert selection
    row = next(row for row in selection.candidates if (row.step, row.strength) == (8, 0.75))
    line = next(line for line in text.splitlines() if line.split()[:2] == ["8", "0.75"])
    assert points(row.gain, sign="+") in line
    assert points(row.elsewhere, sign="+") in line
    assert line.strip().endswith("kept")
    assert "lowest held-out loss" in next(line for line in text.splitlines() if line.split()[:2] == ["24", "1"])
    assert "and 8 more, on 60 items of each benchmark that are not among the reported ones" in text
    assert "✓ Kept: step 8 at strength 0.75. Gains most on HumanEval+" in text
    assert text.index("Kept: ") < text.index("runs/made-up")


def test_of_a_small_benchmark_fewer_items_chose(bare: dict[str, Any]) -> None:
    results = selected(bare)
    results["selection"]["benchmarks"][1]["confirming_most"] = 3
    counts = [(row["title"], row["choosing"] + row["confirming_most"]) for row in results["selection"]["benchmarks"]]
    told = f"on items ({', '.join(f'{count} of {title}' for title, count in counts)}) that are not among"
    assert told in " ".join(shown(results, 200).split())


def test_a_kept_base_is_loud(bare: dict[str, Any]) -> None:
    assert "\x1b[1;32m✓ Kept: step 8 at strength 0.75.\x1b[0m" in shown(selected(bare), colour=True)
    for name in ("none eligible", "not confirmed"):
        text = shown(selected(bare, name), colour=True)
        assert "\x1b[1;31m✗ Kept: the base.\x1b[0m" in text
    assert "\x1b[1;31mnot confirmed" in text


@every("width, name", itertools.product([60, 80, 120], SELECTIONS))
def test_selections_of_every_kind_fit(bare: dict[str, Any], name: str, width: int) -> None:
    text = shown(selected(bare, name), width)
    table = text.split("Selection, points")[1].split("Kept: ")[0]
    assert max(len(line.rstrip()) for line in table.splitlines()) <= width
    assert "None" not in text
    assert text.count("Kept: ") == 1


def test_without_a_selection_nothing_is_said(bare: dict[str, Any]) -> None:
    for results in (bare, bare | {"selection": None}):
        assert "Kept" not in shown(results)
        assert "Selection" not in shown(results)


def test_what_others_wrote_does_nothing(bare: dict[str, Any]) -> None:
    evil = f"[red]{ATTACK}[/red]\x1b[2J\r\x07"
    results = copy.deepcopy(selected(bare, "none eligible"))
    results["selection"]["words"] = evil
    for row in results["selection"]["candidates"]:
        row["loses"] = [evil]
    text = shown(results)
    assert not set("\x1b\x07\r") & set(text)
    assert text.count("[red]") >= 2
