"""Rate limits: what a request weighs in, how long to wait out. Three token buckets, refilled without a break.

Requests and input tokens are taken on arrival; output tokens when the answer is there, so that bucket can fall
below zero and then admits nobody until it is above. A limit that is off is None.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from messages_api.clock import Clock

ROUNDING = 1e-6
"""Seconds: what floating-point refilling may be short of."""

NAMES = ("requests", "input_tokens", "output_tokens")


@dataclass(frozen=True)
class Rate:
    """`burst` is what a full bucket holds; as much as one minute brings when it is None."""

    per_minute: float
    burst: float | None = None

    def __post_init__(self) -> None:
        if self.per_minute <= 0:
            raise ValueError("a rate is above zero; to refuse everything, script an error")

    @property
    def capacity(self) -> float:
        return self.per_minute if self.burst is None else self.burst


class Bucket:
    """Starts full."""

    def __init__(self, rate: Rate, clock: Clock, level: float | None = None) -> None:
        self.rate = rate
        self._clock = clock
        self._level = rate.capacity if level is None else min(level, rate.capacity)
        self._at = clock()

    @property
    def level(self) -> float:
        now = self._clock()
        gained = (now - self._at) * self.rate.per_minute / 60
        self._level, self._at = min(self.rate.capacity, self._level + gained), now
        return self._level

    def take(self, amount: float) -> None:
        self._level = self.level - amount

    def seconds_until(self, level: float) -> float:
        missing = min(level, self.rate.capacity) - self.level
        return max(0.0, missing * 60 / self.rate.per_minute)

    def headers(self, name: str) -> dict[str, str]:
        full_at = self._clock() + self.seconds_until(self.rate.capacity)
        return _headers(name, self.rate.per_minute, self.level, self._clock.stamp_second(full_at))


class Limits:
    """Named buckets. `change` keeps what is in a bucket, up to its new capacity."""

    def __init__(self, rates: Mapping[str, Rate | None], clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}
        self.change(**rates)

    def change(self, **rates: Rate | None) -> None:
        """`change(requests=Rate(25), output_tokens=None)`: the others stay as they are."""
        for name, rate in rates.items():
            if name not in NAMES:
                raise ValueError(f"{name} is no limit: use {', '.join(NAMES)}")
            bucket = self._buckets.get(name)
            if rate is None:
                self._buckets.pop(name, None)
            else:
                self._buckets[name] = Bucket(rate, self._clock, bucket.level if bucket else None)

    def scale(self, factor: float) -> None:
        """Every rate and burst times `factor`."""
        for name, bucket in list(self._buckets.items()):
            burst = None if bucket.rate.burst is None else bucket.rate.burst * factor
            self.change(**{name: Rate(bucket.rate.per_minute * factor, burst)})

    def levels(self) -> dict[str, float]:
        return {name: bucket.level for name, bucket in self._buckets.items()}

    def admit(self, tokens: int) -> int | None:
        """None after taking one request and its input tokens, or the whole seconds to wait: then nothing is taken."""
        if not self._buckets:
            return None
        weights = {"requests": 1, "input_tokens": tokens}
        waits = [self._wait(name, weights.get(name)) for name in self._buckets]
        if max(waits) > ROUNDING:
            return max(1, math.ceil(max(waits) - ROUNDING))
        for name, weight in weights.items():
            if name in self._buckets:
                self._buckets[name].take(weight)
        return None

    def _wait(self, name: str, weight: int | None) -> float:
        """Seconds. What weighs more than the bucket holds waits for a full one; output needs any level above zero."""
        bucket = self._buckets[name]
        if weight is not None:
            return bucket.seconds_until(weight)
        return 0.0 if bucket.level > 0 else max(2 * ROUNDING, bucket.seconds_until(0))

    def take_output(self, tokens: int) -> None:
        if "output_tokens" in self._buckets:
            self._buckets["output_tokens"].take(tokens)

    def headers(self) -> dict[str, str]:
        """anthropic-ratelimit-*, for the limits that are on; `tokens` is input and output together."""
        if not self._buckets:
            return {}
        found: dict[str, str] = {}
        for name, bucket in self._buckets.items():
            found |= bucket.headers(name.replace("_", "-"))
        both = [bucket for name, bucket in self._buckets.items() if name != "requests"]
        if both:
            full_at = self._clock() + max(bucket.seconds_until(bucket.rate.capacity) for bucket in both)
            rate, level = sum(b.rate.per_minute for b in both), sum(math.floor(b.level) for b in both)
            found |= _headers("tokens", rate, level, self._clock.stamp_second(full_at))
        return found


def _headers(name: str, limit: float, remaining: float, reset: str) -> dict[str, str]:
    start = f"anthropic-ratelimit-{name}-"
    return {
        start + "limit": str(math.floor(limit)),
        start + "remaining": str(max(0, math.floor(remaining))),
        start + "reset": reset,
    }
