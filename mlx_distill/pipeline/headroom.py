"""Before anything is trained: teacher and base answer some test prompts, whose checks say whether there is headroom.

In: a Job. Out: headroom.json, a note or a warning. Nothing is asked twice: the ledger keeps the teacher's answers for
collecting, and the run keeps the base's for comparing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from mlx_distill.collect import completion_of, request_of, why_not_asked
from mlx_distill.evaluate.answers import teacher_generation
from mlx_distill.evaluate.headroom import Headroom, base_passes, compared, passes
from mlx_distill.models.asking.opened import asking
from mlx_distill.models.teachers.traits import traits_of
from mlx_distill.pipeline import wants_teacher
from mlx_distill.pipeline.agree import agree
from mlx_distill.pipeline.costs import headroom_cost
from mlx_distill.run.errors import GateError
from mlx_distill.run.folder import HEADROOM, PROMPTS
from mlx_distill.run.job import Job
from mlx_distill.run.records import Completion, Prompt


def check_headroom(job: Job) -> Headroom | None:
    """None where it is not asked for, or cannot be measured. Raises GateError where the teacher is not shown to be
    better and the run requires it."""
    if job.config.run.headroom is None:
        return None
    prompts = _drawn(job, job.config.run.headroom)
    why_not = _why_not_measured(job, prompts)
    if not why_not:
        if not job.yes:
            agree(job, [headroom_cost(job, prompts)])
        completions, why_not = asyncio.run(_ask(job, prompts))
    if why_not:
        return _unmeasured(job, why_not)
    answers = [teacher_generation(completion) for completion in completions]
    headroom = compared(passes(job, prompts, answers), base_passes(job, prompts))
    job.run.write_json(HEADROOM, headroom)
    if not headroom.shown and job.config.run.require_headroom:
        raise GateError(f"{headroom.words} (--require-headroom)")
    (job.view.note if headroom.shown else job.view.warn)(headroom.words)
    return headroom


def _why_not_measured(job: Job, prompts: Sequence[Prompt]) -> str:
    if not prompts:
        return "no test prompt has checks: give --test-prompts with checks"
    if not wants_teacher(job) or traits_of(job.config.teacher.spec).kind == "traces":
        return "no teacher can be asked the test prompts: name one with --teacher"
    return ""


def _unmeasured(job: Job, why: str) -> Headroom | None:
    words = f"Headroom cannot be measured: {why}."
    if job.config.run.require_headroom:
        raise GateError(f"{words} (--require-headroom)")
    job.view.warn(words)
    return None


def _drawn(job: Job, count: int) -> list[Prompt]:
    """The same ones in every run: an order that depends on the prompts alone."""
    prompts = [prompt for prompt in job.run.stream(PROMPTS, Prompt) if prompt.split == "test" and prompt.checks]
    return random.Random(0).sample(prompts, min(count, len(prompts)))


async def _ask(job: Job, prompts: Sequence[Prompt]) -> tuple[list[Completion], str]:
    """The teacher's answers; or why it is not asked."""
    answers: list[Completion] = []
    async with asking(job, job.config.teacher.spec) as asked:
        if reason := why_not_asked(prompts, asked.teacher, job.config.teacher):
            return [], reason
        by_text = {prompt.text: prompt for prompt in prompts}
        requests = [request_of(prompt, asked.teacher.model, job.config.teacher) for prompt in prompts]
        with job.view.tracking("headroom", len(prompts)) as update:
            async for request, reply in asked.ask(requests):
                answers.append(completion_of(by_text[request.prompt], reply))
                update(len(answers), "teacher")
    return answers, ""
