"""Ends programs whose parent was killed, where the kernel does not: on macOS, and in the open.

In: the names of the programs that run, on a pipe. Out: when the pipe ends, which it does however its writer dies, no
such program. It is one process for all programs of a command, outside of the sandbox, so that none can reach it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import BinaryIO

from mlx_distill.machine.sandbox import watch

_guards: dict[int, subprocess.Popen[bytes]] = {}
_writing = threading.Lock()


@contextlib.contextmanager
def watching(level: str, name: str) -> Iterator[None]:
    """While a program of this name runs. Linux's namespaces end with who made them, and need no guard."""
    if level in ("namespaces", "bubblewrap"):
        yield
        return
    _say(f"+{name}\n")
    try:
        yield
    finally:
        _say(f"-{name}\n")


def _say(line: str) -> None:
    with _writing, contextlib.suppress(OSError):
        pipe = _guard().stdin
        assert pipe is not None
        pipe.write(line.encode())
        pipe.flush()


def _guard() -> subprocess.Popen[bytes]:
    mine = _guards.get(os.getpid())
    if mine is None or mine.poll() is not None:
        code = f"from mlx_distill.machine.sandbox import guard; guard.main({watch.MARK!r})"
        mine = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,
        )
        _guards[os.getpid()] = mine
        atexit.register(_dismiss, mine, os.getpid())
    return mine


def _dismiss(process: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() == owner and process.stdin:
        process.stdin.close()
        process.wait()


def main(mark: str) -> None:
    """The guard itself. What ends its writer, a closed terminal or Ctrl-C, does not end it."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    watch.MARK = mark
    end(sys.stdin.buffer)


def end(lines: BinaryIO) -> None:
    """Reads to the end, and ends what then still runs."""
    running: set[str] = set()
    for line in lines:
        name = line[1:].strip().decode()
        running = running | {name} if line.startswith(b"+") else running - {name}
    for name in running:
        watch.end_marked(name)
