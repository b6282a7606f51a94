"""A stage as a value, and whether it has to run: only when an output is missing, or what it depends on has changed.

In: a Stage and a Job. Out: the stage's work done, or its results kept. The fingerprint is written before the work
begins, so that an interrupted attempt is continued and an attempt from other inputs is not.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlx_distill.run.job import Job

Files = Sequence[str] | Callable[[Job], Sequence[str]]
"""Names of files in the run directory; a function where they depend on the run."""


def always(job: Job) -> bool:
    return True


def nothing(job: Job) -> None:
    """No check."""


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    settings  what its results depend on beside the files that it reads: sections, values, hashes, as JSON holds them
    reads     files whose content its results depend on
    writes    files that must exist for the results to be kept
    run       the work
    wanted    whether `mlx-distill run` includes it under this configuration
    check     raises what would make the work wrong or useless; called also when the results are kept
    stale     files and folders of an attempt with other inputs, removed before the work begins
    """

    name: str
    settings: Callable[[Job], Sequence[Any]]
    reads: Files
    writes: Files
    run: Callable[[Job], None]
    wanted: Callable[[Job], bool] = always
    check: Callable[[Job], None] = nothing
    stale: Sequence[str] = ()

    def fingerprint(self, job: Job) -> str:
        """A digest of everything that the results depend on."""
        return job.run.fingerprint([plain_settings(part) for part in self.settings(job)], _names(self.reads, job))

    def is_done(self, job: Job) -> bool:
        """Whether the results are there, and up to date."""
        return job.run.is_current(self.name, self.fingerprint(job), _names(self.writes, job))

    def is_begun(self, job: Job) -> bool:
        """Whether an earlier attempt, finished or not, began from the same inputs."""
        return job.run.started_from(self.name, self.fingerprint(job))


def run_stage(job: Job, stage: Stage) -> None:
    """Does the stage's work, unless its results are up to date."""
    stage.check(job)
    fingerprint = stage.fingerprint(job)
    if job.run.is_current(stage.name, fingerprint, _names(stage.writes, job)):
        job.view.kept(stage.name)
        return
    seconds_before = 0.0
    if job.run.started_from(stage.name, fingerprint):
        seconds_before = job.run.stages()[stage.name].seconds
    else:
        for name in stage.stale:
            remove(job.run / name)
    started, state = time.monotonic(), "running"
    job.run.mark(stage.name, fingerprint, state, seconds_before)
    try:
        stage.run(job)
        state = "done"
    finally:
        job.run.mark(stage.name, fingerprint, state, seconds_before + time.monotonic() - started)


def _names(files: Files, job: Job) -> Sequence[str]:
    return files(job) if callable(files) else files


def plain_settings(part: Any) -> Any:
    """A section of the configuration as a fingerprint takes it."""
    return dataclasses.asdict(part) if dataclasses.is_dataclass(part) and not isinstance(part, type) else part


def remove(path: Path) -> None:
    """Removes a file or folder, if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
