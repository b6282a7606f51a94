"""Generating measured against stock: both models' answers to the test prompts, tokens a second. One table.

    python perf/compare.py [--prompts 16] [--cap 384] [--repeats N] [--seed N] [--small]

In: the bundled test prompts. Out: the table. What the two sides do is in `generating.py`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import generating
import table
from sides import Elsewhere
from table import Row

from mlx_distill.run import config as configuration
from mlx_distill.run import prompts as promptset

LEAST_FASTER = 4.0


def speed(given: argparse.Namespace) -> Iterator[Row]:
    standard = configuration.resolve("standard")
    prompts = promptset.heldout_prompts(standard.prompts, ("test",))
    count, cap = (4, 24) if given.small else (given.prompts, given.cap)
    texts = {prompt.id: prompt.text for prompt in prompts[:count]}
    with tempfile.TemporaryDirectory(prefix="perf-compare-", ignore_cleanup_errors=True) as name:
        task = generating.made(Path(name), texts, standard.training.system, cap, count)
        yield from generating.rows(task, Path(name), given.repeats, LEAST_FASTER, not given.small)


SECTIONS = {"speed": speed}


def main() -> None:
    parser = table.parser(__doc__, SECTIONS)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--cap", type=int, default=384, help="tokens of an answer at most [384]")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each side, in turn [3]")
    given = table.parse(parser, SECTIONS)
    elsewhere = Elsewhere()
    rows = table.measure(given.names, SECTIONS, given)
    table.finish(rows, f"Comparing, seed {given.seed}{', small' if given.small else ''}{elsewhere.said()}")


if __name__ == "__main__":
    main()
