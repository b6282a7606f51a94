"""What sweep.md, sweep.html and the chart say of a sweep and its runs, in the same words.

In: sweep.json's content. Out: plain text, in which names and error messages are as untrusted as they came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from urllib.parse import quote

from mlx_distill.run.results.selection import SelectionBenchmark
from mlx_distill.run.results.sweep import BaselineCell, RunCell, SweepResults, SweepRun
from mlx_distill.run.wording import NOTHING, candidate, duration, memory, money, plural


def verdicts(results: SweepResults) -> list[tuple[str, int]]:
    """How many cells are significant, each way: losses first; none that there is not."""
    counted = Counter(finding.verdict for finding in results.findings)
    return [(word, counted[word]) for word in ("worse", "better") if counted[word]]


def headline(results: SweepResults) -> str:
    """The one sentence of a sweep. A cell is a run on a benchmark."""
    cells = plural(results.cells, "cell")
    if not results.cells:
        return "No cell was tested"
    counted = ", ".join(f"{count} {word}" for word, count in verdicts(results))
    return f"{counted} of {cells}" if counted else f"No cell of {results.cells:,} shows a difference"


def explained(results: SweepResults) -> str:
    """What was tested together."""
    if not results.cells:
        return "A cell is a run on a benchmark: none has an answer of both models yet."
    return (
        f"A cell is a run on a benchmark: distilled against base on the reported items; p below 0.05, {holm(results)}."
    )


def holm(results: SweepResults) -> str:
    return f"adjusted for all {results.cells:,} cells of the sweep (Holm)"


def states(runs: Sequence[SweepRun]) -> str:
    counted = Counter(run.state for run in runs)
    return f"{plural(len(runs), 'run')} ({', '.join(f'{count} {state}' for state, count in counted.items())})"


def made(results: SweepResults) -> str:
    """Where, when, how long and for how much; the machine is known from the first run that is done."""
    sweep = results.sweep
    parts = [f"{sweep.file}, {sweep.created[:10]}"]
    if hardware := sweep.hardware:
        size = memory(hardware.memory_bytes)
        parts.append(f"{hardware.chip}, {hardware.cores} cores, {size}, {hardware.backend}")
    parts += [] if sweep.seed is None else [f"seed {sweep.seed}"]
    return "; ".join([*parts, f"{duration(sweep.seconds)}, {money(sweep.usd)}"])


def kept(run: SweepRun) -> str:
    """The candidate that the rule keeps."""
    return candidate(run.selection.chosen) if run.selection else NOTHING


def heldout_loss(run: SweepRun) -> str:
    loss = run.heldout_loss
    return f"{loss.base.mean:.3f} → {loss.best.mean:.3f}" if loss else NOTHING


def undone(runs: Sequence[SweepRun]) -> Sequence[SweepRun]:
    """What failed, and whatever else there is a reason for."""
    return [run for run in runs if run.state != "done" and (run.why or run.state == "failed")]


def titles(rows: Sequence[BaselineCell | RunCell | SelectionBenchmark]) -> dict[str, str]:
    """The benchmarks' names with their titles, in the order in which they first come."""
    by_name: dict[str, str] = {}
    for row in rows:
        by_name.setdefault(row.name, row.title)
    return by_name


def address(run: str) -> str:
    """A run's folder beside the sweep's reports, as a link says it; nothing in a name leads elsewhere."""
    return "./" + quote(run, safe="", errors="replace")
