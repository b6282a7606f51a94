"""A sweep's file: what its runs share, and the axes along which they differ.

In: TOML. Out: a Matrix, whose members are runs with whole configurations. Beside the sections of a config.toml the file
has `[axes]`: a setting with its values, or a name with named groups of settings; `[[exclude]]` leaves combinations out,
`[[adjust]]` changes some. One run for every combination that is left, in the order in which they are written.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlx_distill import config as configuration
from mlx_distill.config import Config
from mlx_distill.errors import DataError, UsageError
from mlx_distill.summarise.gate import check_rules

Settings = Mapping[str, Any]
"""By dotted name: {"training.rank": 32}."""

OWN_KEYS = ("name", "preset", "budget", "axes", "exclude", "adjust")


@dataclass(frozen=True)
class Axis:
    """`values`: by name, the settings that each makes."""

    name: str
    values: Mapping[str, Settings]


@dataclass(frozen=True)
class Member:
    """One run. `values`: of each axis, by name."""

    name: str
    values: Mapping[str, str]
    config: Config


@dataclass(frozen=True)
class Matrix:
    """`budget`: dollars that all runs together may cost; None: no bound."""

    name: str
    axes: tuple[Axis, ...]
    members: tuple[Member, ...]
    budget: float | None = None


def read_matrix(file: Path) -> Matrix:
    """Raises DataError for a file that is no TOML, UsageError for one that cannot be meant; the message names the run
    or the key."""
    content = _toml(file)
    shared = _shared(content, file)
    preset, budget = content.get("preset", "standard"), content.get("budget")
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int | float) or budget < 0):
        raise UsageError(f"{file}: budget is {budget!r}: give dollars, 0 or more.")
    axes = tuple(_axes(content, file))
    members = tuple(_members(axes, content, preset, shared, file))
    if not members:
        raise UsageError(f"{file} leaves no run: it excludes every combination.")
    for name, count in Counter(member.name for member in members).items():
        if count > 1:
            raise UsageError(f"{file}: {count} runs would be called {name!r}: give the axes' values names that differ.")
    return Matrix(_clean(str(content.get("name", file.stem))), axes, members, budget)


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{file} does not exist: check the path.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{file} is not valid TOML ({error}): mend it.") from error


def _shared(content: Mapping[str, Any], file: Path) -> dict[str, Any]:
    sections = {name: part for name, part in content.items() if name not in OWN_KEYS}
    for name, part in sections.items():
        if not isinstance(part, dict):
            raise UsageError(f"{file}: {name} is no section: settings stand under theirs, as in a config.toml.")
    return {f"{name}.{setting}": value for name, part in sections.items() for setting, value in part.items()}


# ---------------------------------------------------------------- axes


def _axes(content: Mapping[str, Any], file: Path) -> Iterator[Axis]:
    axes = content.get("axes")
    if not isinstance(axes, dict) or not axes:
        raise UsageError(f"{file} has no [axes]: name a setting with a list of values, or groups of settings.")
    for name, values in axes.items():
        if isinstance(values, list) and values:
            yield Axis(name.rpartition(".")[2], {_named(value): {name: value} for value in values})
        elif isinstance(values, dict) and values and all(isinstance(group, dict) for group in values.values()):
            yield Axis(name, {value: _flat(group) for value, group in values.items()})
        else:
            raise UsageError(
                f'{file}: the axis {name!r} has no values: write "training.rank" = [8, 32], or groups of settings.'
            )


def _flat(group: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """TOML reads training.rank = 8 as a table of a table, "training.rank" = 8 as one key: both mean the same."""
    found: dict[str, Any] = {}
    for name, value in group.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found


def _named(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


# ---------------------------------------------------------------- members


def _members(
    axes: Sequence[Axis], content: Mapping[str, Any], preset: str, shared: Settings, file: Path
) -> Iterator[Member]:
    excluded, adjusted = (_rules(content, kind, axes, file) for kind in ("exclude", "adjust"))
    for combination in itertools.product(*(axis.values for axis in axes)):
        values = {axis.name: value for axis, value in zip(axes, combination, strict=True)}
        if any(_holds(rule, values) for rule in excluded):
            continue
        settings = dict(shared)
        for axis, value in zip(axes, combination, strict=True):
            settings |= axis.values[value]
        for rule in adjusted:
            if _holds(rule["when"], values):
                settings |= _flat(rule["set"])
        yield Member(_clean("-".join(combination)), values, _config(preset, settings, values, file))


def _rules(content: Mapping[str, Any], kind: str, axes: Sequence[Axis], file: Path) -> list[dict[str, Any]]:
    rules = content.get(kind, [])
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise UsageError(f"{file}: write [[{kind}]], a table for each.")
    known = {axis.name: axis.values for axis in axes}
    for rule in rules:
        if kind == "adjust" and not (isinstance(rule.get("when"), dict) and isinstance(rule.get("set"), dict)):
            raise UsageError(f"{file}: [[adjust]] has `when`, of axes and values, and `set`, of settings.")
        for name, value in (rule["when"] if kind == "adjust" else rule).items():
            if name not in known or any(one not in known[name] for one in _several(value)):
                raise UsageError(f"{file}: [[{kind}]] names {name} = {value!r}, which is no axis with such a value.")
    return rules


def _holds(rule: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    return all(values[name] in _several(value) for name, value in rule.items())


def _several(value: Any) -> list[str]:
    return [_named(one) for one in value] if isinstance(value, list) else [_named(value)]


def _config(preset: str, settings: Settings, values: Mapping[str, str], file: Path) -> Config:
    try:
        config = configuration.resolve(preset, dict(settings))
        check_rules(config.bench.rules)
    except UsageError as error:
        raise UsageError(f"{file}, {', '.join(f'{k} {v}' for k, v in values.items())}: {error}") from error
    return config


def _clean(name: str) -> str:
    """A folder's name on any machine."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name).strip("._") or "run"
