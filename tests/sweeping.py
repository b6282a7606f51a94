"""Sweeps for tests: a view that remembers, a sweep of three runs, and programs that stand for `mlx-distill run`."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from command_line import Done
from command_line import invoke as call

from mlx_distill.run.records import Standing
from mlx_distill.sweep.matrix import read_matrix
from mlx_distill.sweep.members import Shard, Sweep

ALONE = Shard()
OTHER_PROGRAM = Path(__file__).with_name("other_program.py")

THREE = (
    'preset = "demo"\ntraining.student = "qwen2.5-0.5b"\n[prompts]\ntest = []\n[axes]\n"training.rank" = [1, 2, 3]\n'
)

BEGINNING = """
import json, os, signal, sys, time
from pathlib import Path

run = Path(sys.argv[sys.argv.index("--run") + 1])
run.mkdir(parents=True, exist_ok=True)
name = run.name
with (run / "started").open("a") as file:
    file.write(" ".join(sys.argv[1:]) + chr(10))
times = len((run / "started").read_text().splitlines())

def say(words):
    print(words, flush=True)

def done():
    (run / "results.json").write_text(json.dumps({"run": {"hardware": None, "versions": None, "seed": 0}}))
"""


class Watcher:
    """A sweep's View that remembers what it was told."""

    def __init__(self, answer: bool = True) -> None:
        self.notes: list[str] = []
        self.shown: list[tuple[list[Standing], float | None]] = []
        self.tables: list[list[Sequence[str]]] = []
        self.asked: list[str] = []
        self.found: dict[str, Any] = {}
        self._answer = answer

    def note(self, text: str) -> None:
        self.notes.append(text)

    def confirm(self, question: str) -> bool:
        self.asked.append(question)
        return self._answer

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.tables.append([header, *rows])

    def sweep(self, found: dict[str, Any], folder: str) -> None:
        self.found = found

    @contextlib.contextmanager
    def sweeping(self) -> Iterator[Any]:
        yield lambda found, left: self.shown.append((list(found), left))


def program(folder: Path, body: str) -> Path:
    """What a sweep starts instead of the real thing. It knows `run`, `name`, and how many `times` it was started."""
    path = folder / "program.py"
    path.write_text(f"{BEGINNING}\n{body}")
    return path


def three(folder: Path, shard: Shard = ALONE, text: str = THREE) -> Sweep:
    (folder / "three.toml").write_text(text)
    return Sweep(folder / "sweeps" / "three", read_matrix(folder / "three.toml"), shard)


def states(sweep: Sweep) -> dict[str, tuple[str, str]]:
    found = [sweep.standing(member) for member in sweep.matrix.members]
    return {one.name: (one.state, one.words) for one in found}


def starts(sweep: Sweep) -> list[int]:
    """How often each run was started."""
    files = [sweep.run(member) / "started" for member in sweep.matrix.members]
    return [len(file.read_text().splitlines()) if file.exists() else 0 for file in files]


def invoke(folder: Path, *arguments: str | Path) -> Done:
    """`sweep` with these arguments in the folder; its runs are processes."""
    return call("sweep", *arguments, cwd=folder)


def invoke_other(folder: Path, program: Path, *arguments: str | Path) -> Done:
    """The same, but what it starts for each run is the program."""
    return subprocess.run(
        [sys.executable, str(OTHER_PROGRAM), "sweep", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"SWEEP_PROGRAM": str(program)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
