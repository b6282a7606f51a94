"""One setting: everything that is said of it, in the place where its field is declared.

In: a default, and what the field says of itself. Out: a dataclass field that carries a Setting; checks, the command
line and the reference page read it from there. The trade-off: a field's declaration is two lines long instead of one,
and nothing about it stands anywhere else.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KEY = "setting"
"""Under which a field's metadata holds its Setting."""


@dataclass(frozen=True)
class Bounds:
    """Limits of a number; None is no limit. `infinite`: the number may be infinite, which means "without a limit"."""

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    infinite: bool = False

    def hold(self, value: float) -> bool:
        """Whether a number is within the limits; NaN is within none."""
        return (
            (self.above is None or value > self.above)
            and (self.at_least is None or value >= self.at_least)
            and (self.below is None or value < self.below)
            and (self.at_most is None or value <= self.at_most)
        )

    def __str__(self) -> str:
        limits = {
            "above": self.above,
            "at least": self.at_least,
            "below": self.below,
            "at most": self.at_most,
        }
        return " and ".join(
            f"{word} {'zero' if limit == 0 and word == 'above' else f'{limit:g}'}"
            for word, limit in limits.items()
            if limit is not None
        )


@dataclass(frozen=True)
class Setting:
    """`help` is one sentence without a full stop; `group` names the options beside which it is listed.

    flag     such as "--epochs"; "" for a setting that only a config.toml can change
    common   one of the dozen that people change first
    shown    the default as --help shows it, where the value itself would not explain it
    choices  the words that a text may be
    """

    help: str
    group: str
    flag: str = ""
    common: bool = False
    shown: str = ""
    choices: tuple[str, ...] = ()
    bounds: Bounds = Bounds()


@dataclass(frozen=True)
class Field:
    """A setting with its place and type. `kinds`: the types that a value may have, such as (int, NoneType)."""

    name: str
    default: Any
    kinds: tuple[Any, ...]
    setting: Setting

    @property
    def takes_none(self) -> bool:
        return type(None) in self.kinds


def setting(
    default: Any,
    help: str,
    *,
    group: str,
    flag: str = "",
    common: bool = False,
    shown: str = "",
    choices: tuple[str, ...] = (),
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
    infinite: bool = False,
) -> Any:
    """A field of a configuration's section, with the attributes of its Setting and its Bounds."""
    bounds = Bounds(above, at_least, below, at_most, infinite)
    described = Setting(help, group, flag, common, shown, choices, bounds)
    return dataclasses.field(default=default, metadata={KEY: described})


_FIELDS: dict[type, Mapping[str, Field]] = {}
"""By section: a sweep of a thousand runs asks again and again."""


def fields_of(section: type) -> Mapping[str, Field]:
    """The settings of a section (a dataclass), by name, in the order in which they are declared."""
    if section not in _FIELDS:
        types_by_name = typing.get_type_hints(section)
        _FIELDS[section] = {
            field.name: Field(field.name, field.default, _kinds(types_by_name[field.name]), field.metadata[KEY])
            for field in dataclasses.fields(section)
        }
    return _FIELDS[section]


def _kinds(annotation: Any) -> tuple[Any, ...]:
    return typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
