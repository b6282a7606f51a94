"""How fast collecting asks: beside the bare client where nothing limits it, beside the limit where one does."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anthropic
from collect_asking import SYSTEM, ask, requests, teacher_at
from collect_plan import AT_ONCE, MODEL, Plan
from messages_api import ServerProcess
from table import Row

from mlx_distill.models.teachers import Request
from mlx_distill.run.patience import Patience

# ---------------------------------------------------------------- without a limit

LEAST_SHARE = 0.60
HUGE = {"requests": 10**9, "input_tokens": 10**12, "output_tokens": 10**12}


def throughput(plan: Plan) -> Iterator[Row]:
    """Ours with its ledger beside AsyncAnthropic, gather and a semaphore; in turn, against one server each."""
    for what, limits in (("no limits", {}), ("limits named in headers", HUGE)):
        yield asyncio.run(_beside_bare(plan, what, limits))


async def _beside_bare(plan: Plan, what: str, limits: dict[str, int]) -> Row:
    count, rounds = plan.size(3000, 300), plan.size(5, 2)
    fresh = itertools.count(0, count)
    pairs = []
    with plan.folder() as folder, ServerProcess(remember=False, limits=limits) as server:
        await _bare(server.url, requests(plan, 100, next(fresh)))
        for number in range(rounds):
            ours = await _ours(server.url, requests(plan, count, next(fresh)), folder / str(number))
            pairs.append((ours, await _bare(server.url, requests(plan, count, next(fresh)))))
    ratio = statistics.median(ours / bare for ours, bare in pairs)
    ours, bare = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    measured = f"{ratio:.2f} ({ours:,.0f} and {bare:,.0f} requests/s; {rounds} x {count:,} each, in turn)"
    return Row(f"share of the bare client's speed, {what}", f"≥ {LEAST_SHARE:.2f}", measured, ratio >= LEAST_SHARE)


async def _ours(url: str, wanted: list[Request], path: Path) -> float:
    """Requests a second."""
    async with teacher_at(url) as teacher:
        started = time.perf_counter()
        came = [reply async for reply in ask(wanted, teacher, path)]
        seconds = time.perf_counter() - started
    assert len(came) == len(wanted)
    return len(wanted) / seconds


async def _bare(url: str, wanted: list[Request]) -> float:
    """What a short script would do, with nothing kept."""
    gate = asyncio.Semaphore(AT_ONCE)
    async with anthropic.AsyncAnthropic(
        base_url=url, api_key="none", max_retries=0, http_client=anthropic.DefaultAioHttpClient()
    ) as client:

        async def one(request: Request) -> None:
            async with gate:
                await client.messages.create(
                    model=request.model,
                    max_tokens=request.max_tokens,
                    system=request.system,
                    messages=[{"role": "user", "content": request.prompt}],
                )

        started = time.perf_counter()
        await asyncio.gather(*map(one, wanted))
        return len(wanted) / (time.perf_counter() - started)


# ---------------------------------------------------------------- within limits

PER_SECOND = 50
"""Requests that a limit allows, whichever of the three it is; a second's worth may come at once."""

INPUT_TOKENS, OUTPUT_TOKENS = 100, 120
LEAST_USE, MOST_REFUSED, LEAST_AFTER = 0.95, 0.01, 0.90
WINDOW = 5.0
"""Seconds over which the speed after a change is taken."""

WEIGHTS = {"requests": 1, "input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS}


@dataclass
class Seen:
    """What a server that halves its limit halfway made of the asking; times in seconds."""

    arrivals: list[float] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    halved: float = 0.0
    later: dict[str, Any] = field(default_factory=dict)

    def rate(self, start: float, seconds: float) -> float:
        return sum(start < at <= start + seconds for at in self.arrivals) / seconds


def limits(plan: Plan) -> Iterator[Row]:
    """A minute's work bound by each limit, then the limit is halved and a minute later the speed is looked at."""
    for name in WEIGHTS:
        yield from _limited(plan, name)


def _limited(plan: Plan, name: str) -> Iterator[Row]:
    seconds, settle = plan.size(60, 6), plan.size(60, 20)
    work = PER_SECOND * (seconds + 1)
    seen = asyncio.run(_paced(plan, name, work, settle))
    took, refused = seen.arrivals[work - 1], seen.state["rate_limited"] / seen.state["posts"]
    use = seconds / took
    after, goal = seen.rate(seen.halved + settle, 3 * WINDOW), LEAST_AFTER * PER_SECOND / 2
    rate = f"{PER_SECOND * 60 * WEIGHTS[name]:,} {name.replace('_', ' ')}/min"
    yield Row(
        f"{rate}: ideal time / time", f"≥ {LEAST_USE}", f"{use:.3f} ({took:.1f} s for {work:,})", use >= LEAST_USE
    )
    counts = f"{refused:.2%} ({seen.state['rate_limited']} of {seen.state['posts']:,})"
    yield Row("… POSTs refused (429)", f"≤ {MOST_REFUSED:.0%}", counts, refused <= MOST_REFUSED)
    there = _settled(seen, goal, settle)
    posts = seen.later["posts"] - seen.state["posts"]
    measured = (
        f"{after / (PER_SECOND / 2):.3f} (there after {there} s; "
        f"{seen.later['rate_limited'] - seen.state['rate_limited']} of {posts:,} POSTs refused since)"
    )
    yield Row(f"… limit halved, {settle} s later: speed / limit", f"≥ {LEAST_AFTER}", measured, after >= goal)


async def _paced(plan: Plan, name: str, work: int, settle: float) -> Seen:
    rate = {other: [PER_SECOND * 60 * weight * 20] * 2 for other, weight in WEIGHTS.items()}
    rate[name] = [PER_SECOND * 60 * WEIGHTS[name], PER_SECOND * WEIGHTS[name]]
    endless = (
        Request(MODEL, plan.question(i, 4 * INPUT_TOKENS - len(SYSTEM)), SYSTEM, 1024) for i in itertools.count()
    )
    seen = Seen()
    with (
        plan.folder() as folder,
        ServerProcess(delay=0.1, remember=False, limits=rate, output_tokens=OUTPUT_TOKENS) as server,
    ):
        async with teacher_at(server.url) as teacher:
            started = time.monotonic()
            async with contextlib.aclosing(ask(endless, teacher, folder / "ledger", patience=Patience())) as replies:
                async for _ in replies:
                    now = time.monotonic() - started
                    seen.arrivals.append(now)
                    if len(seen.arrivals) == work:
                        seen.state, seen.halved = await asyncio.to_thread(server.state), now
                        await asyncio.to_thread(server.set, scale_limits=0.5)
                    if seen.halved and now > seen.halved + settle + 3 * WINDOW:
                        break
        seen.later = server.state()
    return seen


def _settled(seen: Seen, goal: float, until: float) -> float:
    """Seconds after the change from which on every window holds what it should."""
    starts = [step / 2 for step in range(int(2 * until))]
    low = [start for start in starts if seen.rate(seen.halved + start, WINDOW) < goal]
    return low[-1] + 0.5 if low else 0.0
