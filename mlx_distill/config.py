"""The configuration of a run: eight small sections, four presets, one TOML file.

In: a preset's name and the settings that the command line overrides, by dotted name (`training.epochs`).
Out: a frozen Config, written whole to `config.toml`, which is itself a valid input. The trade-off: every setting
is spelled out in the run, even those left alone, so that a run can be repeated when the defaults have moved.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlx_distill.errors import UsageError
from mlx_distill.prices import parse_price
from mlx_distill.rows import toml_of


@dataclass(frozen=True)
class PromptConfig:
    """Prompt sets by name (coding, coding:base, showcase, validation, heldout), file, or hf:DATASET."""

    train: tuple[str, ...] = ("coding",)
    valid: tuple[str, ...] = ("validation",)
    test: tuple[str, ...] = ("showcase", "heldout")
    limit: int | None = None


@dataclass(frozen=True)
class TeacherConfig:
    spec: str = "claude-sonnet-4-6"
    system: str = "You are a careful senior engineer. Answer with correct, complete code and a short explanation."
    max_tokens: int = 3072
    thinking: bool = False
    columns: str | None = None


@dataclass(frozen=True)
class CollectConfig:
    """How collecting is done. Nothing here changes what is asked, so a change collects nothing again."""

    concurrency: int = 32
    batch: bool = False
    cache_prompt: bool = False
    max_cost: float | None = None
    price: str | None = None
    ledger: str | None = None


@dataclass(frozen=True)
class FilterConfig:
    """What is left out of training, beyond answers that are cut, refused or empty. Nothing is deleted.

    `language` is an ISO 639-1 code, or None for any; `near_duplicate` a Jaccard similarity; `benchmarks` are
    published files whose items may not be trained on.
    """

    language: str | None = None
    near_duplicate: float = 0.8
    benchmarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingConfig:
    """`student` is trained on what the teacher wrote, or on `data`, a file or folder of conversations; what
    `valid_data` holds is held out instead of a tenth of it.

    `steps` counts optimiser steps and goes before `epochs`; `alpha` is the other convention of `scale`, which is
    alpha / rank; `layers` counts from the top, or is "all"; `targets` names linear layers (all of them when empty);
    `patience` is how many held-out losses in a row may fail to improve, measured after every epoch or
    `evaluate_every` steps; `save_every` steps the adapter is kept by its number.
    """

    student: str = "qwen2.5-1.5b"
    data: str | None = None
    valid_data: str | None = None
    system: str = "You are a helpful coding assistant."
    thinking: bool = False
    seed: int = 0
    epochs: int = 5
    steps: int | None = None
    batch_size: int = 4
    learning_rate: float = 1e-4
    schedule: str = "cosine"
    warmup: float = 0.1
    weight_decay: float = 0.0
    clip: float = 1.0
    fine_tune: str = "lora"
    layers: int | str = 16
    targets: tuple[str, ...] = ()
    rank: int = 16
    scale: float = 2.0
    alpha: float | None = None
    dropout: float = 0.0
    window: int = 4096
    evaluate_every: int | None = None
    patience: int | None = None
    checkpoint_every: int = 10
    save_every: int | None = None

    @property
    def lora_scale(self) -> float:
        """Of the update, in mlx-lm's convention, whichever was given."""
        return self.scale if self.alpha is None else self.alpha / self.rank

    def epoch_steps(self, examples: int) -> int:
        """Optimiser steps of an epoch; the last batch may be smaller."""
        return math.ceil(examples / self.batch_size)

    def all_steps(self, examples: int) -> int:
        return self.steps or self.epoch_steps(examples) * self.epochs


def is_target(target: str, module: str) -> bool:
    """Whether a target means a module of a layer: by its whole name, its first parts (mlp) or its last (q_proj)."""
    return module == target or module.startswith(f"{target}.") or module.endswith(f".{target}")


@dataclass(frozen=True)
class MachineConfig:
    """How training uses the machine: what is learnt does not depend on it, so a change trains nothing again.

    `memory` in GiB [what this machine can spare]; `batch_tokens`, padding included, go through the student at a
    time: a larger batch goes in parts; `grad_checkpoint` computes activations twice instead of keeping them
    (Chen et al. 2016, arXiv 1604.06174). What is None is chosen so that training fits. With `auto` that goes for
    `training.layers` too, which then says how many at most: a run keeps the number that it has settled on. `shared`
    is a folder in which runs keep for each other what the base answers and the frozen layers' activations.
    """

    memory: float | None = None
    batch_tokens: int | None = None
    grad_checkpoint: bool | None = None
    auto: bool = False
    shared: str | None = None


@dataclass(frozen=True)
class SelectionConfig:
    """Which of a training's saved checkpoints is kept, and how strongly, by what base and candidates answer.

    `items` of each benchmark choose and confirm, and are not reported; None chooses nothing: then the checkpoint with
    the lowest held-out loss is kept. `strengths` of the adapter are tried; 0, the base, always is.
    """

    items: int | None = None
    strengths: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class ComparisonConfig:
    """How answers are made and judged.

    `samples` None is one greedy answer a prompt; a number is so many at `temperature`, each from a seed of its own.
    `judging`: pairwise, rubric or both; `repeats`: how often every judge is asked the same; `against_teacher`: the
    distilled answers are compared with the teacher's too. `human` are CSV files of people's votes. `unsandboxed`
    lets models' code run in the open where the machine has no sandbox; `sandbox_packages` ("numpy,pandas") are those
    of this environment that it may import.
    """

    judges: tuple[str, ...] = ("claude-opus-4-6",)
    judging: str = "both"
    repeats: int = 1
    against_teacher: bool = False
    human: tuple[str, ...] = ()
    judge_max_tokens: int = 2048
    max_tokens: int = 1024
    samples: int | None = None
    temperature: float = 0.7
    batch_size: int = 32
    price_as: str = "claude-sonnet-4-6"
    strength: float = 1.0
    unsandboxed: bool = False
    sandbox_packages: str = ""


@dataclass(frozen=True)
class BenchConfig:
    """Which benchmarks are put to base and distilled, how, and what a student must show to be shipped.

    `benchmarks`: names, or "default" for the default suite; `data`: files of published formats, or of your own
    (JSON lines of prompt and checks or answer); `limit`: so many items of each, a fixed stratified subset;
    `max_tokens` None: each benchmark's own cap; `samples` and `temperature` as in a comparison; `system`: nothing by
    default, as published. `own`: the capabilities or benchmarks that the student was distilled for; `rules`: what has
    to hold before it is shipped. `published`: a file of other models' published scores, shown beside. `since` and
    `until` bound LiveCodeBench's contest dates.
    """

    benchmarks: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    limit: int | None = None
    max_tokens: int | None = None
    batch_size: int = 32
    samples: int | None = None
    temperature: float = 0.7
    system: str = ""
    own: tuple[str, ...] = ("code",)
    rules: tuple[str, ...] = ("no benchmark worse", "own domain better")
    published: tuple[str, ...] = ()
    since: str = "2024-08-01"
    until: str = "2025-05-01"

    @property
    def asked(self) -> bool:
        return bool(self.benchmarks or self.data)


@dataclass(frozen=True)
class Config:
    preset: str = "standard"
    prompts: PromptConfig = field(default_factory=PromptConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    collect: CollectConfig = field(default_factory=CollectConfig)
    filters: FilterConfig = field(default_factory=FilterConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    machine: MachineConfig = field(default_factory=MachineConfig)
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    comparison: ComparisonConfig = field(default_factory=ComparisonConfig)
    bench: BenchConfig = field(default_factory=BenchConfig)


_DEMO: dict[str, Any] = {
    "prompts.train": ("coding:base",),
    "teacher.spec": "recorded",
    "training.student": "smollm2-135m",
    "training.epochs": 2,
    "training.learning_rate": 1e-3,
    "training.layers": 8,
    "training.window": 1024,
    "comparison.judges": ("static",),
    "comparison.max_tokens": 384,
}

PRESETS: dict[str, dict[str, Any]] = {
    "standard": {},
    "quick": {"training.student": "qwen2.5-0.5b", "training.epochs": 3},
    "demo": _DEMO,
    "demo-short": _DEMO | {"prompts.limit": 4, "training.epochs": 1, "comparison.max_tokens": 64},
}


def resolve(preset: str, overrides: dict[str, Any] | None = None) -> Config:
    """The preset with the given settings changed. Raises UsageError for an unknown preset or setting."""
    if preset not in PRESETS:
        raise UsageError(f"There is no preset {preset!r}: choose one of {', '.join(PRESETS)}.")
    config = replace(Config(preset=preset), PRESETS[preset] | (overrides or {}))
    check(config)
    return config


def replace(config: Config, changes: dict[str, Any]) -> Config:
    for name, value in changes.items():
        section, _, setting = name.partition(".")
        part = getattr(config, section, None)
        if not setting or not dataclasses.is_dataclass(part) or not hasattr(part, setting):
            raise UsageError(f"There is no setting {name!r}: see `mlx-distill run --help`.")
        if isinstance(value, list):
            value = tuple(value)
        _check_type(type(part), name, setting, value)
        part = dataclasses.replace(part, **{setting: value})  # type: ignore[type-var]
        config = dataclasses.replace(config, **{section: part})  # type: ignore[arg-type]
    return config


def settled(config: Config, before: Config) -> Config:
    """With the layers that the same run has settled on before, where `auto` says that fewer will do."""
    found, most = before.training.layers, config.training.layers
    if not (config.machine.auto and before.machine.auto) or isinstance(found, str):
        return config
    return replace(config, {"training.layers": found if isinstance(most, str) else min(found, most)})


def _check_type(section: type, name: str, setting: str, value: Any) -> None:
    wanted = typing.get_type_hints(section)[setting]
    kinds = [
        typing.get_origin(kind) or kind
        for kind in (typing.get_args(wanted) if isinstance(wanted, types.UnionType) else (wanted,))
    ]
    if isinstance(value, bool) != (bool in kinds) or not isinstance(
        value, tuple([*kinds, int] if float in kinds else kinds)
    ):
        raise UsageError(f"{name} = {value!r} is not of the right kind: it takes {wanted}.")


SCHEDULES = ("cosine", "linear", "constant")
FINE_TUNES = ("lora", "dora", "full")
JUDGINGS = ("both", "pairwise", "rubric")

POSITIVE = {
    "teacher": ("max_tokens",),
    "collect": ("concurrency",),
    "training": (
        *("epochs", "steps", "batch_size", "learning_rate", "layers", "rank", "scale", "alpha", "window", "clip"),
        *("evaluate_every", "patience", "checkpoint_every", "save_every"),
    ),
    "machine": ("memory", "batch_tokens"),
    "comparison": ("judge_max_tokens", "max_tokens", "batch_size", "samples", "temperature", "repeats"),
    "prompts": ("limit",),
    "selection": ("items",),
    "bench": ("limit", "max_tokens", "batch_size", "samples", "temperature"),
}


def check(config: Config) -> None:
    """Raises UsageError for settings that cannot be meant."""
    if config.training.fine_tune == "full" and config.training.targets:
        raise UsageError("training.targets are for adapters: full trains every weight of the layers.")
    for section, names in POSITIVE.items():
        for name in names:
            value = getattr(getattr(config, section), name)
            if value is not None and not isinstance(value, str) and not value > 0:
                raise UsageError(f"{section}.{name} is {value}: it must be above zero.")
    _check_finite(config)
    for name, share in (
        ("training.dropout", config.training.dropout),
        ("training.warmup", config.training.warmup),
        ("1 - filters.near_duplicate", 1 - config.filters.near_duplicate),
    ):
        if not 0 <= share < 1:
            raise UsageError(f"{name} is {share}: it must be at least 0 and below 1.")
    for name, (value, allowed) in {
        "training.schedule": (config.training.schedule, SCHEDULES),
        "training.fine_tune": (config.training.fine_tune, FINE_TUNES),
        "training.layers": (config.training.layers, ("a number", "all")),
        "comparison.judging": (config.comparison.judging, JUDGINGS),
    }.items():
        if isinstance(value, str) and value not in allowed:
            raise UsageError(f"{name} is {value!r}: choose {' or '.join(allowed)}.")
    if config.comparison.judges in ((), ("static",)) and config.comparison.judging == "pairwise":
        raise UsageError("comparison.judging is pairwise, which static analysis cannot do: name a judge.")
    if len(set(config.comparison.judges)) < len(config.comparison.judges):
        raise UsageError("comparison.judges names one judge twice: its answers would count twice.")
    if not 0 <= config.comparison.strength <= 1:
        raise UsageError(f"comparison.strength is {config.comparison.strength}: it goes from 0 (base) to 1.")
    _check_selection(config)
    if config.collect.price is not None:
        parse_price(config.collect.price)
    if config.training.seed < 0:
        raise UsageError(f"training.seed is {config.training.seed}: it must be 0 or more.")
    if config.collect.max_cost is not None and not config.collect.max_cost >= 0:
        raise UsageError(f"collect.max_cost is {config.collect.max_cost}: give dollars, 0 or more.")


def _check_finite(config: Config) -> None:
    for section, part in dataclasses.asdict(config).items():
        for name, value in part.items() if isinstance(part, dict) else ():
            unlimited = name in ("clip", "max_cost") and value == math.inf
            if isinstance(value, float) and not (math.isfinite(value) or unlimited):
                raise UsageError(f"{section}.{name} is {value}: it must be a number with an end.")


def _check_selection(config: Config) -> None:
    strengths = config.selection.strengths
    if not strengths or not all(0 < strength <= 1 for strength in strengths):
        raise UsageError(f"selection.strengths are {strengths}: give some above 0 (the base is tried anyway), up to 1.")
    if config.selection.items is None:
        return
    if not config.bench.asked:
        raise UsageError("selection.items are items of benchmarks: name some with --benchmark or --data.")
    if config.training.fine_tune == "dora" and set(strengths) != {1.0}:
        raise UsageError("A DoRA adapter cannot be saved at a strength below 1: add --strengths 1, or take lora.")


def load(path: Path) -> Config:
    """Reads a config.toml. Raises DataError when it is not TOML, UsageError when a setting is unknown."""
    content = toml_of(path)
    preset = content.pop("preset", "standard")
    if not all(isinstance(table, dict) for table in content.values()):
        raise UsageError(f"{path} has settings outside of a [section]: put each under its section.")
    flat = {f"{section}.{name}": value for section, table in content.items() for name, value in table.items()}
    config = replace(Config(preset=preset), flat)
    check(config)
    return config


def to_table(config: Config) -> dict[str, Any]:
    """As plain tables for TOML and JSON; settings that are None are left out, since TOML has no null."""
    table = dataclasses.asdict(config)
    return {
        section: {name: value for name, value in part.items() if value is not None} if isinstance(part, dict) else part
        for section, part in table.items()
    }


def differences(old: Config, new: Config) -> list[str]:
    """What differs, as `training.epochs: 3 → 5`. `collect` and `machine` are left out: they change no result; and
    `bench` and `selection`, of which everything that was made is kept."""
    lines = []
    for section in ("prompts", "teacher", "filters", "training", "comparison"):
        before, after = (dataclasses.asdict(getattr(config, section)) for config in (old, new))
        lines += [f"{section}.{name}: {before[name]} → {after[name]}" for name in before if before[name] != after[name]]
    return lines
