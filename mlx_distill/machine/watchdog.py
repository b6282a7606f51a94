"""What the GPU of a Mac says when it gives up, and what to do about it.

In: what goes to file descriptor 2. Out: the same, and after the last words of an abort one paragraph of advice.
MLX throws on one of Metal's own threads, where no Python can catch it, so another process has to listen
(https://github.com/ml-explore/mlx/issues/3267). It only ever reads: this process keeps its id, its signals and its
exit status, and Python's own stderr stays the terminal's.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

MEMORY = (
    "CommandBufferCallbackErrorOutOfMemory",
    "Insufficient Memory",
    "[malloc] Unable to allocate",
    "[malloc_or_wait] Unable to allocate",
    "greater than the maximum allowed buffer size",
    "MemoryError",
    "std::bad_alloc",
)
TAKEN = (
    "CommandBufferCallbackErrorImpactingInteractivity",
    "Impacting Interactivity",
    "CommandBufferCallbackErrorTimeout",
    "Caused GPU Timeout Error",
    "CommandBufferCallbackErrorSubmissionsIgnored",
)

LESS_MEMORY = (
    "Out of memory: close other programs, or reduce what training holds, with a smaller --batch-tokens "
    "or --grad-checkpoint (in a new --run also with --auto or fewer --layers). The same command goes on from the last "
    "checkpoint."
)
DISPLAY_OFF = (
    "macOS took the GPU away, because the display waited for it. Run it with the display asleep and the Mac awake: "
    "start it as `caffeinate -is mlx-distill …` (never -d, which keeps the display on), then `pmset displaysleepnow`, "
    "or System Settings > Lock Screen; or train over ssh. AGX_RELAX_CDM_CTXSTORE_TIMEOUT=1 in the environment helps on "
    "some Macs, whose display then answers slowly. Smaller batches do not reliably help. The same command goes on from "
    "the last checkpoint."
)

ABORTS = ("uncaught exception", "terminate called")
"""How libc++abi and libstdc++ begin their last words. A message without them may have been caught."""

KEPT = 8192
"""Bytes that are remembered."""

SHOW_CURSOR = b"\x1b[?25h"
"""A live display hides the cursor, and an abort leaves it hidden."""


def explain(text: str) -> str | None:
    """What to do about a failure of the GPU or of memory, as one line; None for any other failure.

    Memory comes first: after any failure Metal ignores what was submitted, and says so too.
    """
    for signs, advice in ((MEMORY, LESS_MEMORY), (TAKEN, DISPLAY_OFF)):
        if any(sign in text for sign in signs):
            return advice
    return None


@contextlib.contextmanager
def watch() -> Iterator[None]:
    """What the process writes to file descriptor 2 goes through another one, which outlives an abort.

    Python's sys.stderr goes past it: what Python says needs no advice, and keeps a terminal's colours and width.
    """
    terminal = os.dup(2)
    read_end, write_end = os.pipe()
    # -I -S: it needs the standard library only, whatever PYTHONPATH and site-packages hold
    command = [sys.executable, "-I", "-S", __file__]
    watcher = subprocess.Popen(command, stdin=read_end, stdout=subprocess.DEVNULL, start_new_session=True)
    os.close(read_end)
    before = sys.stderr
    # Never closed: a logging handler may hold it
    sys.stderr = open(terminal, "w", 1, before.encoding, before.errors, closefd=False)  # noqa: SIM115
    os.dup2(write_end, 2)
    os.close(write_end)
    try:
        yield
    finally:
        sys.stderr = before
        os.dup2(terminal, 2)
        with contextlib.suppress(subprocess.TimeoutExpired):  # a child of ours may hold the pipe's end
            watcher.wait(2)


def relay(source: int, target: int) -> None:
    """Copies until the end of `source`, each piece as it comes; advice follows the last words of an abort."""
    heard = b""
    while piece := os.read(source, 65536):
        _write(target, piece)
        heard = (heard + piece)[-KEPT:]
        if heard.endswith(b"\n"):  # at once: a moment later the shell's prompt stands there
            heard = _advise(target, heard)
    _advise(target, heard)


def _advise(target: int, heard: bytes) -> bytes:
    """Writes advice on what was heard, if there is any. Returns what is still to be advised on."""
    text = heard.decode(errors="replace")
    start = max(text.rfind(words) for words in ABORTS)
    advice = explain(text[start:]) if start >= 0 else None
    if advice is None:
        return heard
    cursor = SHOW_CURSOR if os.isatty(target) else b""
    _write(target, cursor + f"\nmlx-distill: {advice}\n".encode())
    return b""


def _write(target: int, piece: bytes) -> None:
    """All of it. Where the terminal has gone it is dropped, so that nobody waits for a full pipe."""
    with contextlib.suppress(OSError):
        while piece:
            piece = piece[os.write(target, piece) :]


if __name__ == "__main__":
    relay(0, 2)
