"""A sweep's file: what its runs share, and the axes along which they differ.

In: TOML. Out: a Matrix, whose members are runs with whole configurations. Beside the sections of a config.toml the file
has `[axes]`: a setting with its values, or a name with named groups of settings; `[[exclude]]` leaves combinations out,
`[[adjust]]` changes some. One run for every combination that is left, in the order in which they are written.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlx_distill.run import config as configuration
from mlx_distill.run import paths
from mlx_distill.run.config import Config
from mlx_distill.run.errors import UsageError
from mlx_distill.run.toml_file import toml_of
from mlx_distill.summarise.gate import check_rules
from mlx_distill.sweep.axes import Axis, Rule, Settings, axes_of, combinations, flat, rules_of

OWN_KEYS = ("name", "preset", "budget", "axes", "exclude", "adjust")

THE_SWEEPS_OWN = {
    "collect.ledger": "its runs share one, shared/ledger.sqlite in its folder: copy yours to there",
    "collect.max_cost": "its runs share one ledger, so give a budget to all of them",
    "machine.shared": "its runs share a folder in the sweep's",
}

RESERVED = re.compile(r"configs|visuals|shared(-\d+-of-\d+)?|sweep\.(toml|json|md|html)", re.IGNORECASE)
"""What else lies in a sweep's folder."""

MOST_RUNS = 1000
LONGEST_NAME = 120
"""Characters: a name is a folder, and stands in tables."""


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


def read_matrix(file: Path, name: str | None = None, folder: Path | None = None) -> Matrix:
    """`name`: of a sweep whose file has none [the file's]. `folder`: from where its relative paths go first [the
    file's]. Raises DataError for a file that is no TOML, UsageError for one that cannot be meant; the message names the
    run or the key."""
    content = _toml(file)
    try:
        return _matrix(content, name or file.stem, (folder or file.parent, Path.cwd()))
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error


def _matrix(content: Mapping[str, Any], name: str, folders: Sequence[Path]) -> Matrix:
    shared, axes = _shared(content), axes_of(content)
    _check_size(axes)
    runs = _members(axes, rules_of(content, axes), content.get("preset", "standard"), shared)
    members = tuple(replace(member, config=paths.anchored(member.config, folders)) for member in runs)
    if not members:
        raise UsageError("no run is left: every combination is excluded.")
    _check_names([member.name for member in members])
    return Matrix(_name(content, name), axes, members, _budget(content))


def _toml(file: Path) -> dict[str, Any]:
    if file.is_dir():
        raise UsageError(f"{file} is a folder: give a sweep's FILE, or add --resume to go on with a folder's.")
    return toml_of(file)


def _name(content: Mapping[str, Any], otherwise: str) -> str:
    name = content.get("name", otherwise)
    if not isinstance(name, str):
        raise UsageError(f'name is {name!r}: write name = "…".')
    return clean(name)


def _budget(content: Mapping[str, Any]) -> float | None:
    budget = content.get("budget")
    if budget is None:
        return None
    if isinstance(budget, bool) or not isinstance(budget, int | float) or not budget >= 0:
        raise UsageError(f"budget is {budget!r}: give dollars, 0 or more.")
    return float(budget)


def _shared(content: Mapping[str, Any]) -> dict[str, Any]:
    sections = {name: part for name, part in content.items() if name not in OWN_KEYS}
    for name, part in sections.items():
        if not isinstance(part, dict):
            raise UsageError(f"{name} is no section: settings stand under theirs, as in a config.toml.")
    return flat(sections)


# ---------------------------------------------------------------- members


def _members(axes: Sequence[Axis], rules: Sequence[Rule], preset: Any, shared: Settings) -> Iterator[Member]:
    for values in combinations(axes):
        holding = [rule for rule in rules if rule.holds(values)]
        if any(rule.sets is None for rule in holding):
            continue
        settings = dict(shared)
        for changes in (*(axis.values[values[axis.name]] for axis in axes), *(rule.sets or {} for rule in holding)):
            settings |= changes
        yield Member(clean("-".join(values.values())), values, _config(preset, settings, values))


def _config(preset: Any, settings: Settings, values: Mapping[str, str]) -> Config:
    try:
        if not isinstance(preset, str):
            raise UsageError(f"preset is {preset!r}: give a name.")
        for name, why in THE_SWEEPS_OWN.items():
            if name in settings:
                raise UsageError(f"{name} is the sweep's own ({why}).")
        config = configuration.resolve(preset, dict(settings))
        check_rules(config.bench.rules)
    except UsageError as error:
        raise UsageError(f"{', '.join(f'{axis} {value}' for axis, value in values.items())}: {error}") from error
    return config


def _check_size(axes: Sequence[Axis]) -> None:
    if (count := math.prod(len(axis.values) for axis in axes)) > MOST_RUNS:
        raise UsageError(f"{count:,} combinations are too many for one sweep ({MOST_RUNS:,}): divide the file.")


def _check_names(names: Sequence[str]) -> None:
    """Folders; on a Mac two that differ in case alone are one."""
    for name in names:
        if RESERVED.fullmatch(name):
            raise UsageError(f"run name {name!r} is reserved: rename the axis value.")
        if len(name) > LONGEST_NAME:
            raise UsageError(
                f"run name {name[:40]!r}… is too long ({len(name)} characters): give the values short names, as groups."
            )
    for name, count in Counter(name.casefold() for name in names).items():
        if count > 1:
            raise UsageError(f"{count} runs would be called {name!r}: give the axes' values names that differ.")


def clean(name: str) -> str:
    """A folder's name on any machine."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name).strip("._") or "run"
