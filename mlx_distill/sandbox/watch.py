"""Watches what a program and all its descendants use together, and ends them.

In: a process, its folder, the limits. Out: which limit it broke, or nothing. The kernel's limits are per process or per
file, and macOS refuses some; this looks at the whole family, which a program that does much in one interval can
overshoot a little.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

MARK = "MLX_DISTILL_SANDBOX"
"""A variable in the program's environment, by which a process is known that left its family."""

Broken = tuple[Literal["timeout", "failed"], str]
"""How the program ended, and the limit that it broke."""

INTERVAL, LONGEST_INTERVAL = 0.03, 0.1
"""Seconds between two looks, a twentieth of the time that a program has run: a look costs some milliseconds."""

GONE_SECONDS = 10
MAX_ENTRIES = 4096


@dataclass(frozen=True)
class Limits:
    """Of one program. `memory_bytes`, `disk_bytes` and `processes` are of the whole family; `output_bytes` of each
    file and stream."""

    seconds: float = 10
    memory_bytes: int = 1 << 30
    output_bytes: int = 1 << 20
    disk_bytes: int = 64 << 20
    processes: int = 64
    open_files: int = 64


def until_end(process: subprocess.Popen[bytes], work: Path, limits: Limits, *, leftovers: bool) -> Broken | None:
    """Waits; says which limit was broken, if one was. No process is left, not even one that left the family.

    `leftovers`: where no process namespace ends them all, they are looked for among all processes.
    """
    family: set[psutil.Process] = set()
    try:
        return _wait(process, work, limits, family)
    finally:
        _end(process)
        while leftovers and _kill_found(family, work.parent.name):
            time.sleep(0.002)  # once more: a child may be born in between
        psutil.wait_procs(family, timeout=GONE_SECONDS)


def _wait(process: subprocess.Popen[bytes], work: Path, limits: Limits, family: set[psutil.Process]) -> Broken | None:
    started = time.monotonic()
    while (ran := time.monotonic() - started) < limits.seconds:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=min(LONGEST_INTERVAL, max(INTERVAL, ran / 20)))
            return None
        now = _descendants(process.pid)
        family |= now
        if broken := _broken(now, work, limits):
            return "failed", broken
    return "timeout", f"more than {limits.seconds:g} s"


def tasks_of_this_user() -> int:
    """What the kernel counts against RLIMIT_NPROC: on Linux each thread, on macOS each process."""
    mine = [p.info for p in psutil.process_iter(["uids", "num_threads"]) if _is_mine(p)]
    return sum(info["num_threads"] or 1 for info in mine) if sys.platform == "linux" else len(mine)


def _is_mine(process: psutil.Process) -> bool:
    return bool(process.info["uids"] and process.info["uids"].real == os.getuid())


def _descendants(pid: int) -> set[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return {process, *process.children(recursive=True)}
    return set()


def _broken(family: set[psutil.Process], work: Path, limits: Limits) -> str:
    if len(family) > limits.processes:
        return f"more than {limits.processes} processes"
    if sum(map(_resident, family)) > limits.memory_bytes:
        return f"more than {limits.memory_bytes >> 20} MiB of memory"
    if _on_disk(work) > limits.disk_bytes:
        return f"more than {limits.disk_bytes >> 20} MiB, or {MAX_ENTRIES} files, written"
    return ""


def _resident(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _on_disk(work: Path) -> float:
    """Bytes under the folder; infinite where there are too many files, or where a folder was made unreadable."""
    total, entries, folders = 0, 0, [os.fspath(work)]
    while folders:
        try:
            with os.scandir(folders.pop()) as found:
                for entry in found:
                    total += entry.stat(follow_symlinks=False).st_size
                    entries += 1
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except FileNotFoundError:
            continue
        except OSError:
            return float("inf")
        if entries > MAX_ENTRIES:
            return float("inf")
    return total


def _end(process: subprocess.Popen[bytes]) -> None:
    """The children first: the first process of a namespace takes all others with it, and may have left the group."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(process.pid).children():
            child.kill()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _kill_found(family: set[psutil.Process], mark: str) -> bool:
    """Kills who has left the group; whether there was anybody."""
    found = False
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process in family or bool(process.environ().get(MARK) == mark):
                found |= process.status() != psutil.STATUS_ZOMBIE
                process.kill()
    return found
