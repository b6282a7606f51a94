"""What has to be so before a stage that pays: a key, a price, and a yes to what it is about to cost.

In: a Job. Out: nothing, or a question. What is done already needs none of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mlx_distill.collect import stage as collecting
from mlx_distill.evaluate import judge as judging
from mlx_distill.models.teachers import check, is_chosen
from mlx_distill.models.teachers.traits import traits_of
from mlx_distill.pipeline import costs as estimating
from mlx_distill.run.errors import UsageError
from mlx_distill.run.job import STATIC, Job
from mlx_distill.run.stage import is_done


def agree_on_costs(job: Job, names: Sequence[str]) -> Job:
    """Says what is about to be paid for, and asks. Returns the job, agreed to. Raises UsageError without a yes."""
    collected = traits_of(job.config.teacher.spec).kind == "traces" or _is_collected(job)
    lines = [
        line
        for line in (
            estimating.teaching_cost(job) if "collect" in names and not collected else None,
            estimating.judging_cost(job) if "judge" in names and not _is_judged(job) else None,
        )
        if line
    ]
    for line in lines:
        job.view.note(line)
    if lines and not job.yes and not job.view.confirm("Go on?"):
        raise UsageError("Stopped before anything was sent: run it again with --yes, or other settings.")
    return dataclasses.replace(job, yes=job.yes or bool(lines))


def check_teachers(job: Job) -> None:
    """A missing key or price is found now, not after an hour of training."""
    check_teacher(job)
    check_judges(job)


def check_teacher(job: Job) -> None:
    """What is done already needs neither key nor price; nor do existing answers, nor a teacher that nobody wants."""
    spec = job.config.teacher.spec
    if wants_teacher(job) and traits_of(spec).kind != "traces" and not _is_collected(job):
        check(spec, job.config.collect.price)


def check_judges(job: Job) -> None:
    for judge in job.config.comparison.judges:
        if judge != STATIC and not _is_judged(job):
            check(judge, job.config.collect.price)
        if judge == job.config.teacher.spec and wants_teacher(job):
            job.view.warn(f"The judge {judge} is the teacher itself: it will score what it taught.")


def is_paid(job: Job) -> bool:
    """Whether teacher and judges have said all that this run asks, so that nothing is left to pay."""
    answered = traits_of(job.config.teacher.spec).kind == "traces" or not wants_teacher(job) or _is_collected(job)
    return answered and _is_judged(job)


def wants_teacher(job: Job) -> bool:
    """Whether a teacher takes part: by the settings, because the command names it, or because it has answered."""
    return job.teacher_named or is_chosen(job.config) or _is_collected(job)


def _is_collected(job: Job) -> bool:
    return is_done(job, "collect", *collecting.made_from(job))


def _is_judged(job: Job) -> bool:
    return is_done(job, "judge", *judging.made_from(job))
