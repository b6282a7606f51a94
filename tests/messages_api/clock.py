"""Time, as the server counts it: seconds of any counter in, the same moments as RFC 3339 text out.

Everything that refills, expires or ends asks this clock, so that a test can move it; only the delivery of bytes
(delays, drips) takes real time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache


class Clock:
    """Calls the counter it was given; `stamp` and `stamp_second` date what it said."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._epoch = time.time() - seconds()

    def __call__(self) -> float:
        return self._seconds()

    def stamp(self, at: float) -> str:
        """RFC 3339 in UTC, to the microsecond."""
        return _text(datetime.fromtimestamp(self._epoch + at, UTC), "microseconds")

    def stamp_second(self, at: float) -> str:
        """RFC 3339 in UTC, to the next whole second: never earlier than the moment itself."""
        return _whole_second(math.ceil(self._epoch + at))


@lru_cache(maxsize=256)
def _whole_second(epoch: int) -> str:
    return _text(datetime.fromtimestamp(epoch, UTC), "seconds")


def _text(moment: datetime, precision: str) -> str:
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")
