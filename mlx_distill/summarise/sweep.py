"""sweep.json: what the runs of a sweep found, side by side, and which of their results are significant among all.

In: how each run stands, and its results.json. Out: one JSON value, from which sweep.md, sweep.html and the chart are
drawn. All benchmark results of all runs are one family: who looks at forty cells sees two below 0.05 by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from mlx_distill.run.config import Config
from mlx_distill.run.decode import read_results
from mlx_distill.run.errors import DataError
from mlx_distill.run.folder import RunDir
from mlx_distill.run.paths import shown
from mlx_distill.run.records import Estimate, Standing
from mlx_distill.run.results import Results
from mlx_distill.run.results.benchmarks import Benchmark
from mlx_distill.run.results.sweep import (
    SWEEP_SCHEMA,
    Axis,
    Baseline,
    BaselineCell,
    DomainOfRun,
    Finding,
    GateOfRun,
    LossOfRun,
    RunCell,
    SweepPart,
    SweepResults,
    SweepRun,
)
from mlx_distill.run.results.training import HeldoutLoss
from mlx_distill.run.wording import points, tested
from mlx_distill.stats import inference as stats


@dataclass(frozen=True)
class Made:
    """One run: its values by axis, how it stands, and where its files are."""

    values: Mapping[str, str]
    standing: Standing
    config: Config
    run: RunDir


def sweep_part(
    name: str, file: str, axes: Mapping[str, Sequence[str]], finished: Sequence[Made], created: str, usd: float | None
) -> SweepResults:
    """`usd`: what all runs together have been charged, None where nobody is paid."""
    run_results = [_results(one) for one in finished]
    runs = _tested([_run(one, results) for one, results in zip(finished, run_results, strict=True)])
    latest = next((results.run for results in reversed(run_results) if results), None)
    cells = [(run, cell) for run in runs for cell in run.benchmarks]
    return SweepResults(
        schema=SWEEP_SCHEMA,
        sweep=SweepPart(
            name=name,
            created=created,
            file=file,
            axes=tuple(Axis(name=axis, values=tuple(values)) for axis, values in axes.items()),
            usd=usd,
            seconds=sum(one.standing.seconds for one in finished),
            hardware=latest.hardware if latest else None,
            versions=latest.versions if latest else None,
            seed=latest.seed if latest else None,
        ),
        runs=runs,
        baselines=_baselines(runs, run_results),
        findings=_findings(cells),
        cells=sum(cell.p is not None for _, cell in cells),
        caveats=_caveats(runs),
    )


def _results(one: Made) -> Results | None:
    """Of a run that has come to its end with this configuration."""
    if one.standing.state != "done":
        return None
    try:
        return read_results(one.run.path)
    except DataError:
        return None


def _run(one: Made, results: Results | None) -> SweepRun:
    """Its cells are not yet tested together."""
    training, gate = (results.training, results.gate) if results else (None, None)
    return SweepRun(
        name=one.standing.name,
        values=dict(one.values),
        state=one.standing.state,
        why=one.standing.words if one.standing.state == "failed" else "",
        student=shown(one.config.training.student),
        seconds=one.standing.seconds or None,
        usd=results.teacher.usd if results and results.teacher else None,
        steps=training.steps if training else None,
        heldout_loss=_loss(training.heldout_loss) if training else None,
        selection=results.selection if results else None,
        gate=GateOfRun(verdict=gate.verdict, because=gate.because) if gate else None,
        benchmarks=tuple(
            RunCell(**{name: getattr(row, name) for name in RunCell.__struct_fields__})
            for row in (results.benchmarks if results else ())
        ),
        forgetting=tuple(DomainOfRun.from_row(row) for row in gate.forgetting) if gate else (),
    )


def _loss(loss: HeldoutLoss) -> LossOfRun:
    return LossOfRun(base=loss.base, best=loss.best)


def _tested(runs: Sequence[SweepRun]) -> tuple[SweepRun, ...]:
    """With adjusted p-values and verdicts over all their cells."""
    adjusted = stats.holm([cell.p for run in runs for cell in run.benchmarks])
    count, following = sum(p is not None for p in adjusted), iter(adjusted)
    return tuple(
        replace(run, benchmarks=tuple(_decided(cell, next(following), count) for cell in run.benchmarks))
        for run in runs
    )


def _decided(cell: RunCell, p_holm: float | None, count: int) -> RunCell:
    word = stats.verdict(cell.difference.mean, cell.n, p_holm, count) if cell.difference else "not scored"
    return replace(cell, p_holm=p_holm, verdict=word)


def _baselines(runs: Sequence[SweepRun], run_results: Sequence[Results | None]) -> tuple[Baseline, ...]:
    """Of each student, every benchmark once: the runs share what it answered."""
    students: dict[str, dict[str, BaselineCell]] = {}
    for run, results in zip(runs, run_results, strict=True):
        for row in results.benchmarks if results else ():
            if row.base is not None:
                students.setdefault(run.student, {}).setdefault(row.name, _baseline(row, row.base))
    return tuple(Baseline(student=student, benchmarks=tuple(rows.values())) for student, rows in students.items())


def _baseline(row: Benchmark, base: Estimate) -> BaselineCell:
    """The sentences on what is degraded begin with the role."""
    degraded = tuple(sentence for sentence in row.degraded if sentence.startswith("base:"))
    return BaselineCell(name=row.name, title=row.title, n=row.n, base=base, degraded=degraded)


def _findings(cells: Sequence[tuple[SweepRun, RunCell]]) -> tuple[Finding, ...]:
    """Losses first, then by how much."""
    shown = [(run, cell) for run, cell in cells if cell.verdict in ("better", "worse")]
    shown.sort(
        key=lambda pair: (pair[1].verdict == "better", -abs(pair[1].difference.mean if pair[1].difference else 0))
    )
    return tuple(
        Finding(run=run.name, title=cell.title, verdict=cell.verdict, words=_words(run, cell)) for run, cell in shown
    )


def _size(cell: RunCell) -> float:
    return abs(cell.difference.mean) if cell.difference else 0.0


def _words(run: SweepRun, cell: RunCell) -> str:
    before, after = (f"{100 * share.mean:.1f}" for share in (cell.base, cell.distilled) if share)
    change = points(cell.difference, sign="+")
    return (
        f"{run.name} is {cell.verdict} on {cell.title}: {before} → {after} % "
        f"({change} points, n = {cell.n}, {tested(cell.p_holm)})"
    )


def _caveats(runs: Sequence[SweepRun]) -> tuple[str, ...]:
    failed = [run.name for run in runs if run.state == "failed"]
    sentences = [f"{name} has failed and is missing from what is compared." for name in failed]
    if waiting := sum(run.state not in ("done", "failed") for run in runs):
        sentences.append(f"{waiting} of {len(runs)} runs are not done: what is compared will change.")
    sentences += [
        f"{run.name}, {cell.title}: {sentence}."
        for run in runs
        for cell in run.benchmarks
        for sentence in cell.degraded
    ]
    if any(run.selection for run in runs):
        sentences.append("Scores by checkpoint are of the items that chose; what is reported was not chosen on.")
    return tuple(sentences)
