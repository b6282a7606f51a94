"""What each stage does: reads the run's files, calls the stage, writes what came out.

In: a Job. Out: files in the run directory. `pipeline.py` decides whether and in which order these run.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mlx_distill import environment
from mlx_distill.collect import Budget, Ledger, Patience, ask_all, describe_dataset
from mlx_distill.collect import collect as ask_teacher
from mlx_distill.config import Config, TrainingConfig
from mlx_distill.errors import DataError
from mlx_distill.promptset import load_prompts
from mlx_distill.records import (
    ROLES,
    Completion,
    Conversation,
    Generation,
    Judgment,
    Prompt,
    Role,
    Score,
    StepMetrics,
    digest,
)
from mlx_distill.rundir import RunDir
from mlx_distill.teachers import Teacher, open_teacher

if TYPE_CHECKING:
    from mlx_distill.students import Student
    from mlx_distill.students.adapter import Adapter
    from mlx_distill.train import SplitModel
    from mlx_distill.train.encode import Example

ADAPTER = "distilled-student"
STATIC = "static"
"""The judge that is no teacher: measurements of the code itself."""


class View(Protocol):
    """Who watches: the terminal, or a test."""

    def kept(self, stage: str) -> None: ...
    def note(self, text: str) -> None: ...
    def warn(self, text: str) -> None: ...
    def tracking(self, stage: str, total: int) -> contextlib.AbstractContextManager[Callable[[int, str], None]]: ...


@dataclass(frozen=True)
class Job:
    run: RunDir
    config: Config
    view: View
    patience: Patience = dataclasses.field(default_factory=Patience)


# ---------------------------------------------------------------- collect


async def collect(job: Job, prompts: list[Prompt]) -> None:
    found: dict[str, Completion] = {}
    dollars = 0.0
    order = {prompt.id: place for place, prompt in enumerate(prompts)}
    async with _asking(job, job.config.teacher.spec) as (teacher, ask):
        with job.view.tracking("collect", len(prompts)) as update:
            async with contextlib.aclosing(ask_teacher(prompts, teacher, job.config.teacher, ask)) as completions:
                async for completion in completions:
                    found[completion.prompt_id] = completion
                    dollars += completion.usd or 0.0
                    update(len(found), f"${dollars:.2f}")
    completions_in_order = sorted(found.values(), key=lambda answer: order[answer.prompt_id])
    job.run.write_records("prompts.jsonl", prompts)
    job.run.write_records("teacher_data.jsonl", completions_in_order)
    summary = describe_dataset(prompts, completions_in_order)
    job.run.write_json("dataset.json", summary)
    if summary["left_out"]:
        reasons = ", ".join(f"{count} {reason}" for reason, count in summary["left_out"].items())
        job.view.warn(f"Left out of training: {reasons} (kept in teacher_data.jsonl; see dataset.json).")


@contextlib.asynccontextmanager
async def _asking(job: Job, spec: str) -> Any:
    """A teacher, and a function that asks it through this run's ledger and budget."""
    config = job.config.collect
    ledger_path = Path(config.ledger) if config.ledger else job.run / "ledger.sqlite"
    teacher = open_teacher(spec)
    try:
        with Ledger(ledger_path) as ledger:
            budget = Budget(config.max_cost, spent=ledger.total_usd())
            yield teacher, functools.partial(_ask, ledger=ledger, budget=budget, job=job)
    finally:
        await teacher.close()


def _ask(requests: Any, teacher: Teacher, *, ledger: Ledger, budget: Budget, job: Job) -> Any:
    return ask_all(
        requests,
        teacher,
        ledger,
        concurrency=job.config.collect.concurrency,
        budget=budget,
        patience=job.patience,
    )


# ---------------------------------------------------------------- train


def _conversations(job: Job) -> list[Conversation]:
    from mlx_distill.train import load_conversations, refuse_leaks

    if job.config.training.data:
        conversations = load_conversations(Path(job.config.training.data), job.config.training.seed)
        refuse_leaks(conversations, load_prompts(job.config.prompts))
        return conversations
    return _collected(job)


def collected_digest(job: Job) -> str:
    """Of what is trained on and held out; the test prompts' answers do not count, so they may change."""
    return digest(repr(conversation) for conversation in _collected(job))


def _collected(job: Job) -> list[Conversation]:
    split = {prompt.id: prompt.split for prompt in job.run.read("prompts.jsonl", Prompt)}
    completions = job.run.read("teacher_data.jsonl", Completion)
    if not completions:
        raise DataError(f"{job.run.path} has no teacher_data.jsonl: run `mlx-distill collect` first.")
    return [
        Conversation(
            answer.prompt_id,
            ({"role": "user", "content": answer.prompt}, {"role": "assistant", "content": answer.completion}),
            split[answer.prompt_id],
        )
        for answer in completions
        if answer.complete and split[answer.prompt_id] != "test"
    ]


def write_environment(job: Job) -> None:
    """The machine that trains; a report drawn again elsewhere keeps it."""
    job.run.write_json("environment.json", environment.describe() | {"seed": job.config.training.seed})


def train(job: Job) -> None:
    from mlx_distill import students
    from mlx_distill import train as training
    from mlx_distill.students import adapter as adapters

    config, folder = job.config.training, job.run / ADAPTER
    write_environment(job)
    conversations = _conversations(job)
    job.view.note(f"Loading {config.student}")
    student = students.load(config.student)
    parts = {
        split: training.encode_all(
            [c for c in conversations if c.split == split], student, config.system, config.window
        )
        for split in ("train", "valid")
    }
    adapter = adapters.attach(student.model, config)
    job.view.note(
        f"{adapter.parameter_count():,} trainable parameters of {adapters.total_parameters(student.model):,}; "
        f"{len(parts['train'])} examples, {sum(e.scored_count for e in parts['train']):,} scored tokens an epoch"
    )
    split = training.SplitModel(student.model, adapter.layers)
    steps = -(-len(parts["train"]) // config.batch_size) * config.epochs
    kept: list[StepMetrics] | None = None
    with job.view.tracking("train", steps) as update:
        for metrics in training.train(student, split, adapter, parts["train"], parts["valid"], config, folder):
            if kept is None:
                known = job.run.read_resumable("metrics.jsonl", StepMetrics)
                kept = [row for row in known if row.step < metrics.step]
                job.run.write_records("metrics.jsonl", kept)
            job.run.append("metrics.jsonl", metrics)
            update(metrics.step, describe_step(metrics))
    adapter.set_weights(adapters.read_weights(folder))
    job.run.write_json("training.json", _training_summary(student, split, adapter, parts, config))


def _training_summary(
    student: Student,
    split: SplitModel,
    adapter: Adapter,
    parts: dict[str, list[Example]],
    config: TrainingConfig,
) -> dict[str, Any]:
    """training.json: counts, lengths, and for each held-out example (nats, hits, tokens) of base and best."""
    from mlx_distill.students.adapter import total_parameters
    from mlx_distill.train import evaluate

    best = evaluate(split, parts["valid"], config)
    adapter.switch(False)
    base = evaluate(split, parts["valid"], config)
    lengths = [(len(example.tokens), example.scored_count) for part in parts.values() for example in part]
    return {
        "trainable_parameters": adapter.parameter_count(),
        "total_parameters": total_parameters(student.model),
        "examples": {name: len(examples) for name, examples in parts.items()},
        "tokens": [[length - scored, scored] for length, scored in lengths],
        "heldout": {"ids": [example.id for example in parts["valid"]], "base": base, "best": best},
    }


def describe_step(metrics: StepMetrics) -> str:
    loss = "" if metrics.loss is None else f"loss {metrics.loss:.3f}  {metrics.tokens_per_second:.0f} tok/s"
    heldout = "" if metrics.valid_loss is None else f"  held-out loss {metrics.valid_loss:.3f}"
    return f"{loss}{heldout}".strip()


# ---------------------------------------------------------------- generate


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
            adapter.switch(role == "distilled")
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
    async with _asking(job, job.config.comparison.judge) as (teacher, ask):
        with job.view.tracking("judge", len(generations)) as update:
            judging = compare.judge(prompts, generations, teacher, job.config.comparison, ask)
            async with contextlib.aclosing(judging) as judgments:
                async for judgment in judgments:
                    found.append(judgment)
                    update(len(found), f"${sum(j.usd or 0.0 for j in found):.2f}")
    place = {(g.prompt_id, g.role): index for index, g in enumerate(generations)}
    return sorted(found, key=lambda judgment: place[judgment.prompt_id, judgment.role])
