"""The configuration of a run: eight small sections, four presets, one TOML file.

In: a preset's name and the settings that the command line overrides, by dotted name (`training.epochs`).
Out: a frozen Config, written whole to `config.toml`, which is itself a valid input. The trade-off: every setting
is spelled out in the run, even those left alone, so that a run can be repeated when the defaults have moved.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlx_distill.run.config.checks import FINE_TUNES, JUDGINGS, SCHEDULES, check, check_type, takes_none
from mlx_distill.run.data.rows import toml_of
from mlx_distill.run.errors import UsageError

__all__ = [
    "FINE_TUNES",
    "JUDGINGS",
    "PRESETS",
    "SCHEDULES",
    "Config",
    "check",
    "load",
    "replace",
    "resolve",
    "takes_none",
]


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
    if not isinstance(preset, str) or preset not in PRESETS:
        raise UsageError(f"There is no preset {preset!r}: choose one of {', '.join(PRESETS)}.")
    config = replace(Config(preset=preset), PRESETS[preset] | (overrides or {}))
    check(config)
    return config


def replace(config: Config, changes: dict[str, Any]) -> Config:
    """With some settings changed, by their dotted names; "none" takes those back that may be without a value."""
    for name, value in changes.items():
        section, _, setting = name.partition(".")
        if setting == "preset":
            raise UsageError(f"preset stands inside of [{section}]: write it above the first [section] of the file.")
        part = getattr(config, section, None)
        if not setting or not dataclasses.is_dataclass(part) or not hasattr(part, setting):
            raise UsageError(f"There is no setting {name!r}: see `mlx-distill run --help`.")
        if isinstance(value, list):
            value = tuple(value)
        if value == NONE and takes_none(type(part), setting):
            value = None
        check_type(type(part), name, setting, value)
        part = dataclasses.replace(part, **{setting: value})  # type: ignore[type-var]
        config = dataclasses.replace(config, **{section: part})  # type: ignore[arg-type]
    return config


def settled(config: Config, before: Config) -> Config:
    """With the layers that the same run has settled on before, where `auto` says that fewer will do."""
    found, most = before.training.layers, config.training.layers
    if not (config.machine.auto and before.machine.auto) or isinstance(found, str):
        return config
    return replace(config, {"training.layers": found if isinstance(most, str) else min(found, most)})


NONE = "none"
"""Takes a setting back that may be without a value: a number of prompts, a language."""


def load(path: Path) -> Config:
    """Reads a config.toml: what it leaves out is its preset's. Raises DataError when it is not TOML, UsageError when a
    setting is unknown; both name the file."""
    content = toml_of(path)
    preset = content.pop("preset", "standard")
    loose = [name for name, table in content.items() if not isinstance(table, dict)]
    if "axes" in content:
        raise UsageError(f"{path} describes a sweep: start it with `mlx-distill sweep {path}`.")
    if loose:
        raise UsageError(
            f"{path} has settings outside of a [section] ({', '.join(loose)}): put each under its section."
        )
    flat = {f"{section}.{name}": value for section, table in content.items() for name, value in table.items()}
    try:
        return resolve(preset, flat)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def to_table(config: Config) -> dict[str, Any]:
    """As plain tables for TOML and JSON. TOML has no null: a setting that is None is left out, and is "none" only where
    its preset would give it a value."""
    given, table = PRESETS.get(config.preset, {}), dataclasses.asdict(config)
    return {
        section: {
            name: NONE if value is None else value
            for name, value in part.items()
            if value is not None or given.get(f"{section}.{name}") is not None
        }
        if isinstance(part, dict)
        else part
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
