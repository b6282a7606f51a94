"""What every measurement ends in: rows, each told as soon as it is there, and one table.

In: sections by name, each a function that yields rows. Out: the table, and exit code 1 where a figure was missed.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich import box
from rich.console import Console
from rich.table import Table

WIDTH = 170
"""Of a table that is written to a file or pipe."""

ANSWERS = {True: "yes", False: "[bold red]NO[/]", None: "-"}


@dataclass(frozen=True)
class Row:
    """`ok` None: nothing is demanded, the figure is only told."""

    what: str
    demanded: str
    measured: str
    ok: bool | None = None


Given = TypeVar("Given")
Section = Callable[[Given], Iterator[Row]]


def parser(about: str | None, sections: Mapping[str, object]) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(sections)} [all]")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--small", action="store_true", help="small sizes: to see that it works")
    return made


def parse(made: argparse.ArgumentParser, sections: Mapping[str, object]) -> argparse.Namespace:
    """`names` are the sections to run. SIGTERM ends servers, processes and folders along with this one."""
    given = made.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if unknown := set(given.names) - set(sections):
        made.error(f"there is no {', '.join(sorted(unknown))}")
    given.names = given.names or list(sections)
    return given


def measure(names: Sequence[str], sections: Mapping[str, Section[Given]], given: Given) -> list[Row]:
    """The rows of these sections; each is told on stderr as soon as it is there."""
    rows = []
    for name in names:
        started = time.monotonic()
        for row in sections[name](given):
            rows.append(row)
            print(f"{name}: {row.what}: {row.measured}", file=sys.stderr, flush=True)
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return rows


def finish(rows: Sequence[Row], title: str) -> None:
    """Shows the table and exits."""
    table = Table(title=title, title_justify="left", pad_edge=False, box=box.SIMPLE_HEAD)
    for name in ("what", "figure demanded", "measured", "ok?"):
        table.add_column(name)
    for row in rows:
        table.add_row(row.what, row.demanded, row.measured, ANSWERS[row.ok])
    Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False).print(table)
    sys.exit(any(row.ok is False for row in rows))
