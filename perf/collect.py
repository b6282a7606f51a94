"""Collecting measured against what is demanded of it: kills, faults, money, speed, size. One table.

    python perf/collect.py [NAME …] [--seed N] [--small]

Everything goes through the real client to a Messages server in a process of its own on loopback; where processes are
killed or signalled it is the command line that is started. The names are those of SECTIONS. `--small` takes a few
minutes and tries the measurements out; the whole takes 35 minutes on two cores, most of it waiting.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import collect_batches
import collect_faults
import collect_kills
import collect_money
import collect_size
import collect_speed
from collect_plan import Plan, Row, Section

SECTIONS: dict[str, Section] = {
    "kills": collect_kills.kills,
    "signals": collect_kills.signals,
    "stalled": collect_kills.stalled,
    "batches": collect_batches.in_batches,
    "faults": collect_faults.mix,
    "truncated": collect_faults.truncated,
    "fatal": collect_faults.fatal,
    "budget": collect_money.budget,
    "forecast": collect_money.forecast,
    "billing": collect_money.billing,
    "again": collect_kills.again,
    "throughput": collect_speed.throughput,
    "limits": collect_speed.limits,
    "million": collect_size.million,
    "keys": collect_size.keys,
}
WIDTH = 170
"""Of a table that is written to a file or pipe."""

ANSWERS = {True: "yes", False: "[bold red]NO[/]", None: "-"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SECTIONS)} [all]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--small", action="store_true", help="small sizes: to see that it works")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # servers and folders go with us
    if unknown := set(given.names) - set(SECTIONS):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    rows = measure(given.names or list(SECTIONS), Plan(given.seed, given.small))
    show(rows, f"Collecting, seed {given.seed}{', small' if given.small else ''}")
    sys.exit(any(row.ok is False for row in rows))


def measure(names: Sequence[str], plan: Plan) -> list[Row]:
    """The rows of these sections; each is told on stderr as soon as it is there."""
    rows = []
    for name in names:
        started = time.monotonic()
        for row in SECTIONS[name](plan):
            rows.append(row)
            print(f"{name}: {row.what}: {row.measured}", file=sys.stderr, flush=True)
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return rows


def show(rows: Sequence[Row], title: str) -> None:
    table = Table(title=title, title_justify="left", pad_edge=False, box=box.SIMPLE_HEAD)
    for name in ("what", "figure demanded", "measured", "ok?"):
        table.add_column(name)
    for row in rows:
        table.add_row(row.what, row.demanded, row.measured, ANSWERS[row.ok])
    Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False).print(table)


if __name__ == "__main__":
    main()
