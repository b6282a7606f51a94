"""The stages that compare: base and distilled answer the test prompts, and the answers are checked and judged.

In: prompts.jsonl, teacher_data.jsonl, the adapter. Out: generations.jsonl, scores.jsonl, judgments.jsonl.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from mlx_distill.collect import Forecast
from mlx_distill.errors import DataError
from mlx_distill.records import ROLES, Completion, Generation, Judgment, Prompt, Role, Score
from mlx_distill.stages import ADAPTER, STATIC, Job
from mlx_distill.stages.asking import asking, ticking


def _test_prompts(job: Job) -> list[Prompt]:
    found = [prompt for prompt in job.run.read("prompts.jsonl", Prompt) if prompt.split == "test"]
    if not found:
        raise DataError(f"{job.run.path} has no test prompts: run `mlx-distill collect` first.")
    return found


def generate(job: Job) -> None:
    from mlx_distill import compare, students
    from mlx_distill.students import adapter as adapters

    config, prompts = job.config, _test_prompts(job)
    known = job.run.read_resumable("generations.jsonl", Generation)
    job.view.note(f"Loading {config.training.student} with its adapter")
    student = students.load(config.training.student)
    adapter = adapters.load(student.model, job.run / ADAPTER)
    roles: tuple[Role, ...] = ("base", "distilled")
    with job.view.tracking("generate", len(roles) * len(prompts)) as update:
        for role in roles:
            adapter.dial(config.comparison.strength if role == "distilled" else 0.0)
            done = {generation.prompt_id for generation in known if generation.role == role}
            for batch in compare.generate(student, role, prompts, config.training.system, config.comparison, done):
                for generation in batch:
                    job.run.append("generations.jsonl", generation)
                known += batch
                update(len(known), f"{role}: {_speed(batch):.0f} tok/s")
    job.run.write_records("generations.jsonl", _in_order(prompts, known + _teacher_generations(job, prompts)))


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
    unique = {(generation.prompt_id, generation.role): generation for generation in generations}
    return sorted(unique.values(), key=lambda g: (place[g.prompt_id], ROLES.index(g.role)))


# ---------------------------------------------------------------- judge


def judge(job: Job) -> None:
    from mlx_distill.compare import run_checks, static_judge

    prompts = {prompt.id: prompt for prompt in _test_prompts(job)}
    generations = job.run.read("generations.jsonl", Generation)
    scores: dict[tuple[str, Role], Score] = {}
    judgments: list[Judgment] = []
    is_static = job.config.comparison.judge == STATIC
    with job.view.tracking("check", len(generations)) as update:
        for place, generation in enumerate(generations, 1):
            prompt = prompts[generation.prompt_id]
            score = run_checks(prompt, generation.role, generation.text)
            if score:
                scores[generation.prompt_id, generation.role] = score
            if is_static:
                judgments.append(static_judge(prompt, generation, score))
            update(place, "")
    if any(score.passed is None for score in scores.values()):
        job.view.warn("The checks were not run: this machine has no sandbox (see `mlx-distill doctor`).")
    if not is_static:
        judgments = asyncio.run(_llm_judge(job, list(prompts.values()), generations))
    job.run.write_records("scores.jsonl", scores.values())
    job.run.write_records("judgments.jsonl", judgments)


async def _llm_judge(job: Job, prompts: list[Prompt], generations: list[Generation]) -> list[Judgment]:
    from mlx_distill import compare

    found: list[Judgment] = []
    forecast = Forecast(len(generations))
    async with asking(job, job.config.comparison.judge) as asked:
        with job.view.tracking("judge", len(generations)) as update:

            def show() -> None:
                update(len(found), f"{asked.money(forecast)}  {asked.limit()}".strip())

            judging = compare.judge(prompts, generations, asked.teacher.model, job.config.comparison, asked.ask)
            async with ticking(show), contextlib.aclosing(judging) as judgments:
                async for judgment in judgments:
                    found.append(judgment)
                    forecast.add(judgment.usd or 0.0)
                    show()
    place = {(g.prompt_id, g.role): index for index, g in enumerate(generations)}
    return sorted(found, key=lambda judgment: place[judgment.prompt_id, judgment.role])
