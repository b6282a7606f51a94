"""Start here: the stages in order, and the file that each one leaves in the run directory.

    prompts ──collect──▶ teacher_data.jsonl ──train──▶ distilled-student/, metrics.jsonl, training.json
    test prompts ──generate──▶ generations.jsonl ──judge──▶ scores.jsonl, judgments.jsonl
    all of it ──report──▶ results.json ──▶ RESULTS.md, visuals/

A stage runs when an output is missing or what it was made from has changed; otherwise it is kept. This module
alone knows file names: the stages take and yield values.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import tomli_w

from mlx_distill import config as configuration
from mlx_distill import environment
from mlx_distill.collect import Budget, Ledger, Patience, ask_all, collect, describe_dataset
from mlx_distill.config import Config
from mlx_distill.errors import DataError, TeacherError, UsageError
from mlx_distill.promptset import load_prompts
from mlx_distill.records import (
    Completion,
    Conversation,
    Generation,
    Judgment,
    Prompt,
    Role,
    Score,
    StepMetrics,
)
from mlx_distill.rundir import RunDir
from mlx_distill.summarise import summarise
from mlx_distill.teachers import Teacher, identity, is_claude, open_teacher

ADAPTER = "distilled-student"

TERMS = (
    "Anthropic's terms restrict using Claude's outputs to train models without authorisation. "
    "Read them (https://www.anthropic.com/legal) and decide whether your use is allowed."
)


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


# ---------------------------------------------------------------- the run


def prepare(run: RunDir, config: Config, *, update: bool = False) -> None:
    """Gives a new run its configuration.

    Raises UsageError when the run has another one, unless `update` says to change it.
    """
    configuration.check(config)
    path = run / "config.toml"
    if path.exists() and not update:
        different = configuration.differences(configuration.load(path), config)
        if different:
            raise UsageError(
                f"{run.path} was made with another configuration ({'; '.join(different)}): "
                "choose another --run, or add --update to change this one and redo what depends on it."
            )
    run.write_text("config.toml", tomli_w.dumps(configuration.to_table(config)))


def run_all(job: Job) -> dict[str, Any]:
    """Every stage, in order. Returns results.json's content."""
    if job.config.training.data is None:
        collect_stage(job)
    train_stage(job)
    compare_stages(job)
    return report_stage(job)


def compare_stages(job: Job) -> None:
    if job.config.training.data is not None:
        collect_stage(job, splits=("test",))
    generate_stage(job)
    judge_stage(job)


def _stage(
    job: Job,
    name: str,
    settings: Sequence[Any],
    inputs: Sequence[str],
    outputs: Sequence[str],
    work: Callable[[], None],
    partial: Sequence[str] = (),
) -> None:
    """Runs `work` unless its outputs are current. `partial`: what an attempt at other inputs must not find."""
    fingerprint = job.run.fingerprint([_plain(part) for part in settings], inputs)
    if job.run.is_current(name, fingerprint, outputs):
        job.view.kept(name)
        return
    if not job.run.started_from(name, fingerprint):
        for path in partial:
            _remove(job.run / path)
    started = time.monotonic()
    job.run.mark(name, fingerprint, "running", 0.0)
    work()
    job.run.mark(name, fingerprint, "done", time.monotonic() - started)


def _plain(part: Any) -> Any:
    return dataclasses.asdict(part) if dataclasses.is_dataclass(part) and not isinstance(part, type) else part


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# ---------------------------------------------------------------- asking a teacher or a judge


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


def accept_terms(run: RunDir, config: Config, accepted: bool) -> None:
    """Claude as a teacher needs one acknowledgement, kept in the run. Raises TeacherError without it."""
    spec = config.teacher.spec
    if not is_claude(spec) or config.training.data or (run / "terms.json").exists():
        return
    if not accepted:
        raise TeacherError(f"{TERMS} Then add --accept-terms, once.")
    run.write_json("terms.json", {"text": TERMS, "teacher": spec, "accepted": environment.now()})


# ---------------------------------------------------------------- collect


def collect_stage(job: Job, splits: Sequence[str] = ("train", "valid", "test")) -> None:
    config = job.config
    prompts = [prompt for prompt in load_prompts(config.prompts) if prompt.split in splits]
    job.run.write_records("prompts.jsonl", prompts)
    _stage(
        job,
        "collect",
        [config.teacher, identity(config.teacher.spec)],
        ["prompts.jsonl"],
        ["teacher_data.jsonl", "dataset.json"],
        lambda: asyncio.run(_collect(job, prompts)),
    )


async def _collect(job: Job, prompts: list[Prompt]) -> None:
    found: dict[str, Completion] = {}
    order = {prompt.id: place for place, prompt in enumerate(prompts)}
    async with _asking(job, job.config.teacher.spec) as (teacher, ask):
        with job.view.tracking("collect", len(prompts)) as update:
            async with contextlib.aclosing(collect(prompts, teacher, job.config.teacher, ask)) as completions:
                async for completion in completions:
                    found[completion.prompt_id] = completion
                    dollars = sum(answer.usd or 0.0 for answer in found.values())
                    update(len(found), f"${dollars:.2f}")
    completions_in_order = sorted(found.values(), key=lambda answer: order[answer.prompt_id])
    job.run.write_records("teacher_data.jsonl", completions_in_order)
    summary = describe_dataset(prompts, completions_in_order)
    job.run.write_json("dataset.json", summary)
    if summary["left_out"]:
        reasons = ", ".join(f"{count} {reason}" for reason, count in summary["left_out"].items())
        job.view.warn(f"Left out of training: {reasons} (kept in teacher_data.jsonl; see dataset.json).")


# ---------------------------------------------------------------- train


def train_stage(job: Job) -> None:
    config = job.config.training
    inputs = [] if config.data else ["prompts.jsonl", "teacher_data.jsonl"]
    data_hash = environment.hash_of(config.data)
    _stage(
        job,
        "train",
        [config, data_hash],
        inputs,
        [f"{ADAPTER}/adapters.safetensors", "metrics.jsonl", "training.json"],
        lambda: _train(job),
        partial=[ADAPTER, "metrics.jsonl", "training.json"],
    )


def _conversations(job: Job) -> list[Conversation]:
    from mlx_distill.train import load_conversations

    if job.config.training.data:
        return load_conversations(Path(job.config.training.data), job.config.training.seed)
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


def _train(job: Job) -> None:
    from mlx_distill import students
    from mlx_distill.students import adapter as adapters
    from mlx_distill.train import SplitModel, encode_all, evaluate, train

    config, folder = job.config.training, job.run / ADAPTER
    conversations = _conversations(job)
    job.view.note(f"Loading {config.student}")
    student = students.load(config.student)
    parts = {
        split: encode_all([c for c in conversations if c.split == split], student, config.system, config.window)
        for split in ("train", "valid")
    }
    adapter = adapters.attach(student.model, config)
    job.view.note(
        f"{adapter.parameter_count():,} trainable parameters of {adapters.total_parameters(student.model):,}; "
        f"{len(parts['train'])} examples, {sum(e.scored_count for e in parts['train']):,} scored tokens an epoch"
    )
    steps = -(-len(parts["train"]) // config.batch_size) * config.epochs
    kept: list[StepMetrics] | None = None
    with job.view.tracking("train", steps) as update:
        for metrics in train(student, adapter, parts["train"], parts["valid"], config, folder):
            if kept is None:
                known = job.run.read_resumable("metrics.jsonl", StepMetrics)
                kept = [row for row in known if row.step < metrics.step]
                job.run.write_records("metrics.jsonl", kept)
            job.run.append("metrics.jsonl", metrics)
            update(metrics.step, describe_step(metrics))
    adapter.set_weights(adapters.read_weights(folder))
    split = SplitModel(student.model, adapter.layers)
    best = evaluate(split, parts["valid"], config)
    adapter.switch(False)
    base = evaluate(split, parts["valid"], config)
    job.run.write_json(
        "training.json",
        {
            "trainable_parameters": adapter.parameter_count(),
            "total_parameters": adapters.total_parameters(student.model),
            "examples": {name: len(examples) for name, examples in parts.items()},
            "tokens": [
                [len(example.tokens) - example.scored_count, example.scored_count]
                for examples in parts.values()
                for example in examples
            ],
            "heldout": {
                "ids": [example.id for example in parts["valid"]],
                "base": [list(row) for row in base],
                "best": [list(row) for row in best],
            },
        },
    )


def describe_step(metrics: StepMetrics) -> str:
    loss = "" if metrics.loss is None else f"loss {metrics.loss:.3f}  {metrics.tokens_per_second:.0f} tok/s"
    heldout = "" if metrics.valid_loss is None else f"  held-out loss {metrics.valid_loss:.3f}"
    return f"{loss}{heldout}".strip()


# ---------------------------------------------------------------- compare


def generate_stage(job: Job) -> None:
    config = job.config
    _stage(
        job,
        "generate",
        [config.comparison.max_tokens, config.comparison.batch_size, config.training.system],
        ["prompts.jsonl", "teacher_data.jsonl", f"{ADAPTER}/adapters.safetensors"],
        ["generations.jsonl"],
        lambda: _generate(job),
        partial=["generations.jsonl"],
    )


def _test_prompts(job: Job) -> list[Prompt]:
    found = [prompt for prompt in job.run.read("prompts.jsonl", Prompt) if prompt.split == "test"]
    if not found:
        raise DataError(f"{job.run.path} has no test prompts: run `mlx-distill collect` first.")
    return found


def _generate(job: Job) -> None:
    from mlx_distill import students
    from mlx_distill.compare import generate
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
            for batch in generate(student, role, prompts, config.training.system, config.comparison, done):
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
    roles = ("teacher", "base", "distilled")
    return sorted(unique.values(), key=lambda g: (place[g.prompt_id], roles.index(g.role)))


def judge_stage(job: Job) -> None:
    config = job.config.comparison
    _stage(
        job,
        "judge",
        [config.judge, config.judge_max_tokens, environment.sandbox_level()],
        ["prompts.jsonl", "generations.jsonl"],
        ["scores.jsonl", "judgments.jsonl"],
        lambda: _judge(job),
    )


def _judge(job: Job) -> None:
    from mlx_distill.compare import run_checks, static_judge

    prompts = {prompt.id: prompt for prompt in _test_prompts(job)}
    generations = job.run.read("generations.jsonl", Generation)
    scores: dict[tuple[str, Role], Score] = {}
    judgments: list[Judgment] = []
    is_static = job.config.comparison.judge == "static"
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
    from mlx_distill.compare import judge

    found: list[Judgment] = []
    async with _asking(job, job.config.comparison.judge) as (teacher, ask):
        with job.view.tracking("judge", len(generations)) as update:
            judging = judge(prompts, generations, teacher, job.config.comparison, ask)
            async with contextlib.aclosing(judging) as judgments:
                async for judgment in judgments:
                    found.append(judgment)
                    update(len(found), f"${sum(j.usd or 0.0 for j in found):.2f}")
    place = {(g.prompt_id, g.role): index for index, g in enumerate(generations)}
    return sorted(found, key=lambda judgment: place[judgment.prompt_id, judgment.role])


# ---------------------------------------------------------------- report


def report_stage(job: Job) -> dict[str, Any]:
    """results.json from the run's files, and from it alone the charts and RESULTS.md."""
    from mlx_distill.report import draw

    job.run.write_json("environment.json", environment.describe() | {"seed": job.config.training.seed})
    results = summarise(job.run, job.config)
    job.run.write_json("results.json", results)
    draw(results, job.run.path, job.run / "visuals")
    return results
