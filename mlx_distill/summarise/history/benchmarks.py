"""Two runs' distilled models on the benchmarks that both were put to.

In: two results.json. Out: what each reached, and B's model against A's item by item; or the reason why two scores are
two numbers on different scales.
"""

from __future__ import annotations

from mlx_distill.run import wording
from mlx_distill.run.records import MODELS
from mlx_distill.run.results import Results
from mlx_distill.run.results.benchmarks import Benchmark
from mlx_distill.stats import inference as stats

SAME = {
    "items_digest": "the items",
    "scorer": "the scorer",
    "max_tokens": "the token cap",
    "template": "the chat template",
    "system": "the system prompt",
    "samples": "the number of samples",
}
"""What has to be equal, by its name in words."""


def scores(results: Results) -> dict[str, str]:
    """What each model passed."""
    figures = {"verdict": results.gate.verdict} if results.gate else {}
    for row in results.benchmarks:
        for role in MODELS:
            if share := row.of(role):
                figures[f"{row.title}, {role}"] = wording.percent(share)
    return figures


def paired(a: Results, b: Results, notes: list[str]) -> list[tuple[str, stats.Measure]]:
    """A measure for each benchmark that can be compared; `notes` gets the reasons for the others."""
    first, second = ({row.name: row for row in results.benchmarks} for results in (a, b))
    rows = []
    for name in first:
        if name not in second:
            continue
        if reason := _refusal(first[name], second[name]):
            notes.append(f"{first[name].title}: not compared, for {reason}.")
            continue
        marks = zip(first[name].passed["distilled"], second[name].passed["distilled"], strict=True)
        pairs = [(x == "1", y == "1") for x, y in marks if {x, y} <= {"0", "1"}]
        if pairs:
            rows.append((first[name].title, stats.pass_fail(pairs)[1]))
    return rows


def _refusal(first: Benchmark, second: Benchmark) -> str:
    differing = [words for name, words in SAME.items() if getattr(first, name) != getattr(second, name)]
    if differing:
        return f"{' and '.join(differing)} {'is' if len(differing) == 1 else 'are'} not the same in both"
    return "there are several samples of each item" if first.samples else ""
