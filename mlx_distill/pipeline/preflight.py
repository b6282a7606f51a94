"""Checks, before anything is paid, what could fail later: student, test prompts, judges, benchmarks, packages, disk.

In: a configuration. Out: notes, or the error that would otherwise come after hours and dollars. Tokenizers,
configurations and the headers of files are enough: no weight is read. The stages still check for themselves; here they
are only asked earlier.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from mlx_distill.evaluate import benchmarks as bench
from mlx_distill.evaluate.benchmarks.published import read_published
from mlx_distill.machine import environment
from mlx_distill.machine.sandbox.packages import shown_packages
from mlx_distill.models import students
from mlx_distill.models.students import Student
from mlx_distill.models.students.looking import Unreachable, check_trainable, download_bytes, look
from mlx_distill.models.teachers import check_name, open_teacher
from mlx_distill.models.teachers.traits import traits_of
from mlx_distill.pipeline.agree import is_paid
from mlx_distill.run.config import Config
from mlx_distill.run.errors import DataError, DistillError
from mlx_distill.run.job import Job
from mlx_distill.run.prompts import heldout_prompts
from mlx_distill.run.records import Conversation
from mlx_distill.train import fit
from mlx_distill.train.fit import in_gib
from mlx_distill.train.replay import answers as replaying

Check = Callable[[Config, Path], str | None]
"""A check: raises what is wrong, and returns what the user should know."""

PLAIN = 256 << 20
"""Bytes that a run needs beside its adapters: ledger, answers, reports."""

COPIES = 5
"""Copies of an adapter on disk: the best, the last with its optimiser's two moments, and one being written."""


def check_before_paying(job: Job, *, whole: bool = True) -> None:
    """Raises the first error that would come later. `whole`: the command goes on to training and benchmarks, so that a
    student or benchmark that cannot be reached is an error too. A run with nothing left to pay is not checked."""
    if is_paid(job):
        return
    for check in checks(whole):
        try:
            note = check(job.config, job.run.path)
        except Unreachable as error:
            if whole:
                raise
            note = f"Not checked: {error}"
        if note:
            job.view.note(note)


def rows(config: Config, run: Path) -> list[tuple[str, str]]:
    """For a plan: everything that would fail, or that could not be checked."""
    return [("Would fail" if wrong else "Not checked", words) for wrong, words in _problems(config, run)]


def _problems(config: Config, run: Path) -> Iterator[tuple[bool, str]]:
    for check in checks(whole=False):
        try:
            if note := check(config, run):
                yield False, note
        except Unreachable as error:
            yield False, str(error)
        except DistillError as error:
            yield True, str(error)


def checks(whole: bool) -> tuple[Check, ...]:
    """The checks, in the order of their messages. `whole`: benchmarks are loaded from the hub too."""
    return (_student, _tests, _replay, _judges, _every_benchmark if whole else _benchmark_files, _extras, _disk)


# ---------------------------------------------------------------- the student


def _student(config: Config, run: Path) -> None:
    student = look(config.training.student)
    check_trainable(student, config.training)
    _check_template(student, config)


def _check_template(student: Student, config: Config) -> None:
    """Renders what training and comparing will render: one question and its answer, under the system prompt."""
    from mlx_distill.train.encode import encode_all

    training = config.training
    answer = "<think>\nI add.\n</think>\n\nIt is 4." if training.thinking else "It is 4."
    turns = ({"role": "user", "content": "What is 2 + 2?"}, {"role": "assistant", "content": answer})
    example = Conversation(f"A question and its answer, in the chat template of {student.spec}", turns)
    encode_all([example], student, training.system, training.window)
    for system in {training.system, config.bench.system if config.bench.wanted else training.system}:
        student.tokens(student.under(system, turns[:1]))


# ---------------------------------------------------------------- prompts, judges, benchmarks, disk


def _tests(config: Config, run: Path) -> None:
    heldout_prompts(config.prompts, ("test",))


def _replay(config: Config, run: Path) -> None:
    if config.replay.wanted:
        replaying.check(config)


def _judges(config: Config, run: Path) -> None:
    """Reads the files, and looks at local models as at the student. Keys and prices are checked in `agree`."""
    for file in config.comparison.human:
        environment.hash_of(file)
    for spec in (config.teacher.spec, *config.comparison.judges):
        traits = traits_of(spec)
        if traits.kind == "recorded":
            open_teacher(spec)
        elif traits.local:
            look(traits.name)
        elif traits.kind not in ("static", "traces"):
            check_name(spec)


def _benchmark_files(config: Config, run: Path) -> None:
    for file in config.bench.teacher_answers:
        environment.hash_of(file)
    _load(config, hub=False)


def _every_benchmark(config: Config, run: Path) -> None:
    _benchmark_files(config, run)
    _load(config, hub=True)


def _load(config: Config, *, hub: bool) -> None:
    names = bench.named(config.bench.benchmarks)
    bench.load(names if hub else (), config.bench.data, config.bench.since, config.bench.until)
    read_published(config.bench.published)


def _extras(config: Config, run: Path) -> None:
    shown_packages(config)


def _disk(config: Config, run: Path) -> None:
    """Raises DataError where the disk has no room for the run's adapters, or for the student's download."""
    shape = fit.find(config.training.student) if students.is_local(config.training.student) else None
    adapter = 4 * fit.trainable(shape, config.training) if shape else 0
    steps, every = config.training.steps, config.training.save_every
    needed = PLAIN + adapter * (COPIES + (steps // every if steps and every else 0))
    needed += download_bytes(config.training.student)
    free = shutil.disk_usage(_nearest(run)).free
    if free < needed:
        raise DataError(f"{run} needs about {in_gib(needed)} and its disk has {in_gib(free)} free: make room.")


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
