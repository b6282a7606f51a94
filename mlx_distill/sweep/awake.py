"""A Mac that stays awake while a sweep runs, and the remedy where macOS takes the GPU away from it.

In: a platform. Out: environment and processes beside the runs; nothing on other systems. The display may sleep, and
should: what waits for the display is what ends long GPU work (see `watchdog`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

from mlx_distill.machine.watchdog import LESS_MEMORY
from mlx_distill.run.errors import MachineError

ATTEMPTS = 3
"""Of one run, where the GPU was taken away: it goes on from its last checkpoint each time."""


@contextlib.contextmanager
def awake(platform: str = sys.platform) -> Iterator[None]:
    """Neither idle nor system sleep (`caffeinate -is`); it ends with this process, however that ends."""
    command = ["caffeinate", "-is", "-w", str(os.getpid())]
    beside = None
    if platform == "darwin":
        with contextlib.suppress(OSError):
            beside = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        yield
    finally:
        if beside:
            beside.terminate()
            beside.wait()


def environment(platform: str = sys.platform) -> dict[str, str]:
    """What a run is started with: on some Macs the GPU is not taken away from it then."""
    return dict(os.environ) | ({"AGX_RELAX_CDM_CTXSTORE_TIMEOUT": "1"} if platform == "darwin" else {})


def was_taken(code: int, words: str, platform: str = sys.platform) -> bool:
    """Whether a run ended because macOS took the GPU away, so that it is worth another attempt: it says so itself, or
    Metal aborted it. Where memory was lacking it would lack again."""
    return platform == "darwin" and code in (MachineError.exit_code, -signal.SIGABRT) and LESS_MEMORY not in words


def relieve() -> None:
    """The display sleeps, so that nothing waits for the GPU beside the run."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(["pmset", "displaysleepnow"], check=False, capture_output=True, timeout=10)
