"""The same run under further training seeds: each is a run in a folder of its own, with the first one's answers.

In: a Job. Out: the Jobs of the further seeds. What the teacher and the base answered is asked once, and what the frozen
layers compute is computed once; the trade-off is that each seed trains and measures from the start.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

from mlx_distill.models.asking.opened import ledger_path
from mlx_distill.pipeline.prepare import write_config
from mlx_distill.run import config as configuration
from mlx_distill.run import folder as files
from mlx_distill.run.folder import RunDir
from mlx_distill.run.job import Job
from mlx_distill.run.seeds import seed_folder, seeds_of
from mlx_distill.run.stage import remove

SHARED = f"{files.SEEDS}/shared"


@contextlib.contextmanager
def sharing(job: Job) -> Iterator[Job]:
    """The run, with a folder that its seeds share where it has none; that is removed when they are done."""
    if job.config.run.training_seeds == 1 or job.config.machine.shared:
        yield job
        return
    shared = {"machine.shared": str(job.run / SHARED)}
    yield dataclasses.replace(job, config=configuration.replace(job.config, shared))
    remove(job.run / SHARED)


def further_seeds(job: Job) -> Iterator[Job]:
    """A run for each seed after the first. People's votes are about the first one's answers."""
    for seed in seeds_of(job.config)[1:]:
        settings = {
            "training.seed": seed,
            "run.training_seeds": 1,
            "run.headroom": None,
            "run.require_headroom": False,
            "comparison.human": (),
            "collect.ledger": str(ledger_path(job)),
        }
        folder = RunDir(job.run / seed_folder(seed))
        with folder.locked():
            inner = dataclasses.replace(job, run=folder, config=configuration.replace(job.config, settings))
            write_config(folder, inner.config)
            job.view.note(f"Training seed {seed}: {folder.path}")
            yield inner
