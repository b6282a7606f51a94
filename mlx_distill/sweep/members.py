"""The runs of a sweep on disk: a folder each, its whole configuration, and how it stands.

In: a Matrix and a folder. Out: configurations that share ledger, baselines and activations; states that survive any
interruption, in a file of each run's own, so that several machines may work in one folder.

    sweeps/<name>/
      sweep.toml           the file, as it was
      configs/<run>.toml   what each run is started with
      <run>/               a run directory, beside the others; run.log, sweep-run.json
      shared/              ledger.sqlite, baselines/, prefix-cache/; shared-1-of-2/ for a shard of several
      sweep.json  sweep.md  sweep.html  visuals/
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from mlx_distill import config as configuration
from mlx_distill.config import Config
from mlx_distill.errors import UsageError
from mlx_distill.records import Standing, digest
from mlx_distill.rundir import RunDir, write_atomic
from mlx_distill.sweep.matrix import Matrix, Member

STATE, LOG, FILE = "sweep-run.json", "run.log", "sweep.toml"
LEDGER = "ledger.sqlite"
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
    if not (slash and first.isdigit() and last.isdigit() and 1 <= int(first) <= int(last)):
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

    def mine(self, member: Member) -> bool:
        return self.shard.has(self.matrix.members.index(member))

    def config(self, member: Member, cap: float | None) -> Config:
        """With what its runs share, and the dollars that the whole ledger may not pass."""
        changes = {"machine.shared": str(self.shared), "collect.ledger": str(self.shared / LEDGER)}
        known = {} if cap is None else {"collect.max_cost": float(cap)}
        return configuration.replace(member.config, changes | known)

    # ---- states

    def state(self, member: Member) -> State:
        """Of this configuration: what was made with another one is waiting again."""
        found = _read(self.run(member) / STATE)
        return found if found.config == fingerprint(member.config) else State()

    def mark(self, member: Member, state: str, words: str, seconds: float, exit_code: int | None = None) -> None:
        found = State(state, fingerprint(member.config), words, round(seconds, 1), exit_code)
        self.run(member).write_json(STATE, dataclasses.asdict(found))

    def standing(self, member: Member) -> Standing:
        found = self.state(member)
        state = ELSEWHERE if found.state == "waiting" and not self.mine(member) else found.state
        return Standing(member.name, state, found.words, found.seconds)

    # ---- files

    def write(self, text: str, cap: float | None) -> None:
        """The file and every run's configuration."""
        write_atomic(self.folder / FILE, text)
        for member in self.matrix.members:
            if self.mine(member):
                table = configuration.to_table(self.config(member, cap))
                write_atomic(self.config_file(member), tomli_w.dumps(table))

    def config_file(self, member: Member) -> Path:
        return self.folder / "configs" / f"{member.name}.toml"


def fingerprint(config: Config) -> str:
    """Of what a run's results depend on; not of where it collects, nor of how it uses the machine."""
    table = {name: part for name, part in configuration.to_table(config).items() if name not in ("collect", "machine")}
    return digest([json.dumps(table, sort_keys=True)])[:16]


def _read(path: Path) -> State:
    """A file that a crash or another version left unreadable says nothing."""
    try:
        return State(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return State()
