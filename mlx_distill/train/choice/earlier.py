"""The earlier round whose student answers the training prompts, where there is one.

In: a configuration. Out: its adapter, or None for the base.
"""

from __future__ import annotations

from pathlib import Path

from mlx_distill.run import config as configuration
from mlx_distill.run.config import ChoiceConfig
from mlx_distill.run.errors import UsageError
from mlx_distill.run.folder import CONFIG, RunDir, file_hash
from mlx_distill.run.job import WEIGHTS, Job, adapter_folder


def adapter_of(config: ChoiceConfig) -> Path | None:
    """The folder of the adapter that the earlier run kept."""
    if config.answers_of is None:
        return None
    run = RunDir(Path(config.answers_of))
    return run / adapter_folder(run)


def adapter_hash(config: ChoiceConfig) -> str:
    """Of its weights, or "base"."""
    folder = adapter_of(config)
    return file_hash(folder / WEIGHTS) if folder else "base"


def check(job: Job) -> None:
    """Raises UsageError where the earlier run has another student, or none that was trained."""
    earlier, folder = job.config.choice.answers_of, adapter_of(job.config.choice)
    if folder is None:
        return
    student = configuration.load(Path(str(earlier), CONFIG)).training.student
    if student != job.config.training.student:
        raise UsageError(
            f"--answers-of {earlier}: its student is {student}, and this run's is {job.config.training.student}; name "
            "a run of the same student."
        )
    if not (folder / WEIGHTS).exists():
        raise UsageError(f"--answers-of {earlier}: no student was trained there; do it with `train --run {earlier}`.")
