"""A sweep measured against its parts: what it costs beside its trainings and evaluations, and beside single runs.

    python perf/sweep.py [cost] [alone] [--sweep FILE] [--small]

In: a sweep's file [examples/small.toml]. Out: the table. `cost` makes the sweep once and holds its wall time against
the sum of its runs' stages that train and evaluate, and counts what the base was asked twice. `alone` makes every run
by itself, with nothing shared, and holds the sweep against that. Twenty minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import table
from sides import ROOT, Elsewhere, environment
from table import Row

from mlx_distill.sweep.matrix import read_matrix

MOST = 1.15
WORK = ("train", "select", "bench", "generate", "judge")
"""Stages that train and evaluate; the others wait for somebody, or take no time."""


def sweep(given: argparse.Namespace, folder: Path) -> float:
    """Its wall time in seconds."""
    started = time.monotonic()
    _run(["sweep", str(given.sweep), "--sweep", str(folder), "--yes"])
    return time.monotonic() - started


def _run(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "mlx_distill", *arguments]
    done = subprocess.run(command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def cost(given: argparse.Namespace) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="perf-sweep-", ignore_cleanup_errors=True) as name:
        folder = Path(name, "sweep")
        whole, runs = sweep(given, folder), [member.name for member in read_matrix(given.sweep).members]
        parts = {stage: sum(_seconds(folder / run, stage) for run in runs) for stage in WORK}
        work = sum(parts.values())
        told = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in parts.items() if seconds)
        yield Row(f"{len(runs)} runs, trainings and evaluations", "", f"{work:.0f} s: {told}")
        demanded = None if given.small else whole <= MOST * work
        yield Row(
            "the sweep's wall time beside that", f"<= {MOST:g} x", f"{whole / work:.3f} x ({whole:.0f} s)", demanded
        )
        again = _again(folder, runs)
        yield Row("answers of the base that were made more than once", "0", str(again), again == 0)


def _seconds(run: Path, stage: str) -> float:
    return float(json.loads((run / "stages.json").read_text()).get(stage, {}).get("seconds", 0.0))


def _again(folder: Path, runs: list[str]) -> int:
    """Two answers of the base to one item that did not take the same time are two."""
    made: dict[str, set[float]] = {}
    for run in runs:
        for file in (folder / run).rglob("answers.jsonl"):
            for answer in map(json.loads, file.read_text().splitlines()):
                if answer["role"] == "base":
                    made.setdefault(answer["prompt_id"], set()).add(answer["seconds"])
    return sum(count - 1 for count in Counter({name: len(times) for name, times in made.items()}).values())


def alone(given: argparse.Namespace) -> Iterator[Row]:
    """In turn with a sweep on the same machine, so that both are slowed down alike."""
    with tempfile.TemporaryDirectory(prefix="perf-sweep-", ignore_cleanup_errors=True) as name:
        together, folder = sweep(given, Path(name, "sweep")), Path(name, "sweep")
        started = time.monotonic()
        for member in read_matrix(given.sweep).members:
            config = Path(name, f"{member.name}.toml")
            shared = ("shared = ", "ledger = ")
            lines = (folder / "configs" / f"{member.name}.toml").read_text().splitlines()
            config.write_text("\n".join(line for line in lines if not line.startswith(shared)))
            _run(["run", "--run", str(Path(name, "alone", member.name)), "--config", str(config), "--yes"])
        single = time.monotonic() - started
        yield Row(
            "the same runs one by one, nothing shared", "", f"{single:.0f} s: {single / together:.2f} x the sweep"
        )


SECTIONS = {"cost": cost, "alone": alone}


def main() -> None:
    parser = table.parser(__doc__, SECTIONS)
    parser.add_argument("--sweep", type=Path, default=ROOT / "examples" / "small.toml")
    given = table.parse(parser, SECTIONS)
    elsewhere = Elsewhere()
    rows = table.measure(given.names, SECTIONS, given)
    table.finish(rows, f"Sweeping{', small' if given.small else ''}{elsewhere.said()}")


if __name__ == "__main__":
    main()
