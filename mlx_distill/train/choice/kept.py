"""Records that are drawn or computed once: in the run's own folder, and in the one that runs share where they do.

In: records by key. Out: the same, also after a kill or in another run. Each folder gets what the run has used, so that
a run that goes on without the others lacks nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

from mlx_distill.run.folder import RunDir
from mlx_distill.run.job import Job

FOLDER = "choice"

Record = TypeVar("Record")


class Kept(Generic[Record]):
    """The file `name` of the folder. `key`: of a record, what it depends on."""

    def __init__(self, job: Job, name: str, kind: type[Record], key: Callable[[Record], Hashable]) -> None:
        shared = [RunDir(Path(job.config.machine.shared))] if job.config.machine.shared else []
        self._runs, self._name, self._key = [job.run, *shared], f"{FOLDER}/{name}", key
        self._known: list[dict[Hashable, Record]] = []
        for run in self._runs:
            (run / FOLDER).mkdir(parents=True, exist_ok=True)
            self._known.append({key(record): record for record in run.read_resumable(self._name, kind)})

    def find(self, key: Hashable) -> Record | None:
        record = next((known[key] for known in self._known if key in known), None)
        if record is not None:
            self.add(record)
        return record

    def add(self, record: Record) -> None:
        """To each folder that has none of this key."""
        key = self._key(record)
        for run, known in zip(self._runs, self._known, strict=True):
            if key not in known:
                known[key] = record
                run.append(self._name, record)
