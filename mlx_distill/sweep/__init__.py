"""Sweeps: many runs from one file, sharing what is the same in them, and what they say together.

In: a file of axes. Out: a folder with a run for every combination, sweep.json, sweep.md, sweep.html. A run that fails
is marked, and the others go on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from mlx_distill import environment
from mlx_distill.collect import Ledger
from mlx_distill.errors import DataError, UsageError
from mlx_distill.report.sweep import draw_sweep
from mlx_distill.rundir import RunDir
from mlx_distill.stages.keeping import remove
from mlx_distill.stages.terms import accept_terms
from mlx_distill.stages.training import PREFIX
from mlx_distill.summarise.sweep import Made, sweep_part
from mlx_distill.sweep import planning, running
from mlx_distill.sweep.matrix import read_matrix
from mlx_distill.sweep.members import FILE, LEDGER, Shard, Sweep
from mlx_distill.sweep.running import How
from mlx_distill.teachers import is_claude

__all__ = ["Asked", "How", "Shard", "make", "open_sweep", "plan", "report"]


class View(running.View, Protocol):
    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None: ...
    def confirm(self, question: str) -> bool: ...
    def sweep(self, found: dict[str, Any], folder: str) -> None: ...


@dataclasses.dataclass(frozen=True)
class Asked:
    """What the command line says beside the file. `collect`: only ask the teachers."""

    max_cost: float | None = None
    yes: bool = False
    accept_terms: bool = False
    update: bool = False
    collect: bool = False
    keep_going: bool = True


def open_sweep(file: Path | None, folder: Path | None, shard: Shard, resume: bool = False) -> tuple[Sweep, Path]:
    """A sweep, and the file that describes it: the one given, or that of a sweep that was begun. Raises UsageError
    where neither says which sweep is meant."""
    if resume and folder is None and file is not None and file.is_dir():
        file, folder = None, file
    if file is None:
        if folder is None:
            raise UsageError("Which sweep? Give its FILE, or with --resume its folder.")
        file = folder / FILE
    if resume and folder is not None and not (folder / FILE).exists():
        raise DataError(f"{folder} holds no sweep to go on with: begin one with `mlx-distill sweep FILE`.")
    matrix = read_matrix(file)
    return Sweep(folder or Path("sweeps", matrix.name), matrix, shard), file


def plan(sweep: Sweep, view: View) -> planning.Planned:
    found = planning.planned(sweep)
    view.table(f"Plan for {sweep.folder}", planning.HEADER, planning.rows(sweep, found))
    return found


def make(sweep: Sweep, file: Path, asked: Asked, view: View) -> None:
    """All runs that are not done, and the report. Raises SweepError where some failed, after that."""
    if environment.launched_rank() is not None:
        raise UsageError(
            "mlx.launch is for one run: start one of the sweep's runs under it, `mlx-distill run --run "
            f"{sweep.folder}/RUN --config {sweep.folder}/configs/RUN.toml`; the sweep finds it done."
        )
    text = file.read_text(encoding="utf-8")
    found = plan(sweep, view)
    _agree(sweep, found, asked, view)
    with RunDir(sweep.shared).locked():
        sweep.write(text, _cap(sweep, asked))
        for member in sweep.matrix.members:
            if sweep.mine(member):
                sweep.run(member).path.mkdir(parents=True, exist_ok=True)
                accept_terms(sweep.run(member), member.config, asked.accept_terms)
        flags = ("--yes", *(("--update",) if asked.update else ()))
        how = How("collect" if asked.collect else "run", flags, asked.keep_going, planning.weights(found))
        try:
            running.run_sweep(sweep, view, how)
        finally:
            view.sweep(report(sweep, file), str(sweep.folder))
        if all(sweep.state(member).state == "done" for member in sweep.matrix.members if sweep.mine(member)):
            remove(sweep.shared / PREFIX)  # gigabytes, which only training reads


def _agree(sweep: Sweep, found: planning.Planned, asked: Asked, view: View) -> None:
    """Raises UsageError without a yes to what may be paid, and where several shards would pay for the same answers."""
    waiting = [m for m in sweep.matrix.members if sweep.mine(m) and not (sweep.run(m) / "teacher_data.jsonl").exists()]
    if sweep.shard.of > 1 and any(is_claude(m.config.teacher.spec) and not m.config.training.data for m in waiting):
        raise UsageError(
            "Shards do not share what they pay for: ask the teachers once, with --collect and without --shard, and "
            "then divide the runs."
        )
    if planning.most_usd(found) and not asked.yes and not view.confirm("Go on?"):
        raise UsageError("Stopped before anything was sent: run it again with --yes, or another file.")


def _cap(sweep: Sweep, asked: Asked) -> float | None:
    """Of this shard's ledger: an equal part of what is left of the whole budget."""
    budget = sweep.matrix.budget if asked.max_cost is None else asked.max_cost
    if budget is None or sweep.shard.of == 1:
        return budget
    common = sweep.folder / Shard().shared / LEDGER
    spent = _spent(common) if common.exists() else 0.0
    return max(0.0, budget - spent) / sweep.shard.of


def _ledgers(sweep: Sweep) -> list[Path]:
    return sorted(sweep.folder.glob(f"shared*/{LEDGER}"))


def _spent(path: Path) -> float:
    with Ledger(path) as ledger:
        return ledger.spent_usd() + ledger.uncertain_usd()


def report(sweep: Sweep, file: Path) -> dict[str, Any]:
    """sweep.json from the runs' files, and from it alone sweep.md, sweep.html and the chart."""
    made = [
        Made(member.values, sweep.standing(member), member.config, sweep.run(member)) for member in sweep.matrix.members
    ]
    axes = {axis.name: list(axis.values) for axis in sweep.matrix.axes}
    ledgers = _ledgers(sweep)
    usd = sum(map(_spent, ledgers)) if ledgers else None
    found = sweep_part(sweep.matrix.name, file.name, axes, made, environment.now(), usd)
    RunDir(sweep.folder).write_json("sweep.json", found)
    draw_sweep(found, sweep.folder)
    return found
