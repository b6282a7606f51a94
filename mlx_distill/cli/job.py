"""A run, opened for one command: configured, checked, locked, watched.

In: the values of a command's options. Out: a Job, while the command works on it. Everything heavy is imported here and
in the commands, so that --help answers at once.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlx_distill.cli.configuration import configuration_of
from mlx_distill.machine import blas, watchdog
from mlx_distill.run import ownership
from mlx_distill.run.folder import RunDir

if TYPE_CHECKING:
    from mlx_distill.run.job import Job, View


@contextlib.contextmanager
def open_job(
    options: dict[str, Any], view: View, *, computes: bool, terms: bool = False, reads: Sequence[Path] = ()
) -> Iterator[Job]:
    """`computes`: models run on this machine. `terms`: the teacher may be asked. `reads`: files that the command reads
    beside those of its settings."""
    from mlx_distill.machine import environment

    if computes:
        blas.ensure()
    rank = environment.launched_rank()
    if rank:
        _work_for_rank_0()
    from mlx_distill.models.teachers.traits import traits_of
    from mlx_distill.pipeline.prepare import prepare
    from mlx_distill.pipeline.terms import accept_terms
    from mlx_distill.run.job import Job

    config, path = configuration_of(options)
    ownership.check(config, path, reads)
    if any(traits_of(spec).local for spec in (config.teacher.spec, *config.comparison.judges)):
        computes = True
        blas.ensure()
    watched = watchdog.watch() if computes and sys.platform == "darwin" else contextlib.nullcontext()
    with watched, RunDir(path).locked() as run_dir:
        changed = prepare(run_dir, config, update=options["update"])
        if terms:
            accept_terms(run_dir, config, options["accept_terms"])
        names_teacher = options.get("teacher__spec") is not None
        yield Job(run_dir, config, view, changed, options["yes"], names_teacher)
        if rank is not None:
            from mlx_distill.train.stage import stop_workers

            stop_workers()


def _work_for_rank_0() -> None:
    """What the processes do that `mlx.launch` started beside rank 0: they train with it, and leave the rest to it."""
    from mlx_distill.train.stage import run_worker

    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a worker waits in native code, and has nothing to keep
    run_worker()
    raise click.exceptions.Exit(0)
