"""The student's own answers to the training prompts, before it is trained.

In: a student and prompts. Out: generations, in a file of its own for each way of drawing. Every sample is a round over
all prompts with a seed of its own: a stopped round goes on with the same batches, and a higher number adds rounds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from mlx_distill.models import students
from mlx_distill.models.students import Student
from mlx_distill.models.students.generate import Decoding, generate
from mlx_distill.run.digest import content_id, digest
from mlx_distill.run.job import Job
from mlx_distill.run.records import Generation


def own_answers(job: Job, student: Student, prompts: Mapping[str, str], folder: str) -> list[Generation]:
    """`choice.student_answers` to each prompt (id → text); those in `folder` are kept, and not drawn again."""
    count = job.config.choice.student_answers
    name = f"{folder}/answers-{_key(job)}.jsonl"
    known = {(g.prompt_id, g.sample): g for g in job.run.read_resumable(name, Generation)}
    cases = [(prompt, sample) for prompt in prompts for sample in range(count)]
    if missing := [case for case in cases if case not in known]:
        student.read_weights()
        with job.view.tracking("answer", len(cases)) as update:
            update(len(cases) - len(missing), "the student's own")
            for sample in sorted({sample for _, sample in missing}):
                _round(job, student, prompts, sample, known, lambda new: job.run.append(name, new))
                update(sum(case in known for case in cases), "the student's own")
    return [known[case] for case in cases]


def _round(
    job: Job,
    student: Student,
    prompts: Mapping[str, str],
    sample: int,
    known: dict[tuple[str, int], Generation],
    keep: Callable[[Generation], None],
) -> None:
    """One answer to every prompt. A batch that was cut off is drawn again, and comes out the same."""
    done = {(prompt, 0) for prompt in prompts if (prompt, sample) in known}
    for batch in generate(student, "base", prompts, _decoding(job, sample), done):
        for drawn in batch:
            if (drawn.prompt_id, sample) not in known:
                known[drawn.prompt_id, sample] = dataclasses.replace(drawn, sample=sample)
                keep(known[drawn.prompt_id, sample])


def _decoding(job: Job, sample: int) -> Decoding:
    config = job.config
    return Decoding(
        config.training.system,
        config.choice.max_tokens,
        config.comparison.batch_size,
        samples=1,
        temperature=config.choice.temperature,
        seed=int(content_id(f"{config.training.seed} {sample}"), 16) % 2**31,
    )


def _key(job: Job) -> str:
    """What the answers depend on, beside the prompt and its sample."""
    config = job.config
    drawn = (config.choice.max_tokens, config.choice.temperature, config.training.seed, config.training.system)
    return digest([students.identity(config.training.student), *map(str, drawn)])[:12]
