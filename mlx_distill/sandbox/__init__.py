"""Runs code that a model wrote, where it can reach nothing.

In: a Python program and a task. Out: how it ended, and the JSON that it printed. The way in is probed once (`level`);
the parent watches what the whole family of processes uses (`watch`). Where there is no way in nothing is run, unless
the caller says `unsandboxed`: a check that was not run is reported as such, which is better than running it so.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlx_distill.sandbox import enter, watch
from mlx_distill.sandbox.enter import PATH, Level
from mlx_distill.sandbox.packages import ENVIRONMENT, INSIDE, Shelf, names_of, shelf
from mlx_distill.sandbox.watch import Limits

__all__ = ["Level", "Limits", "Outcome", "level", "names_of", "run", "shelf"]

NOT_RUN = "no sandbox on this machine: see `mlx-distill doctor`, or run models' code in the open with --unsandboxed"

NO_PACKAGES = Shelf()

PRELUDE = """
import builtins, resource, sys
for kind, limit in {limits}:
    try:
        resource.setrlimit(getattr(resource, kind), (limit, limit))
    except (AttributeError, OverflowError, ValueError, OSError):
        pass
builtins.exit = builtins.quit = sys.exit
sys.path += {packages}
"""
"""Limits are set one by one: macOS refuses some, and one refusal must not fail the task. `site` is not loaded (the
packages beside the interpreter are not for models' code, and it is slow), so its `exit` is put back."""


@dataclass(frozen=True)
class Outcome:
    """`result` is the JSON that the program printed, as far as it came, or None; `detail` the last line of its errors,
    or why it ended.

    `level` is what it ran at, empty where it did not run.
    """

    ended: Literal["ok", "failed", "timeout", "not run"]
    detail: str = ""
    result: Any = None
    level: Level | Literal[""] = ""


@functools.cache
def level() -> Level:
    """The strongest way in that works on this machine."""
    for candidate in enter.candidates():
        if _run(candidate, "print(1)", (), Limits()).result == 1:
            return candidate
    return "none"


def run(
    program: str,
    *tasks: Any,
    limits: Limits | None = None,
    unsandboxed: bool = False,
    packages: tuple[str, ...] = (),
) -> Outcome:
    """Runs a Python program with `tasks` as lines of JSON on its input; it answers by printing JSON, and nothing else.

    `packages` of this environment are visible to it. `unsandboxed` lets it run in the open where the machine has no
    sandbox: still with a folder and a process group of its own, an empty environment, limits and the watch, but with
    this user's files, network and processes.
    """
    chosen = level()
    if chosen == "none" and not unsandboxed:
        return Outcome("not run", NOT_RUN)
    return _run(chosen, program, tasks, limits or Limits(), shelf(packages))


def _run(chosen: Level, program: str, tasks: Sequence[Any], limits: Limits, shown: Shelf = NO_PACKAGES) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="mlx-distill-")).resolve()
    try:
        work = folder / "work"
        for path in (work, folder / "root"):
            path.mkdir()
        prelude = PRELUDE.format(limits=_kernel_limits(chosen, limits), packages=_shown(chosen, folder, shown))
        (work / "program.py").write_text(prelude + program, "utf-8")
        (folder / "input").write_text("".join(json.dumps(task) + "\n" for task in tasks), "utf-8")
        return _watched(chosen, folder, limits, shown)
    finally:
        _remove(folder)


def _shown(chosen: Level, folder: Path, shown: Shelf) -> list[str]:
    """Where the program finds packages: where the way in puts them or, where the files are those of the machine, by
    links beside it."""
    if chosen in ("namespaces", "bubblewrap"):
        return [INSIDE] if shown.entries else []
    for entry in shown.entries:
        (folder / "packages").mkdir(exist_ok=True)
        (folder / "packages" / Path(entry).name).symlink_to(entry)
    return [str(folder / "packages")] if shown.entries else []


def _kernel_limits(chosen: Level, limits: Limits) -> list[tuple[str, int]]:
    """Those of each process; what the family uses together is for the watch."""
    found = [
        ("RLIMIT_CPU", int(limits.seconds) + 1),
        ("RLIMIT_AS", limits.memory_bytes),
        ("RLIMIT_FSIZE", limits.output_bytes),
        ("RLIMIT_NOFILE", limits.open_files),
        ("RLIMIT_CORE", 0),
    ]
    if chosen in ("namespaces", "bubblewrap"):
        found.append(("RLIMIT_NPROC", 8 * limits.processes))
    else:  # there it counts all that the user runs
        found.append(("RLIMIT_NPROC", limits.processes + watch.tasks_of_this_user()))
    return found


def _watched(chosen: Level, folder: Path, limits: Limits, shown: Shelf) -> Outcome:
    """Input, output and errors are files outside of what the program can reach; the file-size limit bounds them."""
    output, errors = folder / "output", folder / "errors"
    with (folder / "input").open("rb") as stdin, output.open("wb") as stdout, errors.open("wb") as stderr:
        process = subprocess.Popen(
            enter.command(chosen, folder, limits, shown.entries),
            cwd=folder / "work",
            env={"PATH": PATH, "HOME": "/work", "LC_ALL": "C.UTF-8", watch.MARK: folder.name, **ENVIRONMENT},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    broken = watch.until_end(process, folder / "work", limits, leftovers=chosen in ("seatbelt", "none"))
    if broken:
        return Outcome(*broken, _result(output), chosen)
    lines = errors.read_bytes()[-2000:].decode(errors="replace").strip().splitlines()
    ended: Literal["ok", "failed"] = "ok" if process.returncode == 0 else "failed"
    return Outcome(ended, lines[-1][:200] if lines else "", _result(output), chosen)


def _result(path: Path) -> Any:
    """The program may have printed anything."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None


def _remove(folder: Path) -> None:
    """With the system's tools: what a program leaves may be nested too deeply for Python, or closed to reading."""
    script = 'rm -rf "$1" 2>/dev/null || { chmod -R u+rwX "$1"; rm -rf "$1"; }'
    subprocess.run(["sh", "-c", script, "sh", os.fspath(folder)], env={"PATH": PATH}, stderr=subprocess.DEVNULL)
