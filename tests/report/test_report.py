"""Charts and RESULTS.md from results.json alone, whatever is missing from it."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest

from mlx_distill.report import draw
from mlx_distill.report.markdown import fence, results_markdown

SAMPLE = Path(__file__).parents[2] / "visuals" / "results.json"
CHARTS = {"training_curves.png", "model_scorecard.png", "prompt_comparison.png", "cost_scaling.png"}


@pytest.fixture
def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SAMPLE.read_text())
    return found


def test_the_four_charts_are_1920_by_1080(results: dict[str, Any], tmp_path: Path) -> None:
    draw(results, tmp_path, tmp_path / "visuals")
    found = {path.name for path in (tmp_path / "visuals").iterdir()}
    assert found == CHARTS | {"pipeline.mmd"}
    for name in CHARTS:
        assert matplotlib.image.imread(tmp_path / "visuals" / name).shape[:2] == (1080, 1920)


def test_the_dark_theme_is_the_original_one(results: dict[str, Any], tmp_path: Path) -> None:
    draw(results, tmp_path, tmp_path)
    pixels = (matplotlib.image.imread(tmp_path / "model_scorecard.png")[..., :3] * 255).round().astype(int)
    colours = {tuple(colour) for colour in pixels.reshape(-1, 3)[::7].tolist()}
    assert tuple(pixels[0, 0]) == (0x1A, 0x1A, 0x2E)
    assert {(0xFF, 0xD9, 0x3D), (0x00, 0xD4, 0xFF), (0xFF, 0x6B, 0x6B)} <= colours


def test_a_picture_is_the_same_twice(results: dict[str, Any], tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw(results, tmp_path, tmp_path / name)
    for chart in CHARTS:
        assert (tmp_path / "a" / chart).read_bytes() == (tmp_path / "b" / chart).read_bytes()


@pytest.mark.parametrize(
    "missing", [("training",), ("comparison",), ("teacher",), ("training", "comparison", "teacher")]
)
def test_stages_that_have_not_run_are_left_out(
    results: dict[str, Any], missing: tuple[str, ...], tmp_path: Path
) -> None:
    for part in missing:
        results[part] = None
    results["cost_scaling"] = [] if len(missing) > 1 else results["cost_scaling"]
    written = draw(results, tmp_path, tmp_path / "visuals")
    assert (tmp_path / "RESULTS.md").read_text().startswith("# Results")
    assert len(written) >= 2


@pytest.mark.parametrize("count", [1, 3, 40])
def test_few_and_many_prompts_and_equal_scores_draw(results: dict[str, Any], count: int, tmp_path: Path) -> None:
    comparison = results["comparison"]
    prompt = comparison["prompts"][0]
    prompt["text"] = "A very long prompt text " * 20
    for role in ("base", "distilled"):
        prompt[role]["overall"] = 5.0
    comparison["prompts"] = [copy.deepcopy(prompt) for _ in range(count)]
    draw(results, tmp_path, tmp_path)
    assert (tmp_path / "prompt_comparison.png").exists()


def test_unscored_answers_draw_and_are_not_shown_as_zero(results: dict[str, Any], tmp_path: Path) -> None:
    for dimension in results["comparison"]["dimensions"]:
        dimension.update(distilled=None, difference=None, p=None, p_holm=None, n=0)
    for prompt in results["comparison"]["prompts"]:
        prompt["distilled"].update(overall=None, scores=None)
    draw(results, tmp_path, tmp_path)
    text = (tmp_path / "RESULTS.md").read_text()
    assert "unscored" in text
    assert "| distilled | 0.0" not in text


def test_results_say_what_got_worse_as_plainly_as_what_got_better(results: dict[str, Any]) -> None:
    first, second = results["comparison"]["dimensions"][:2]
    estimate = {"mean": 1.5, "low": 1.0, "high": 2.0, "n": 28}
    first.update(verdict="better", difference=estimate)
    second.update(verdict="worse", difference={"mean": -1.5, "low": -2.0, "high": -1.0, "n": 28})
    text = results_markdown(results, [], Path("visuals"))
    better = text.split("## What got better")[1].split("##")[0]
    worse = text.split("## What got worse")[1].split("##")[0]
    assert f"{first['name']}: +1.50 [+1.00, +2.00]" in better
    assert f"{second['name']}: -1.50 [-2.00, -1.00]" in worse


def test_every_section_of_a_test_run_report_is_there(results: dict[str, Any]) -> None:
    text = results_markdown(results, ["a.png"], Path("visuals"))
    for part in (
        "Hardware",
        "```mermaid",
        "Step 1",
        "Step 2",
        "Step 3",
        "Cost at scale",
        "Prompt by prompt",
        "got worse",
    ):
        assert part in text
    assert "static analysis, not an LLM" in text


@pytest.mark.parametrize("attack", ["```\n<script>alert(1)</script>", "`````", "</details><img src=x onerror=y>"])
def test_what_a_model_wrote_stays_in_its_fence(attack: str) -> None:
    from markdown_it import MarkdownIt

    tokens = MarkdownIt().parse(fence(attack))
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content == attack + "\n"


def test_numbers_in_the_report_are_those_of_the_results(results: dict[str, Any]) -> None:
    text = results_markdown(results, [], Path("visuals"))
    for dimension in results["comparison"]["dimensions"]:
        row = next(line for line in text.splitlines() if line.startswith(f"| {dimension['name']} |"))
        means = [float(cell.split(" [")[0]) for cell in re.findall(r"\| (-?\d+\.\d\d[^|]*)", row)[:3]]
        expected = [dimension[role]["mean"] for role in ("teacher", "base", "distilled") if dimension[role]]
        assert means[: len(expected)] == pytest.approx(expected, abs=0.006)
