"""Whether a stage has to run: only when an output is missing, or what it was made from has changed.

In: a stage's settings, the files that it reads and writes, and its work. Out: the work done, or kept. The fingerprint
is marked before the work begins, so that an attempt that was cut off goes on and one from other inputs does not.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mlx_distill.run.job import Job


def run_stage(
    job: Job,
    name: str,
    settings: Sequence[Any],
    inputs: Sequence[str],
    outputs: Sequence[str],
    work: Callable[[], None],
    partial: Sequence[str] = (),
) -> None:
    """Runs `work` unless its outputs are current. `partial`: what an attempt at other inputs must not find."""
    fingerprint = job.run.fingerprint([plain_settings(part) for part in settings], inputs)
    if job.run.is_current(name, fingerprint, outputs):
        job.view.kept(name)
        return
    before = 0.0
    if job.run.started_from(name, fingerprint):
        before = job.run.stages()[name].seconds
    else:
        for path in partial:
            remove(job.run / path)
    started, state = time.monotonic(), "running"
    job.run.mark(name, fingerprint, state, before)
    try:
        work()
        state = "done"
    finally:
        job.run.mark(name, fingerprint, state, before + time.monotonic() - started)


def is_done(job: Job, name: str, settings: Sequence[Any], inputs: Sequence[str], outputs: Sequence[str]) -> bool:
    """Whether `run_stage` would keep what is there."""
    fingerprint = job.run.fingerprint([plain_settings(part) for part in settings], inputs)
    return job.run.is_current(name, fingerprint, outputs)


def plain_settings(part: Any) -> Any:
    """A section of the configuration as a fingerprint takes it."""
    return dataclasses.asdict(part) if dataclasses.is_dataclass(part) and not isinstance(part, type) else part


def remove(path: Path) -> None:
    """A file or folder, where there is one."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
