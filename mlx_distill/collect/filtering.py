"""The stage that filters: which answers are trained on, and why the others are not.

In: prompts.jsonl, and the teacher's answers or those that were chosen. Out: dataset.json. Everything streams.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from mlx_distill.collect import describe_dataset
from mlx_distill.collect.stage import has_traces
from mlx_distill.machine import environment
from mlx_distill.models import students
from mlx_distill.run.choices import CandidateAnswer, undecided
from mlx_distill.run.data.material import answers_file
from mlx_distill.run.errors import DataError
from mlx_distill.run.folder import CHOICES, DATASET, PROMPTS, TRACES
from mlx_distill.run.job import Job
from mlx_distill.run.records import Completion, Prompt
from mlx_distill.run.wording import counts


def filter_inputs(job: Job) -> tuple[str, ...]:
    choices = (CHOICES,) if job.config.choice.wanted else ()
    return (PROMPTS, answers_file(job.config), *choices)


def filter_settings(job: Job) -> list[Any]:
    training = job.config.training
    return [
        job.config.filters,
        [environment.hash_of(path) for path in job.config.filters.benchmarks],
        training.student,
        training.window,
        training.system,
        training.thinking,
        students.tokenizer_file(training.student) is not None,  # whether tokens can be counted yet
    ]


def filter_answers(job: Job) -> None:
    """dataset.json: counts, and what is left out of training and why."""
    splits, categories = Counter[str](), Counter[str]()
    heldout: list[Prompt] = []
    for prompt in job.run.stream(PROMPTS, Prompt):
        splits[prompt.split] += 1
        if prompt.split == "train":
            categories[prompt.category] += 1
        else:
            heldout.append(prompt)
    training = job.config.training
    answers = job.run.stream(answers_file(job.config), Completion)
    choices = job.run.stream(CHOICES, CandidateAnswer) if job.config.choice.wanted else ()
    summary = describe_dataset(
        (dataclasses.replace(answer, completion=answer.trained(training.thinking)) for answer in answers),
        heldout,
        job.config.filters,
        prompts=splits,
        categories=categories,
        window=training.window,
        count_tokens=students.token_counter(training.student),
        system=training.system,
        undecided=undecided(choices, job.config.choice.rule),
    )
    job.run.write_json(DATASET, _read_part(job) | summary)
    if not summary["left_out"]:
        return
    reasons = counts(summary["left_out"])
    if not summary["usable"]:
        raise DataError(f"None of the {summary['completions']:,} answers can be trained on: {reasons} (see {DATASET}).")
    job.view.warn(f"Left out of training: {reasons} (kept in {answers_file(job.config)}; see {DATASET}).")


def _read_part(job: Job) -> dict[str, Any]:
    """What became of the rows that the answers were read from, where they were."""
    if not has_traces(job):
        return {}
    account = job.run.read_json(TRACES) if (job.run / TRACES).exists() else {}
    kept = {"rows": "rows", "left_out": "not_read", "examples": "not_read_examples", "unused_keys": "unused_keys"}
    return {name: account[key] for key, name in kept.items() if key in account}
