"""How fast to ask: as fast as the server allows, found without asking it anything extra.

In: what each answer says (its limits, its tokens, or that it was refused). Out: when the next request may go.
Three token buckets, filled at the rates that the first answer's headers name, pace requests, input tokens and
output tokens; a window of requests under way starts at one, doubles with every round (slow start) and, where the
server names no limit, halves when it is refused and grows by one a round (AIMD, Chiu and Jain 1989). What a
request will cost in tokens is estimated from those before it and corrected when it is known.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mlx_distill.models.teachers import CHARACTERS_PER_TOKEN, Limits, Reply
from mlx_distill.run.patience import BusyKind, Patience

BURST_SECONDS = 0.9
"""A bucket holds what flows in in this time; a server that counts by the second does not mind."""

CUT = 0.7
ROUND_SECONDS = 1.0
"""Refusals within one round have one cause, so they are answered once."""

REGAIN_PER_SECOND = 0.02


@dataclass
class Bucket:
    """Fills with `per_second` up to `capacity`; the level may be below zero after an answer that was longer."""

    per_second: float
    level: float
    updated: float

    @property
    def capacity(self) -> float:
        return self.per_second * BURST_SECONDS

    def fill(self, now: float, share: float) -> None:
        gained = (now - self.updated) * self.per_second * share
        self.level, self.updated = min(self.capacity, self.level + gained), now

    def wait(self, amount: float, share: float) -> float:
        """Seconds until `amount` may be taken; more than fits may be taken from a full bucket."""
        return max(0.0, (min(amount, self.capacity) - self.level) / (self.per_second * share))


@dataclass(frozen=True)
class Size:
    """What one request was taken to need."""

    input_tokens: float
    output_tokens: float

    def of(self, name: str) -> float:
        return {"requests": 1.0, "input_tokens": self.input_tokens, "output_tokens": self.output_tokens}[name]


@dataclass
class Rate:
    """`most` requests under way at once; `paced` False for a teacher without limits, which gets them at once.
    `trouble`: why nothing is answered just now."""

    most: int
    paced: bool = True
    cap_seconds: float = 60.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    under_way: int = 0
    trouble: str = ""
    _buckets: dict[str, Bucket] = field(default_factory=dict)
    _slow_start: bool = True
    _share_at_cut: float = 1.0
    _cut_at: float = float("-inf")
    _resume_at: float = float("-inf")
    _waited_for: str = ""
    _asked: float = 0.0
    _input_tokens: float = 0.0
    _output_tokens: float = 0.0
    _answers: int = 0

    def __post_init__(self) -> None:
        self.window = 1.0 if self.paced else float(self.most)
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    # ---- before a request

    async def acquire(self, characters: int) -> Size:
        """Waits until a request of that size may go, in the order of asking. `release` it when it is over."""
        async with self._turn:
            size = self._estimate(characters)
            while True:
                if self.under_way >= int(self.window):
                    self._freed.clear()
                    await self._freed.wait()
                elif (pause := self._pause(size)) > 0:
                    await self.sleep(pause)
                else:
                    break
            for name, bucket in self._buckets.items():
                bucket.level -= size.of(name)
            self.under_way += 1
        return size

    def release(self) -> None:
        self.under_way -= 1
        self._freed.set()

    def _estimate(self, characters: int) -> Size:
        per_character = self._input_tokens / self._asked if self._asked else 1 / CHARACTERS_PER_TOKEN
        return Size(characters * per_character, self._output_tokens / self._answers if self._answers else 0.0)

    def _pause(self, size: Size) -> float:
        now = self.clock()
        if now < self._resume_at:
            return self._resume_at - now
        share = self._share(now)
        longest = 0.0
        for name, bucket in self._buckets.items():
            bucket.fill(now, share)
            if (wait := bucket.wait(size.of(name), share)) > longest:
                longest, self._waited_for = wait, name
        return longest

    def _share(self, now: float) -> float:
        """Of the named limits, how much is used: less after a refusal, then regained steadily."""
        return min(1.0, self._share_at_cut + (now - self._cut_at) * REGAIN_PER_SECOND)

    # ---- after it

    def answered(self, characters: int, size: Size, reply: Reply, limits: Limits | None) -> None:
        asked = reply.input_tokens + reply.cache_write_tokens
        self._asked += characters
        self._input_tokens += asked
        self._output_tokens += reply.output_tokens
        self._answers += 1
        self.trouble = ""
        self._correct(Size(asked - size.input_tokens, reply.output_tokens - size.output_tokens))
        self.learn(limits)
        self.window = min(float(self.most), self.window + (1.0 if self._slow_start else 1.0 / self.window))
        self._freed.set()

    def refused(self, kind: BusyKind, size: Size, retry_after: float | None, limits: Limits | None) -> None:
        """Not answered. `throttled` slows all requests down, `overloaded` lets fewer be under way."""
        now = self.clock()
        self._correct(Size(-size.input_tokens, -size.output_tokens))
        changed = self.learn(limits)
        if kind not in ("throttled", "overloaded"):
            return
        if kind == "throttled" and retry_after is not None:
            self._resume_at = max(self._resume_at, now + min(retry_after, self.cap_seconds))
        if now - self._cut_at < ROUND_SECONDS or changed:
            return
        share = self._share(now) * CUT if kind == "throttled" and self._buckets else self._share(now)
        self._cut_at, self._share_at_cut = now, max(0.05, share)
        if kind == "overloaded" or not self._buckets:
            self.window, self._slow_start = max(1.0, min(self.window, self.under_way) / 2), False

    def learn(self, limits: Limits | None) -> bool:
        """Takes the limits that an answer names. True when one of them has changed."""
        changed = False
        now = self.clock()
        for name, named in vars(limits).items() if limits else ():
            if named is None:
                continue
            per_second = named[0] / 60
            bucket = self._buckets.get(name)
            if bucket is None:
                self._buckets[name] = Bucket(per_second, min(named[1], per_second * BURST_SECONDS), now)
            elif bucket.per_second != per_second:
                self._buckets[name] = Bucket(per_second, min(bucket.level, 0.0), now)
                changed = True
        return changed

    def _correct(self, more: Size) -> None:
        for name in ("input_tokens", "output_tokens"):
            if name in self._buckets:
                self._buckets[name].level -= more.of(name)

    # ---- for the eye

    def in_force(self) -> str:
        """What holds the asking back now."""
        now = self.clock()
        if now < self._resume_at:
            return f"rate-limited by the server, {self._resume_at - now:.0f} s left"
        if self.trouble:
            return f"trying again: {self.trouble}"
        if self.under_way < int(self.window) and self._waited_for:
            per_minute = self._buckets[self._waited_for].per_second * 60 * self._share(now)
            return f"limit {per_minute:,.0f} {self._waited_for.replace('_', ' ')} a minute"
        return f"{min(self.most, int(self.window))} at once"


def rate_of(patience: Patience, most: int, *, paced: bool) -> Rate:
    """A rate whose pauses and clock are those of `patience`."""
    return Rate(most, paced, patience.cap_seconds, patience.clock, patience.sleep)
