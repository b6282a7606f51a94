"""A run directory and the real command line in it: started, watched from the server's side, interrupted, looked into.

What was paid is read twice, independently: from the run's ledger and from the server's bill.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collect_plan import AT_ONCE, Plan
from messages_api import ServerProcess

HELD_OUT = {
    "valid": "Describe a lighthouse keeper who polishes brass in winter.",
    "test": "List seven uses that sailors find for an old rope.",
}
"""One each, so a run of 1,000 prompts trains on 998."""

LONGEST = 900.0
"""Seconds that a command may take before the measurement fails."""

Process = subprocess.Popen[bytes]


class Run:
    """`mlx-distill collect` in a folder of its own, against one server, as often as it is started."""

    def __init__(self, folder: Path, server: ServerProcess, plan: Plan, count: int) -> None:
        self.count = count
        self.path = folder / "run"
        self._folder, self._server = folder, server
        self.prompts = folder / "prompts.jsonl"
        with self.prompts.open("w") as file:
            file.writelines(json.dumps({"prompt": plan.question(i)}) + "\n" for i in range(count - len(HELD_OUT)))
        for split, text in HELD_OUT.items():
            (folder / f"{split}.txt").write_text(text + "\n")

    def _command(self, *options: str) -> list[str]:
        prompts = ["--prompts", str(self.prompts)]
        for split in HELD_OUT:
            prompts += [f"--{split}-prompts", str(self._folder / f"{split}.txt")]
        agreed = ["--accept-terms", "--yes", "--concurrency", str(AT_ONCE)]
        command = [sys.executable, "-m", "mlx_distill", "collect", "--run", str(self.path)]
        return [*command, *prompts, *agreed, *options]

    @contextlib.contextmanager
    def started(self, *options: str) -> Iterator[Process]:
        """The process; what is left of it when the block ends is killed."""
        process = spawn(self._command(*options), self._server.url, self._folder / "errors.txt")
        try:
            yield process
        finally:
            end(process)

    def serve_from(self, server: ServerProcess) -> None:
        """Later starts ask another server."""
        self._server = server

    def finish(self, *options: str) -> int:
        """The exit code of a start that nobody disturbs."""
        with self.started(*options) as process:
            return process.wait(LONGEST)

    def last_error(self) -> str:
        """What the last start said on stderr."""
        return (self._folder / "errors.txt").read_text().strip()

    @property
    def data(self) -> list[dict[str, Any]]:
        """teacher_data.jsonl; raises ValueError for a line that is not JSON."""
        path = self.path / "teacher_data.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def unanswered(self) -> int:
        """Prompts without a line in teacher_data.jsonl."""
        return self.count - len({line["prompt_id"] for line in self.data})

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.sqlite"


def spawn(command: list[str], url: str, errors: Path) -> Process:
    environment = os.environ | {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "none", "HF_HUB_OFFLINE": "1"}
    with errors.open("wb") as file:
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=file)


def end(process: Process) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()


# ---------------------------------------------------------------- from the server's side


def wait_for(
    server: ServerProcess, process: Process, reached: Callable[[dict[str, Any]], bool], every: float = 0.02
) -> dict[str, Any]:
    """The server's state once it is `reached`, or the last one when the process has ended before."""
    deadline = time.monotonic() + LONGEST
    while True:
        state = server.state()
        if reached(state) or process.poll() is not None:
            return state
        if time.monotonic() > deadline:
            raise TimeoutError("the server never saw what the measurement waits for")
        time.sleep(every)


def at_rest(server: ServerProcess) -> dict[str, Any]:
    """The server's state when nothing is under way any more, so that the bill is complete."""
    deadline = time.monotonic() + LONGEST
    while (state := server.state())["under_way"]:
        if time.monotonic() > deadline:
            raise TimeoutError("requests stay under way")
        time.sleep(0.02)
    return state


# ---------------------------------------------------------------- the ledger, while nobody has it open


@dataclass(frozen=True)
class Book:
    """Attempts by state, requests with more than one answer, and dollars."""

    answered: int
    open: int
    twice: int
    spent: float
    uncertain: float


def look_aside(path: Path) -> Book:
    """Of a copy: what a kill left behind is mended by the next start, not by us."""
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        for part in path.parent.glob(f"{path.name}*"):
            shutil.copy(part, name)
        return look(Path(name, path.name))


def look(path: Path) -> Book:
    with contextlib.closing(sqlite3.connect(path)) as database:
        states = dict(database.execute("SELECT state, COUNT(*) FROM attempts GROUP BY state"))
        again = "SELECT 1 FROM attempts WHERE state = 'answered' GROUP BY request HAVING COUNT(*) > 1"
        twice = database.execute(f"SELECT COUNT(*) FROM ({again})").fetchone()[0]
        spent, uncertain = database.execute("SELECT spent, uncertain FROM totals").fetchone()
    return Book(states.get("answered", 0), states.get("sent", 0), twice, spent, uncertain)


def values(path: Path, statement: str) -> list[Any]:
    """The first column of what a statement finds in the ledger."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        return [row[0] for row in database.execute(statement)]
