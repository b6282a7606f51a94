"""Benchmarks measured: answering beside stock mlx_lm.generate, and executing answers in the sandbox. One table.

    python perf/bench.py [answering|executing …] --humaneval FILE [--items 16] [--cap 384] [--repeats N] [--small]

In: HumanEval+ as published (either format). Out: the table. `answering`: base's and distilled's answers to a stratified
subset, as in `generating.py`. `executing`: the reference solutions as if a model had answered, both test sets of all
items, once with the references to be run first, and once more with what they take known.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import generating
import table
from sides import Elsewhere
from table import Row

from mlx_distill.evaluate.benchmarks import Item, Scoring, load, subset
from mlx_distill.evaluate.benchmarks.benchmark import Benchmark

LEAST_FASTER = 3.0
MOST_SECONDS = 60.0


def _items(given: argparse.Namespace) -> tuple[Benchmark, list[Item]]:
    (loaded,) = load((), (given.humaneval,), "", "")
    return loaded.benchmark, subset(loaded.items, 8 if given.small else None)


def answering(given: argparse.Namespace) -> Iterator[Row]:
    _, items = _items(given)
    count, cap = (4, 24) if given.small else (given.items, given.cap)
    texts = {item.key: item.prompt for item in subset(items, count)}
    with tempfile.TemporaryDirectory(prefix="perf-bench-", ignore_cleanup_errors=True) as name:
        task = generating.made(Path(name), texts, "", cap, count)
        yield from generating.rows(task, Path(name), given.repeats, LEAST_FASTER, not given.small)


def executing(given: argparse.Namespace) -> Iterator[Row]:
    benchmark, items = _items(given)
    cases = [(item, f"```python\n{item.data['reference']}\n```") for item in items]
    for what in ("references run first", "references known"):
        started = time.monotonic()
        passed = sum(bool(mark.passed) for mark in benchmark.score(cases, Scoring(os.cpu_count() or 1)))
        seconds = time.monotonic() - started
        name = f"{len(items)} answers executed with both test sets, {what}"
        reached = None if given.small else seconds <= MOST_SECONDS
        yield Row(name, f"<= {MOST_SECONDS:g} s", f"{seconds:.1f} s, {passed} pass", reached)


SECTIONS = {"executing": executing, "answering": answering}


def main() -> None:
    parser = table.parser(__doc__, SECTIONS)
    parser.add_argument("--humaneval", required=True, help="the published file")
    parser.add_argument("--items", type=int, default=16)
    parser.add_argument("--cap", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=1, help="runs of each side, in turn [1]")
    given = table.parse(parser, SECTIONS)
    elsewhere = Elsewhere()
    rows = table.measure(given.names, SECTIONS, given)
    table.finish(rows, f"Benchmarks, seed {given.seed}{', small' if given.small else ''}{elsewhere.said()}")


if __name__ == "__main__":
    main()
