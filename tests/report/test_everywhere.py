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
from typed import as_dict, typed

from mlx_distill.report.card import model_card
from mlx_distill.report.markdown import results_markdown
from mlx_distill.report.page import page
from mlx_distill.report.sections import findings
from mlx_distill.report.sections.measures import benchmark_measures, comparison_measures, domain_measures
from mlx_distill.report.terminal import summary
from mlx_distill.run.results import Results
from mlx_distill.run.wording import drift_in_words
from mlx_distill.summarise import history


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
    """The one of the run, and of each measure that differs: what got better or worse is named with its numbers."""
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
        if missing := found_in(results, [verdict[:1].lower() + verdict[1:] for verdict in verdicts[:1]] + verdicts[1:]):
            lacking[name] = missing
    assert lacking == {}


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
