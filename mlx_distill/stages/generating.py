"""Base and distilled answer the test prompts, from one model in memory; the teacher's answers stand beside them.

In: prompts.jsonl, teacher_data.jsonl, the adapter. Out: generations.jsonl.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mlx_distill.errors import DataError
from mlx_distill.records import ROLES, Completion, Generation, Prompt, Role
from mlx_distill.stages import ADAPTER, Job
from mlx_distill.students import Student

COMPARED: tuple[Role, ...] = ("base", "distilled")


def read_test_prompts(job: Job) -> list[Prompt]:
    """Raises DataError when there are none."""
    found = [prompt for prompt in job.run.read("prompts.jsonl", Prompt) if prompt.split == "test"]
    if not found:
        raise DataError(f"{job.run.path} has no test prompts: run `mlx-distill collect` first.")
    return found


def generate(job: Job) -> None:
    from mlx_distill import compare, students

    config, prompts = job.config, read_test_prompts(job)
    known = job.run.read_resumable("generations.jsonl", Generation)
    student = students.load(config.training.student)
    dial = _adapter(job, student) if config.comparison.strength else _no_adapter
    with job.view.tracking("generate", len(COMPARED) * len(prompts) * (config.comparison.samples or 1)) as update:
        for role in COMPARED:
            dial(config.comparison.strength if role == "distilled" else 0.0)
            done = {(generation.prompt_id, generation.sample) for generation in known if generation.role == role}
            settings = (config.training.system, config.comparison, config.training.seed)
            for batch in compare.generate(student, role, prompts, *settings, done):
                for generation in batch:
                    job.run.append("generations.jsonl", generation)
                known += batch
                update(len(known), f"{role}: {_speed(batch):.0f} tok/s")
    job.run.write_records("generations.jsonl", _in_order(prompts, known + _teacher_generations(job, prompts)))


def _adapter(job: Job, student: Student) -> Callable[[float], None]:
    from mlx_distill.students import adapter

    job.view.note(f"{student.spec} answers without and with its adapter")
    return adapter.load(student.model, job.run / ADAPTER).dial


def _no_adapter(strength: float) -> None:
    """At strength 0 the distilled model is the base, and nothing has to have been trained."""


def _speed(batch: Sequence[Generation]) -> float:
    return sum(g.tokens for g in batch) / max(1e-9, sum(g.seconds for g in batch))


def _teacher_generations(job: Job, prompts: Sequence[Prompt]) -> list[Generation]:
    wanted = {prompt.id for prompt in prompts}
    return [
        Generation(
            answer.prompt_id,
            "teacher",
            answer.completion,
            answer.output_tokens,
            answer.seconds,
            "stop" if answer.complete else "length" if answer.stop_reason == "max_tokens" else answer.stop_reason,
        )
        for answer in job.run.read("teacher_data.jsonl", Completion)
        if answer.prompt_id in wanted
    ]


def _in_order(prompts: Sequence[Prompt], generations: Sequence[Generation]) -> list[Generation]:
    place = {prompt.id: index for index, prompt in enumerate(prompts)}
    unique = {(generation.prompt_id, generation.role, generation.sample): generation for generation in generations}
    return sorted(unique.values(), key=lambda g: (place[g.prompt_id], ROLES.index(g.role), g.sample))
