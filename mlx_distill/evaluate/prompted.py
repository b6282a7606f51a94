"""The prompted base: what a prompt buys without any training.

In: prompts.jsonl, what is trained on. Out: the base's answers to the test prompts under the teacher's system prompt and
with a few training examples before each question, their executed checks, and what static analysis says of them. Models
that judge are not asked: a row beside the comparison shall cost nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from mlx_distill.evaluate.answers import decoding_of, read_test_prompts, settings, speed
from mlx_distill.evaluate.judge import check_answers, measure_answers
from mlx_distill.evaluate.judge import settings as judge_settings
from mlx_distill.models.students import trained
from mlx_distill.run.data.material import counted_texts, digest_of
from mlx_distill.run.folder import PROMPTED, PROMPTED_EXAMPLES, PROMPTED_JUDGMENTS, PROMPTED_SCORES
from mlx_distill.run.job import Job
from mlx_distill.run.records import Conversation, Generation

MOST_EXAMPLES = 3
LONGEST = 2000
"""Characters of an example, its question and its answer: three longer ones leave a small student's window no room."""


def made_from(job: Job) -> list[Any]:
    system = job.config.teacher.system
    return [settings(job), judge_settings(job), system, digest_of(job.config, job.run), MOST_EXAMPLES, LONGEST]


def answer_prompted(job: Job) -> None:
    from mlx_distill.models.students.generate import generate

    prompts, known = read_test_prompts(job), job.run.read_resumable(PROMPTED, Generation)
    texts, decoding = {prompt.id: prompt.text for prompt in prompts}, decoding_of(job.config, job.config.teacher.system)
    done = {(answer.prompt_id, answer.sample) for answer in known}
    shown = examples(job)
    job.run.write_records(PROMPTED_EXAMPLES, shown)
    turns = [message for example in shown for message in example.messages if message["role"] != "system"]
    with job.view.tracking("prompted", len(prompts) * (decoding.samples or 1)) as update:
        for batch in generate(trained.load(job), "base", texts, decoding, done, turns):
            for answer in batch:
                job.run.append(PROMPTED, answer)
            known += batch
            update(len(known), f"prompted base: {speed(batch):.0f} tok/s")
    place = {prompt.id: index for index, prompt in enumerate(prompts)}
    answers = sorted(known, key=lambda answer: (place[answer.prompt_id], answer.sample))
    job.run.write_records(PROMPTED, answers)
    job.run.write_records(PROMPTED_SCORES, check_answers(job, prompts, answers))
    job.run.write_records(PROMPTED_JUDGMENTS, measure_answers(job, prompts, answers))


def examples(job: Job) -> Sequence[Conversation]:
    """The first training examples of one question and one answer that are short enough; none where there is none."""
    return list(itertools.islice(_short(job), MOST_EXAMPLES))


def _short(job: Job) -> Iterator[Conversation]:
    for example in counted_texts(job.config, job.run)[0]:
        turns = [message for message in example.messages if message["role"] != "system"]
        roles, characters = [turn["role"] for turn in turns], sum(len(turn["content"]) for turn in turns)
        if roles == ["user", "assistant"] and characters <= LONGEST:
            yield example
