"""Asks many requests of one teacher: bounded, resumable, within a budget.

In: requests, lazily. Out: each with its reply, as they come, whether from the ledger or the teacher. A reply is
in the ledger before its place is given to the next request; what is under way when something fails or the user
interrupts is waited for, because it is paid for.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from mlx_distill.collect.ledger import Ledger
from mlx_distill.errors import BudgetError, TeacherError
from mlx_distill.teachers import Busy, Reply, Request, Teacher

DRAIN_SECONDS = 120.0
"""What is under way is paid for, and a long answer takes a minute; a second Ctrl-C does not wait."""


@dataclass
class Budget:
    """Dollars: a cap over what was spent and the worst that is under way can cost."""

    cap: float | None
    spent: float = 0.0
    reserved: float = 0.0

    def reserve(self, usd: float) -> None:
        if self.cap is not None and self.spent + self.reserved + usd > self.cap:
            raise BudgetError(
                f"Stopped at ${self.spent:.2f}: the next answer could pass --max-cost {self.cap:g}. "
                "Everything is kept; raise --max-cost and run the same command again."
            )
        self.reserved += usd

    def settle(self, reserved: float, paid: float) -> None:
        self.reserved -= reserved
        self.spent += paid


@dataclass(frozen=True)
class Patience:
    """How often and how long to wait for a busy teacher (full jitter, Brooker 2015)."""

    attempts: int = 8
    base_seconds: float = 1.0
    cap_seconds: float = 60.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: random.Random = field(default_factory=random.Random)

    def pause(self, attempt: int, retry_after: float | None) -> float:
        backoff = self.random.uniform(0, min(self.cap_seconds, self.base_seconds * 2**attempt))
        return backoff if retry_after is None else min(retry_after, self.cap_seconds) + backoff / 10


async def ask_all(
    requests: Iterable[Request],
    teacher: Teacher,
    ledger: Ledger,
    *,
    concurrency: int,
    budget: Budget,
    patience: Patience,
) -> AsyncGenerator[tuple[Request, Reply], None]:
    """Every request with its reply, in the order in which they arrive.

    Raises TeacherError or BudgetError after what was under way has been kept.
    """
    stopping = asyncio.Event()
    running: set[asyncio.Task[tuple[Request, Reply]]] = set()
    done: set[asyncio.Task[tuple[Request, Reply]]] = set()
    try:
        for request in requests:
            if known := ledger.get(request):
                yield request, known
                continue
            if len(running) >= concurrency:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
            running.add(asyncio.create_task(_ask(request, teacher, ledger, budget, patience, stopping)))
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        stopping.set()
        await _drain(running | done)


async def _drain(running: set[asyncio.Task[tuple[Request, Reply]]]) -> None:
    """Waits for what is under way; each has written its answer to the ledger, and its error is told once already."""
    if running:
        _, late = await asyncio.wait(running, timeout=DRAIN_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _ask(
    request: Request,
    teacher: Teacher,
    ledger: Ledger,
    budget: Budget,
    patience: Patience,
    stopping: asyncio.Event,
) -> tuple[Request, Reply]:
    worst = teacher.worst_usd(request)
    budget.reserve(worst)
    paid = 0.0
    try:
        reply = await _patiently(request, teacher, patience, stopping)
        paid = reply.usd or 0.0
        ledger.put(request, reply)
        return request, reply
    finally:
        budget.settle(worst, paid)


async def _patiently(request: Request, teacher: Teacher, patience: Patience, stopping: asyncio.Event) -> Reply:
    """Asks again while the teacher is busy, but sends nothing more once the asking stops."""
    for attempt in range(patience.attempts):
        if attempt and stopping.is_set():
            break
        try:
            return await teacher.answer(request)
        except Busy as busy:
            reason = str(busy)
            if attempt + 1 < patience.attempts:
                await patience.sleep(patience.pause(attempt, busy.retry_after))
    raise TeacherError(
        f"{request.model} did not answer in {patience.attempts} attempts ({reason}): "
        "everything is kept; run the same command again later."
    )
