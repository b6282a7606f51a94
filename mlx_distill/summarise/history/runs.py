"""One run in a few values, and all runs of a folder.

In: results.json files, of any version and in any state. Out: summaries whose values are of the promised kind, or
the reason why there is none.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mlx_distill.run.decode import read_results
from mlx_distill.run.errors import DataError
from mlx_distill.run.folder import CONFIG, ENVIRONMENT, RESULTS, STAGE_STATES
from mlx_distill.run.results import EarlierLoss, Results, RunSummary

MARKERS = (RESULTS, CONFIG, STAGE_STATES, ENVIRONMENT)
"""A folder that holds one of these is a run."""


@dataclass(frozen=True)
class Entry:
    """A line of `mlx-distill runs`. `run` is None where `state` is not "finished"; `why` says what to do then."""

    name: str
    path: str
    state: str
    run: RunSummary | None = None
    why: str = ""


def listed(folder: Path) -> list[Entry]:
    """The runs of a folder, the latest first; those without a date at the end, by name."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder of runs: give the one that holds them.")
    entries = [_entry(path) for path in sorted(folder.iterdir()) if _is_run(path)]
    return sorted(entries, key=lambda entry: _when(entry.run.created) if entry.run else -math.inf, reverse=True)


def _is_run(path: Path) -> bool:
    try:
        return any((path / name).is_file() for name in MARKERS)
    except OSError:
        return False


def _entry(path: Path) -> Entry:
    if not (path / RESULTS).is_file():
        return Entry(path.name, str(path), "not finished")
    try:
        return Entry(path.name, str(path), "finished", summary(read_results(path)))
    except (DataError, ValueError) as error:
        return Entry(path.name, str(path), "not readable", why=str(error))


def previous(run: Path, created: str) -> RunSummary | None:
    """The summary of the latest finished run beside this one that was made before it; None where there is none."""
    here = run.resolve()
    entries = _beside(here) if here.parent.is_dir() else []
    earlier = [(when, entry.name, entry) for entry in entries if (when := _when(entry.created)) < _when(created)]
    return max(earlier, key=lambda row: row[:2])[2] if earlier else None


def _beside(here: Path) -> Iterable[RunSummary]:
    try:
        neighbours = [path for path in sorted(here.parent.iterdir()) if _is_run(path) and path.resolve() != here]
    except OSError:
        return []
    return [entry.run for path in neighbours if (entry := _entry(path)).run is not None and entry.run.verdict]


def _when(created: str) -> float:
    """Unix seconds of an ISO date. Raises ValueError for anything else."""
    moment = datetime.datetime.fromisoformat(created)
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


# ---------------------------------------------------------------- one run


def summary(results: Results) -> RunSummary:
    """A run in a few values. Raises ValueError where its date is none."""
    run, teacher, comparison, training = results.run, results.teacher, results.comparison, results.training
    _when(run.created)
    loss = training.heldout_loss if training else None
    return RunSummary(
        name=run.name,
        created=run.created,
        preset=run.preset,
        student=training.student if training else None,
        epochs=training.epochs if training else None,
        heldout_loss=EarlierLoss(base=loss.base if loss else None, best=loss.best if loss else None),
        seconds=sum(run.stages.values()),
        usd=_sum([teacher.usd if teacher else None, comparison.judge_usd if comparison else None]),
        verdict=comparison.verdict if comparison else None,
        verdict_in_words=comparison.verdict_in_words if comparison else None,
        n=comparison.n if comparison else 0,
        worse=sum(row.verdict == "worse" for row in comparison.measures) if comparison else None,
        judges=comparison.judges if comparison else (),
        samples=comparison.samples if comparison else None,
        preference=comparison.primary.share if comparison and comparison.primary else None,
        dimensions={row.name: row.distilled for row in comparison.dimensions} if comparison else {},
    )


def _sum(costs: Iterable[float | None]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None
