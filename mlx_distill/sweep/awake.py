"""A Mac that stays awake while a sweep runs, and the remedy where macOS takes the GPU away from it.

In: a platform. Out: environment and processes beside the runs; nothing on other systems. The display may sleep, and
should: what waits for the display is what ends long GPU work (see `watchdog`).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

TAKEN = 6
"""The exit code of a run whose machine failed; an abort of Metal's ends it by a signal instead."""

ATTEMPTS = 3
"""Of one run, where the GPU was taken away: it goes on from its last checkpoint each time."""


@contextlib.contextmanager
def awake(platform: str = sys.platform) -> Iterator[None]:
    """Neither idle nor system sleep (`caffeinate -is`), as long as this process lives."""
    if platform != "darwin":
        yield
        return
    with contextlib.suppress(OSError):
        subprocess.Popen(["caffeinate", "-is", "-w", str(os.getpid())], stdin=subprocess.DEVNULL)
    yield


def environment(platform: str = sys.platform) -> dict[str, str]:
    """What a run is started with: on some Macs the GPU is not taken away from it then."""
    return dict(os.environ) | ({"AGX_RELAX_CDM_CTXSTORE_TIMEOUT": "1"} if platform == "darwin" else {})


def was_taken(code: int, platform: str = sys.platform) -> bool:
    """Whether a run ended because macOS took the GPU away, so that it is worth another attempt."""
    return platform == "darwin" and (code == TAKEN or code < 0)


def relieve() -> None:
    """The display sleeps, so that nothing waits for the GPU beside the run."""
    with contextlib.suppress(OSError):
        subprocess.run(["pmset", "displaysleepnow"], check=False, capture_output=True)
