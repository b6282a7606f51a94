"""Packages that models' code may import beside the standard library, where the user says so.

In: names, as one installs or imports them. Out: the files and folders that hold them and what they need, of the
environment that this package runs in. They are shown to a program read-only, each by its own name, so that nothing else
of that environment is there.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mlx_distill.run.config import Config
from mlx_distill.run.errors import UsageError

INSIDE = "/packages"
"""Where they stand in a root of its own; elsewhere they are linked beside the program."""

ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Numerical libraries take memory for a thread of every core, though an answer is one of many that run at once."""

NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Shelf:
    """`entries`: paths of folders and files; `modules`: what can be imported; `versions`: for fingerprints."""

    entries: tuple[str, ...] = ()
    modules: frozenset[str] = frozenset()
    versions: tuple[str, ...] = ()


def names_of(text: str) -> tuple[str, ...]:
    """`numpy,pandas` or `numpy pandas`."""
    return tuple(dict.fromkeys(re.split(r"[\s,]+", text.strip()))) if text.strip() else ()


@functools.cache
def shelf(names: tuple[str, ...]) -> Shelf:
    """Raises UsageError for a package that is not installed here."""
    entries: dict[str, None] = {}
    versions: dict[str, None] = {}
    for distribution in _with_needs(names):
        versions[f"{distribution.metadata['Name']} {distribution.version}"] = None
        entries |= dict.fromkeys(_entries(distribution))
    modules = frozenset(Path(entry).name.partition(".")[0] for entry in entries)
    return Shelf(tuple(entries), modules, tuple(sorted(versions)))


def _with_needs(names: tuple[str, ...]) -> Iterator[metadata.Distribution]:
    """The named packages, and those of their requirements that are installed."""
    waiting, seen = [_distribution(name) for name in names], set[str]()
    while waiting:
        distribution = waiting.pop()
        if distribution.metadata["Name"] not in seen:
            seen.add(distribution.metadata["Name"])
            yield distribution
            needed = [need for need in distribution.requires or () if "extra ==" not in need]
            for match in filter(None, map(NAME.match, needed)):
                try:
                    waiting.append(metadata.distribution(match[0]))
                except metadata.PackageNotFoundError:
                    continue  # for another system, or another Python


def _distribution(name: str) -> metadata.Distribution:
    known = [name, *metadata.packages_distributions().get(name, ())]
    for candidate in known if NAME.fullmatch(name) else ():
        try:
            return metadata.distribution(candidate)
        except metadata.PackageNotFoundError:
            continue
    raise UsageError(
        f"--sandbox-packages {name}: it is not installed beside mlx-distill. Install it there (pip install {name}), or "
        "leave it out."
    )


def _entries(distribution: metadata.Distribution) -> Iterator[str]:
    """What a package has put at the top of the environment's packages, but for its description."""
    for name in dict.fromkeys(path.parts[0] for path in distribution.files or () if path.parts):
        path = Path(str(distribution.locate_file(name)))
        if name not in ("..", "__pycache__") and not name.endswith((".dist-info", ".pth")) and path.exists():
            yield str(path.resolve())


def shown_packages(config: Config) -> tuple[str, ...]:
    """The packages that models' code may import, with their versions: marks depend on them. Raises UsageError for one
    that is not installed."""
    return shelf(names_of(config.comparison.sandbox_packages)).versions
