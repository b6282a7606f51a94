"""Which settings are invalid: of the wrong type, out of bounds, or in conflict with each other.

In: a configuration, or one setting with its value. Out: nothing, or a UsageError that says which values are valid.
Types and bounds are those that every field declares; only what concerns two settings at once is written here.
"""

from __future__ import annotations

import math
import typing
from typing import TYPE_CHECKING, Any

from mlx_distill.run.config.setting import Field, fields_of
from mlx_distill.run.errors import UsageError
from mlx_distill.run.prices import parse_price

if TYPE_CHECKING:
    from mlx_distill.run.config import Config


def check(config: Config) -> None:
    """Raises UsageError for an invalid setting."""
    for section, part in vars(config).items():
        if not isinstance(part, str):
            for name, field in fields_of(type(part)).items():
                _check_value(f"{section}.{name}", field, getattr(part, name))
    _check_training(config)
    _check_choice(config)
    _check_judging(config)
    if config.run.require_headroom and config.run.headroom is None:
        raise UsageError("run.require_headroom (--require-headroom) needs --headroom N: how many prompts to ask.")
    _check_selection(config)
    if config.collect.price is not None:
        parse_price(config.collect.price)


def _check_value(name: str, field: Field, value: Any) -> None:
    choices, bounds = field.setting.choices, field.setting.bounds
    if isinstance(value, str) and choices and value not in choices:
        words = (*(("a number",) if int in field.kinds else ()), *choices)
        raise UsageError(f"{name} is {value!r}: choose {' or '.join(words)}.")
    if not isinstance(value, int | float) or isinstance(value, bool):
        return
    if not bounds.hold(value):
        raise UsageError(f"{name} is {value}: it must be {bounds}.")
    if not math.isfinite(value) and not (bounds.infinite and value == math.inf):
        raise UsageError(f"{name} is {value}: it must be a finite number.")


def _check_training(config: Config) -> None:
    if config.training.fine_tune == "full" and config.training.targets:
        raise UsageError("training.targets (--target) are for adapters: `full` trains every weight of the layers.")


def _check_choice(config: Config) -> None:
    choice = config.choice
    if choice.rule == "own" and not choice.student_answers:
        raise UsageError("choice.rule (--choose) is own, and the student gives no answers: add --student-answers 4.")
    if choice.answers_of and not choice.student_answers:
        raise UsageError(
            "choice.answers_of (--answers-of) names who gives answers, and none are asked for: add --student-answers 4."
        )
    if choice.wanted and config.training.data is not None:
        raise UsageError("With training.data (--data) nothing is chosen: leave out --choose and --answers-per-prompt.")


def _check_judging(config: Config) -> None:
    judges = config.comparison.judges
    if judges in ((), ("static",)) and config.comparison.judging == "pairwise":
        raise UsageError("comparison.judging is pairwise, which static analysis cannot do: name a judge with --judge.")
    if len(set(judges)) < len(judges):
        raise UsageError("comparison.judges names one judge twice, which would count its answers twice: name it once.")


def _check_selection(config: Config) -> None:
    strengths = config.selection.strengths
    if not strengths or not all(0 < strength <= 1 for strength in strengths):
        raise UsageError(
            f"selection.strengths are {strengths}: give numbers above 0 and up to 1 (the base, 0, is always tried)."
        )
    if config.selection.items is None:
        return
    if not config.bench.wanted:
        raise UsageError("selection.items (--select) are items of benchmarks: name some with --benchmark or --data.")
    if config.training.fine_tune == "dora" and set(strengths) != {1.0}:
        raise UsageError("A DoRA adapter cannot be saved at a strength below 1: add --strengths 1, or use lora.")


WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def check_type(section: type, name: str, setting: str, value: Any) -> None:
    """Raises UsageError for a value, or an element of a list, that is not of the setting's type."""
    kinds = fields_of(section)[setting].kinds
    if not any(_is_of(kind, value) for kind in kinds):
        shown = list(value) if isinstance(value, tuple) else value
        expected = " or ".join(map(_words, kinds))
        raise UsageError(f"{name} = {shown!r} is not of the right kind: it takes {expected}.")


def _is_of(kind: Any, value: Any) -> bool:
    if typing.get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_is_of(typing.get_args(kind)[0], element) for element in value)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _words(kind: Any) -> str:
    if typing.get_origin(kind) is tuple:
        return f"a list, each {_words(typing.get_args(kind)[0])}"
    return WORDS.get(kind, "none")


def takes_none(section: type, setting: str) -> bool:
    """Whether a setting may be left without a value."""
    return fields_of(section)[setting].takes_none
