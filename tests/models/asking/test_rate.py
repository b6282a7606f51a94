"""The rate against a simulated server on a clock of its own: an hour takes no time."""

import asyncio
import heapq
import itertools
from dataclasses import dataclass, field

import pytest

from mlx_distill.models.asking.rate import Rate
from mlx_distill.models.teachers import Limits, Reply

ASKED = 400
ANSWERED = 100


@dataclass
class Time:
    """Runs coroutines on simulated seconds: sleeping is the only thing that takes time."""

    now: float = 0.0
    _sleepers: list[tuple[float, int, "asyncio.Future[None]"]] = field(default_factory=list)
    _number: "itertools.count[int]" = field(default_factory=itertools.count)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + max(seconds, 1e-6), next(self._number), woken))
        await woken

    async def run(self, until: float) -> None:
        while self._sleepers and self._sleepers[0][0] <= until:
            self.now, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
            for _ in range(20):
                await asyncio.sleep(0)
        self.now = until


@dataclass
class Server:
    """Token buckets as the API has them, refilled continuously, `burst` seconds deep."""

    time: Time
    per_minute: dict[str, float]
    burst: float = 1.0
    latency: float = 0.1
    names_limits: bool = True
    posts: int = 0
    refused: int = 0
    answered_at: list[float] = field(default_factory=list)
    levels: dict[str, float] = field(default_factory=dict)
    filled: float = 0.0

    def halve(self) -> None:
        self.fill()
        self.per_minute = {name: value / 2 for name, value in self.per_minute.items()}

    def fill(self) -> None:
        for name, limit in self.per_minute.items():
            most = limit / 60 * self.burst
            level = self.levels.get(name, most) + (self.time.now - self.filled) * limit / 60
            self.levels[name] = min(most, level)
        self.filled = self.time.now

    def limits(self) -> Limits:
        if not self.names_limits:
            return Limits()
        return Limits(**{name: (limit, max(0.0, self.levels[name])) for name, limit in self.per_minute.items()})

    async def post(self) -> bool:
        await self.time.sleep(self.latency / 2)
        self.fill()
        self.posts += 1
        needs = {"requests": 1.0, "input_tokens": ASKED / 4}
        ok = all(self.levels[name] >= needs.get(name, 1e-9) for name in self.per_minute)
        if ok:
            for name in self.per_minute:
                self.levels[name] -= needs.get(name, ANSWERED)
        self.refused += not ok
        await self.time.sleep(self.latency / 2)
        if ok:
            self.answered_at.append(self.time.now)
        return ok


async def load(server: Server, rate: Rate, workers: int) -> None:
    async def work() -> None:
        while True:
            size = await rate.acquire(ASKED)
            try:
                if await server.post():
                    reply = Reply("x", "end_turn", "m", input_tokens=ASKED // 4, output_tokens=ANSWERED)
                    rate.answered(ASKED, size, reply, server.limits())
                    continue
                rate.refused("throttled", size, 1.0, server.limits())
            finally:
                rate.release()
            await server.time.sleep(1.0)

    await asyncio.gather(*(work() for _ in range(workers)))


def simulate(server: Server, seconds: float, change_at: float | None = None, workers: int = 64) -> Rate:
    async def main() -> Rate:
        rate = Rate(workers, clock=server.time, sleep=server.time.sleep)
        task = asyncio.create_task(load(server, rate, workers))
        for _ in range(300):
            await asyncio.sleep(0)
        if change_at is not None:
            await server.time.run(change_at)
            server.halve()
        await server.time.run(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return rate

    return asyncio.run(main())


@pytest.mark.parametrize("bound", ["requests", "input_tokens", "output_tokens"])
def test_a_named_limit_is_used_up_and_hardly_ever_passed(bound: str) -> None:
    per_request = {"requests": 1.0, "input_tokens": ASKED / 4, "output_tokens": ANSWERED}
    server = Server(Time(), {bound: 3000 * per_request[bound]})
    rate = simulate(server, 120)
    ideal = 50 + 50 * 120
    assert len(server.answered_at) >= 0.95 * ideal
    assert server.refused <= 0.01 * server.posts
    assert f"limit {3000 * per_request[bound]:,.0f} {bound.replace('_', ' ')}" in rate.in_force()


def test_a_limit_that_is_halved_is_used_up_again_within_a_minute() -> None:
    server = Server(Time(), {"requests": 3000})
    simulate(server, 180, change_at=60)
    before, after = (sum(a <= at < a + 60 for at in server.answered_at) for a in (0, 120))
    assert before >= 0.95 * 3000
    assert after >= 0.9 * 1500
    assert server.refused <= 0.01 * server.posts


def test_a_limit_that_nobody_names_is_found_by_trying() -> None:
    server = Server(Time(), {"requests": 1200}, names_limits=False)
    simulate(server, 300)
    late = sum(at >= 120 for at in server.answered_at)
    assert late >= 0.5 * 20 * 180
    assert server.refused <= 0.2 * server.posts


def test_a_server_without_limits_gets_a_few_first_and_soon_all() -> None:
    server = Server(Time(), {}, latency=1.0)
    simulate(server, 20)
    per_second = [sum(int(at) == second for at in server.answered_at) for second in range(20)]
    assert per_second[1] == 1
    assert all(later <= 2 * earlier + 1 for earlier, later in itertools.pairwise(per_second[1:]))
    assert per_second[-2] == 64


def test_a_refusal_holds_everybody_back_for_as_long_as_it_says_at_most_a_minute() -> None:
    async def main() -> None:
        time = Time()
        rate = Rate(8, clock=time, sleep=time.sleep)
        size = await rate.acquire(10)
        rate.refused("throttled", size, 3600.0, None)
        rate.release()
        assert rate.in_force() == "rate-limited by the server, 60 s left"
        waiting = asyncio.create_task(rate.acquire(10))
        await asyncio.sleep(0)
        await time.run(59)
        assert not waiting.done()
        assert rate.in_force() == "rate-limited by the server, 1 s left"
        await time.run(61)
        assert waiting.done()

    asyncio.run(main())


def test_an_overloaded_server_gets_fewer_at_once_and_nobody_is_told_to_wait() -> None:
    async def main() -> None:
        time = Time()
        rate = Rate(8, paced=False, clock=time, sleep=time.sleep)
        sizes = [await rate.acquire(10) for _ in range(8)]
        for size in sizes:
            rate.refused("overloaded", size, 30.0, None)
            rate.release()
        assert rate.window == 4
        assert rate.in_force() == "4 at once"
        await rate.acquire(10)

    asyncio.run(main())
