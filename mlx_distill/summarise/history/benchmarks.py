"""Two runs' distilled models on the benchmarks that both were put to.

In: two results.json. Out: what each reached, and B's model against A's item by item; or the reason why two scores are
two numbers on different scales.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlx_distill.run import wording
from mlx_distill.stats import inference as stats
from mlx_distill.summarise.history.runs import as_estimate

Results = Mapping[str, Any]

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
    gate = results.get("gate")
    found = {"verdict": str(gate["verdict"])} if gate else {}
    for row in results["benchmarks"]:
        for role in ("base", "distilled"):
            if row[role]:
                found[f"{row['title']}, {role}"] = wording.percent(as_estimate(row[role]))
    return found


def paired(a: Results, b: Results, notes: list[str]) -> list[tuple[str, stats.Tested]]:
    """A measure for each benchmark that can be compared; `notes` gets the reasons for the others."""
    first, second = ({row["name"]: row for row in results["benchmarks"]} for results in (a, b))
    found = []
    for name in first:
        if name not in second:
            continue
        if reason := _refusal(first[name], second[name]):
            notes.append(f"{first[name]['title']}: not compared, for {reason}.")
            continue
        marks = zip(first[name]["passed"]["distilled"], second[name]["passed"]["distilled"], strict=True)
        pairs = [(x == "1", y == "1") for x, y in marks if {x, y} <= {"0", "1"}]
        if pairs:
            found.append((str(first[name]["title"]), stats.pass_fail(pairs)[1]))
    return found


def _refusal(first: Results, second: Results) -> str:
    differing = [words for name, words in SAME.items() if first[name] != second[name]]
    if differing:
        return f"{' and '.join(differing)} {'is' if len(differing) == 1 else 'are'} not the same in both"
    return "there are several samples of each item" if first["samples"] else ""
