"""The configuration of a run: ten small sections, four presets, one TOML file.

In: a preset's name and the settings that the command line overrides, by dotted name (`training.epochs`).
Out: a frozen Config, written whole to `config.toml`, which is itself a valid input. The trade-off: every setting
is spelled out in the run, even those left alone, so that a run can be repeated when the defaults have moved.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlx_distill.run.config.checks import check, check_type, takes_none
from mlx_distill.run.config.collecting import ChoiceConfig, CollectConfig, FilterConfig, PromptConfig, TeacherConfig
from mlx_distill.run.config.evaluation import JUDGINGS, BenchConfig, ComparisonConfig, SelectionConfig
from mlx_distill.run.config.replay import ReplayConfig
from mlx_distill.run.config.setting import Field, fields_of
from mlx_distill.run.config.training import FINE_TUNES, SCHEDULES, MachineConfig, TrainingConfig, is_target
from mlx_distill.run.config.whole import RunConfig
from mlx_distill.run.errors import UsageError
from mlx_distill.run.toml_file import toml_of

__all__ = [
    "FINE_TUNES",
    "JUDGINGS",
    "PRESETS",
    "SCHEDULES",
    "BenchConfig",
    "ChoiceConfig",
    "CollectConfig",
    "ComparisonConfig",
    "Config",
    "FilterConfig",
    "MachineConfig",
    "PromptConfig",
    "ReplayConfig",
    "RunConfig",
    "SelectionConfig",
    "TeacherConfig",
    "TrainingConfig",
    "check",
    "differences",
    "is_target",
    "load",
    "replace",
    "resolve",
    "settings",
    "takes_none",
    "to_table",
    "with_chosen_layers",
]


@dataclass(frozen=True)
class Config:
    preset: str = "standard"
    prompts: PromptConfig = field(default_factory=PromptConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    collect: CollectConfig = field(default_factory=CollectConfig)
    filters: FilterConfig = field(default_factory=FilterConfig)
    choice: ChoiceConfig = field(default_factory=ChoiceConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    machine: MachineConfig = field(default_factory=MachineConfig)
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    comparison: ComparisonConfig = field(default_factory=ComparisonConfig)
    bench: BenchConfig = field(default_factory=BenchConfig)
    run: RunConfig = field(default_factory=RunConfig)


def settings() -> Iterator[tuple[str, Field]]:
    """Every setting with its dotted name, such as "training.epochs", in the order of the sections."""
    for section, part in vars(Config()).items():
        if not isinstance(part, str):
            yield from ((f"{section}.{name}", field) for name, field in fields_of(type(part)).items())


_DEMO: dict[str, Any] = {
    "prompts.train": ("functions",),
    "prompts.valid": ("functions-validation",),
    "prompts.test": ("functions-test",),
    "teacher.spec": "recorded",
    "training.student": "smollm2-135m",
    "training.epochs": 4,
    "training.learning_rate": 5e-4,
    "training.layers": 8,
    "training.window": 1024,
    "comparison.judges": ("static",),
    "comparison.max_tokens": 160,
}

PRESETS: dict[str, dict[str, Any]] = {
    "standard": {},
    "quick": {"training.student": "qwen2.5-0.5b", "training.epochs": 3},
    "demo": _DEMO,
    "demo-short": _DEMO | {"prompts.limit": 4, "training.epochs": 1},
}


def resolve(preset: str, overrides: dict[str, Any] | None = None) -> Config:
    """A preset with some settings changed, by dotted name. Raises UsageError for an unknown preset or setting."""
    if not isinstance(preset, str) or preset not in PRESETS:
        raise UsageError(f"There is no preset {preset!r}: choose one of {', '.join(PRESETS)}.")
    config = replace(Config(preset=preset), PRESETS[preset] | (overrides or {}))
    check(config)
    return config


def replace(config: Config, changes: dict[str, Any]) -> Config:
    """Changes some settings, by dotted name. "none" resets a setting that may be without a value. Raises UsageError for
    an unknown setting or a value of the wrong type; bounds are checked by `check`."""
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


def with_chosen_layers(config: Config, before: Config) -> Config:
    """Keeps the layer count that an earlier --auto start of this run chose."""
    chosen, most = before.training.layers, config.training.layers
    if not (config.machine.auto and before.machine.auto) or isinstance(chosen, str):
        return config
    return replace(config, {"training.layers": chosen if isinstance(most, str) else min(chosen, most)})


NONE = "none"
"""Resets a setting that may be without a value, such as a number of prompts or a language."""


def load(path: Path) -> Config:
    """Reads a config.toml; a setting that it leaves out has its preset's value. Raises DataError when the file is not
    TOML, UsageError when a setting is unknown; both name the file."""
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
    """A configuration as plain tables, for TOML and JSON. TOML has no null: a setting that is None is left out, or is
    "none" where its preset would give it a value."""
    preset, table = PRESETS.get(config.preset, {}), dataclasses.asdict(config)
    return {
        section: {
            name: NONE if value is None else value
            for name, value in part.items()
            if value is not None or preset.get(f"{section}.{name}") is not None
        }
        if isinstance(part, dict)
        else part
        for section, part in table.items()
    }


def differences(old: Config, new: Config) -> list[str]:
    """Which settings differ, as `training.epochs: 3 → 5`. Left out are `collect`, `machine` and `run`, which change no
    result, and `bench` and `selection`, whose earlier results are all kept."""
    lines: list[str] = []
    for section in ("prompts", "teacher", "filters", "choice", "training", "replay", "comparison"):
        before, after = (dataclasses.asdict(getattr(config, section)) for config in (old, new))
        lines += [f"{section}.{name}: {before[name]} → {after[name]}" for name in before if before[name] != after[name]]
    return lines
