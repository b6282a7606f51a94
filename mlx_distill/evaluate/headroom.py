"""Is there anything to learn? What teacher and base pass of some test prompts, before anything is trained.

In: test prompts with checks, the teacher's answers to them. Out: a Headroom. A student that learns from a teacher which
is no better than itself cannot be expected to gain; the trade-off is that few prompts show only a large difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlx_distill.evaluate.answers import base_key, decoding_of
from mlx_distill.evaluate.judge import check_answers
from mlx_distill.run.baselines import Baselines
from mlx_distill.run.job import Job
from mlx_distill.run.records import Generation, Prompt
from mlx_distill.run.wording import p_value, plural
from mlx_distill.stats.inference import CONFIDENCE, pass_fail


@dataclass(frozen=True)
class Headroom:
    """Of so many `prompts`, how many each passed; `p` is McNemar's, None for too few prompts."""

    prompts: int
    teacher: int
    base: int
    p: float | None

    @property
    def shown(self) -> bool:
        return self.teacher > self.base and self.p is not None and self.p < 1 - CONFIDENCE

    @property
    def words(self) -> str:
        tested = p_value(self.p) if self.p is not None else "too few to test"
        counted = f"of {plural(self.prompts, 'test prompt')} the teacher passes {self.teacher}, the base {self.base}"
        if self.shown:
            return f"Headroom: {counted} ({tested}): there is something to learn."
        return (
            f"Headroom: {counted} ({tested}): the teacher is not shown to be better, so training on its answers may "
            "gain nothing. Ask more prompts (--headroom), take harder ones, or another teacher."
        )


def compared(teacher: Mapping[str, bool], base: Mapping[str, bool]) -> Headroom:
    """By prompt id, whether its answer passed; prompts that one of them lacks are left out."""
    ids = sorted(teacher.keys() & base.keys())
    _, measure = pass_fail([(base[name], teacher[name]) for name in ids])
    return Headroom(len(ids), sum(teacher[name] for name in ids), sum(base[name] for name in ids), measure.p)


def base_passes(job: Job, prompts: Sequence[Prompt]) -> dict[str, bool]:
    """By prompt. The answers are kept for the comparison, which would ask for the same."""
    from mlx_distill.models import students
    from mlx_distill.models.students.generate import generate

    key, baselines = base_key(job.config), Baselines.of(job)
    decoding = decoding_of(job.config, job.config.training.system)
    texts = {prompt.id: prompt.text for prompt in prompts}
    answers = [answer for answer in baselines.answers(key) if answer.prompt_id in texts]
    done = {(answer.prompt_id, answer.sample) for answer in answers}
    if len({name for name, _ in done}) < len(texts):
        student = students.load(job.config.training.student)
        with job.view.tracking("headroom", len(texts)) as update:
            for batch in generate(student, "base", texts, decoding, done):
                answers += batch
                update(len({answer.prompt_id for answer in answers}), "base")
        baselines.keep_answers(key, answers)
    return passes(job, prompts, [answer for answer in answers if not answer.sample])


def passes(job: Job, prompts: Sequence[Prompt], answers: Sequence[Generation]) -> dict[str, bool]:
    """By prompt, whether its answer passes; what could not be run is left out."""
    scores = check_answers(job, prompts, answers)
    return {score.item_id: score.passed for score in scores if score.passed is not None}
