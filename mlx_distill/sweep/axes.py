"""The axes of a sweep's file, and its rules for combinations of their values.

In: `[axes]`, `[[exclude]]`, `[[adjust]]` as TOML has them. Out: axes whose values have names, and what a combination
sets. A name stands in the run's own name, in tables and in rules; so two values never share one.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlx_distill.run.errors import UsageError

Settings = Mapping[str, Any]
"""By dotted name: {"training.rank": 32}."""


@dataclass(frozen=True)
class Axis:
    """`values`: by name, the settings that each makes. `setting`: the one that a plain list of values changes."""

    name: str
    values: Mapping[str, Settings]
    setting: str = ""


def axes_of(content: Mapping[str, Any]) -> tuple[Axis, ...]:
    """Raises UsageError for axes without values, and for values that nobody could tell apart."""
    axes = content.get("axes")
    if not isinstance(axes, dict) or not axes:
        raise UsageError("there is no [axes]: name a setting with a list of values, or groups of settings.")
    listed = list(_axes(axes))
    short = Counter(axis.name for axis in listed)
    distinct = [axis if short[axis.name] == 1 or not axis.setting else _in_full(axis) for axis in listed]
    if twice := [name for name, count in Counter(axis.name for axis in distinct).items() if count > 1]:
        raise UsageError(f"there are two axes {twice[0]!r}: write its values in one list.")
    return tuple(distinct)


def _axes(axes: Mapping[str, Any]) -> Iterator[Axis]:
    for name, values in axes.items():
        if isinstance(values, list) and values:
            yield Axis(name.rpartition(".")[2], dict(_listed(name, values)), name)
        elif _all(values, list):  # training.rank = […], which TOML reads as a table
            yield from _axes({f"{name}.{setting}": listed for setting, listed in values.items()})
        elif _all(values, dict):
            yield Axis(name, {value: flat(group) for value, group in values.items()})
        else:
            raise UsageError(
                f'the axis {name!r} has no values: write "training.rank" = [8, 32], or groups of settings.'
            )


def _all(values: Any, kind: type) -> bool:
    return isinstance(values, dict) and bool(values) and all(isinstance(value, kind) for value in values.values())


def _listed(name: str, values: Sequence[Any]) -> Iterator[tuple[str, Settings]]:
    names = [named(value) for value in values]
    if twice := [value for value, count in Counter(names).items() if count > 1]:
        raise UsageError(f"the axis {name!r} has {twice[0]} twice: leave one out.")
    return ((value, {name: given}) for value, given in zip(names, values, strict=True))


def _in_full(axis: Axis) -> Axis:
    return Axis(axis.setting, axis.values, axis.setting)


def flat(group: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """TOML reads training.rank = 8 as a table of a table, "training.rank" = 8 as one key: both mean the same."""
    flattened: dict[str, Any] = {}
    for name, value in group.items():
        flattened |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return flattened


def named(value: Any) -> str:
    """As TOML has it, a list with + between."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return "+".join(map(named, value)) if isinstance(value, list) else str(value)


# ---------------------------------------------------------------- rules


@dataclass(frozen=True)
class Rule:
    """`when`: of axes, the values that it holds for. `sets`: what it changes then; None leaves the combination out."""

    when: Mapping[str, Sequence[str]]
    sets: Settings | None = None

    def holds(self, values: Mapping[str, str]) -> bool:
        return all(values[name] in wanted for name, wanted in self.when.items())


def rules_of(content: Mapping[str, Any], axes: Sequence[Axis]) -> list[Rule]:
    """Raises UsageError for a rule that cannot be meant."""
    excluding = [Rule(_when(rule, "exclude", axes)) for rule in _tables(content, "exclude")]
    if any(not rule.when for rule in excluding):
        raise UsageError("an empty [[exclude]] would leave out everything: name an axis and a value.")
    return [*excluding, *(_adjusting(rule, axes) for rule in _tables(content, "adjust"))]


def _tables(content: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    rules = content.get(kind, [])
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise UsageError(f"write [[{kind}]], a table for each.")
    return rules


def _adjusting(rule: Mapping[str, Any], axes: Sequence[Axis]) -> Rule:
    when, sets = rule.get("when"), rule.get("set")
    if set(rule) != {"when", "set"} or not isinstance(when, dict) or not isinstance(sets, dict):
        raise UsageError("[[adjust]] has `when`, of axes and values, and `set`, of settings, and nothing else.")
    return Rule(_when(when, "adjust", axes), flat(sets))


def _when(given: Mapping[str, Any], kind: str, axes: Sequence[Axis]) -> dict[str, list[str]]:
    """An axis may be called by the setting that it changes, too."""
    known = {name: axis for axis in axes for name in (axis.setting, axis.name) if name}
    conditions = {}
    for name, value in flat(given).items():
        wanted = [named(one) for one in value] if isinstance(value, list) else [named(value)]
        if name not in known or not wanted or not set(wanted) <= set(known[name].values):
            raise UsageError(f"[[{kind}]] names {name} = {value!r}, which is no axis with such a value.")
        conditions[known[name].name] = wanted
    return conditions


def combinations(axes: Sequence[Axis]) -> Iterator[dict[str, str]]:
    """Of all axes a value each, by name; the last axis changes fastest."""
    for combination in itertools.product(*(axis.values for axis in axes)):
        yield {axis.name: value for axis, value in zip(axes, combination, strict=True)}
