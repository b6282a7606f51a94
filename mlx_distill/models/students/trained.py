"""The run's student: with the date on which the run first met it, and with the weights that its adapter belongs to.

In: a Job. Out: a loaded student; student.json. A chat template may print the date: were it another one after a pause,
training would go on as another training. And weights may be replaced in their folder without a word.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlx_distill.models import students
from mlx_distill.models.students.files import weights_digest
from mlx_distill.run.errors import DataError
from mlx_distill.run.files import StudentFile
from mlx_distill.run.folder import DATE, RunDir
from mlx_distill.run.job import ADAPTER, WEIGHTS, Job
from mlx_distill.run.unfinished import RECORD, unfinished_training

if TYPE_CHECKING:
    from mlx_distill.models.students import Student


def load(job: Job, *, lazy: bool = False) -> Student:
    return students.load(job.config.training.student, lazy=lazy, moment=moment(job), warn=job.view.warn)


def moment(job: Job) -> datetime:
    """What chat templates take for now: when the run first asked, or the first of the runs that share a folder."""
    folder = RunDir(Path(job.config.machine.shared)) if job.config.machine.shared else job.run
    if not (folder / DATE).exists():
        folder.write_json(DATE, {"date": datetime.now().isoformat(timespec="seconds")})
    try:
        return datetime.fromisoformat(folder.read_json(DATE)["date"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder / DATE} holds no date: delete it, then run the same command again.") from error


def record(job: Job, student: Student, steps: int) -> None:
    """What the adapter that is about to be trained belongs to, and how many steps it shall get."""
    student_file = StudentFile(
        student=job.config.training.student,
        weights=weights_digest(student.folder),
        steps=steps,
        settings=dataclasses.asdict(job.config.training),
    )
    job.run.write_json(RECORD, student_file)


def check(job: Job) -> None:
    """Before a later stage uses the adapter: raises DataError where it belongs to another student, and warns of a
    training that is not finished."""
    if not (job.run / ADAPTER / WEIGHTS).exists():
        return
    known = job.run.find(RECORD, StudentFile)
    spec = job.config.training.student
    now = students.weights_of(spec) if known else None
    if known and now is not None and now != known.weights:
        was = known.student
        which = f"the weights in {spec} are others now" if was == spec else f"the student is {spec} now"
        raise DataError(
            f"The adapter in {job.run.path} was trained on {was}, and {which}: put the former back, or train again in "
            "a new --run."
        )
    for sentence in unfinished_training(job.run, job.config):
        job.view.warn(sentence)
