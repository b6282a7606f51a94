"""The benchmarks in RESULTS.md, the charts' numbers and the model card: losses, doubts, and nobody else's markup."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from benchmarked import BENCHMARKS, benchmarked
from markdown_it import MarkdownIt
from msgspec.structs import replace
from runs import ATTACK, Made, results_of
from typed import typed

from mlx_distill.report import draw
from mlx_distill.report.card import model_card
from mlx_distill.report.look import Look
from mlx_distill.report.markdown import results_markdown
from mlx_distill.report.sections.measures import worth
from mlx_distill.report.sections.numbers import numbers_of
from mlx_distill.run.records import MODELS
from mlx_distill.run.results.benchmarks import Overlap
from mlx_distill.run.wording import equivalence, overlapping, points, published

Results = dict[str, Any]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return results_of(tmp_path_factory.mktemp("made"), Made(prompts=6))


@pytest.fixture(scope="module")
def made(bare: Results, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Results]:
    folder = tmp_path_factory.mktemp("benchmarked")
    return {name: benchmarked(bare, folder / name, name) for name in BENCHMARKS}


@pytest.fixture
def results(made: dict[str, Results]) -> Results:
    study = copy.deepcopy(made["study"])
    study["comparison"]["checks"]["pairs"]["bound"] = ""  # what is said of it stands above everything
    return study


def text_of(results: Results) -> str:
    return results_markdown(typed(results), [], Path("visuals"))


def section(text: str, title: str, level: int = 2) -> str:
    marks = "#" * level
    return re.split(rf"\n#{{2,{level}}} ", text.split(f"\n{marks} {title}\n")[1])[0]


def folded(text: str, title: str) -> str:
    """What a reader opens."""
    return text.split(f"<summary>{title}</summary>\n")[1].split("\n</details>")[0]


def row_of(text: str, title: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {title} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


# ---------------------------------------------------------------- RESULTS.md


def test_the_gate_is_the_first_line_and_the_comparison_follows(results: Results) -> None:
    lines = text_of(results).splitlines()
    assert lines[2].startswith("**◆ Gate: mixed.** MBPP+ is worse: 75.7 → 57.1 %; HumanEval+ is better")
    assert lines[4] == "- **✗ no benchmark worse** (does not hold): MBPP+ is worse: 75.7 → 57.1 %."
    verdict = typed(results).comparison.verdict  # type: ignore[union-attr]
    assert next(line for line in lines[5:] if line.startswith("**")).startswith(f"**Verdict: {verdict}** (n = 6; ")


def test_without_a_comparison_nothing_says_that_nothing_was_compared(results: Results) -> None:
    results["comparison"] = None
    text = text_of(results)
    assert "nothing has been compared" not in text
    assert "- **MBPP+:** -18.5" in section(text, "What got worse", 3)


def test_every_score_is_in_the_table(results: Results) -> None:
    table = section(text_of(results), "Benchmarks")
    for row in typed(results).benchmarks:
        cells = dict(zip(row_of(table, "Benchmark"), row_of(table, row.title), strict=True))
        assert cells["n"] == (str(row.n) if row.n == row.items else f"{row.n} of {row.items}")
        assert [cells[name] for name in MODELS] == [points(row.base), points(row.distilled)]
        assert cells["distilled − base"] == f"{points(row.difference, sign='+')} points"
        counts = ("gained", "lost", "both pass", "neither passes")
        assert [cells[name] for name in counts] == [str(n) for n in (row.gained, row.lost, row.both, row.neither)]
        assert cells["unchanged"] == str(row.both + row.neither)  # type: ignore[operator]
        assert cells["verdict"].strip("*▲▼ ") == row.verdict
        assert row.domain in cells["about"]
    cells = dict(zip(row_of(table, "Benchmark"), row_of(table, "MBPP+"), strict=True))
    names = ("p", "p (Holm)", "verdict", "equivalent", "detectable")
    assert [cells[name] for name in names] == ["< 0.001", "< 0.001", "**▼ worse**", "not shown (p = 1.000)", "—"]


def test_some_of_the_items_are_so_many_of_all(results: Results) -> None:
    results["benchmarks"][0].update(n=100)
    assert row_of(section(text_of(results), "Benchmarks"), "HumanEval+")[1] == "100 of 164"


def test_a_loss_stands_where_a_gain_does(results: Results) -> None:
    text = text_of(results)
    assert "- **HumanEval+:** +28.0 [" in section(text, "What got better", 3)
    assert "; 49 gained, 3 lost" in section(text, "What got better", 3)
    assert "- **MBPP+:** -18.5 [" in section(text, "What got worse", 3)
    assert "- **AIME 2024:** -13.3 [" in section(text, "No difference shown", 3)
    changed = folded(section(text, "Items that changed"), "MBPP+: 90 lost, 20 gained")
    assert re.findall("^###+ .*", changed, re.MULTILINE) == ["### Lost", "### Gained"]
    row = typed(results).benchmarks[2]
    for title, items in (("Lost", row.changes.lost), ("Gained", row.changes.gained)):
        told = re.findall(r"^- \*\*(\S+)\*\* ", section(changed + "\n", title, 3), re.MULTILINE)
        assert told == [item.id for item in items]
    assert "The first 50 of 90." in section(changed, "Lost", 3)


def test_no_difference_shown_is_never_called_none(made: dict[str, Results]) -> None:
    rows = {row.title: row for row in typed(made["nine"]).benchmarks}
    assert worth(rows["GSM8K"]) == "equivalent within ±3 points"
    assert equivalence(rows["GSM8K"]).startswith("yes (p < ")
    assert worth(rows["AIME 2024"]).startswith("detectable: ")
    assert equivalence(rows["AIME 2024"]).startswith("not shown (p = ")
    assert worth(rows["MBPP+"]) == ""
    assert "no loss" not in text_of(made["nine"]).casefold()


def test_what_makes_a_score_doubtful_is_said(results: Results) -> None:
    text = text_of(results)
    said = "IFEval, distilled: 14 of 541 answers cut off at 1,024 tokens (2.6 %)."
    assert f"- {said}" in section(text, "Read with care")
    assert f"- {said}" in section(text, "Benchmarks")
    answers = section(folded(text, "IFEval"), "Answers", 3)
    assert "| distilled | 541 | 14 | 0 | 0 | 0 | 0 |" in answers
    assert "| base | 541 | 0 | 0 | 1 | 0 | 0 |" in answers


def test_overlap_deviations_and_the_protocol_are_told(results: Results) -> None:
    results["benchmarks"][1].update(subset="60 of 541 items, seed 0", overlap={"checked": None, "items": []})
    text = section(text_of(results), "What each score is made of, and how it was asked")
    code, following = (section(folded(text, name) + "\n", "How it was asked", 3) for name in ("HumanEval+", "IFEval"))
    assert "| Overlap | 2 of 164 items share 13 words in a row with a training prompt |" in code
    assert "| Overlapping items | HumanEval+/3, HumanEval+/9 |" in code
    assert "| Overlap | not checked for items among the training prompts |" in following
    assert "| Items | 60 of 541 items, seed 0 |" in following
    assert text.count("Asked as a chat, where") == len(results["benchmarks"])
    assert text.count("### Deviations from the published protocol") == len(results["benchmarks"])
    for row in ("| Cap | 1,024 tokens |", "| Answers an item | one, greedy |", "| Answers | made here |"):
        assert row in following
    row = replace(typed(results).benchmarks[0], overlap=Overlap(checked=9, items=("a",)), items=5)
    assert overlapping(row).startswith("1 of 5 items shares 13")


def test_parts_groups_and_samples_have_tables(made: dict[str, Results]) -> None:
    text = section(text_of(made["nine"]), "What each score is made of, and how it was asked")
    assert "| base tests |" in section(folded(text, "HumanEval+"), "Parts of the score", 3)
    assert "| Algebra | 167 |" in section(folded(text, "MATH-500"), "By category", 3)
    assert "of twenty, one looks real by chance" in section(folded(text, "MATH-500"), "By category", 3)
    assert "| pass@4 |" in section(folded(text, "MBPP sampled"), "Several answers an item", 3)
    asked = {name: section(folded(text, name), "How it was asked", 3) for name in ("MBPP sampled", "MATH-500")}
    assert "4 at temperature 0.7" in asked["MBPP sampled"]
    assert "| Length | distilled answers are 1.9" in asked["MATH-500"]


def test_forgetting_and_coverage(results: Results) -> None:
    category = {"name": "a|b", "share": 0.25, "difference": -0.125, "n": 8}
    results["gate"]["coverage"] = {"rho": None, "p": 0.4, "categories": [category], "words": "no evidence that it did"}
    text = section(text_of(results), "What was forgotten")
    assert row_of(text, "mathematics")[1] == "530"
    assert row_of(text, "mathematics")[-1] == "MATH-500, AIME 2024"
    assert "no evidence that it did." in text
    assert "| a\\|b | 25.0% | 8 | -12.5 |" in text


def test_what_others_published_is_marked_and_found_by_either_name(results: Results) -> None:
    text = section(text_of(results), "What others published")
    assert "As they gave them: nobody asked these models here, and nothing was tested." in text
    assert "| teacher | HumanEval+ | 100.0 | teacher's model card |" in text
    row, entry = typed(results).benchmarks[0], results["published"][0]
    for name in ("humaneval+", "HUMANEVAL+", row.name):
        assert published(row, typed(results | {"published": [entry | {"benchmark": name}]}))
    assert published(row, typed(results | {"published": []})) == []


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmarks_of_every_kind_make_a_report(made: dict[str, Results], name: str) -> None:
    for text in (text_of(made[name]), model_card(typed(made[name]))):
        assert not re.search(r"\bNone\b(?! of)", text)
        assert "nan" not in text
        assert len(re.findall(r"^\*\*(. )?Gate: ", text, re.MULTILINE)) == 1
    for chart in ("benchmark_comparison", "gained_lost", "forgetting", "reasoning_length"):
        _, table = numbers_of(chart, typed(made[name]))
        if table:
            assert {len(row) for row in table.rows} == {len(table.header)}


def test_older_results_are_still_told(results: Results) -> None:
    for key in ("benchmarks", "gate", "published"):
        del results[key]
    assert "Gate" not in text_of(results)
    assert "**Not benchmarked:**" in model_card(typed(results))


# ---------------------------------------------------------------- model card


def test_a_card_begins_with_the_gate(results: Results) -> None:
    front, rest = model_card(typed(results)).split("---\n\n", 1)
    assert front.splitlines()[1:6] == [
        'base_model: "Qwen/Qwen2.5-0.5B-Instruct"',
        "base_model_relation: adapter",
        "library_name: mlx",
        "pipeline_tag: text-generation",
        "license: other",
    ]
    assert rest.splitlines()[2].startswith("**◆ Gate: mixed.** MBPP+ is worse")
    assert "--model Qwen/Qwen2.5-0.5B-Instruct --adapter-path ." in rest
    for words in ("**Examples:** 104 train, 8 valid", "**Teacher:** claude-sonnet-4-6", "Anthropic's terms restrict"):
        assert words in rest


def test_losses_are_as_loud_as_gains_in_a_card(results: Results) -> None:
    text = model_card(typed(results))
    better, worse = (section(text, f"What got {word}", 3) for word in ("better", "worse"))
    assert "- **HumanEval+:** +28.0" in better
    assert "- **MBPP+:** -18.5" in worse
    table = section(text, "Benchmarks")
    place = row_of(table, "Benchmark").index("verdict")
    assert [row_of(table, name)[place] for name in ("HumanEval+", "MBPP+")] == ["**▲ better**", "**▼ worse**"]


def test_a_base_that_is_no_repository_is_not_named_as_one(results: Results) -> None:
    for student in ("/home/me/model", "model.gguf", 'a/b"\nlicense: mit', "a/b/c", "me/model.gguf"):
        results["training"]["student"] = student
        text = model_card(typed(results))
        assert "base_model" not in text.split("\n---\n")[0]
        assert "--model BASE " in text
        assert text.count("\nlicense:") == 1


def test_terms_are_those_of_the_teacher(results: Results) -> None:
    results["teacher"].update(spec="mlx:Qwen", models=["Qwen"])
    assert "Anthropic" not in section(model_card(typed(results)) + "\n## Terms\n", "Terms")
    results["teacher"] = None
    assert "**Teacher:** not known" in model_card(typed(results))


@pytest.mark.real
def test_a_card_is_written_only_where_there_is_an_adapter(results: Results, tmp_path: Path) -> None:
    results["cost_scaling"] = []
    small = Look(size=(320, 320))
    assert "README.md" not in {path.name for path in draw(typed(results), tmp_path, tmp_path / "visuals", small)}
    (tmp_path / "distilled-student").mkdir()
    written = draw(typed(results), tmp_path, tmp_path / "visuals", small)
    assert written[-1] == tmp_path / "distilled-student" / "README.md"
    results["training"] = None
    assert "README.md" not in {path.name for path in draw(typed(results), tmp_path, tmp_path / "visuals", small)}


# ---------------------------------------------------------------- what others wrote


def attacked(value: Any, evil: str, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: attacked(inner, evil, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [attacked(inner, evil, key) for inner in value]
    return f"{value} {evil}" if isinstance(value, str) and key != "verdict" else value


EVILS = (ATTACK, "| cell | \n# heading", "[a](https://example.org) ![b](x.png)", "`code` **bold** <!-- ", "\x1b[2J")


@pytest.mark.parametrize("evil", EVILS)
def test_names_titles_and_sentences_make_no_markup(results: Results, evil: str) -> None:
    results["comparison"] = None
    known = [structure(text) for text in texts(results)]
    for key in ("benchmarks", "gate", "published"):
        results[key] = attacked(results[key], evil)
    assert [structure(text) for text in texts(results)] == known
    assert not any("\x1b" in text for text in texts(results))


def texts(results: Results) -> list[str]:
    return [text_of(results), model_card(typed(results)).split("---\n\n", 1)[1]]


def structure(text: str) -> list[str]:
    """What a reader makes of it, but for the words."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    found = [[token.type, *(child.type for child in token.children or [] if child.type != "text")] for token in tokens]
    return [kind for kinds in found for kind in kinds]
