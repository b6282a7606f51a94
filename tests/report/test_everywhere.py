"""What one report says, all say: every warning and every verdict is in RESULTS.md, page, terminal and model card."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path

import pytest
from benchmarked import BENCHMARKS, benchmarked
from msgspec.structs import replace
from rich.console import Console
from runs import Made, results_of
from selected import SELECTIONS, selected
from tables import every
from typed import as_dict, typed

from mlx_distill.report.card import model_card
from mlx_distill.report.markdown import results_markdown
from mlx_distill.report.page import page
from mlx_distill.report.sections import findings
from mlx_distill.report.sections.measures import benchmark_measures, comparison_measures, domain_measures
from mlx_distill.report.terminal import summary
from mlx_distill.run.records import Estimate
from mlx_distill.run.results import Results
from mlx_distill.run.results.comparison import PromptedBase, PromptedScore
from mlx_distill.run.wording import drift_in_words
from mlx_distill.summarise import history
from mlx_distill.train.choice.lengths import long_answers


def in_a_terminal(results: Results) -> str:
    console = Console(file=io.StringIO(), width=400, color_system=None)
    for part in summary(results, "runs/x", 400):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def reports(results: Results) -> dict[str, str]:
    """What a reader sees of each, in one line."""
    written = {
        "RESULTS.md": unescaped(results_markdown(results, [], Path("visuals"))),
        "report.html": html.unescape(re.sub(r"<[^>]+>", " ", page(results))),
        "terminal": in_a_terminal(results),
        "card": unescaped(model_card(results)),
    }
    return {name: plain(text) for name, text in written.items()}


def unescaped(markdown: str) -> str:
    return html.unescape(re.sub(r"\\(?=[^\w\s])", "", markdown)).replace("\u200b", "")


def plain(text: str) -> str:
    return " ".join(re.sub(r"[*`]", "", text).split())


def found_in(results: Results, sentences: list[str]) -> dict[str, list[str]]:
    """Report → the sentences that it lacks."""
    return {
        name: missing
        for name, text in reports(results).items()
        if (missing := [sentence for sentence in sentences if plain(sentence) not in text])
    }


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Two judges, two samples, and an earlier run with others beside it."""
    folder = tmp_path_factory.mktemp("runs")
    before = history.summary(typed(results_of(folder, Made(name="earlier", judges=("static",)))))
    return replace(typed(results_of(folder, Made(name="later", samples=2, repeats=2))), previous=before)


def every_kind(compared: Results, folder: Path) -> dict[str, Results]:
    plain_results = as_dict(compared)
    kinds = {"compared": compared}
    kinds |= {name: typed(benchmarked(plain_results, folder, name)) for name in BENCHMARKS}
    study = as_dict(kinds["study"])
    kinds |= {f"selected, {name}": typed(selected(study, name)) for name in SELECTIONS}
    kinds["unfinished"] = typed(study | {"unfinished": ["The training is not finished: 3 of 9 steps are done."]})
    assert compared.training
    words = tuple(long_answers(10**9, [2000], own_data=False))
    kinds["long answers"] = replace(compared, training=replace(compared.training, warnings=words))
    return kinds


def test_every_warning_is_in_all_reports(compared: Results, tmp_path: Path) -> None:
    lacking = {}
    for name, results in every_kind(compared, tmp_path).items():
        warnings = [*findings.warnings(results), *results.unfinished]
        assert warnings, name
        if missing := found_in(results, warnings):
            lacking[name] = missing
    assert lacking == {}


def test_every_verdict_is_in_all_reports(compared: Results, tmp_path: Path) -> None:
    """The one of the run, and of each measure that differs: what got better or worse is named with its numbers, what
    shows no difference with what it would take, and what a teacher is ahead of with the share closed."""
    lacking = {}
    for name, results in every_kind(compared, tmp_path).items():
        verdicts = [each.word for each in [findings.headline(results)]]
        verdicts += [results.gate.because] if results.gate else []
        verdicts += [results.comparison.verdict_in_words] if results.comparison else []
        verdicts += [f"{rule.rule} ({'holds' if rule.holds else 'does not hold'})" for rule in rules_of(results)]
        verdicts += [f"Kept: {'' if results.selection.chosen else 'the base'}"] if results.selection else []
        verdicts += [drift_in_words(results.training)] if results.training else []
        measures = benchmark_measures(results.benchmarks)
        measures += comparison_measures(results.comparison) if results.comparison else []
        verdicts += [text for row in measures if row.difference for text in (row.name, row.difference_text)]
        verdicts += [text for row in measures for text in (row.needed if row.to_tell else "", row.closed) if text]
        if missing := found_in(results, [verdict[:1].lower() + verdict[1:] for verdict in verdicts[:1]] + verdicts[1:]):
            lacking[name] = missing
    assert lacking == {}


@every("base, word", [(0, "on the floor"), (28, "at the ceiling")])
def test_a_test_that_can_show_nothing_is_said_first_and_everywhere(
    base: int, word: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = as_dict(typed(results_of(tmp_path_factory.mktemp("bound"), Made(name=word))))
    made["comparison"]["checks"]["pairs"] |= {"n": 28, "both": base, "lost": 0, "bound": word.split()[-1]}
    results = typed(made)
    for name, text in reports(results).items():
        assert f"Executed checks {word}" in text, name
        assert text.index(f"Executed checks {word}") < text.index(
            "Verdict" if name != "report.html" else "Read with"
        ), name


def test_what_a_prompt_buys_without_training_is_in_all_reports(compared: Results) -> None:
    assert compared.comparison
    score = PromptedScore(name="Form", prompted=Estimate(6.0, 28), gain=Estimate(1.25, 28), ahead=Estimate(-0.75, 28))
    base = PromptedBase(examples=3, answers=compared.comparison.answers["base"], scores=(score,))
    results = replace(compared, comparison=replace(compared.comparison, prompted=base))
    assert set(found_in(results, ["Form", "-0.75"])) == set()
    assert set(found_in(results, ["3 training examples", "+1.25"])) == {"terminal"}


def test_a_teacher_that_answered_no_test_prompt_is_in_no_column(tmp_path: Path) -> None:
    results = typed(results_of(tmp_path, Made(prompts=8, missing=("teacher",))))
    assert results.comparison
    assert results.comparison.roles == ("base", "distilled")
    assert any("compared alone" in warning for warning in findings.warnings(results))
    written, drawn = results_markdown(results, [], Path("visuals")), page(results)
    assert "teacher" not in " ".join(line for line in written.splitlines() if line.startswith("|")).lower()
    assert 'aria-label="teacher"' not in drawn


def rules_of(results: Results) -> list:  # type: ignore[type-arg]
    return list(results.gate.rules) if results.gate else []


def test_domains_stand_in_the_reports_that_have_room(compared: Results, tmp_path: Path) -> None:
    results = every_kind(compared, tmp_path)["study"]
    assert results.gate
    told = [text for row in domain_measures(results.gate.forgetting) for text in (row.name, row.difference_text)]
    assert set(found_in(results, told)) <= {"card"}


@pytest.mark.parametrize(
    "words",
    [
        "Not to be compared",
        "alpha between judges",
        "On scores of single answers",
        "Token accuracy",
        "Length, first over second",
    ],
)
def test_page_and_markdown_have_the_same_details(compared: Results, words: str) -> None:
    written = reports(compared)
    assert words in written["RESULTS.md"]
    assert words in written["report.html"]
