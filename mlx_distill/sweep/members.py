"""The runs of a sweep on disk: a folder each, its whole configuration, and how it stands.

In: a Matrix and a folder. Out: configurations that share ledger, baselines and activations; states that survive any
interruption, in a file of each run's own, so that several machines may work in one folder.

    sweeps/<name>/
      sweep.toml           the file, as it was; .origin, the folder in which it was
      configs/<run>.toml   what each run is started with
      <run>/               a run directory, beside the others; run.log, sweep-run.json
      shared/              ledger.sqlite, baselines/, prefix-cache/; shared-1-of-2/ for a shard of several
      sweep.json  sweep.md  sweep.html  visuals/
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from mlx_distill.models.teachers import is_chosen
from mlx_distill.models.teachers.traits import traits_of
from mlx_distill.run import config as configuration
from mlx_distill.run import paths
from mlx_distill.run.config import Config
from mlx_distill.run.decode import typed
from mlx_distill.run.digest import digest
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.folder import CONFIG, LEDGER, RESULTS, SWEEP_RUN, RunDir, file_hash, write_atomic
from mlx_distill.run.job import WORK
from mlx_distill.run.records import Standing
from mlx_distill.sweep.matrix import Matrix, Member

STATE, FILE, ORIGIN = SWEEP_RUN, "sweep.toml", ".origin"
ELSEWHERE = "left to another shard"


@dataclass(frozen=True)
class Shard:
    """One part of several, from 1 on."""

    index: int = 1
    of: int = 1

    @property
    def shared(self) -> str:
        """The folder that its runs share: two machines never write into one file."""
        return "shared" if self.of == 1 else f"shared-{self.index}-of-{self.of}"

    def has(self, place: int) -> bool:
        return place % self.of == self.index - 1


def shard_of(text: str) -> Shard:
    """`2/3` as a Shard. Raises UsageError."""
    first, slash, last = text.partition("/")
    decimal = all(part.isascii() and part.isdigit() and len(part) < 6 for part in (first, last))
    if not (slash and decimal and 1 <= int(first) <= int(last)):
        raise UsageError(f"--shard {text} cannot be read: give the part and how many there are, such as 1/2 and 2/2.")
    return Shard(int(first), int(last))


@dataclass(frozen=True)
class State:
    """What became of a run. `config`: digest of what it was made with; `exit_code` None: it has not ended."""

    state: str = "waiting"
    config: str = ""
    words: str = ""
    seconds: float = 0.0
    exit_code: int | None = None


@dataclass(frozen=True)
class Sweep:
    folder: Path
    matrix: Matrix
    shard: Shard = Shard()

    @property
    def shared(self) -> Path:
        return self.folder / self.shard.shared

    def run(self, member: Member) -> RunDir:
        return RunDir(self.folder / member.name)

    @functools.cached_property
    def mine(self) -> tuple[Member, ...]:
        """The runs of this shard."""
        return tuple(member for place, member in enumerate(self.matrix.members) if self.shard.has(place))

    def config(self, member: Member, cap: float | None) -> Config:
        """With what its runs share, and the dollars that the whole ledger may not pass."""
        shared = self.shared.absolute()
        changes = {"machine.shared": str(shared), "collect.ledger": str(shared / LEDGER)}
        known = {} if cap is None else {"collect.max_cost": float(cap)}
        return configuration.replace(member.config, changes | known)

    # ---- states

    def state(self, member: Member) -> State:
        """Of this configuration: what was made with another one, or whose results are gone, is waiting again. A run
        that nobody has in hand any more was stopped."""
        content = _read(self.run(member) / STATE)
        if content.config != fingerprint(member.config):
            return State()
        if content.state == "done" and not (self.run(member) / RESULTS).exists():
            return State(seconds=content.seconds)
        if content.state == "running" and not self.is_in_hand(member):
            return dataclasses.replace(content, state="stopped")
        return content

    def is_in_hand(self, member: Member) -> bool:
        """Whether a process works in the run's folder."""
        try:
            if (self.run(member) / ".lock").exists():
                with self.run(member).locked():
                    pass
        except UsageError:
            return True
        return False

    def is_done(self, member: Member) -> bool:
        return self.state(member).state == "done"

    def is_collected(self, member: Member) -> bool:
        """Whether the teacher has answered all that this configuration asks."""
        run = self.run(member)
        same = _read(run / STATE).config == fingerprint(member.config)
        known = run.stage("collect")
        return same and known is not None and known.state == "done"

    def mark(self, member: Member, state: str, words: str, seconds: float, exit_code: int | None = None) -> None:
        marked = State(state, fingerprint(member.config), words, round(seconds, 1), exit_code)
        self.run(member).write_json(STATE, dataclasses.asdict(marked))

    def standing(self, member: Member) -> Standing:
        recorded = self.state(member)
        state = ELSEWHERE if recorded.state == "waiting" and member not in self.mine else recorded.state
        return Standing(member.name, state, recorded.words, recorded.seconds)

    def changes(self, member: Member) -> list[str]:
        """What differs from the configuration with which the run was begun."""
        run = self.run(member)
        if not (run / CONFIG).exists() or not any((run / name).exists() for name in WORK):
            return []
        before = configuration.load(run / CONFIG)
        now = paths.spelled_as(member.config, before)
        return configuration.differences(before, configuration.with_chosen_layers(now, before))

    # ---- files

    def write(self, text: str, cap: float | None, origin: Path | None = None) -> None:
        """The file and every run's configuration. `origin`: the folder from which the file's relative paths go."""
        if origin:
            write_atomic(self.folder / ORIGIN, f"{origin.absolute()}\n")
        write_atomic(self.folder / FILE, text)
        for member in self.mine:
            write_atomic(self.config_file(member), tomli_w.dumps(configuration.to_table(self.config(member, cap))))

    def config_file(self, member: Member) -> Path:
        return self.folder / "configs" / f"{member.name}.toml"


def asks_teacher(config: Config) -> bool:
    """Own training data asks none without a comparison, nor where none is chosen."""
    return compares(config) and is_chosen(config)


def compares(config: Config) -> bool:
    """Own training data without a comparison asks nobody, judges neither."""
    return config.training.data is None or bool(config.prompts.test)


def fingerprint(config: Config) -> str:
    """Of what a run's results depend on, files that it names by their content; not of where they lie, where it
    collects, nor how it uses the machine."""
    table = {name: part for name, part in configuration.to_table(config).items() if name not in ("collect", "machine")}
    named = sorted(set(_words(table)) - {config.training.student})
    return digest([json.dumps(_shown(table), sort_keys=True), *filter(None, map(_hash, named))])[:16]


def _shown(value: Any) -> Any:
    """Without the folders of absolute paths: two machines may see a shared folder in different places."""
    if isinstance(value, dict):
        return {name: _shown(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(part) for part in value]
    return paths.shown(value) if isinstance(value, str) else value


def _words(value: Any) -> Iterator[str]:
    """Whatever may be a file's path, with or without a teacher's kind before it."""
    if isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _words(part)
    elif isinstance(value, str):
        yield traits_of(value).file or value


def _hash(path: str) -> str | None:
    """None for what is no file."""
    try:
        status = Path(path).stat()
        return _content(path, status.st_size, status.st_mtime_ns) if Path(path).is_file() else None
    except (OSError, ValueError):
        return None


@functools.cache
def _content(path: str, size: int, written: int) -> str:
    """Read again only when it is another one: a table of runs asks for all of them, often."""
    return file_hash(Path(path))


def _read(path: Path) -> State:
    """A file that a crash or another version left unreadable says nothing."""
    try:
        return typed(State, json.loads(path.read_bytes()), str(path), "it is written anew")
    except (OSError, ValueError, RecursionError, DataError):
        return State()
