"""Collecting measured against what is demanded of it: kills, faults, money, speed, size. One table.

    python perf/collect.py [NAME …] [--seed N] [--small]

Everything goes through the real client to a Messages server in a process of its own on loopback; where processes are
killed or signalled it is the command line that is started. The names are those of SECTIONS. `--small` takes a few
minutes and tries the measurements out; the whole takes 35 minutes on two cores, most of it waiting.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import collect_batches
import collect_faults
import collect_kills
import collect_money
import collect_size
import collect_speed
import table
from collect_plan import Plan, Section

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


def main() -> None:
    given = table.parse(table.parser(__doc__, SECTIONS), SECTIONS)
    rows = table.measure(given.names, SECTIONS, Plan(given.seed, given.small))
    table.finish(rows, f"Collecting, seed {given.seed}{', small' if given.small else ''}")


if __name__ == "__main__":
    main()
