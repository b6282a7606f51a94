"""Base and distilled answer the benchmarks' items, from one model in memory, and the answers are scored.

In: benchmarks, the adapter; or files of answers that were made elsewhere. Out: the run's `bench` folder: items,
answers, scores, and the protocol that they were made under. Answers and scores are kept item by item.
"""

from __future__ import annotations

import itertools
import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlx_distill.evaluate import benchmarks as bench
from mlx_distill.evaluate.bench_answering import answer_items
from mlx_distill.evaluate.bench_answers import ANSWERS, AnswerStore
from mlx_distill.evaluate.bench_answers import store as made_of
from mlx_distill.evaluate.bench_plan import BenchmarkPlan, answered, everything, protocol
from mlx_distill.evaluate.benchmarks import Given, Item, Mark, Scoring
from mlx_distill.evaluate.benchmarks.published import PUBLISHED, read_published
from mlx_distill.machine import environment, sandbox
from mlx_distill.machine.sandbox.packages import shown_packages
from mlx_distill.models import students
from mlx_distill.run.config import Config
from mlx_distill.run.errors import DataError
from mlx_distill.run.folder import BENCH_ITEMS, BENCH_PROTOCOL
from mlx_distill.run.job import Job
from mlx_distill.run.records import Generation, Role, Score

ITEMS, PROTOCOL = BENCH_ITEMS, BENCH_PROTOCOL

FOUND = 200
"""Characters of what was read out of an answer that are kept: a program stands whole in bench/answers.jsonl."""


def made_from(job: Job, given: Sequence[Given]) -> list[Any]:
    """What the stage's outputs depend on, beside the adapter; another version of a scorer scores anew."""
    config = job.config
    named = (config.bench.data, config.bench.published, config.bench.teacher_answers)
    files = [*itertools.chain(*named), *(str(file.path) for file in given)]
    return [
        config.bench,
        (config.selection.items, config.selection.most),
        [environment.hash_of(file) for file in files],
        [file.role for file in given],
        students.identity(config.training.student),
        config.training.seed,
        (config.comparison.strength, config.comparison.unsandboxed, shown_packages(config)),
        environment.sandbox_level(),
        bench.SCORERS,
    ]


def run_benchmarks(job: Job, given: Sequence[Given] = ()) -> None:
    published = read_published(job.config.bench.published)  # what is wrong with a file is said first
    asked = everything(job)
    taught = teacher_answers(job.config, asked)
    store = made_of(job, asked, given)
    if given:
        answers = bench.read_answers(given, [item for one in asked for item in one.items])
        asked = [answered(one, answers) for one in asked]
        job.run.write_records(ANSWERS, [*store.answers(), *answers])
    else:
        answer_items(job, asked, store)
    store.add_missing(taught)
    job.run.write_records(ITEMS, [_line(item) for one in asked for item in one.items])
    _score(job, asked, store)
    store.save_shared()
    job.run.write_json(PUBLISHED, published)
    elsewhere = bool(given)
    job.run.write_json(PROTOCOL, [protocol(job, one, store.template(one.benchmark.name), elsewhere) for one in asked])


def teacher_answers(config: Config, asked: Sequence[BenchmarkPlan]) -> list[Generation]:
    """What the user's files say that the teacher answered to the items that are asked; they may answer others of the
    same benchmarks. Raises DataError where they answer none of them."""
    files = [Given(Path(file), "teacher") for file in config.bench.teacher_answers]
    if not files:
        return []
    items = {item.key for one in asked for item in one.items}
    answers = bench.read_answers(files, [item for one in asked for item in one.loaded.items])
    taught = [answer for answer in answers if answer.role == "teacher" and answer.prompt_id in items]
    if not taught:
        raise DataError(f"{files[0].path} holds no answer of the teacher to an item that is asked: correct it.")
    return taught


@dataclass(frozen=True)
class _Line:
    """Of an item what a report shows."""

    benchmark: str
    id: str
    category: str
    difficulty: str
    prompt: str


def _line(item: Item) -> _Line:
    return _Line(item.benchmark, item.id, item.category, item.difficulty, item.prompt)


def _score(job: Job, asked: Sequence[BenchmarkPlan], store: AnswerStore) -> None:
    cases = open_cases(asked, store)
    with job.view.tracking("score", sum(len(mine) for _, mine in cases)) as update:
        for count, title in enumerate(scoring(job, cases, store), 1):
            update(count, title)


Cases = list[tuple[BenchmarkPlan, list[tuple[Item, Generation]]]]


def open_cases(asked: Sequence[BenchmarkPlan], store: AnswerStore) -> Cases:
    """Answers that have no score yet, benchmark by benchmark."""
    answers: dict[str, list[Generation]] = defaultdict(list)
    for answer in store.answers():
        answers[answer.prompt_id].append(answer)
    known = {(score.benchmark, score.item_id, score.role, score.sample) for score in store.scores()}
    return [(one, list(_open_cases(one, answers, known))) for one in asked]


def scoring(job: Job, cases: Cases, store: AnswerStore) -> Iterator[str]:
    """Scores them. Yields the benchmark's title after each."""
    cut = frozenset(g.answer_text for _, mine in cases for _, g in mine if g.finish_reason == "length")
    comparison = job.config.comparison
    how = Scoring(os.cpu_count() or 1, comparison.unsandboxed, cut, sandbox.names_of(comparison.sandbox_packages))
    for one, mine in cases:
        marks = one.benchmark.score([(item, answer.answer_text) for item, answer in mine], how)
        for (item, answer), mark in zip(mine, marks, strict=True):
            store.add_score(_score_of(item, answer, mark))
            yield one.benchmark.title


def _open_cases(
    asked: BenchmarkPlan, answers: Mapping[str, Sequence[Generation]], known: Collection[tuple[str, str, Role, int]]
) -> Iterator[tuple[Item, Generation]]:
    """Answers that have no score yet."""
    samples = asked.decoding.samples or 1
    for item in asked.items:
        for answer in answers.get(item.key, ()):
            if answer.sample < samples and (item.benchmark, item.id, answer.role, answer.sample) not in known:
                yield item, answer


def _score_of(item: Item, answer: Generation, mark: Mark) -> Score:
    return Score(
        benchmark=item.benchmark,
        item_id=item.id,
        role=answer.role,
        passed=mark.passed,
        detail=mark.detail,
        sample=answer.sample,
        sandbox=mark.sandbox,
        found=None if mark.found is None else mark.found[:FOUND],
        parts=dict(mark.parts),
        packages=mark.packages,
    )
