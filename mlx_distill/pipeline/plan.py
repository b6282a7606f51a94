"""What a run would take, before anything starts: prompts, tokens, dollars, memory, time.

In: a configuration. Out: rows for a table. Upper limits are computed. What cannot be known beforehand (the length of
answers, the speed of this machine) comes from earlier runs in the same folder, or is called unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlx_distill.evaluate import benchmarks as bench
from mlx_distill.evaluate import judges as compare
from mlx_distill.machine import environment
from mlx_distill.models.teachers import is_chosen
from mlx_distill.models.teachers.traits import traits_of
from mlx_distill.pipeline.lengths import lengths_of
from mlx_distill.pipeline.totals import PromptTotals, count_prompts, further_answers
from mlx_distill.run import prices
from mlx_distill.run.config import BenchConfig, Config
from mlx_distill.run.digest import digest
from mlx_distill.run.wording import plural
from mlx_distill.train import fit
from mlx_distill.train.fit import Choice, Machine, Task, flops, in_gib
from mlx_distill.train.replay.answers import replayed_prompts


def plan(config: Config, run: Path) -> list[tuple[str, str]]:
    """(what, how much) rows. Raises UsageError and DataError for prompts or models that are not there."""
    rows: list[tuple[str, str]] = []
    if config.training.data:
        rows.append(("Training data", config.training.data))
    prompts = count_prompts(config)
    rows.append(("Prompts", ", ".join(f"{count:,} {split}" for split, count in prompts.counts.items())))
    rows += _teaching(config, prompts)
    rows += _choosing(config, prompts)
    rows += _judging(config, prompts)
    rows += _benchmarks(config.bench)
    rows += _selection(config)
    rows += _replay(config)
    if (seeds := config.run.training_seeds) > 1:
        rows.append(("Training seeds", f"{seeds}: training, distilled answers and judging {seeds} times"))
    return rows + _training(config, prompts, run)


@dataclass(frozen=True)
class Figures:
    """What one run takes, in numbers: dollars and bytes at most, seconds of training; None is unknown. `questions`: a
    digest of what the teacher's answers depend on, so that runs with the same questions can share them."""

    questions: str
    teacher_usd: float
    judge_usd: float
    peak: int | None
    limit: int | None
    seconds: float | None


def figures(config: Config, beside: Path) -> Figures:
    """`beside`: a run's folder, whose neighbours say how fast this machine is. Raises as `plan`."""
    prompts = count_prompts(config)
    estimate = _estimate(config, prompts, beside)
    seconds = estimate.pace and _seconds(estimate.task, estimate.choice, estimate.pace[0]) if estimate else None
    teacher = config.teacher
    return Figures(
        questions=digest([repr(teacher), repr(config.prompts), str(config.training.data), *further_answers(config)]),
        teacher_usd=_most_usd(config, prompts) or 0.0,
        judge_usd=_judges_usd(config, prompts),
        peak=estimate.choice.peak if estimate else None,
        limit=estimate.choice.limit if estimate else None,
        seconds=seconds,
    )


def _teaching(config: Config, prompts: PromptTotals) -> list[tuple[str, str]]:
    if not is_chosen(config):
        return [("Teacher", "none: base and distilled are compared alone (--teacher names one)")]
    count = prompts.asked
    tokens = prompts.bytes + count * len(config.teacher.system.encode())
    if traits_of(config.teacher.spec).kind == "traces":
        return [("Teacher", f"{config.teacher.spec}: existing answers, nothing is asked")]
    rows = [
        ("Teacher", config.teacher.spec),
        *([("Answers to ask for, at most", f"{count:,}")] if config.choice.teacher_answers > 1 else []),
        ("Input tokens, at most", f"{tokens:,}"),
        ("Output tokens, at most", f"{count * config.teacher.max_tokens:,}"),
    ]
    most = _most_usd(config, prompts)
    if most is None:
        return [*rows, ("Teacher's cost", "nothing")]
    return [*rows, ("Teacher's cost, at most", f"${most:,.2f} (list prices of {prices.DATED})")]


def _most_usd(config: Config, prompts: PromptTotals) -> float | None:
    """What the teacher's answers cost if all reach their token limit; None where nobody is paid."""
    if not traits_of(config.teacher.spec).paid or not is_chosen(config):
        return None
    count = prompts.asked
    size = prompts.bytes + count * (len(config.teacher.system.encode()) + prices.FRAME_TOKENS)
    usage = prices.Usage(size, count * config.teacher.max_tokens)
    return prices.cost(prices.price_of(config.teacher.spec, config.collect.price), usage, batch=config.collect.batch)


def _choosing(config: Config, prompts: PromptTotals) -> list[tuple[str, str]]:
    choice = config.choice
    if not choice.wanted:
        return []
    own = prompts.checked * choice.student_answers
    rows = [("Student's own answers", f"{own:,}, of up to {choice.max_tokens:,} tokens")] if own else []
    return [*rows, ("Answers to train on", f"chosen by the rule {choice.rule!r}")]


def _judging(config: Config, prompts: PromptTotals) -> list[tuple[str, str]]:
    comparison, count = config.comparison, prompts.counts["test"]
    asks = compare.count_questions(count, comparison)
    what = f"{asks.alone:,} answers alone, {asks.pairs:,} pairs"
    rows = [("Judge", judge if judge == "static" else f"{judge}: {what}") for judge in comparison.judges]
    most = _judges_usd(config, prompts)
    if not most:
        return [*rows, ("Judge's cost", "nothing")]
    return [*rows, ("Judge's cost, upper estimate", f"${most:,.2f}")]


def _judges_usd(config: Config, prompts: PromptTotals) -> float:
    paid = [judge for judge in config.comparison.judges if traits_of(judge).paid]
    return config.run.training_seeds * sum(compare.most_usd(judge, config, prompts.counts["test"]) for judge in paid)


def _selection(config: Config) -> list[tuple[str, str]]:
    """The number of candidates is left out: it depends on the steps, which depend on what is collected."""
    items, strengths = config.selection.items, config.selection.strengths
    if items is None:
        return []
    tried = ", ".join(f"{strength:g}" for strength in strengths)
    return [("Selection", f"{items:,} items of each benchmark, every checkpoint at strength {tried}")]


def _replay(config: Config) -> list[tuple[str, str]]:
    if not config.replay.wanted:
        return []
    count, share = len(replayed_prompts(config)), config.replay.share
    words = f"{share:.0%} of each batch's tokens" if share else "none: drift is only measured"
    most = f"at most {config.replay.max_tokens} tokens each, once"
    return [("Replay", words), ("General prompts", f"{count:,} of {config.replay.prompts}; the base answers: {most}")]


def _benchmarks(config: BenchConfig) -> list[tuple[str, str]]:
    """Counted by the published sizes: no benchmark is loaded."""
    named = [bench.BENCHMARKS[name] for name in bench.named(config.benchmarks)]
    if not named and not config.data:
        return []
    items = [min(config.limit or benchmark.size, benchmark.size) for benchmark in named]
    answers = 2 * (config.samples or 1)
    counted = list(zip(items, named, strict=True))
    tokens = sum(count * answers * (config.max_tokens or benchmark.max_tokens) for count, benchmark in counted)
    names = ", ".join(f"{benchmark.title} ({count:,})" for count, benchmark in counted)
    files = f"{len(config.data)} of your files" if config.data else ""
    rows = [("Benchmarks, items", ", ".join(filter(None, [names, files])))]
    return [*rows, ("Tokens of the answers, at most", f"{tokens:,}")] if named else rows


# ---------------------------------------------------------------- training


@dataclass(frozen=True)
class TrainingEstimate:
    """What training takes. `layers_wanted`: the layers that the user asks for; `pace`: FLOP/s, and the run in which
    they were measured."""

    task: Task
    layers_wanted: int
    choice: Choice
    source: str
    factor: float
    calibrated: int
    pace: tuple[float, str] | None


def _estimate(config: Config, prompts: PromptTotals, run: Path) -> TrainingEstimate | None:
    """None for a student that is not on this machine, or of an unknown architecture."""
    shape = fit.find(config.training.student)
    if shape is None:
        return None
    hardware = environment.hardware()
    lengths, source = lengths_of(config, prompts.counts, run)
    task = Task(shape, config.training, lengths, Machine.of(hardware))
    runs = fit.earlier_runs(run.resolve().parent)
    factor, count = fit.correction(runs, config.training.student, task.machine.backend)
    wanted, layers = task.layers, fit.most_layers(task, config.machine, factor) if config.machine.auto else None
    if layers and layers < wanted:
        task = fit.with_layers(task, layers)
    pace = fit.speed(runs, config.training.student, hardware.chip)
    return TrainingEstimate(task, wanted, fit.choose(task, config.machine, factor), source, factor, count, pace)


def _training(config: Config, prompts: PromptTotals, run: Path) -> list[tuple[str, str]]:
    estimate = _estimate(config, prompts, run)
    if estimate is None:
        reason = f"{config.training.student} is not on this machine, or of an unknown architecture"
        return [("Memory and time", f"unknown: {reason}")]
    task, choice, count = estimate.task, estimate.choice, estimate.calibrated
    weights = f"{config.training.student}, {task.shape.weights() / 1e6:,.0f} M weights"
    rows = [("Student", weights), ("Examples", estimate.source)]
    if task.layers < estimate.layers_wanted:
        rows.append(("Layers, --auto", f"{task.layers} of {estimate.layers_wanted}"))
    rows += _memory(task, choice, f"calibrated by {plural(count, 'earlier run')}" if count else "not calibrated yet")
    fits = fit.in_words(choice.layout) if choice.fits else f"no: {fit.advice(task, config.machine, estimate.factor)}"
    return [*rows, ("Fits", fits), *_time(task, choice, estimate.pace)]


def _memory(task: Task, choice: Choice, calibrated: str) -> list[tuple[str, str]]:
    parts = choice.prediction
    trained = f"{fit.trainable(task.shape, task.config):,} on {task.layers} of {task.shape.layers} layers"
    disk = f", {in_gib(parts.prefix - choice.prefix)} on disk" if parts.prefix > choice.prefix else ""
    return [
        ("Trainable parameters", trained),
        ("Weights", in_gib(parts.weights)),
        ("Adapter and optimiser", in_gib(parts.adapter)),
        ("Activations", in_gib(parts.activations)),
        ("Logits chunks", in_gib(parts.logits)),
        ("Prefix cache", f"{in_gib(choice.prefix)}{disk}"),
        ("Peak memory, about", f"{in_gib(choice.peak)} ({calibrated})"),
        ("Memory limit", _limit(task.machine, choice)),
    ]


def _limit(machine: Machine, choice: Choice) -> str:
    return f"{in_gib(choice.limit)} of this machine's {in_gib(machine.memory_bytes)}"


def _time(task: Task, choice: Choice, pace: tuple[float, str] | None) -> list[tuple[str, str]]:
    """Estimated from the FLOP/s of an earlier run on this chip."""
    if pace is None:
        return [("Training time", "unknown until a run on this machine has measured it")]
    speed, name = pace
    steps, whole = _steps(task)
    step = flops.epoch(task, choice.layout) / steps / speed
    return [
        ("Step time, about", f"{step:.1f} s, at the {speed / 1e9:,.0f} GFLOP/s of {name}"),
        ("Training time, about", f"{in_time(_seconds(task, choice, speed))} for {whole:,} steps"),
    ]


def _steps(task: Task) -> tuple[int, int]:
    """Optimiser steps of an epoch, and of the whole training."""
    count = len(task.lengths.train)
    return task.config.epoch_steps(count), task.config.all_steps(count)


def _seconds(task: Task, choice: Choice, speed: float) -> float:
    steps, whole = _steps(task)
    measured = whole / (task.config.evaluate_every or steps) + 1
    epochs = flops.epoch(task, choice.layout) * whole / steps
    return (epochs + flops.prefix(task) + measured * flops.heldout(task)) / speed


def in_time(seconds: float) -> str:
    minutes = seconds / 60
    return f"{seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
