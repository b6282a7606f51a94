"""RESULTS.md from results.json alone: what it must say, and what it must never let anybody else say."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from runs import ATTACK, Made, results_of
from typed import run_before, self_check, typed

from mlx_distill.report.markdown import results_markdown
from mlx_distill.report.markdown_text import fence, inline
from mlx_distill.report.sections.making import pipeline_diagram
from mlx_distill.run.records import ROLES

MANY = Made(prompts=28, effect=1.0, samples=2, repeats=2, against_teacher=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return results_of(tmp_path_factory.mktemp("made"), MANY)


@pytest.fixture
def results(made: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(made)


def text_of(results: dict[str, Any], *charts: str) -> str:
    return results_markdown(typed(results), charts, Path("visuals"))


def section(text: str, title: str, level: int = 2) -> str:
    marks = "#" * level
    return re.split(rf"\n#{{2,{level}}} ", text.split(f"\n{marks} {title}\n")[1])[0]


# ---------------------------------------------------------------- what it says


def test_the_verdict_comes_first_with_n_and_what_it_rests_on(results: dict[str, Any]) -> None:
    comparison = results["comparison"]
    lines = text_of(results).splitlines()
    assert lines[2] == f"**Verdict: {comparison['verdict']}** (n = 28; {comparison['verdict_in_words']})."
    for words in (
        "28 test prompts",
        "2 answers a prompt, sampled at temperature 0.7",
        "896 comparisons of two answers",
        "560 judgments of single answers",
        *MANY.judges,
        "asked 2 times",
        "executed checks of 28 prompts",
    ):
        assert words in lines[4]


def test_a_loss_is_told_in_the_same_place_and_size_as_a_gain(results: dict[str, Any]) -> None:
    preference, dimension = results["comparison"]["preferences"][0], results["comparison"]["dimensions"][1]
    low, high = {"mean": -0.5, "low": -0.7, "high": -0.3, "n": 28}, {"mean": 1.5, "low": 1.0, "high": 2.0, "n": 28}
    share = {"mean": 0.25, "low": 0.15, "high": 0.35, "n": 28}
    preference.update(verdict="worse", share=share, difference=low, p_holm=0.0004)
    dimension.update(verdict="better", difference=high, p_holm=0.012)
    text = text_of(results)
    worse, better = (section(text, f"What got {word}", 3) for word in ("worse", "better"))
    assert "- **Preference:** 25% [15%, 35%] won; n = 28, p < 0.001" in worse
    assert f"- **{dimension['name']}:** +1.50 [+1.00, +2.00] of 10; n = 28, p = 0.012" in better
    assert "| Verdict | **▼ worse** |" in section(text, "Preference")
    assert "| -0.50 [-0.70, -0.30] |" in section(text, "Preference")
    card = section(text, "Scorecard")
    assert "| **▼ worse** |" in next(line for line in card.splitlines() if "Preference" in line)
    assert "| **▲ better** |" in next(line for line in card.splitlines() if dimension["name"] in line)


def test_no_difference_shown_comes_with_what_could_have_been(results: dict[str, Any]) -> None:
    rows = [results["comparison"]["preferences"][0], *results["comparison"]["dimensions"]]
    rows.append(results["comparison"]["checks"]["pairs"])
    for place, row in enumerate(rows):
        row.update(verdict="no difference shown", smallest=7 + place / 10)
    text = text_of(results)
    told = [line for line in section(text, "No difference shown", 3).splitlines() if line]
    detectable = ["350% from even", *(f"{7 + place / 10:.2f}" for place in range(1, 6)), "760 points"]
    assert [line.rpartition("; detectable: ")[2].partition(";")[0] for line in told] == detectable
    card = [line for line in section(text, "Scorecard").splitlines() if "| no difference shown |" in line]
    assert [
        words in line.split("| no difference shown |")[1] for words, line in zip(detectable, card, strict=True)
    ] == ([True] * 7)


def test_numbers_are_those_of_the_results(results: dict[str, Any]) -> None:
    text = text_of(results)
    for dimension in results["comparison"]["dimensions"]:
        row = next(line for line in section(text, "Scorecard").splitlines() if dimension["name"] in line)
        means = [float(number) for number in re.findall(r"\| (-?\d+\.\d) \[", row)]
        assert means == pytest.approx([dimension[role]["mean"] for role in ROLES], abs=0.051)
        assert f"{dimension['difference']['mean']:+.2f}" in row
    pairs = results["comparison"]["checks"]["pairs"]
    counts = " | ".join(str(pairs[name]) for name in ("gained", "lost", "both", "neither"))
    assert f"| {counts} | {pairs['difference']['mean']:+.2f}" in section(text, "Executed checks")
    judge = results["comparison"]["preferences"][0]["judges"][0]
    assert f"{judge['swap_consistency']['mean']:.0%} [" in section(text, "How far to trust the judges")
    assert f"{judge['first_slot']['mean']:.0%} [" in section(text, "How far to trust the judges")


def test_tokens_that_nobody_counted_are_not_zero(results: dict[str, Any]) -> None:
    results["comparison"]["answers"]["teacher"].update(tokens=0, tokens_per_second=None)
    answers = text_of(results).split("## Answers")[1]
    row = next(line for line in answers.splitlines() if line.startswith("| teacher |"))
    assert row.endswith("| — | — |")


def test_every_answer_of_every_sample_is_there(results: dict[str, Any]) -> None:
    text = text_of(results).split("\n## Prompt by prompt\n")[1]
    for prompt in results["comparison"]["prompts"]:
        for role in ROLES:
            for answer in prompt[role]["answers"]:
                assert fence(answer["text"]) in text
    assert text.count("<summary>distilled, answer 2 of 2</summary>") == 28


def test_charts_that_a_page_cannot_show_are_linked(results: dict[str, Any]) -> None:
    text = text_of(results, "a.png", "b.pdf")
    assert "![a.png](visuals/a.png)\n\n[b.pdf](visuals/b.pdf)" in text


def test_the_run_before_has_a_section(results: dict[str, Any]) -> None:
    assert "Previous run" not in text_of(results)
    estimate = {"mean": 0.25, "low": 0.125, "high": 0.5, "n": 28}
    results["previous"] = run_before(
        **{"name": "small | one", "created": "2026-01-01", "student": "0.5B", "epochs": 3.0, "verdict": "worse"},
        **{"heldout_loss": {"base": estimate, "best": estimate}, "preference": estimate},
        **{"dimensions": {"Old one": estimate}, "usd": 1.5, "seconds": 90.0, "judges": ["static"], "samples": 2},
    )
    told = section(text_of(results), "Previous run", 3)
    for words in (
        "| small \\| one |",
        "0.5B, 3 |",
        "| worse |",
        "25% [12%, 50%] |",
        "| Old one, distilled | — | 0.25",
        "$1.50",
    ):
        assert words in told
    assert "**Not to be compared number by number:** judges differ." in told


def test_a_self_check_is_told(results: dict[str, Any]) -> None:
    results["self_check"] = self_check(verdict="no difference shown", verdict_in_words="of 7 measures …", n=28)
    assert "no difference shown** (n = 28; of 7 measures …)" in section(text_of(results), "Self-check")


# ---------------------------------------------------------------- whatever is missing


@pytest.mark.parametrize(
    "made",
    [
        Made(prompts=1, judges=("static",)),
        Made(prompts=4),
        Made(prompts=6, missing=("training",)),
        Made(prompts=6, missing=("teacher",)),
        Made(prompts=6, missing=("comparison",)),
        Made(prompts=6, missing=("comparison", "training", "teacher")),
        Made(prompts=6, judges=("human: Ada", "static", "c", "d")),
    ],
    ids=lambda made: f"{made.prompts}{made.missing}{len(made.judges)}",
)
def test_runs_of_every_kind_are_told(made: Made, tmp_path: Path) -> None:
    text = text_of(results_of(tmp_path, made))
    assert text.startswith("# Results: made-up\n\n**")
    assert ("No verdict" in text) == ("comparison" in made.missing)
    assert not re.search(r"\bNone\b|\bnan\b|\{", text.split("## Prompt by prompt")[0].replace("None, ", ""))


def without(results: dict[str, Any], *, preferences: bool = False, scores: bool = False) -> dict[str, Any]:
    comparison = results["comparison"]
    if preferences:
        comparison.update(preferences=[], pairs_judged=0)
    if scores:
        comparison["judgments"] = 0
        for row in comparison["dimensions"]:
            row.update(dict.fromkeys((*ROLES, "difference", "p", "p_holm", "smallest", "agreement"), None))
            row.update(n=0, verdict="not scored", repeat_agreement=None, from_checks=0)
    return results


def test_what_was_not_judged_is_said_and_never_zero(results: dict[str, Any]) -> None:
    for prompt in results["comparison"]["prompts"]:
        prompt["distilled"].update(overall=None, scores=None)
    text = text_of(without(results, preferences=True, scores=True))
    assert "\n## Preference" not in text
    rows = [line for line in section(text, "Scorecard").splitlines() if "| not scored |" in line]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == [d["name"] for d in results["comparison"]["dimensions"]]
    assert all(row.count(" — ") >= 9 and "0.0" not in row for row in rows)
    assert "by judges" not in text
    assert "| distilled | unscored |" in text
    results["comparison"]["checks"]["pairs"] = None
    assert "\n## Scorecard" not in text_of(results)


# ---------------------------------------------------------------- what nobody may make it say

ATTACKS = (
    ATTACK,
    "![x](http://evil.example/a.png)",
    "[x](http://evil.example) <http://evil.example> http://evil.example www.evil.example me@evil.example",
    "```\n<script>alert(1)</script>\n# heading",
    "| a | b |\n|---|---|\n| c | d |",
    "</details></summary><img src=x onerror=y>",
    "x\n\n[0.4, 0.6]: http://evil.example\n\n# heading\n\n---",
    "&lt;b&gt; &copy; \\<img> \\\\[x](y) `` ` ``` ~~~ $x$ **b** __b__",
)


def parsed(text: str) -> list[Token]:
    """As a reader that makes links, tables and HTML of all that it can; a bare domain is none, as on GitHub."""
    reader = MarkdownIt("gfm-like", {"html": True, "linkify": True})
    assert reader.linkify is not None
    reader.linkify.set({"fuzzy_link": False, "fuzzy_email": True})
    return reader.parse(text)


def acting(tokens: list[Token]) -> list[str]:
    """What is not plain text, of which RESULTS.md itself uses no link and only two elements."""
    flat = [inner for token in tokens for inner in (token, *(token.children or []))]
    own = re.compile(r"</?details>|<details><summary>[^<>]+</summary>")
    return [
        token.content or token.type
        for token in flat
        if token.type in ("link_open", "image", "html_inline")
        or (token.type == "html_block" and not own.fullmatch(token.content.strip()))
    ]


KEPT = ("verdict", "pair", "first", "second", "better", "finish_reason", "fine_tune", "layers", "outcome")
"""Keys whose values are words of a fixed list, or looked up."""


def replaced(value: Any, word: Callable[[], str], key: str = "") -> Any:
    """Every string of a value by another, dictionaries' keys too where they are names."""
    if isinstance(value, dict):
        names = key in ("versions", "left_out", "scores", "stages", "measured")
        return {word() + str(i) if names else k: replaced(v, word, k) for i, (k, v) in enumerate(value.items())}
    if isinstance(value, list):
        return [replaced(item, word, key) for item in value]
    return word() if isinstance(value, str) and key not in KEPT else value


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_text_of_a_run_is_rendered(attack: str, tmp_path: Path) -> None:
    results = results_of(tmp_path, Made(prompts=6, samples=2, judges=("static", "b"), against_teacher=True))
    results["previous"] = None
    clean = parsed(text_of(results))
    tokens = parsed(text_of(replaced(results, lambda: attack)))
    assert acting(tokens) == []
    shape = [token.type for token in clean if "heading" in token.type or token.type[0] == "t"]
    assert [token.type for token in tokens if "heading" in token.type or token.type[0] == "t"] == shape


@given(st.text(alphabet="<>&[]()!`~*_|\\#-+=:/.@$ \n\tabhtpw1\x1b\u202e", max_size=60).filter(str.strip))
@example("1@.at")
@example("me@evil.com")
@example("mailto:me@evil")
@example("//evil.com")
@example("p < 0.001 <b>x< y")
@example("60% [45%, 75%] [1%, 2%](x) [45%, 75%]: http://x.com")
@example("<!-- x")
@example("<script ")
@example("<?x")
@example("1) x")
@example("&#60;b>")
@settings(max_examples=400, deadline=None)
def test_a_line_of_anything_is_that_line(text: str) -> None:
    tokens = parsed(f"| a |\n|---|\n| {inline(text)} |\n\n- {inline(text)}\n\nsaid {inline(text)}")
    assert acting(tokens) == []
    assert sum(token.type == "td_open" for token in tokens) == 1
    seen = [token for token in tokens if token.type == "inline"][1:]
    expected = " ".join(text.split()).replace("\x1b", "\ufffd").replace("\u202e", "\ufffd")
    for token, before in zip(seen, ("", "", "said "), strict=True):
        assert {child.type for child in token.children or []} <= {"text"}
        shown = "".join(child.content for child in token.children or []).replace("\u200b", "")
        assert shown == f"{before}{expected}".strip()


@pytest.mark.parametrize("attack", [*ATTACKS, "`````", "~~~\n~~~"])
def test_what_a_model_wrote_stays_in_its_fence(attack: str) -> None:
    tokens = MarkdownIt().parse(fence(attack))
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content == attack + "\n"


def test_the_diagram_has_the_run_s_numbers_and_no_words_of_others(results: dict[str, Any]) -> None:
    text = pipeline_diagram(typed(results))
    for words in ("36 completions", "104 examples", "40 steps", "28 test prompts"):
        assert words in text
    results["comparison"]["verdict"] = 'x"]\n```\n<img>'
    assert len(pipeline_diagram(typed(results)).splitlines()) == len(text.splitlines())
    assert "<" not in pipeline_diagram(typed(results)).replace("-->", "")
