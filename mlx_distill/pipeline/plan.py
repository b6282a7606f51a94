"""What a run would take, before anything starts: prompts, tokens, dollars, memory, time.

In: a configuration. Out: rows for a table. Bounds are computed; what cannot be known beforehand (how long answers
are, how fast this machine is) comes from earlier runs beside this one, or is called unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlx_distill.evaluate import benchmarks as bench
from mlx_distill.evaluate import judges as compare
from mlx_distill.machine import environment
from mlx_distill.models import students
from mlx_distill.models.teachers import is_chosen, is_claude, is_traces
from mlx_distill.run import prices
from mlx_distill.run.config import BenchConfig, Config
from mlx_distill.run.data.material import counted_texts
from mlx_distill.run.folder import RunDir
from mlx_distill.run.prompts import heldout_prompts, stream_prompts
from mlx_distill.run.records import Prompt, digest
from mlx_distill.run.wording import plural
from mlx_distill.train import fit
from mlx_distill.train.fit import Choice, Lengths, Machine, Task, flops, in_gib
from mlx_distill.train.fit.lengths import Turns, sizes_of

Split = Sequence[Sequence[Turns]]
"""Conversations to train on, and held out."""

TYPICAL = (1000, 500)
"""Tokens of an example with an answer of a page or two, and how many of them are scored."""


def plan(config: Config, run: Path) -> list[tuple[str, str]]:
    """(what, how much) rows. Raises UsageError and DataError for prompts or models that are not there."""
    rows: list[tuple[str, str]] = []
    if config.training.data:
        rows.append(("Training data", config.training.data))
    asked = _Asked()
    for prompt in _prompts(config):
        asked.add(prompt)
    rows.append(("Prompts", ", ".join(f"{count:,} {split}" for split, count in asked.counts.items())))
    rows += _teaching(config, asked)
    rows += _judging(config, asked)
    rows += _benchmarks(config.bench)
    rows += _selection(config)
    return rows + _training(config, asked, run)


@dataclass(frozen=True)
class Figures:
    """Of one run in numbers: dollars and bytes at most, seconds of training; None is not known. `asked`: of what the
    teacher's answers depend on, so that runs which ask the same can share them."""

    asked: str
    teacher_usd: float
    judge_usd: float
    peak: int | None
    limit: int | None
    seconds: float | None


def figures(config: Config, beside: Path) -> Figures:
    """`beside`: a run's folder, whose neighbours say how fast this machine is. Raises as `plan`."""
    asked = _Asked()
    for prompt in _prompts(config):
        asked.add(prompt)
    found = _trained(config, asked, beside)
    seconds = found.pace and _seconds(found.task, found.choice, found.pace[0]) if found else None
    teacher = config.teacher
    return Figures(
        asked=digest([repr(teacher), repr(config.prompts), str(config.training.data)]),
        teacher_usd=_most_usd(config, asked) or 0.0,
        judge_usd=_judges_usd(config, asked),
        peak=found.choice.peak if found else None,
        limit=found.choice.limit if found else None,
        seconds=seconds,
    )


class _Asked:
    """How many prompts there are, and how long they are."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.bytes = 0

    def add(self, prompt: Prompt) -> None:
        self.counts[prompt.split] += 1
        self.bytes += len(prompt.text.encode())


def _prompts(config: Config) -> Iterable[Prompt]:
    if config.training.data or is_traces(config.teacher.spec):
        return heldout_prompts(config.prompts, ("test",))
    return stream_prompts(config.prompts)


def _teaching(config: Config, asked: _Asked) -> list[tuple[str, str]]:
    if not is_chosen(config):
        return [("Teacher", "none: base and distilled are compared alone (--teacher names one)")]
    count = asked.counts.total()
    tokens = asked.bytes + count * len(config.teacher.system.encode())
    if is_traces(config.teacher.spec):
        return [("Teacher", f"{config.teacher.spec}: existing answers, nothing is asked")]
    rows = [
        ("Teacher", config.teacher.spec),
        ("Tokens in, at most", f"{tokens:,}"),
        ("Tokens out, at most", f"{count * config.teacher.max_tokens:,}"),
    ]
    most = _most_usd(config, asked)
    if most is None:
        return [*rows, ("Teacher's cost", "nothing")]
    return [*rows, ("Teacher's cost, at most", f"${most:,.2f} (list prices of {prices.DATED})")]


def _most_usd(config: Config, asked: _Asked) -> float | None:
    """What the teacher's answers cost if all run to their cap; None where nobody is paid."""
    if not is_claude(config.teacher.spec) or not is_chosen(config):
        return None
    count = asked.counts.total()
    size = asked.bytes + count * (len(config.teacher.system.encode()) + prices.FRAME_TOKENS)
    usage = prices.Usage(size, count * config.teacher.max_tokens)
    return prices.cost(prices.price_of(config.teacher.spec, config.collect.price), usage, batch=config.collect.batch)


def _judging(config: Config, asked: _Asked) -> list[tuple[str, str]]:
    comparison, count = config.comparison, asked.counts["test"]
    asks = compare.count_questions(count, comparison)
    what = f"{asks.alone:,} answers alone, {asks.pairs:,} pairs"
    rows = [("Judge", judge if judge == "static" else f"{judge}: {what}") for judge in comparison.judges]
    most = _judges_usd(config, asked)
    if not most:
        return [*rows, ("Judge's cost", "nothing")]
    return [*rows, ("Judge's cost, about at most", f"${most:,.2f}")]


def _judges_usd(config: Config, asked: _Asked) -> float:
    paid = [judge for judge in config.comparison.judges if is_claude(judge)]
    return sum(compare.most_usd(judge, config, asked.counts["test"]) for judge in paid)


def _selection(config: Config) -> list[tuple[str, str]]:
    """How many candidates there may be depends on the steps, which depend on what is collected."""
    items, strengths = config.selection.items, config.selection.strengths
    if items is None:
        return []
    tried = ", ".join(f"{strength:g}" for strength in strengths)
    return [("Selection", f"{items:,} items of each benchmark, every checkpoint at strength {tried}")]


def _benchmarks(config: BenchConfig) -> list[tuple[str, str]]:
    """By what is published of them: nothing is loaded."""
    asked = [bench.BENCHMARKS[name] for name in bench.named(config.benchmarks)]
    if not asked and not config.data:
        return []
    items = [min(config.limit or one.size, one.size) for one in asked]
    answers = 2 * (config.samples or 1)
    tokens = sum(n * answers * (config.max_tokens or one.max_tokens) for n, one in zip(items, asked, strict=True))
    names = ", ".join(f"{one.title} ({n:,})" for n, one in zip(items, asked, strict=True))
    files = f"{len(config.data)} of your files" if config.data else ""
    rows = [("Benchmarks, items", ", ".join(filter(None, [names, files])))]
    return [*rows, ("Tokens of their answers, at most", f"{tokens:,}")] if asked else rows


# ---------------------------------------------------------------- training


@dataclass(frozen=True)
class _Trained:
    """What training takes. `asked`: the layers that the user wants; `pace`: FLOP/s and the run that had them."""

    task: Task
    asked: int
    choice: Choice
    source: str
    factor: float
    calibrated: int
    pace: tuple[float, str] | None


def _trained(config: Config, asked: _Asked, run: Path) -> _Trained | None:
    """None for a student that is not here, or of an unknown build."""
    shape = fit.find(config.training.student)
    if shape is None:
        return None
    hardware = environment.hardware()
    lengths, source = _lengths(config, asked, run)
    task = Task(shape, config.training, lengths, Machine.of(hardware))
    runs = fit.earlier_runs(run.resolve().parent)
    factor, count = fit.correction(runs, config.training.student, task.machine.backend)
    wanted, layers = task.layers, fit.most_layers(task, config.machine, factor) if config.machine.auto else None
    if layers and layers < wanted:
        task = fit.with_layers(task, layers)
    pace = fit.speed(runs, config.training.student, hardware.chip)
    return _Trained(task, wanted, fit.choose(task, config.machine, factor), source, factor, count, pace)


def _training(config: Config, asked: _Asked, run: Path) -> list[tuple[str, str]]:
    found = _trained(config, asked, run)
    if found is None:
        return [("Memory and time", f"unknown: {config.training.student} is not here, or of an unknown build")]
    task, choice, count = found.task, found.choice, found.calibrated
    weights = f"{config.training.student}, {task.shape.weights() / 1e6:,.0f} M weights"
    rows = [("Student", weights), ("Examples", found.source)]
    if task.layers < found.asked:
        rows.append(("Layers, --auto", f"{task.layers} of {found.asked}"))
    rows += _memory(task, choice, f"calibrated by {plural(count, 'earlier run')}" if count else "not calibrated yet")
    fits = fit.in_words(choice.layout) if choice.fits else f"no: {fit.advice(task, config.machine, found.factor)}"
    return [*rows, ("Fits", fits), *_time(task, choice, found.pace)]


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
        ("Memory to be had", _limit(task.machine, choice)),
    ]


def _limit(machine: Machine, choice: Choice) -> str:
    return f"{in_gib(choice.limit)} of this machine's {in_gib(machine.memory_bytes)}"


def _time(task: Task, choice: Choice, known: tuple[float, str] | None) -> list[tuple[str, str]]:
    """By the FLOP/s of an earlier run on this chip."""
    if known is None:
        return [("Training time", "unknown until a run on this machine has measured it")]
    speed, name = known
    steps, whole = _steps(task)
    step = flops.epoch(task, choice.layout) / steps / speed
    return [
        ("Step time, about", f"{step:.1f} s, at the {speed / 1e9:,.0f} GFLOP/s of {name}"),
        ("Training time, about", f"{in_time(_seconds(task, choice, speed))} for {whole:,} steps"),
    ]


def _steps(task: Task) -> tuple[int, int]:
    """Of an epoch, and of the whole training."""
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


# ---------------------------------------------------------------- lengths


def _lengths(config: Config, asked: _Asked, run: Path) -> tuple[Lengths, str]:
    """Counted with the student's tokenizer where there is something to count, or else typical; and which, in words."""
    count = students.token_counter(config.training.student)
    parts = counted_texts(config, RunDir(run))
    found = [[[(m["role"], m["content"]) for m in c.messages] for c in part] for part in parts]
    number = sum(map(len, found))
    if count is None or not number:
        why = "the student's tokenizer is not here yet" if number else "nothing is collected yet"
        return _typical(config, asked, found, why)
    train, valid = (sizes_of(turns, config.training.system, count) for turns in found)
    least, most = min(train + valid)[0], max(train + valid)[0]
    told = f"{number:,} of {least:,} to {most:,} tokens, counted with the student's tokenizer"
    return Lengths(tuple(train), tuple(valid)), told


def _typical(config: Config, asked: _Asked, found: Split, why: str) -> tuple[Lengths, str]:
    train = max(1, len(found[0]) or asked.counts["train"])
    valid = max(1, len(found[1]) or asked.counts["valid"])
    tokens, scored = (min(each, config.training.window) for each in TYPICAL)
    lengths = Lengths(((tokens, scored),) * train, ((tokens, scored),) * valid)
    return lengths, f"{train + valid:,}, taken to have {tokens:,} tokens each ({why})"
