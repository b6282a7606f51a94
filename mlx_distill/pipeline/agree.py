"""What must be settled before a stage that pays: a key, a price, and a yes to what it is about to cost.

In: a Job. Out: nothing, or a question. A stage whose results are there needs none of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mlx_distill.evaluate.judge import check_rubric
from mlx_distill.models.teachers import check
from mlx_distill.models.teachers.traits import traits_of
from mlx_distill.pipeline import STAGES, wants_teacher
from mlx_distill.pipeline import costs as estimating
from mlx_distill.run.errors import UsageError
from mlx_distill.run.job import STATIC, Job


def agree_on_costs(job: Job, stage_names: Sequence[str]) -> Job:
    """Says what is about to be paid for, and asks. Returns the job, agreed to. Raises UsageError without a yes."""
    estimates = []
    if "collect" in stage_names and not _is_answered(job):
        estimates.append(estimating.teaching_cost(job))
    if "judge" in stage_names and not STAGES["judge"].is_done(job):
        estimates.append(estimating.judging_cost(job))
    return agree(job, estimates)


def agree(job: Job, estimates: Sequence[str | None]) -> Job:
    """Says what will be paid for, and asks once. Raises UsageError without a yes."""
    sentences = [sentence for sentence in estimates if sentence]
    for sentence in sentences:
        job.view.note(sentence)
    if sentences and not job.yes and not job.view.confirm("Go on?"):
        raise UsageError("Stopped; nothing was sent: run it again with --yes, or with other settings.")
    return dataclasses.replace(job, yes=job.yes or bool(sentences))


def check_teachers(job: Job) -> None:
    """A missing key or price is reported now, not after an hour of training."""
    check_teacher(job)
    check_judges(job)


def check_teacher(job: Job) -> None:
    """Needs neither key nor price: a teacher that has answered, answers that exist, a teacher that takes no part."""
    if wants_teacher(job) and not _is_answered(job):
        check(job.config.teacher.spec, job.config.collect.price)


def check_judges(job: Job) -> None:
    check_rubric(job.config)
    for judge in job.config.comparison.judges:
        if judge != STATIC and not STAGES["judge"].is_done(job):
            check(judge, job.config.collect.price)
        if judge == job.config.teacher.spec and wants_teacher(job):
            job.view.warn(f"The judge {judge} is the teacher itself: it will score what it taught.")


def is_paid(job: Job) -> bool:
    """Whether teacher and judges have answered everything that this run asks, so that nothing is left to pay."""
    return (not wants_teacher(job) or _is_answered(job)) and STAGES["judge"].is_done(job)


def _is_answered(job: Job) -> bool:
    """Whether nobody has to be asked: the answers exist already, or were collected."""
    return traits_of(job.config.teacher.spec).kind == "traces" or STAGES["collect"].is_done(job)
