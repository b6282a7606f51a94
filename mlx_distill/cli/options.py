"""The options that change a run's configuration: their names, what they set, and the Config that they mean.

In: what was typed. Out: a Config and the run's folder, which is not touched. One table for all commands, so that a
setting has one flag, one description and one default wherever it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from mlx_distill.run import config as configuration
from mlx_distill.run import ownership, paths
from mlx_distill.run.config import FINE_TUNES, JUDGINGS, PRESETS, SCHEDULES, Config
from mlx_distill.run.errors import UsageError
from mlx_distill.run.folder import CONFIG


class Place(click.Path):
    """A file or folder. An empty one is a variable that was not set, and would mean the current folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty: give a file or folder; . is the current folder.", param, ctx)
        return super().convert(value, param, ctx)


class OrNone(click.ParamType[Any]):
    """Another type's values, or "none", which takes back what was given before."""

    def __init__(self, kind: Any) -> None:
        self.kind = click.types.convert_type(kind)
        self.name = f"{self.kind.name}|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if str(value).lower() == configuration.NONE:
            return configuration.NONE
        return self.kind.convert(value, param, ctx)


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
        command = _option(flag, name, kind, f"{text}{_default(name)}")(command)
    for flag, name, text in reversed(repeatable):
        command = click.option(flag, name.replace(".", "__"), multiple=True, help=f"{text} (repeatable, or none)")(
            command
        )
    options = (
        click.option("--run", "run_path", type=Place(), help="run directory [runs/PRESET]"),
        click.option("--preset", type=click.Choice(tuple(PRESETS)), help="where the settings start from [standard]"),
        click.option("--config", "config_file", type=Place(), help="a config.toml to repeat, or your own"),
        click.option(
            "--update",
            is_flag=True,
            help="change the settings of an existing run; none takes one back, as in --limit none",
        ),
        click.option("--yes", is_flag=True, help="agree to the estimated cost without being asked"),
        click.option("--accept-terms", is_flag=True, help="acknowledge Anthropic's terms (needed once a run)"),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _option(flag: str, name: str, kind: Any, text: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A setting's option: a value, a switch, or either of them or none."""
    section, _, setting = name.partition(".")
    dest, negative = name.replace(".", "__"), f"--no-{flag[2:]}"
    if not configuration.takes_none(type(getattr(Config(), section)), setting):
        flags = f"{flag}/{negative}" if kind is bool else flag
        return click.option(flags, dest, type=kind, default=None, help=text)
    if kind is not bool:
        return click.option(flag, dest, type=OrNone(kind), default=None, help=text)
    positive = click.option(flag, dest, is_flag=False, flag_value="yes", type=OrNone(bool), default=None, help=text)
    other = click.option(negative, f"{NOT}{dest}", is_flag=True, default=False, help=f"the opposite of {flag}")
    return lambda command: positive(other(command))


def _default(name: str) -> str:
    """The standard preset's value, for --help."""
    section, _, setting = name.partition(".")
    value = getattr(getattr(Config(), section), setting)
    if isinstance(value, tuple):
        value = ",".join(f"{part:g}" if isinstance(part, float) else str(part) for part in value)
    return "" if value in (None, False, "") or len(str(value)) > 40 else f" [{value}]"


def configuration_of(options: dict[str, Any]) -> tuple[Config, Path]:
    """The configuration that a command means, without touching the run directory.

    Relative paths in a --config FILE go from its folder, or else, as all that is typed, from the current one. They are
    kept absolute, but for those of a run that was made when they were not.
    """
    changes = _changes(options)
    path = options["run_path"] or Path("runs", options["preset"] or "standard")
    before = _begun(path)
    if options["config_file"]:
        config = paths.anchored(configuration.load(options["config_file"]), _folders(options["config_file"]))
    else:
        config = configuration.resolve(options["preset"] or "standard")
        config = before if before and options["preset"] is None else config
    config = paths.anchored(configuration.replace(config, changes), (Path.cwd(),))
    configuration.check(config)
    if before is None:
        return config, path
    config = paths.spelled_as(config, before)
    return (config if options["update"] else configuration.with_chosen_layers(config, before)), path


def _begun(path: Path) -> Config | None:
    """The configuration of a run that is there. Raises UsageError for a folder that is no run's."""
    if not (path / CONFIG).exists():
        return None
    ownership.check_run_folder(path)
    return configuration.load(path / CONFIG)


def _folders(file: Path) -> tuple[Path, ...]:
    """From which its relative paths go: those that a run keeps were typed, before it kept them absolute."""
    return (Path.cwd(), file.parent) if ownership.is_run(file.parent) else (file.parent, Path.cwd())


INSTEAD = {"training.scale": "training.alpha", "training.epochs": "training.steps"}
"""Two ways to say one thing, of which the second would win: the one that is given now replaces the other."""

NOT = "not__"
"""Before the name of a switch that takes `none` too: what --no-… sets."""


def _changes(options: dict[str, Any]) -> dict[str, Any]:
    given = {
        name.replace("__", "."): _meant(name.replace("__", "."), value)
        for name, value in options.items()
        if "__" in name and not name.startswith(NOT) and value is not None and value != ()
    }
    given |= {
        name.removeprefix(NOT).replace("__", "."): False for name in options if name.startswith(NOT) and options[name]
    }
    for name, other in INSTEAD.items():
        if name in given and given.get(other, configuration.NONE) != configuration.NONE:
            flags = [f"--{setting.partition('.')[2]}" for setting in (name, other)]
            raise UsageError(f"{' and '.join(flags)} say the same in two ways: give one of them.")
        if name in given:
            given[other] = None
    return given


def _meant(name: str, value: Any) -> Any:
    """`none` for a repeatable option is none at all. Raises UsageError for an empty path."""
    if isinstance(value, tuple) and configuration.NONE in value:
        if len(value) > 1:
            raise UsageError(f"{name} is none and something else: give one of them.")
        return ()
    if name in (*paths.INPUTS, *paths.OUTPUTS) and "" in (value if isinstance(value, tuple) else (value,)):
        raise UsageError(f"{name} is empty: give a file, or none to take an earlier one back.")
    return value
