"""The options of a command, made from the settings that the configuration declares.

In: a command's name. Out: its options in groups: the dozen that people change first, then the others. A command shows
only what it uses. What it accepted in version 0.1 beyond that stays accepted and hidden, because a script gives all
commands of a run the same options, and a run is known by them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click
import cloup

from mlx_distill.cli.values import NumberOr, Numbers, OrNone, Place
from mlx_distill.run import config as configuration
from mlx_distill.run.config import PRESETS
from mlx_distill.run.config.setting import Field

Command = Callable[..., None]

COMMON = "Most used"
RUN = "Run directory and consent"
OUTPUT = "Output"

BENCH_FAMILY = ("bench", "select")
"""Commands that accept the settings of benchmarks; the others accept those of collecting, training and comparing."""

BENCH_ACCEPTS = (
    *("bench", "selection", "training.student", "training.seed"),
    *("comparison.strength", "comparison.unsandboxed", "comparison.sandbox_packages"),
)

RUN_ACCEPTS = (
    *("prompts", "teacher", "collect", "filters", "choice", "training", "replay", "machine", "selection"),
    "comparison",
    "bench.benchmarks",
    "run",
)

SHOWN: Mapping[str, tuple[str, ...]] = {
    "plan": RUN_ACCEPTS,
    "run": RUN_ACCEPTS,
    "collect": (
        *("prompts", "teacher", "collect", "filters", "choice.teacher_answers"),
        *("training.student", "training.window", "training.thinking"),
    ),
    "train": (
        *("training", "replay", "machine", "choice.student_answers", "choice.answers_of", "choice.rule"),
        "teacher.columns",
    ),
    "compare": (
        *("comparison", "collect", "prompts.test", "prompts.limit", "teacher.spec"),
        *("training.student", "training.data", "training.seed", "machine.shared"),
    ),
    "bench": BENCH_ACCEPTS,
    "select": (
        *("selection", "bench.benchmarks", "bench.data", "bench.own", "bench.system", "bench.max_tokens"),
        *("bench.batch_size", "bench.since", "bench.until", "training.student", "training.seed"),
        *("comparison.unsandboxed", "comparison.sandbox_packages"),
    ),
    "report": (),
}
"""Which settings a command uses: whole sections, or single settings by their dotted names."""

PAYING = ("run", "collect", "compare")
CHANGING = (*PAYING, "train", "bench", "select")
STARTING = ("plan", *CHANGING)


@dataclass(frozen=True)
class RunOption:
    """An option that says which run is meant and what it may do; `commands` show it, the others of a run accept it."""

    flag: str
    dest: str
    help: str
    commands: tuple[str, ...]
    group: str = RUN
    kind: Any = bool


RUN_OPTIONS = (
    RunOption("--run", "run_path", "run directory [runs/PRESET]", (*STARTING, "report"), COMMON, Place()),
    RunOption(
        "--preset",
        "preset",
        "where the settings start from [standard]",
        STARTING,
        COMMON,
        click.Choice(tuple(PRESETS)),
    ),
    RunOption(
        "--config", "config_file", "config.toml to start from instead: a run's, or your own", STARTING, COMMON, Place()
    ),
    RunOption(
        "--update",
        "update",
        "change the settings of an existing run; none resets a setting, as in --limit none",
        CHANGING,
    ),
    RunOption("--yes", "yes", "agree to the estimated cost without being asked", PAYING),
    RunOption("--accept-terms", "accept_terms", "acknowledge Anthropic's terms (needed once a run)", PAYING),
)

Decorator = Callable[[Command], Command]


def settings(command: str) -> Decorator:
    """Adds to a command the options that say which run is meant and change its configuration."""
    options = [_run_option(option, command) for option in RUN_OPTIONS]
    accepted = BENCH_ACCEPTS if command in BENCH_FAMILY else RUN_ACCEPTS
    for name, field in configuration.settings():
        if field.setting.flag and _is_in(name, accepted):
            options += _setting_options(name, field, hidden=not _is_in(name, SHOWN[command]))

    def decorate(function: Command) -> Command:
        in_order = sorted(options, key=lambda option: PLACES.get(option.group, 1))
        for option in reversed(in_order):  # the decorator that is applied last is listed first
            function = option.decorator(command)(function)
        return function

    return decorate


def _is_in(name: str, names: tuple[str, ...]) -> bool:
    return name in names or name.partition(".")[0] in names


@functools.cache
def group(command: str, title: str) -> cloup.OptionGroup:
    """A command's group of options with this title: the same one, whoever adds options to it."""
    return cloup.OptionGroup(title)


PLACES = {COMMON: 0, RUN: 2}
"""Groups that come before and after the others."""


@dataclass(frozen=True)
class Option:
    """An option as cloup takes it: its names, its group's title, and the other details."""

    names: tuple[str, ...]
    group: str
    details: Mapping[str, Any]

    def decorator(self, command: str) -> Decorator:
        return cloup.option(*self.names, group=group(command, self.group), **self.details)


def _run_option(option: RunOption, command: str) -> Option:
    kind: dict[str, Any] = {"is_flag": True} if option.kind is bool else {"type": option.kind}
    details = kind | {"help": option.help, "hidden": command not in option.commands}
    return Option((option.flag, option.dest), option.group, details)


NOT = "not__"
"""Before the destination of a switch that takes `none` too: what --no-… sets."""


def _setting_options(name: str, field: Field, *, hidden: bool) -> list[Option]:
    """A setting's options: one, or two for a switch that takes `none` too."""
    flag, dest, kind = field.setting.flag, name.replace(".", "__"), _kind(field)
    negative = f"--no-{flag[2:]}"
    title = COMMON if field.setting.common else field.setting.group
    text = f"{field.setting.help}{_default(field)}"
    details: dict[str, Any] = {"help": text, "hidden": hidden}
    if kind is None:
        details |= {"help": f"{text} (repeatable, or none)", "multiple": True}
        return [Option((flag, dest), title, details)]
    details |= {"default": None, "type": OrNone(kind) if field.takes_none else kind}
    if kind is not bool:
        return [Option((flag, dest), title, details)]
    if not field.takes_none:
        return [Option((f"{flag}/{negative}", dest), title, details)]
    details |= {"is_flag": False, "flag_value": "yes"}
    off = {"help": f"the opposite of {flag}", "hidden": hidden, "is_flag": True, "default": False}
    return [Option((flag, dest), title, details), Option((negative, f"{NOT}{dest}"), title, off)]


def _kind(field: Field) -> Any:
    """click's type of one value; None for an option that is repeated, a text each time."""
    kinds = [kind for kind in field.kinds if kind is not type(None)]
    if kinds == [tuple[str, ...]]:
        return None
    if kinds == [tuple[float, ...]]:
        return Numbers()
    if str in kinds and int in kinds:
        return NumberOr(field.setting.choices[0])
    return click.Choice(field.setting.choices) if field.setting.choices else kinds[0]


LONGEST_DEFAULT = 40


def _default(field: Field) -> str:
    """The standard preset's value, for --help."""
    value = field.setting.shown or field.default
    if isinstance(value, tuple):
        value = ",".join(f"{part:g}" if isinstance(part, float) else str(part) for part in value)
    return "" if value in (None, False, "") or len(str(value)) > LONGEST_DEFAULT else f" [{value}]"
