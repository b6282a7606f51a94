"""Which settings cannot be meant: of the wrong type, out of bounds, or against each other.

In: a configuration, or one setting with its value. Out: nothing, or a UsageError that says what would do.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from typing import TYPE_CHECKING, Any

from mlx_distill.run.errors import UsageError
from mlx_distill.run.prices import parse_price

if TYPE_CHECKING:
    from mlx_distill.run.config import Config

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


WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def check_type(section: type, name: str, setting: str, value: Any) -> None:
    """Raises UsageError for a value, or an element of a list, that is not of the setting's type."""
    wanted = typing.get_type_hints(section)[setting]
    kinds = typing.get_args(wanted) if isinstance(wanted, types.UnionType) else (wanted,)
    if not any(_is_of(kind, value) for kind in kinds):
        shown = list(value) if isinstance(value, tuple) else value
        raise UsageError(f"{name} = {shown!r} is not of the right kind: it takes {' or '.join(map(_named, kinds))}.")


def _is_of(kind: Any, value: Any) -> bool:
    if typing.get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_is_of(typing.get_args(kind)[0], element) for element in value)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _named(kind: Any) -> str:
    if typing.get_origin(kind) is tuple:
        return f"a list, each {_named(typing.get_args(kind)[0])}"
    return WORDS.get(kind, "none")


def takes_none(section: type, setting: str) -> bool:
    """Whether a setting may be left without a value."""
    return type(None) in typing.get_args(typing.get_type_hints(section)[setting])
