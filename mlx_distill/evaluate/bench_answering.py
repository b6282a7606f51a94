"""The student answers the items: as base and as distilled, batch by batch, going on where it stopped.

In: what is asked. Out: bench/answers.jsonl, appended after every batch.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from mlx_distill.evaluate.answers import dialled, speed
from mlx_distill.evaluate.bench_answers import AnswerStore
from mlx_distill.evaluate.bench_plan import BenchmarkPlan
from mlx_distill.models import students
from mlx_distill.models.students import trained
from mlx_distill.models.students.generate import generate
from mlx_distill.run.digest import digest
from mlx_distill.run.job import Job, adapter_file
from mlx_distill.run.records import MODELS, Generation, Role

ANY_DAY = datetime(2025, 1, 1)

Answered = set[tuple[Role, str, int]]
"""Role, item and sample of the answers that are there."""


def answer_items(job: Job, asked: Sequence[BenchmarkPlan], store: AnswerStore) -> None:
    store.load_shared(asked)
    roles = _roles(job)
    wanted = {case for one in asked for case in cases(one, roles)}
    done = answered(store)
    count = len(wanted & done)
    if count == len(wanted):
        return
    student = trained.load(job)
    dial = dialled(job, student, job.config.comparison.strength if "distilled" in roles else 0.0)
    try:
        with job.view.tracking("bench", len(wanted)) as update:
            for new, words in answering(student, asked, store, roles, dial):
                count += new
                update(count, words)
    finally:
        store.save_shared()


def answering(
    student: students.Student,
    asked: Sequence[BenchmarkPlan],
    store: AnswerStore,
    roles: Sequence[Role],
    dial: Callable[[Role], None],
) -> Iterator[tuple[int, str]]:
    """Answers what is missing, batch by batch. Yields how many are new, and words for the progress."""
    done = answered(store)
    for one in asked:
        store.note_template(one.benchmark.name, _template(student, one.decoding.system))
        for role, batch in _batches(student, one, roles, done, dial):
            new = [answer for answer in batch if (role, answer.prompt_id, answer.sample) not in done]
            for answer in new:
                store.add(answer)
            yield len(new), f"{one.benchmark.title}, {role}: {speed(batch):.0f} tok/s"


def answered(store: AnswerStore) -> Answered:
    return {(answer.role, answer.prompt_id, answer.sample) for answer in store.answers()}


def _roles(job: Job) -> tuple[Role, ...]:
    if (job.run / adapter_file(job.run)).exists() or not job.config.comparison.strength:
        return MODELS
    job.view.warn(f"{job.run.path} holds no adapter: the base answers alone, and there is no verdict.")
    return ("base",)


def cases(asked: BenchmarkPlan, roles: Sequence[Role]) -> Iterator[tuple[Role, str, int]]:
    samples = range(asked.decoding.samples or 1)
    yield from itertools.product(roles, (item.key for item in asked.items), samples)


def _batches(
    student: students.Student, asked: BenchmarkPlan, roles: Sequence[Role], done: Answered, dial: Callable[[Role], None]
) -> Iterator[tuple[Role, list[Generation]]]:
    """Items that every role has answered take no place in a batch, so that a larger subset costs only what is new."""
    missing = {name for role, name, sample in cases(asked, roles) if (role, name, sample) not in done}
    texts = {item.key: item.prompt for item in asked.items if item.key in missing}
    for role in roles:
        dial(role)
        mine = {(name, sample) for whose, name, sample in done if whose == role}
        for batch in generate(student, role, texts, asked.decoding, mine):
            yield role, batch


def _template(student: students.Student, system: str) -> str:
    """What the chat template makes of a question: two that make the same of it, on the same day, are the same."""
    student = dataclasses.replace(student, moment=ANY_DAY)
    messages = student.under(system, [{"role": "user", "content": "question"}])
    return digest([student.render(messages, generate=True)])[:12]
