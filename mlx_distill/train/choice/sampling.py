"""The student's own answers to the training prompts, before it is trained, or after an earlier round.

In: a student and prompts. Out: generations, in a file of its own for each way of drawing. Every sample is a round over
all prompts with a seed of its own: a stopped round goes on with the same batches, and a higher number adds rounds.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping

from mlx_distill.models import students
from mlx_distill.models.students import Student
from mlx_distill.models.students import adapter as adapters
from mlx_distill.models.students.generate import Decoding, generate
from mlx_distill.run.digest import content_id, digest
from mlx_distill.run.job import Job
from mlx_distill.run.records import Generation, Role
from mlx_distill.train.choice.earlier import adapter_hash, adapter_of
from mlx_distill.train.choice.kept import Kept


def own_answers(job: Job, student: Student, prompts: Mapping[str, str]) -> list[Generation]:
    """`choice.student_answers` to each prompt (id → text); those that are kept are not drawn again."""
    cases = [(prompt, sample) for prompt in prompts for sample in range(job.config.choice.student_answers)]
    kept = Kept(job, f"answers-{_key(job)}.jsonl", Generation, lambda answer: (answer.prompt_id, answer.sample))
    known = {case: answer for case in cases if (answer := kept.find(case))}
    if missing := [case for case in cases if case not in known]:
        student.read_weights()
        with job.view.tracking("answer", len(cases)) as update, _answering(job, student) as role:
            for sample in sorted({sample for _, sample in missing}):
                done = {(prompt, 0) for prompt in prompts if (prompt, sample) in known}
                for batch in generate(student, role, prompts, _decoding(job, sample), done):
                    new = [dataclasses.replace(drawn, sample=sample) for drawn in batch]
                    for answer in new:  # a batch that was cut off is drawn again, and comes out the same
                        kept.add(known.setdefault((answer.prompt_id, sample), answer))
                    update(len(known), "the student's own")
    return [known[case] for case in cases]


@contextlib.contextmanager
def _answering(job: Job, student: Student) -> Iterator[Role]:
    """Who answers: the base, or the distilled student of an earlier round; afterwards it is the base again, bit for
    bit."""
    folder = adapter_of(job.config.choice)
    if folder is None:
        yield "base"
        return
    adapter = adapters.load(student.model, folder)
    adapter.dial(1.0)
    try:
        yield "distilled"
    finally:
        adapter.dial(0.0)


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
    identity = students.identity(config.training.student)
    return digest([identity, *map(str, drawn), adapter_hash(config.choice)])[:12]
