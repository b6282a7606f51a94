"""One run in a few values, and all runs of a folder.

In: results.json files, of any version and in any state. Out: summaries whose values are of the promised kind, or
the reason why there is none.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlx_distill.run.errors import DataError

MARKERS = ("results.json", "config.toml", "stages.json", "environment.json")
"""A folder that holds one of these is a run."""

BROKEN = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)
"""What reading the values of a foreign file can raise."""


@dataclass(frozen=True)
class Entry:
    """A line of `mlx-distill runs`. `run` is None where `state` is not "finished"."""

    name: str
    path: str
    state: str
    run: dict[str, Any] | None = None


def results_of(path: Path) -> dict[str, Any]:
    """A run's results.json. Raises DataError where there is none, or none that can be read."""
    file = path / "results.json"
    if not path.is_dir():
        raise DataError(f"{path} is not a run: give a run's folder (`mlx-distill runs` lists them).")
    if not file.is_file():
        raise DataError(f"{path} has no results.json: finish it with `mlx-distill run --run {path}`.")
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{file} cannot be read ({type(error).__name__}): `mlx-distill report` writes it anew."
        ) from error
    if not isinstance(found, dict):
        raise DataError(f"{file} is not a JSON object: `mlx-distill report` writes it anew.")
    return found


def listed(folder: Path) -> list[Entry]:
    """The runs of a folder, the latest first; those without a date at the end, by name."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder of runs: give the one that holds them.")
    entries = [_entry(path) for path in sorted(folder.iterdir()) if _is_run(path)]
    return sorted(entries, key=lambda entry: _when(entry.run["created"]) if entry.run else -math.inf, reverse=True)


def _is_run(path: Path) -> bool:
    try:
        return any((path / name).is_file() for name in MARKERS)
    except OSError:
        return False


def _entry(path: Path) -> Entry:
    if not (path / "results.json").is_file():
        return Entry(path.name, str(path), "not finished")
    try:
        return Entry(path.name, str(path), "finished", summary(results_of(path)))
    except (DataError, *BROKEN):
        return Entry(path.name, str(path), "not readable")


def previous(run: Path, created: str) -> dict[str, Any] | None:
    """The summary of the latest finished run beside this one that was made before it; None where there is none."""
    here = run.resolve()
    entries = _beside(here) if here.parent.is_dir() else []
    earlier = [(when, found["name"], found) for found in entries if (when := _when(found["created"])) < _when(created)]
    return max(earlier, key=lambda row: row[:2])[2] if earlier else None


def _beside(here: Path) -> Iterable[dict[str, Any]]:
    try:
        neighbours = [path for path in sorted(here.parent.iterdir()) if _is_run(path) and path.resolve() != here]
    except OSError:
        return []
    return [entry.run for path in neighbours if (entry := _entry(path)).run is not None and entry.run["verdict"]]


def _when(created: str) -> float:
    """Unix seconds of an ISO date. Raises ValueError for anything else."""
    moment = datetime.datetime.fromisoformat(created)
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


# ---------------------------------------------------------------- one run


def summary(results: Mapping[str, Any]) -> dict[str, Any]:
    """A run in a few values. Raises one of BROKEN for what is no results.json of this version."""
    run, teacher = results["run"], results["teacher"]
    comparison, training = results["comparison"] or {}, results["training"] or {}
    loss = training["heldout_loss"] if training else {"base": None, "best": None}
    _when(run["created"])
    return {
        "name": str(run["name"]),
        "created": str(run["created"]),
        "preset": str(run["preset"]),
        "student": str(training["student"]) if training else None,
        "epochs": float(training["epochs"]) if training else None,
        "heldout_loss": {name: as_estimate(loss[name]) for name in ("base", "best")},
        "seconds": sum(float(seconds) for seconds in run["stages"].values()),
        "usd": _sum([teacher["usd"] if teacher else None, comparison.get("judge_usd")]),
    } | _compared(comparison)


def _compared(comparison: Mapping[str, Any]) -> dict[str, Any]:
    known = bool(comparison)
    preferences, dimensions = (comparison[name] if known else [] for name in ("preferences", "dimensions"))
    return {
        "verdict": str(comparison["verdict"]) if known else None,
        "verdict_in_words": str(comparison["verdict_in_words"]) if known else None,
        "n": int(comparison["n"]) if known else 0,
        "worse": sum(row.get("verdict") == "worse" for row in measures(comparison)) if known else None,
        "judges": [str(judge) for judge in comparison["judges"]] if known else [],
        "samples": comparison["samples"] if known else None,
        "preference": as_estimate(preferences[0]["share"]) if preferences else None,
        "dimensions": {str(row["name"]): as_estimate(row["distilled"]) for row in dimensions},
    }


def measures(comparison: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Everything that was tested together, the preference first; nothing where there was no comparison."""
    if not comparison:
        return []
    pairs = comparison["checks"]["pairs"]
    return [*comparison["preferences"][:1], *comparison["dimensions"], *([pairs] if pairs else [])]


def as_estimate(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """With numbers for certain."""
    if found is None:
        return None
    ends = {name: None if found[name] is None else float(found[name]) for name in ("low", "high")}
    return {"mean": float(found["mean"]), "n": int(found["n"])} | ends


def _sum(costs: Iterable[Any]) -> float | None:
    known = [float(cost) for cost in costs if cost is not None]
    return sum(known) if known else None
