"""Watches what a program and all its descendants use together, and ends them.

In: a process, its folder, the limits. Out: which limit it broke, or nothing. The kernel's limits are per process or per
file, and macOS refuses some; this looks at the whole family, which a program that does much in one interval can
overshoot a little. The time counts from when the program starts, not its sandbox: a busy machine fails nobody.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

MARK = "MLX_DISTILL_SANDBOX"
"""A variable in the program's environment, by which a process is known that left its family."""

Broken = tuple[Literal["timeout", "failed", "not run"], str]
"""How the program ended, and the limit that it broke."""

START_SECONDS = 60
"""What a sandbox may take to start; then it is the machine's fault."""

INTERVAL, LONGEST_INTERVAL = 0.03, 0.1
"""Seconds between two looks, a twentieth of the time that a program has run: a look costs some milliseconds."""

GONE_SECONDS = 10
MAX_ENTRIES = 4096


@dataclass(frozen=True)
class Limits:
    """Of one program. `memory_bytes`, `disk_bytes` and `processes` are of the whole family; `output_bytes` of its
    result. A file, and what is said on the error stream, may be as long as the disk."""

    seconds: float = 10
    memory_bytes: int = 1 << 30
    output_bytes: int = 1 << 20
    disk_bytes: int = 64 << 20
    processes: int = 64
    open_files: int = 64


class Status:
    """The pipe on which the sandbox says `ready` before it starts the program, which never has it; or why it is
    refused. Whatever stands there was written by `inside`."""

    def __init__(self) -> None:
        self._read, self.write = os.pipe()
        os.set_blocking(self._read, False)
        self._text = b""

    def ready(self) -> bool:
        return self.text() == "ready"

    def text(self) -> str:
        with contextlib.suppress(BlockingIOError):
            self._text += os.read(self._read, 4096)
        return self._text.decode(errors="replace")

    def close(self) -> None:
        os.close(self._read)


def until_end(
    process: subprocess.Popen[bytes], work: Path, limits: Limits, status: Status, *, enclosed: bool
) -> Broken | None:
    """Waits; says which limit was broken, if one was. No process is left, not even one that left the family.

    `enclosed`: a process namespace ends them all; elsewhere they are looked for among all processes.
    """
    family: set[psutil.Process] = set()
    try:
        return _wait(process, work, limits, status, family, enclosed)
    finally:
        _end(process)
        while not enclosed and _kill_found(family, work.parent.name):
            time.sleep(0.002)  # once more: a child may be born in between
        _wait_for(family)


def _wait(
    process: subprocess.Popen[bytes],
    work: Path,
    limits: Limits,
    status: Status,
    family: set[psutil.Process],
    enclosed: bool,
) -> Broken | None:
    began, ready = time.monotonic(), False
    with _waiting(process) as ended:
        while (ran := time.monotonic() - began) < (limits.seconds if ready else START_SECONDS):
            if ended(min(LONGEST_INTERVAL, max(INTERVAL, ran / 20))):
                return None
            now = _descendants(process.pid)
            family |= now
            if not ready and (ready := status.ready()):
                began = time.monotonic()
            written = _inside(process.pid, now, ready) if enclosed else _on_disk(work)
            if broken := _broken(now, written, limits):
                return "failed", broken
    if ready:
        return "timeout", f"more than {limits.seconds:g} s"
    return "not run", f"the sandbox did not start within {START_SECONDS} s"


@contextlib.contextmanager
def _waiting(process: subprocess.Popen[bytes]) -> Iterator[Callable[[float], bool]]:
    """A function that waits for the end, for so many seconds at most. Linux wakes us; elsewhere it is polled."""

    def polled(seconds: float) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
        return process.returncode is not None

    descriptor = _descriptor(process.pid)
    if descriptor is None:
        yield polled
        return
    poll = select.poll()  # unlike select it takes descriptors above 1024
    poll.register(descriptor, select.POLLIN)
    try:
        yield lambda seconds: bool(poll.poll(seconds * 1000)) and polled(GONE_SECONDS)
    finally:
        os.close(descriptor)


def _descriptor(pid: int) -> int | None:
    """Of a process; None where the system has none (macOS, Linux before 5.3)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return os.pidfd_open(pid)
    return None


def _wait_for(family: set[psutil.Process]) -> None:
    """A process that only its parent has not taken notice of is gone: in a container nobody may ever do."""
    until = time.monotonic() + GONE_SECONDS
    while any(map(_is_there, family)) and time.monotonic() < until:
        time.sleep(0.002)


def _is_there(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


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


def _broken(family: set[psutil.Process], written: float, limits: Limits) -> str:
    if len(family) > limits.processes:
        return f"more than {limits.processes} processes"
    if sum(map(_resident, family)) > limits.memory_bytes:
        return f"more than {limits.memory_bytes >> 20} MiB of memory"
    if written > limits.disk_bytes:
        return f"more than {limits.disk_bytes >> 20} MiB, or {MAX_ENTRIES} files, written"
    return ""


def _resident(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _inside(outermost: int, family: set[psutil.Process], ready: bool) -> float:
    """0, or infinite where there are too many files in a /work of memory, whose size alone bubblewrap bounds."""
    for process in family if ready else ():
        with contextlib.suppress(OSError):
            if process.pid != outermost:  # that one waits outside
                filesystem = os.statvfs(f"/proc/{process.pid}/root/work")
                return float("inf") if filesystem.f_files - filesystem.f_ffree > MAX_ENTRIES else 0.0
    return 0.0


def _on_disk(work: Path) -> float:
    """Bytes under the folder; infinite where there are too many files, or where a folder was made unreadable."""
    total, entries, folders = 0, 0, [os.fspath(work)]
    while folders:
        try:
            with os.scandir(folders.pop()) as listing:
                for entry in listing:
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


def end_marked(mark: str) -> None:
    """Ends every process that has this name in its environment."""
    while _kill_found(set(), mark):
        time.sleep(0.002)


def _kill_found(family: set[psutil.Process], mark: str) -> bool:
    """Kills who has left the group; whether there was anybody."""
    alive = False
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process in family or bool(process.environ().get(MARK) == mark):
                alive |= process.status() != psutil.STATUS_ZOMBIE
                process.kill()
    return alive
