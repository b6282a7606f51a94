"""Runs attacks.py at every level, as root and as an ordinary user; as a program it writes docs/sandbox.md.

python tests/sandbox/trials.py docs/sandbox.md
"""

from __future__ import annotations

import functools
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
GROUPS = ("escape", "greed", "unowned", "family", "border", "right")
NOBODY = "65534"


@dataclass(frozen=True)
class Row:
    group: str
    name: str
    held: bool
    words: str
    seconds: float


class USERS:
    """How this process becomes an ordinary user."""

    @staticmethod
    @functools.cache
    def command() -> tuple[str, ...]:
        """Empty where no ordinary user can run an interpreter that has the packages."""
        become = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        for python in (sys.executable, f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"):
            tried = subprocess.run(
                [*become, python, "-c", "import psutil, mlx_distill.machine.checks"], env=_environment()
            )
            if tried.returncode == 0:
                return (*become, python)
        return ()


def _environment() -> dict[str, str]:
    path = os.pathsep.join(dict.fromkeys(str(Path(entry).resolve()) for entry in [str(HERE.parents[2]), *sys.path]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": "/tmp"}


def trials(who: str, level: str, groups: Sequence[str] = GROUPS) -> list[Row] | str:
    """The rows of the groups; or why the level does not work here."""
    python = USERS.command() if who == "user" and os.geteuid() == 0 else (sys.executable,)
    if not python:
        return "an ordinary user cannot run this Python"
    done = subprocess.run(
        [*python, str(HERE / "attacks.py"), level, *groups], env=_environment(), capture_output=True, text=True
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode or not rows:
        raise RuntimeError(done.stderr[-2000:])
    return str(rows[0]["missing"]) if "missing" in rows[0] else [Row(**row) for row in rows]


# ---------------------------------------------------------------- docs/sandbox.md

INTRODUCTION = """# What the sandbox holds

Made by `make test-sandbox`, which runs every program below at every level that the machine has; do not edit it.
Last on {system}, Python {python}. A cross is a program that got what it should not, or a right one that failed.

| level | what it is | here |
|---|---|---|
| namespaces | a root of its own, by Linux's namespaces; nothing has to be installed | {namespaces} |
| bubblewrap | the same by `bwrap`, which some systems let in where users may make no namespaces | {bubblewrap} |
| seatbelt | macOS's sandbox-exec, with a list of what may be read | {seatbelt} |

Before a program starts at a Linux level, the kernel is asked whether the sandbox is what it should be: no capability
and no way to get one, a seccomp filter in force (no keys, no other process, no new namespace, no memory that belongs to
no process), every mount but `/work` read-only, no route, namespaces of its own. Under namespaces it has a fresh session
keyring too. Where something is missing the program is not run, and its item is unscored; `mlx-distill doctor` tries
every level and says why one does not work. There is no control group: what it would count, the filter refuses.

On macOS the profile was written by reading; the same programs have not been run there, and servers on loopback do not
work. A program whose parent was killed is ended by a guard, a process of ours outside of the sandbox, which the tests
try in the open on Linux.

"""

HEADS = {
    "escape": "Getting out",
    "greed": "Taking too much",
    "unowned": "Memory that no process owns",
    "family": "Staying behind",
    "border": "What leaves",
    "right": "Right programs",
}


def page(columns: dict[str, list[Row] | str]) -> str:
    """Markdown of all results: a row for each program, a column for each level that was tried."""
    ran = {name: rows for name, rows in columns.items() if not isinstance(rows, str)}
    states = {level: _state(level, columns) for level in ("namespaces", "bubblewrap", "seatbelt")}
    system = f"{platform.system()} {platform.release().split('-')[0]} ({platform.machine()})"
    text = INTRODUCTION.format(system=system, python=platform.python_version(), **states)
    for group, head in HEADS.items():
        text += f"| {head} | {' | '.join(ran)} |\n|---|{'---|' * len(ran)}\n"
        for name in (row.name for row in next(iter(ran.values())) if row.group == group):
            marks = ["✓" if row.held else "✗" for rows in ran.values() for row in rows if row.name == name]
            text += f"| {name.replace('|', '/')} | {' | '.join(marks)} |\n"
        text += "\n"
    return text.rstrip() + "\n"


def _state(level: str, columns: dict[str, list[Row] | str]) -> str:
    found = [f"{name.split(', ')[1]}: {rows}" if isinstance(rows, str) else name.split(", ")[1]
             for name, rows in columns.items() if name.startswith(level)]  # fmt: skip
    return "; ".join(found) or "not tried: another system's"


def main() -> None:
    columns: dict[str, list[Row] | str] = {}
    if sys.platform == "darwin":
        columns["seatbelt, user"] = trials("user", "seatbelt")
    else:
        if os.geteuid() == 0:
            columns["namespaces, root"] = trials("root", "namespaces")
        columns |= {f"{level}, user": trials("user", level) for level in ("namespaces", "bubblewrap")}
    Path(sys.argv[1]).write_text(page(columns), "utf-8")
    wrong = [(name, row) for name, rows in columns.items() for row in rows if isinstance(row, Row) and not row.held]
    for name, row in wrong:
        print(f"{name}: {row.name}: {row.words}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
