"""Sweeps: many runs from one file, sharing what is the same in them, and what they say together.

In: a file of axes. Out: a folder with a run for every combination, sweep.json, sweep.md, sweep.html. A run that fails
is marked, and the others go on.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from mlx_distill.machine import environment
from mlx_distill.models.asking.ledger import Ledger
from mlx_distill.models.teachers.traits import traits_of
from mlx_distill.pipeline.terms import accept_terms
from mlx_distill.report.sweep import draw_sweep
from mlx_distill.run import ownership
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.folder import LEDGER, TERMS, RunDir, refuse_links
from mlx_distill.run.results.sweep import SweepResults
from mlx_distill.run.stage import remove
from mlx_distill.summarise.sweep import Made, sweep_part
from mlx_distill.sweep import planning, running
from mlx_distill.sweep.matrix import read_matrix
from mlx_distill.sweep.members import FILE, ORIGIN, Shard, Sweep, asks_teacher
from mlx_distill.sweep.running import How
from mlx_distill.train.stage import PREFIX

__all__ = ["How", "Shard", "SweepOptions", "make", "open_sweep", "plan", "report"]


class View(running.View, Protocol):
    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None: ...
    def confirm(self, question: str) -> bool: ...
    def sweep(self, results: SweepResults, folder: str) -> None: ...


@dataclasses.dataclass(frozen=True)
class SweepOptions:
    """How a sweep is made, beside what its file says. `collect`: only ask the teachers."""

    max_cost: float | None = None
    yes: bool = False
    accept_terms: bool = False
    update: bool = False
    collect: bool = False
    keep_going: bool = True


def open_sweep(file: Path | None, folder: Path | None, shard: Shard, resume: bool = False) -> tuple[Sweep, Path]:
    """A sweep, and the file that describes it: the one given, or that of a sweep that was begun. Raises UsageError
    where neither says which sweep is meant, DataError where it goes on with one that was not begun."""
    if resume and folder is None and file is not None and file.is_dir():
        file, folder = None, file
    if file is None:
        if folder is None:
            raise UsageError("Which sweep? Give its FILE, or with --resume its folder.")
        _check_begun(folder)
        file = folder / FILE
    again = folder is not None and file == folder / FILE
    matrix = read_matrix(file, folder.resolve().name if folder and again else None, _origin(folder) if again else None)
    folder = folder or Path("sweeps", matrix.name)
    ownership.check_sweep_folder(folder)
    if resume:
        _check_begun(folder)
    return Sweep(folder, matrix, shard), file


def _origin(folder: Path | None) -> Path:
    """Where the file of a sweep that was begun lay; one that does not say so has its paths from the current folder."""
    try:
        return Path((folder or Path()).joinpath(ORIGIN).read_text(encoding="utf-8").strip())
    except OSError:
        return Path.cwd()


def _check_begun(folder: Path) -> None:
    if not (folder / FILE).exists():
        raise DataError(f"{folder} holds no sweep to go on with: begin one with `mlx-distill sweep FILE`.")


def plan(sweep: Sweep, view: View) -> planning.Planned:
    planned = planning.planned(sweep)
    view.table(planning.title(sweep), planning.HEADER, planning.rows(sweep, planned))
    return planned


def make(sweep: Sweep, file: Path, options: SweepOptions, view: View) -> None:
    """All runs that are not done, and the report. Raises SweepError where some failed, after that."""
    if environment.launched_rank() is not None:
        raise UsageError(
            "mlx.launch is for one run: start one of the sweep's runs under it, `mlx-distill run --run "
            f"{sweep.folder}/RUN --config {sweep.folder}/configs/RUN.toml`; the sweep finds it done."
        )
    text = file.read_text(encoding="utf-8-sig")
    planned = plan(sweep, view)
    _check_changes(sweep, options)
    _agree(sweep, planned, options, view)
    with _locked(sweep):
        cap = _cap(sweep, options)
        _accept_terms(sweep, options)
        sweep.write(text, cap, None if file == sweep.folder / FILE else file.parent)
        flags = ("--yes", *(("--update",) if options.update else ()))
        how = How("collect" if options.collect else "run", flags, options.keep_going, planning.weights(planned))
        try:
            running.run_sweep(sweep, view, how)
        finally:
            view.sweep(report(sweep, file), str(sweep.folder))
        if all(map(sweep.is_done, sweep.mine)):
            remove(sweep.shared / PREFIX)  # gigabytes, which only training reads


@contextlib.contextmanager
def _locked(sweep: Sweep) -> Iterator[None]:
    """Raises UsageError where another process is at the same runs, DataError for a link in the folder."""
    if sweep.folder.is_dir():
        refuse_links(sweep.folder)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(RunDir(sweep.shared).locked())
        except UsageError as error:
            raise UsageError(
                f"{sweep.folder} is in use by another process: wait for it, or name another folder with --sweep."
            ) from error
        yield


def _check_changes(sweep: Sweep, options: SweepOptions) -> None:
    """Raises UsageError where runs were begun with other settings, before anything is written."""
    changed = {member.name: lines for member in sweep.mine if (lines := sweep.changes(member))}
    if changed and not options.update:
        changes = "; ".join(f"{name}: {', '.join(lines)}" for name, lines in list(changed.items())[:3])
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise UsageError(
            f"Runs in {sweep.folder} were made with other settings ({changes}{more}): add --update to redo what "
            "depends on them, or name another folder with --sweep."
        )


def _agree(sweep: Sweep, planned: planning.Planned, options: SweepOptions, view: View) -> None:
    """Raises UsageError without a yes to what may be paid, and where several shards would pay for the same answers."""
    waiting = [one for one in sweep.mine if not sweep.is_done(one) and not sweep.is_collected(one)]
    if sweep.shard.of > 1 and any(
        traits_of(one.config.teacher.spec).paid and asks_teacher(one.config) for one in waiting
    ):
        raise UsageError(
            "Shards do not share what they pay for: ask the teachers once, with --collect and without --shard, and "
            "then divide the runs."
        )
    unpriced = planning.unpriced(sweep, planned)
    if options.yes or not (planning.most_usd(sweep, planned) or unpriced):
        return
    if not view.confirm(f"{', '.join(unpriced)} may cost more than the plan says. Go on?" if unpriced else "Go on?"):
        raise UsageError("Stopped before anything was sent: run it again with --yes, or another file.")


def _accept_terms(sweep: Sweep, options: SweepOptions) -> None:
    """Once for all runs. Raises TeacherError where nobody has."""
    before = any((sweep.run(member) / TERMS).exists() for member in sweep.matrix.members)
    for member in sweep.mine:
        accept_terms(sweep.run(member), member.config, options.accept_terms or before)


def _cap(sweep: Sweep, options: SweepOptions) -> float | None:
    """Of this shard's ledger: an equal part of what is left of the whole budget."""
    budget = sweep.matrix.budget if options.max_cost is None else options.max_cost
    if budget is not None and not budget >= 0:
        raise UsageError(f"--max-cost is {budget}: give dollars, 0 or more.")
    if budget is None or sweep.shard.of == 1:
        return budget
    common = sweep.folder / Shard().shared / LEDGER
    return max(0.0, budget - (_spent(common) if common.exists() else 0.0)) / sweep.shard.of


def _spent(path: Path) -> float:
    with Ledger(path) as ledger:
        return ledger.spent_usd() + ledger.uncertain_usd()


def _charged(sweep: Sweep) -> float | None:
    """By all ledgers; None where there is none, or another shard pays just now."""
    ledgers = sorted(sweep.folder.glob(f"shared*/{LEDGER}"))
    with contextlib.suppress(UsageError):
        return sum(map(_spent, ledgers)) if ledgers else None
    return None


def report(sweep: Sweep, file: Path) -> SweepResults:
    """sweep.json from the runs' files, and from it alone sweep.md, sweep.html and the chart."""
    made = [
        Made(member.values, sweep.standing(member), member.config, sweep.run(member)) for member in sweep.matrix.members
    ]
    axes = {axis.name: list(axis.values) for axis in sweep.matrix.axes}
    results = sweep_part(sweep.matrix.name, file.name, axes, made, environment.now(), _charged(sweep))
    RunDir(sweep.folder).write_json("sweep.json", results)
    draw_sweep(results, sweep.folder)
    return results
