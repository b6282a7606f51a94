"""The answers are checked by execution, and judged: side by side, each alone, by models, by measuring, by people.

In: prompts.jsonl, generations.jsonl, CSV files of votes. Out: scores.jsonl, judgments.jsonl, preferences.jsonl, and a
file for each judge in judge_data/, which a recorded judge replays.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import re
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlx_distill.evaluate.answers import read_test_prompts
from mlx_distill.evaluate.judges import MEASURED, PEOPLE, STATIC_VERSION
from mlx_distill.evaluate.judges.pairwise import PAIRS
from mlx_distill.machine import checks, environment, sandbox
from mlx_distill.machine.sandbox.packages import shown_packages
from mlx_distill.models.asking.budget import Forecast
from mlx_distill.models.asking.opened import asking, ticking
from mlx_distill.models.teachers import identity
from mlx_distill.models.teachers.recorded import recording
from mlx_distill.run.config import Config
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.folder import GENERATIONS, JUDGMENTS, PREFERENCES, SCORES
from mlx_distill.run.job import STATIC, Job
from mlx_distill.run.records import ROLES, Generation, Judgment, Preference, Prompt, Score
from mlx_distill.run.rubric import has_own_rubric, rubric_file, rubric_of


@dataclass
class Verdicts:
    """What the judges have said so far, and by judge the questions and answers in which they said it."""

    judgments: list[Judgment] = field(default_factory=list)
    preferences: list[Preference] = field(default_factory=list)
    asked: dict[str, list[Mapping[str, object]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, verdict: Judgment | Preference) -> None:
        if isinstance(verdict, Judgment):
            self.judgments.append(verdict)
        else:
            self.preferences.append(verdict)


def settings(job: Job) -> list[Any]:
    """What the judges' verdicts depend on, beside the generations."""
    config = job.config.comparison
    return [
        [identity(judge) for judge in config.judges],
        *(config.judging, config.repeats, config.against_teacher, config.judge_max_tokens, config.unsandboxed),
        (checks.VERSION, STATIC_VERSION, shown_packages(job.config)),
        [environment.hash_of(file) for file in config.human],
        environment.sandbox_level(),
        *([environment.hash_of(str(rubric_file(job.config)))] if has_own_rubric(job.config) else []),
    ]


def judge(job: Job) -> None:
    from mlx_distill.evaluate.judges import read_votes

    prompts = read_test_prompts(job)
    generations = job.run.read(GENERATIONS, Generation)
    scores, verdicts = check_answers(job, prompts, generations), Verdicts()
    for spec in job.config.comparison.judges:
        if spec != STATIC:
            asyncio.run(_ask(job, spec, prompts, generations, verdicts))
    if STATIC in job.config.comparison.judges:
        verdicts.judgments += measure_answers(job, prompts, generations)
    for file in job.config.comparison.human:
        verdicts.preferences += read_votes(Path(file), prompts, generations)
    _refuse_double_votes(verdicts.preferences)
    _write(job, scores, verdicts)


def check_rubric(config: Config) -> None:
    """Raises UsageError for a rubric that is missing, or of which static analysis alone measures nothing."""
    dimensions = rubric_of(config).dimensions
    if config.comparison.judges == (STATIC,) and not set(dimensions) & set(MEASURED):
        raise UsageError(
            f"{rubric_file(config)} has no dimension that static analysis measures ({', '.join(MEASURED)}): name a "
            "model with --judge."
        )


def _refuse_double_votes(preferences: Sequence[Preference]) -> None:
    cases = Counter((p.judge, p.prompt_id) for p in preferences if p.judge.startswith(PEOPLE))
    double = [case for case, count in cases.items() if count > 1]
    if double:
        raise DataError(
            f"{double[0][0]} votes twice on prompt {double[0][1]}: give each person another name, and each file once."
        )


def check_answers(job: Job, prompts: Sequence[Prompt], generations: Sequence[Generation]) -> list[Score]:
    by_id, config, scores = {prompt.id: prompt for prompt in prompts}, job.config.comparison, []
    check = functools.partial(
        checks.run_checks, unsandboxed=config.unsandboxed, packages=sandbox.names_of(config.sandbox_packages)
    )
    with job.view.tracking("check", len(generations)) as update:
        for place, g in enumerate(generations, 1):
            prompt = by_id[g.prompt_id]
            cut = g.finish_reason == "length"
            scores.append(check(prompt, g.role, g.answer_text, sample=g.sample, cut=cut))
            update(place, "")
    passed = [score for score in scores if score]
    if any(score.passed is None and not score.sandbox for score in passed):
        job.view.warn(
            "The checks were not run: this machine has no sandbox (see `mlx-distill doctor`). "
            "--unsandboxed runs models' code in the open."
        )
    return passed


def measure_answers(job: Job, prompts: Sequence[Prompt], generations: Sequence[Generation]) -> list[Judgment]:
    from mlx_distill.evaluate.judges import static_judge

    by_id, config = {prompt.id: prompt for prompt in prompts}, job.config.comparison
    packages = sandbox.names_of(config.sandbox_packages)
    return [static_judge(by_id[g.prompt_id], g, unsandboxed=config.unsandboxed, packages=packages) for g in generations]


async def _ask(
    job: Job, spec: str, prompts: Sequence[Prompt], generations: Sequence[Generation], replies: Verdicts
) -> None:
    """One judge, about every answer alone and every pair, as the configuration wants."""
    from mlx_distill.evaluate.judges import count_questions, judge_alone, judge_pairs

    config, heard = job.config.comparison, 0
    questions = count_questions(len(prompts), config)
    forecast = Forecast(questions.alone + questions.pairs)
    async with asking(job, spec) as asked:
        model = asked.teacher.model
        if model in replies.asked:
            raise UsageError(f"{model} is named as a judge twice: its answers would count twice.")
        ask = recording(asked.ask, replies.asked[model].append)
        pairs = PAIRS if config.against_teacher else PAIRS[:1]
        streams: list[AsyncGenerator[Judgment | Preference, None]] = []
        if config.judging != "pairwise":
            streams.append(judge_alone(prompts, generations, model, config, ask, rubric_of(job.config)))
        if config.judging != "rubric":
            streams.append(judge_pairs(prompts, generations, pairs, model, config, ask))
        with job.view.tracking("judge", forecast.total) as update:

            def show() -> None:
                update(heard, f"{model}  {asked.money(forecast)}  {asked.limit()}".strip())

            async with ticking(show):
                for stream in streams:
                    async with contextlib.aclosing(stream) as verdicts:
                        async for verdict in verdicts:
                            replies.add(verdict)
                            forecast.add(verdict.usd or 0.0)
                            heard += 1
                            show()


def _write(job: Job, scores: Sequence[Score], verdicts: Verdicts) -> None:
    """In an order that does not depend on which answer came first."""
    place = {prompt.id: index for index, prompt in enumerate(read_test_prompts(job))}
    judges = {name: index for index, name in enumerate(dict.fromkeys(v.judge for v in verdicts.judgments))}
    job.run.write_records(SCORES, scores)
    job.run.write_records(
        JUDGMENTS,
        sorted(
            verdicts.judgments,
            key=lambda j: (place[j.prompt_id], ROLES.index(j.role), j.sample, judges[j.judge], j.repeat),
        ),
    )
    job.run.write_records(
        PREFERENCES,
        sorted(
            verdicts.preferences, key=lambda p: (place[p.prompt_id], p.second, p.first, p.sample, p.judge, p.repeat)
        ),
    )
    for model, rows in verdicts.asked.items():
        lines = sorted(json.dumps(row, ensure_ascii=False) for row in rows)
        job.run.write_text(f"judge_data/{_file_name(model)}.jsonl", "".join(f"{line}\n" for line in lines))


def _file_name(model: str) -> str:
    return re.sub(r"[^A-Za-z0-9.@_-]+", "-", model)
