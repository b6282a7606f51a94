"""The options that change a run's configuration: their names, what they set, and the Config that they mean.

In: what was typed. Out: a Config and the run's folder, which is not touched. One table for all commands, so that a
setting has one flag, one description and one default wherever it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from mlx_distill import config as configuration
from mlx_distill.config import FINE_TUNES, JUDGINGS, PRESETS, SCHEDULES, Config
from mlx_distill.errors import UsageError


class Layers(click.ParamType[int | str]):
    """A number, or "all"."""

    name = "number|all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        try:
            return "all" if str(value).lower() == "all" else int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor 'all'.", param, ctx)


class Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers with commas between."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        try:
            return tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} are not numbers with commas between.", param, ctx)


SELECTION: tuple[tuple[str, str, Any, str], ...] = (
    (
        "--select",
        "selection.items",
        int,
        "items of each benchmark, half of them at most, that choose what is kept and are not reported",
    ),
    ("--strengths", "selection.strengths", Numbers(), "of the adapter, tried with every checkpoint"),
)

SETTINGS: tuple[tuple[str, str, Any, str], ...] = (
    (
        "--teacher",
        "teacher.spec",
        str,
        "a Claude model id, recorded[:FILE], mlx:MODEL (local), hf:DATASET or traces:FILE (existing answers)",
    ),
    (
        "--teacher-max-tokens",
        "teacher.max_tokens",
        int,
        "cap of one answer; answers cut there are not trained on; a larger one asks those again",
    ),
    ("--teacher-system", "teacher.system", str, "the system prompt that the teacher gets"),
    ("--thinking", "teacher.thinking", bool, "let Claude think; its summaries are kept apart from the answers"),
    ("--columns", "teacher.columns", str, "of existing answers or --data: prompt=COLUMN,completion=COLUMN"),
    ("--concurrency", "collect.concurrency", int, "requests under way at once, at most"),
    ("--batch", "collect.batch", bool, "message batches: half the price, up to a day"),
    ("--cache-prompt", "collect.cache_prompt", bool, "cache the system prompt that all requests share"),
    ("--max-cost", "collect.max_cost", float, "US dollars that the run's ledger may not pass"),
    ("--price", "collect.price", str, "IN,OUT: dollars per million tokens of a model that the table lacks"),
    ("--ledger", "collect.ledger", str, "a ledger to share between runs (default: in the run directory)"),
    (
        "--student",
        "training.student",
        str,
        "qwen2.5-0.5b, qwen2.5-1.5b, smollm2-135m, hub id, folder, .gguf file",
    ),
    ("--language", "filters.language", str, "ISO 639-1 code; answers in another language are left out"),
    ("--near-duplicate", "filters.near_duplicate", float, "Jaccard similarity from which answers count as one"),
    ("--train-thinking", "training.thinking", bool, "train on the teacher's thinking too, as <think>…</think>"),
    ("--data", "training.data", str, "train on this file of conversations (any form; see docs/data.md), or folder"),
    ("--valid-data", "training.valid_data", str, "conversations to hold out, instead of a tenth of --data"),
    ("--epochs", "training.epochs", int, "times over the examples"),
    ("--steps", "training.steps", int, "optimiser steps, instead of epochs"),
    ("--batch-size", "training.batch_size", int, "examples in an optimiser step"),
    ("--learning-rate", "training.learning_rate", float, "peak, after warm-up"),
    ("--schedule", "training.schedule", click.Choice(SCHEDULES), "of the learning rate, after warm-up"),
    ("--warmup", "training.warmup", float, "share of the steps in which the rate rises"),
    ("--fine-tune", "training.fine_tune", click.Choice(FINE_TUNES), "what is trained: adapters, or whole layers"),
    ("--layers", "training.layers", Layers(), "top layers that are trained: a number, or all"),
    ("--rank", "training.rank", int, "of the LoRA matrices"),
    ("--scale", "training.scale", float, "of the LoRA update: y = Wx + scale * BAx (mlx-lm's convention)"),
    ("--alpha", "training.alpha", float, "the other convention (PEFT's): scale = alpha / rank"),
    ("--dropout", "training.dropout", float, "on the LoRA input"),
    ("--window", "training.window", int, "longest example in tokens; longer ones are left out, never cut"),
    ("--evaluate-every", "training.evaluate_every", int, "steps between held-out losses (default: an epoch)"),
    ("--patience", "training.patience", int, "stop after so many held-out losses in a row without a better one"),
    ("--save-every", "training.save_every", int, "steps after which the adapter is kept by its number too"),
    ("--seed", "training.seed", int, "of everything random in training"),
    ("--memory", "machine.memory", float, "GiB that training may take (default: what this machine can spare)"),
    (
        "--batch-tokens",
        "machine.batch_tokens",
        int,
        "tokens at a time; a larger batch goes in parts and is the same step",
    ),
    ("--grad-checkpoint", "machine.grad_checkpoint", bool, "compute activations twice instead of keeping them"),
    ("--auto", "machine.auto", bool, "train only as many of the layers as fit the memory"),
    ("--shared", "machine.shared", str, "a folder in which runs keep for each other what is the same in all"),
    ("--judging", "comparison.judging", click.Choice(JUDGINGS), "answers side by side, each alone, or both"),
    ("--repeats", "comparison.repeats", int, "times that a judge is asked the same: 1 for a look, 3 to publish"),
    ("--against-teacher", "comparison.against_teacher", bool, "compare distilled answers with the teacher's too"),
    ("--max-tokens", "comparison.max_tokens", int, "cap of a compared answer"),
    ("--samples", "comparison.samples", int, "seeded answers to each prompt (default: one, greedy)"),
    ("--temperature", "comparison.temperature", float, "of --samples"),
    ("--strength", "comparison.strength", float, "of the adapter when answers are compared: 0 base, 1 distilled"),
    ("--unsandboxed", "comparison.unsandboxed", bool, "run models' code in the open where there is no sandbox"),
    ("--sandbox-packages", "comparison.sandbox_packages", str, "that models' code may import: numpy,pandas"),
    ("--limit", "prompts.limit", int, "only the first N prompts of each split"),
)

REPEATABLE = (
    ("--target", "training.targets", "linear layers that are trained: q_proj, self_attn, mlp.up_proj … (default: all)"),
    ("--prompts", "prompts.train", "training prompts: a set's name, a TOML/JSONL/text file, or hf:DATASET"),
    ("--valid-prompts", "prompts.valid", "prompts for the held-out loss"),
    ("--test-prompts", "prompts.test", "prompts of the comparison"),
    ("--judge", "comparison.judges", "a Claude model id, mlx:MODEL, recorded:FILE, or static: analysis without an LLM"),
    ("--human", "comparison.human", "a CSV of people's votes, from `mlx-distill export votes`"),
    ("--keep-out", "filters.benchmarks", "a benchmark's file, whose items may not be trained on"),
)


BENCH_SETTINGS: tuple[tuple[str, str, Any, str], ...] = (
    ("--limit", "bench.limit", int, "so many items of each benchmark: a fixed, stratified subset (default: all)"),
    ("--max-tokens", "bench.max_tokens", int, "cap of an answer (default: each benchmark's own)"),
    ("--batch-size", "bench.batch_size", int, "answers that are written at a time"),
    ("--samples", "bench.samples", int, "seeded answers to each item, for pass@k (default: one, greedy)"),
    ("--temperature", "bench.temperature", float, "of --samples"),
    ("--system", "bench.system", str, "a system prompt (default: none, as published)"),
    ("--since", "bench.since", str, "first contest date of LiveCodeBench"),
    ("--until", "bench.until", str, "its last"),
    ("--student", "training.student", str, "the base, where there is no run to take it from"),
    ("--seed", "training.seed", int, "of --samples"),
    ("--strength", "comparison.strength", float, "of the adapter: 0 base, 1 distilled"),
    ("--unsandboxed", "comparison.unsandboxed", bool, "run models' code in the open where there is no sandbox"),
    ("--sandbox-packages", "comparison.sandbox_packages", str, "that models' code may import: numpy,pandas"),
)

BENCHMARK = ("--benchmark", "bench.benchmarks", "a benchmark's name, or default for the default suite")
RULES_AND_FILES = (
    (
        "--data",
        "bench.data",
        "a file: a published benchmark's (known by its columns), or your own (prompt, checks|answer)",
    ),
    ("--own-domain", "bench.own", "a capability or benchmark that the student was distilled for"),
    ("--rule", "bench.rules", "what must hold before the student is shipped"),
    ("--published", "bench.published", "JSON lines of other models' published scores: model, benchmark, score, source"),
)


def settings(command: Callable[..., None]) -> Callable[..., None]:
    """The options that change a run's configuration."""
    return _options(command, (*SETTINGS, *SELECTION), (*REPEATABLE, BENCHMARK))


def bench_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Those that change how benchmarks are asked, and when a student may be shipped."""
    return _options(command, (*BENCH_SETTINGS, *SELECTION), (BENCHMARK, *RULES_AND_FILES))


def _options(
    command: Callable[..., None],
    single: Sequence[tuple[str, str, Any, str]],
    repeatable: Sequence[tuple[str, str, str]],
) -> Callable[..., None]:
    for flag, name, kind, text in reversed(single):
        text = f"{text}{_default(name)}"
        flags = f"{flag}/--no-{flag[2:]}" if kind is bool else flag
        command = click.option(flags, name.replace(".", "__"), type=kind, default=None, help=text)(command)
    for flag, name, text in reversed(repeatable):
        command = click.option(flag, name.replace(".", "__"), multiple=True, help=f"{text} (repeatable)")(command)
    options = (
        click.option("--run", "run_path", type=click.Path(path_type=Path), help="run directory [runs/PRESET]"),
        click.option("--preset", type=click.Choice(tuple(PRESETS)), help="where the settings start from [standard]"),
        click.option("--config", "config_file", type=click.Path(path_type=Path), help="a config.toml to repeat"),
        click.option("--update", is_flag=True, help="change the settings of an existing run"),
        click.option("--yes", is_flag=True, help="agree to the estimated cost without being asked"),
        click.option("--accept-terms", is_flag=True, help="acknowledge Anthropic's terms (needed once a run)"),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _default(name: str) -> str:
    """The standard preset's value, for --help."""
    section, _, setting = name.partition(".")
    value = getattr(getattr(Config(), section), setting)
    if isinstance(value, tuple):
        value = ",".join(f"{part:g}" if isinstance(part, float) else str(part) for part in value)
    return "" if value in (None, False, "") or len(str(value)) > 40 else f" [{value}]"


def configuration_of(options: dict[str, Any]) -> tuple[Config, Path]:
    """The configuration that a command means, without touching the run directory."""
    changes = _changes(options)
    path = options["run_path"] or Path("runs", options["preset"] or "standard")
    existing = path / "config.toml"
    if options["config_file"]:
        config = configuration.replace(configuration.load(options["config_file"]), changes)
    elif existing.exists() and options["preset"] is None:
        config = configuration.replace(configuration.load(existing), changes)
    else:
        config = configuration.resolve(options["preset"] or "standard", changes)
    if existing.exists() and not options["update"]:
        config = configuration.settled(config, configuration.load(existing))
    return config, path


INSTEAD = {"training.scale": "training.alpha", "training.epochs": "training.steps"}
"""Two ways to say one thing, of which the second would win: the one that is given now replaces the other."""


def _changes(options: dict[str, Any]) -> dict[str, Any]:
    given = {
        name.replace("__", "."): value
        for name, value in options.items()
        if "__" in name and value is not None and value != ()
    }
    for name, other in INSTEAD.items():
        if name in given and other in given:
            flags = [f"--{setting.partition('.')[2]}" for setting in (name, other)]
            raise UsageError(f"{' and '.join(flags)} say the same in two ways: give one of them.")
        if name in given:
            given[other] = None
    return given
