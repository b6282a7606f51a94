"""Runs code that a model wrote, where it can reach nothing.

In: a Python program and a task. Out: how it ended, and the JSON that it printed. The ways in are tried once (`level`);
each sandbox looks at itself before it starts a program (`inside`), and the parent watches what the whole family of
processes uses (`watch`). Where there is no way in nothing is run, unless the caller says `unsandboxed`: a check that
was not run is reported as such, which is better than running it so.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import marshal
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlx_distill.machine.sandbox import enter, folder, guard, leaving, watch
from mlx_distill.machine.sandbox.enter import Level, levels
from mlx_distill.machine.sandbox.folder import PATH
from mlx_distill.machine.sandbox.packages import ENVIRONMENT, Shelf, names_of, shelf
from mlx_distill.machine.sandbox.watch import Limits

__all__ = ["Level", "Limits", "Outcome", "level", "levels", "names_of", "run", "shelf", "trial"]

NO_PACKAGES = Shelf()

NOT_RUN = "no sandbox on this machine: see `mlx-distill doctor`, or run models' code in the open with --unsandboxed"


@dataclass(frozen=True)
class Outcome:
    """`result` is the JSON that the program printed, as far as it came, or None (`leaving.text` makes text of it that
    can be kept); `detail` the last line of its errors, or why it ended.

    `level` is what it ran at, empty where it did not run.
    """

    ended: Literal["ok", "failed", "timeout", "not run"]
    detail: str = ""
    result: Any = None
    level: Level | Literal[""] = ""


@functools.cache
def level() -> Level:
    """The strongest way in that works on this machine."""
    return next((candidate for candidate in enter.levels() if not trial(candidate)), "none")


def trial(candidate: Level) -> str:
    """Why a level does not work on this machine, found with a real program; empty where it does."""
    if why := enter.missing(candidate):
        return why
    outcome = _run(candidate, "print(1)", (), Limits())
    return "" if outcome.result == 1 else outcome.detail or "its program ended without a word"


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
    with folder.fresh() as place:
        given = place / "given"
        (given / "program.py").write_text(program, "utf-8", "surrogatepass")
        for name, code in _own_code().items():
            (given / name).write_bytes(code)
        for name, text in enter.FILES.items():
            (given / Path(name).name).write_text(text.replace("NOBODY", str(enter.NOBODY)), "utf-8")
        (place / "input").write_text("".join(json.dumps(task) + "\n" for task in tasks), "utf-8")
        return _watched(chosen, place, limits, shown)


@functools.cache
def _own_code() -> dict[str, bytes]:
    """`inside` and `namespaces` as compiled files (PEP 552): to compile them takes longer than all that they do."""
    files = {}
    for name in ("inside", "namespaces"):
        source = (Path(__file__).parent / f"{name}.py").read_text("utf-8")
        code = compile(source, f"{name}.py", "exec", dont_inherit=True)
        files[f"{name}.pyc"] = importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code)
    return files


def _watched(chosen: Level, place: Path, limits: Limits, shown: Shelf) -> Outcome:
    """Input, output and errors are files outside of what the program can reach; the file-size limit bounds them, and
    what a program may print is less than what it may write."""
    output, errors, status = place / "output", place / "errors", watch.Status()
    try:
        with guard.watching(chosen, place.name), _started(chosen, place, limits, shown, status) as process:
            enclosed = chosen in ("namespaces", "bubblewrap")
            broken = watch.until_end(process, place / "work", limits, status, enclosed=enclosed)
        if not broken and not status.ready():
            broken = ("not run", status.text() or _last_line(errors) or "the sandbox ended without a word")
    finally:
        status.close()
    if not broken and output.stat().st_size > limits.output_bytes:
        broken = ("failed", f"more than {limits.output_bytes >> 20} MiB of output")
    if broken and broken[0] == "not run":
        return Outcome(*broken)
    if broken:
        return Outcome(*broken, leaving.result(output, limits.output_bytes), chosen)
    ended: Literal["ok", "failed"] = "ok" if process.returncode == 0 else "failed"
    return Outcome(ended, _last_line(errors), leaving.result(output, limits.output_bytes), chosen)


@contextlib.contextmanager
def _started(
    chosen: Level, place: Path, limits: Limits, shown: Shelf, status: watch.Status
) -> Iterator[subprocess.Popen[bytes]]:
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY) if sys.platform == "linux" else -1
    seccomp = _filter_of(place) if chosen == "bubblewrap" else -1
    given = enter.Given(place, limits, status.write, proc, seccomp, shown.entries)
    mine = [descriptor for descriptor in (status.write, proc, seccomp) if descriptor >= 0]
    streams = [(place / name).open(mode) for name, mode in (("input", "rb"), ("output", "wb"), ("errors", "wb"))]
    try:
        process = subprocess.Popen(
            enter.command(chosen, given),
            cwd=place / "work",
            env={
                "PATH": PATH,
                "HOME": "/work",
                "LC_ALL": "C.UTF-8",
                **enter.THREADS,
                **ENVIRONMENT,
                watch.MARK: place.name,
            },
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            pass_fds=mine,
            start_new_session=True,
        )
    finally:
        for descriptor in mine:
            os.close(descriptor)
        for stream in streams:
            stream.close()
    yield process


def _filter_of(place: Path) -> int:
    """A descriptor from which the seccomp filter is read."""
    path = place / "filter"
    path.write_bytes(enter.seccomp_filter(platform.machine()))
    return os.open(path, os.O_RDONLY)


def _last_line(errors: Path) -> str:
    lines = leaving.text(errors.read_bytes()[-2000:].decode(errors="replace")).strip().splitlines()
    return lines[-1][:200] if lines else ""
