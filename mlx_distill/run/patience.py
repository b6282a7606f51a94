"""How long to wait for a teacher that is busy or out of reach."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

BusyKind = Literal["throttled", "overloaded", "fault", "lost", "unreachable"]

DRAIN_SECONDS = 25.0
"""What is under way is paid for; what has not come by then is noted as perhaps charged. A second Ctrl-C does not
wait."""


@dataclass(frozen=True)
class Patience:
    """How often and how long to wait for a busy teacher (full jitter, Brooker 2015).

    Message batches are looked at every `poll_seconds`; one that was perhaps created without our hearing of it can
    be listed after `unheard_seconds`.
    """

    attempts: dict[BusyKind, int] = field(
        default_factory=lambda: {"throttled": 60, "overloaded": 20, "fault": 20, "lost": 2, "unreachable": 20}
    )
    base_seconds: float = 1.0
    cap_seconds: float = 60.0
    prompt_seconds: float = 3600.0
    drain_seconds: float = DRAIN_SECONDS
    poll_seconds: float = 60.0
    unheard_seconds: float = 60.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: random.Random = field(default_factory=random.Random)

    def pause(self, attempt: int, retry_after: float | None) -> float:
        backoff = self.random.uniform(0, min(self.cap_seconds, self.base_seconds * 2 ** min(attempt, 30)))
        return backoff if retry_after is None else min(retry_after, self.cap_seconds) + backoff / 10
