"""sweep.json: what the runs of a sweep found, side by side, and which of their results are significant among all.

In: how each run stands, and its results.json. Out: one JSON value, from which sweep.md, sweep.html and the chart are
drawn. All benchmark results of all runs are one family: who looks at forty cells sees two below 0.05 by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlx_distill.run.config import Config
from mlx_distill.run.errors import DataError
from mlx_distill.run.folder import RunDir
from mlx_distill.run.paths import shown
from mlx_distill.run.records import Standing
from mlx_distill.run.wording import points, tested
from mlx_distill.stats import inference as stats
from mlx_distill.summarise import history

SCHEMA = 1

Row = dict[str, Any]

CELL = ("name", "title", "domain", "n", "base", "distilled", "difference", "gained", "lost", "p", "degraded")
BASELINE = ("name", "title", "n", "base", "degraded")
DOMAIN = ("domain", "benchmarks", "base", "distilled", "difference", "n", "verdict", "p_holm")


@dataclass(frozen=True)
class Made:
    """One run: its values by axis, how it stands, and where its files are."""

    values: Mapping[str, str]
    standing: Standing
    config: Config
    run: RunDir


def sweep_part(
    name: str, file: str, axes: Mapping[str, Sequence[str]], made: Sequence[Made], created: str, usd: float | None
) -> Row:
    """`usd`: what all runs together have been charged, None where nobody is paid."""
    found = [_results(one) for one in made]
    runs = [_run(one, results) for one, results in zip(made, found, strict=True)]
    cells = [(run, cell) for run in runs for cell in run["benchmarks"]]
    _test(cells)
    known = [results for results in found if results]
    latest = known[-1]["run"] if known else {"hardware": None, "versions": None, "seed": None}
    return {
        "schema": SCHEMA,
        "sweep": {
            "name": name,
            "created": created,
            "file": file,
            "axes": [{"name": axis, "values": list(values)} for axis, values in axes.items()],
            "usd": usd,
            "seconds": sum(one.standing.seconds for one in made),
            **{key: latest[key] for key in ("hardware", "versions", "seed")},
        },
        "runs": runs,
        "baselines": _baselines(runs, found),
        "findings": _findings(cells),
        "cells": sum(cell["p"] is not None for _, cell in cells),
        "caveats": _caveats(runs),
    }


def _results(one: Made) -> Row | None:
    """Of a run that has come to its end with this configuration."""
    if one.standing.state != "done":
        return None
    try:
        return history.results_of(one.run.path)
    except DataError:
        return None


def _run(one: Made, results: Row | None) -> Row:
    found: Row = results or {}
    training, gate = found.get("training"), found.get("gate")
    loss = (training or {}).get("heldout_loss")
    return {
        "name": one.standing.name,
        "values": dict(one.values),
        "state": one.standing.state,
        "why": one.standing.words if one.standing.state == "failed" else "",
        "student": shown(one.config.training.student),
        "seconds": one.standing.seconds or None,
        "usd": (found.get("teacher") or {}).get("usd"),
        "steps": training and training["steps"],
        "heldout_loss": loss and {name: loss[name] for name in ("base", "best")},
        "selection": found.get("selection"),
        "gate": gate and {name: gate[name] for name in ("verdict", "because")},
        "benchmarks": [{name: row[name] for name in CELL} for row in found.get("benchmarks") or []],
        "forgetting": [{name: row[name] for name in DOMAIN} for row in (gate or {}).get("forgetting", [])],
    }


def _test(cells: Sequence[tuple[Row, Row]]) -> None:
    """Adjusted p-values and verdicts over all of them."""
    adjusted = stats.holm([cell["p"] for _, cell in cells])
    tests = sum(p is not None for p in adjusted)
    for (_, cell), p in zip(cells, adjusted, strict=True):
        difference = cell["difference"]
        word = stats.verdict(difference["mean"], cell["n"], p, tests) if difference else "not scored"
        cell.update(p_holm=p, verdict=word)


def _baselines(runs: Sequence[Row], found: Sequence[Row | None]) -> list[Row]:
    """Of each student, every benchmark once: the runs share what it answered."""
    students: dict[str, dict[str, Row]] = {}
    for run, results in zip(runs, found, strict=True):
        for row in (results or {}).get("benchmarks") or []:
            if row["base"] is not None:
                cell = {name: row[name] for name in BASELINE} | {"degraded": _of_base(row)}
                students.setdefault(run["student"], {}).setdefault(row["name"], cell)
    return [{"student": student, "benchmarks": list(rows.values())} for student, rows in students.items()]


def _of_base(row: Row) -> list[str]:
    """The sentences begin with the role."""
    return [sentence for sentence in row["degraded"] if sentence.startswith("base:")]


def _findings(cells: Sequence[tuple[Row, Row]]) -> list[Row]:
    """Losses first, then by how much."""
    shown = [(run, cell) for run, cell in cells if cell["verdict"] in ("better", "worse")]
    shown.sort(key=lambda pair: (pair[1]["verdict"] == "better", -abs(pair[1]["difference"]["mean"])))
    return [
        {"run": run["name"], "title": cell["title"], "verdict": cell["verdict"], "words": _words(run, cell)}
        for run, cell in shown
    ]


def _words(run: Row, cell: Row) -> str:
    before, after = (f"{100 * cell[role]['mean']:.1f}" for role in ("base", "distilled"))
    change = points(cell["difference"], sign="+")
    return (
        f"{run['name']} is {cell['verdict']} on {cell['title']}: {before} → {after} % "
        f"({change} points, n = {cell['n']}, {tested(cell['p_holm'])})"
    )


def _caveats(runs: Sequence[Row]) -> list[str]:
    failed = [run["name"] for run in runs if run["state"] == "failed"]
    said = [f"{name} has failed and is missing from what is compared." for name in failed]
    if waiting := sum(run["state"] not in ("done", "failed") for run in runs):
        said.append(f"{waiting} of {len(runs)} runs are not done: what is compared will change.")
    said += [
        f"{run['name']}, {cell['title']}: {sentence}."
        for run in runs
        for cell in run["benchmarks"]
        for sentence in cell["degraded"]
    ]
    if any(run["selection"] for run in runs):
        said.append("Scores by checkpoint are of the items that chose; what is reported was not chosen on.")
    return said
