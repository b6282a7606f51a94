"""Base and distilled answer the test prompts, from one model in memory; the teacher's answers stand beside them.

In: prompts.jsonl, teacher_data.jsonl, the adapter. Out: generations.jsonl.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mlx_distill.models import students
from mlx_distill.models.students import Student, trained
from mlx_distill.models.students.generate import Decoding
from mlx_distill.run.baselines import Baselines
from mlx_distill.run.config import Config
from mlx_distill.run.digest import digest
from mlx_distill.run.errors import DataError
from mlx_distill.run.folder import GENERATIONS, PROMPTS, TEACHER_DATA
from mlx_distill.run.job import Job, adapter_folder
from mlx_distill.run.records import MODELS, ROLES, Completion, Generation, Prompt, Role


def read_test_prompts(job: Job) -> list[Prompt]:
    """Raises DataError when there are none."""
    prompts = [prompt for prompt in job.run.read(PROMPTS, Prompt) if prompt.split == "test"]
    if not prompts:
        raise DataError(f"{job.run.path} has no test prompts: run `mlx-distill collect` first.")
    return prompts


def settings(job: Job) -> list[Any]:
    """What the answers depend on, beside the prompts and the adapter."""
    config = job.config
    return [
        students.identity(config.training.student),
        config.comparison.max_tokens,
        config.comparison.batch_size,
        config.comparison.strength,
        config.comparison.samples,
        config.comparison.temperature if config.comparison.samples else None,
        config.training.seed if config.comparison.samples else None,
        config.training.system,
    ]


def decoding_of(config: Config, system: str) -> Decoding:
    wanted = config.comparison
    return Decoding(
        system,
        wanted.max_tokens,
        wanted.batch_size,
        wanted.samples,
        wanted.temperature,
        config.training.seed if wanted.samples else 0,
    )


def base_key(config: Config) -> str:
    """Of what the base's answers depend on."""
    return digest([students.identity(config.training.student), str(decoding_of(config, config.training.system))])


def generate(job: Job) -> None:
    from mlx_distill.models.students.generate import generate

    config, prompts, decoding = job.config, read_test_prompts(job), decoding_of(job.config, job.config.training.system)
    texts, wanted = {prompt.id: prompt.text for prompt in prompts}, config.comparison
    known = job.run.read_resumable(GENERATIONS, Generation)
    baselines, key = Baselines.of(job), base_key(config)
    earlier = [answer for answer in baselines.answers(key) if answer.prompt_id in texts]
    if not any(generation.role == "base" for generation in known):
        known += earlier
        job.run.write_records(GENERATIONS, known)
    answered = {answer.prompt_id for answer in earlier}
    student = trained.load(job)
    dial = dialled(job, student, wanted.strength)
    with job.view.tracking("generate", len(MODELS) * len(prompts) * (wanted.samples or 1)) as update:
        for role in MODELS:
            dial(role)
            done = {(generation.prompt_id, generation.sample) for generation in known if generation.role == role}
            left = {name: text for name, text in texts.items() if role != "base" or name not in answered}
            for batch in generate(student, role, left, decoding, done):
                for generation in batch:
                    job.run.append(GENERATIONS, generation)
                known += batch
                update(len(known), f"{role}: {speed(batch):.0f} tok/s")
            if role == "base":
                baselines.keep_answers(key, [generation for generation in known if generation.role == role])
    job.run.write_records(GENERATIONS, _in_order(prompts, known + _teacher_generations(job, prompts)))


def dialled(job: Job, student: Student, strength: float) -> Callable[[Role], None]:
    """Turns the student into base or distilled. At strength 0 both are the base, and nothing has to be trained."""
    from mlx_distill.models.students import adapter

    if not strength:
        return lambda role: None
    job.view.note(f"{student.spec} answers without and with its adapter")
    dial = adapter.load(student.model, job.run / adapter_folder(job.run)).dial
    return lambda role: dial(strength if role == "distilled" else 0.0)


def speed(batch: Sequence[Generation]) -> float:
    return sum(g.tokens for g in batch) / max(1e-9, sum(g.seconds for g in batch))


def _teacher_generations(job: Job, prompts: Sequence[Prompt]) -> list[Generation]:
    wanted = {prompt.id for prompt in prompts}
    return [
        teacher_generation(answer) for answer in job.run.read(TEACHER_DATA, Completion) if answer.prompt_id in wanted
    ]


def teacher_generation(answer: Completion) -> Generation:
    return Generation(
        answer.prompt_id,
        "teacher",
        answer.completion,
        answer.output_tokens,
        answer.seconds,
        "stop" if answer.complete else "length" if answer.stop_reason == "max_tokens" else answer.stop_reason,
    )


def _in_order(prompts: Sequence[Prompt], generations: Sequence[Generation]) -> list[Generation]:
    place = {prompt.id: index for index, prompt in enumerate(prompts)}
    unique = {(generation.prompt_id, generation.role, generation.sample): generation for generation in generations}
    return sorted(unique.values(), key=lambda g: (place[g.prompt_id], ROLES.index(g.role), g.sample))
