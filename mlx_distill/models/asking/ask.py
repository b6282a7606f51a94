"""Asks many requests of one teacher: as fast as it allows, within a budget, nothing lost and nothing paid twice.

In: requests, lazily. Out: each with its reply, as they come, whether from the ledger or the teacher. A pool of
workers pulls from the stream, so memory does not grow with it. An attempt is in the ledger before it is sent and
its reply before its place is given to the next; identical requests under way are sent once. What is under way when
something fails or the user interrupts is waited for, because it is paid for.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Iterator

from mlx_distill.models.asking.budget import Budget
from mlx_distill.models.asking.ledger import Ledger
from mlx_distill.models.asking.rate import Rate
from mlx_distill.models.teachers import Busy, Reply, Request, Teacher, Unreachable, refuse_hopeless
from mlx_distill.run.errors import TeacherError
from mlx_distill.run.patience import BusyKind, Patience

GIVEN_UP_IN_A_ROW = 5
"""So many prompts given up with no answer between them: the service is down, and asking more is no use."""

ANSWERED: tuple[BusyKind, ...] = ("throttled", "overloaded", "fault")
"""Troubles that a server tells, so that there is one."""

Answered = tuple[Request, Reply]


async def ask_all(
    requests: Iterable[Request],
    teacher: Teacher,
    ledger: Ledger,
    *,
    budget: Budget,
    patience: Patience,
    rate: Rate,
) -> AsyncGenerator[Answered, None]:
    """Every request with its reply, in the order in which they arrive.

    Raises TeacherError or BudgetError after what was under way has been kept; TeacherError at the end when some
    requests were given up while others were answered.
    """
    asking = _Asking(teacher, ledger, budget, patience, rate)
    async with contextlib.aclosing(asking.run(iter(requests))) as answered:
        async for each in answered:
            yield each
    if asking.given_up:
        raise asking.failure()


class _Asking:
    """One pool of workers, and what they share."""

    def __init__(self, teacher: Teacher, ledger: Ledger, budget: Budget, patience: Patience, rate: Rate) -> None:
        self._teacher = teacher
        self._ledger = ledger
        self._budget = budget
        self._patience = patience
        self._rate = rate
        self._under_way: set[asyncio.Task[Reply]] = set()
        self._wanted: dict[str, asyncio.Future[Reply | None]] = {}
        self._settled = asyncio.Event()
        self._in_a_row = 0
        self._heard = False
        self.given_up: Counter[str] = Counter()

    async def run(self, requests: Iterator[Request]) -> AsyncGenerator[Answered, None]:
        answered: asyncio.Queue[Answered | None] = asyncio.Queue(self._rate.most)
        workers = [asyncio.create_task(self._work(requests, answered)) for _ in range(self._rate.most)]
        running = asyncio.create_task(_until_done(workers, answered))
        try:
            while (each := await answered.get()) is not None:
                yield each
            await running
        finally:
            for task in (running, *workers):
                task.cancel()
            await asyncio.gather(running, *workers, return_exceptions=True)
            await self._drain()

    async def _work(self, requests: Iterator[Request], answered: asyncio.Queue[Answered | None]) -> None:
        for request in requests:
            reply = self._ledger.get(request) or await self._once(request)
            if reply is not None:
                await answered.put((request, reply))

    async def _drain(self) -> None:
        """Waits for what is under way; each writes its answer to the ledger, and its error is told once already."""
        if self._under_way:
            paid_for = self._teacher.limits is not None
            _, late = await asyncio.wait(self._under_way, timeout=self._patience.drain_seconds if paid_for else 0)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _once(self, request: Request) -> Reply | None:
        """The reply, or None when it was given up. Identical requests at one time share one."""
        if request.key in self._wanted:
            return await asyncio.shield(self._wanted[request.key])
        wanted = self._wanted[request.key] = asyncio.get_running_loop().create_future()
        reply = None
        try:
            reply = await self._patiently(request)
        finally:
            del self._wanted[request.key]
            wanted.set_result(reply)
        return reply

    async def _patiently(self, request: Request) -> Reply | None:
        """Asks again while that may help: each kind of trouble has a patience of its own."""
        met: Counter[BusyKind] = Counter()
        until = self._patience.clock() + self._patience.prompt_seconds
        while True:
            try:
                reply = await self._attempt(request, met.total() + 1, until)
            except Busy as busy:
                met[busy.kind] += 1
                self._heard = self._heard or busy.kind in ANSWERED
                if isinstance(busy, Unreachable) and not self._heard:
                    refuse_hopeless(self._teacher.model, busy, met[busy.kind])
                self._rate.trouble = str(busy)
                pause = self._patience.pause(met[busy.kind] - 1, busy.retry_after)
                late = self._patience.clock() + pause >= until
                if late or met[busy.kind] >= self._patience.attempts[busy.kind]:
                    self._give_up(str(busy))
                    return None
                await self._patience.sleep(pause)
            else:
                self._in_a_row, self._heard = 0, True
                return reply

    def _give_up(self, reason: str) -> None:
        self.given_up[reason] += 1
        self._in_a_row += 1
        if self._in_a_row >= GIVEN_UP_IN_A_ROW:
            raise self.failure()

    def failure(self) -> TeacherError:
        count = self.given_up.total()
        reasons = ", ".join(f"{reason}: {number}" for reason, number in self.given_up.most_common())
        what = "1 prompt was" if count == 1 else f"{count:,} prompts were"
        return TeacherError(
            f"{what} not answered by {self._teacher.model} ({reasons}): everything else is kept; "
            "run the same command again to ask for what is missing."
        )

    async def _attempt(self, request: Request, number: int, until: float) -> Reply:
        """Sends once. From then on the answer is awaited and kept whatever becomes of the worker."""
        characters = len(request.prompt) + len(request.system)
        size = await self._rate.acquire(characters)
        try:
            worst = self._teacher.worst_usd(request)
            await self._reserve(worst)
            sending = asyncio.create_task(self._send(request, worst, number, until))
            self._under_way.add(sending)
            sending.add_done_callback(self._over)
            reply = await asyncio.shield(sending)
            self._rate.answered(characters, size, reply, self._teacher.limits)
            return reply
        except Busy as busy:
            self._rate.refused(busy.kind, size, busy.retry_after, self._teacher.limits)
            raise
        finally:
            self._rate.release()

    def _over(self, sending: asyncio.Task[Reply]) -> None:
        self._under_way.discard(sending)
        if not sending.cancelled():
            sending.exception()  # told by whoever waits, if anybody still does

    async def _reserve(self, worst: float) -> None:
        while not self._budget.reserve(worst):
            self._settled.clear()
            await self._settled.wait()

    async def _send(self, request: Request, worst: float, number: int, until: float) -> Reply:
        attempt = await self._ledger.sent(request, worst)
        paid = worst
        try:
            reply = await self._answer(request, until)
            reply = dataclasses.replace(reply, attempt=number, answered_at=self._ledger.clock())
            await self._ledger.answered(attempt, request, reply)
            paid = reply.usd or 0.0
        except BaseException as error:
            charged = not isinstance(error, TeacherError) and getattr(error, "kind", "lost") == "lost"
            paid = worst if charged else 0.0
            await self._ledger.unanswered(attempt, str(error) or type(error).__name__, charged=charged)
            raise
        finally:
            self._budget.settle(worst, paid)
            self._settled.set()
        return reply

    async def _answer(self, request: Request, until: float) -> Reply:
        try:
            async with asyncio.timeout(until - self._patience.clock()):
                return await self._teacher.answer(request)
        except TimeoutError:
            raise Busy("lost", "no answer within the prompt's deadline") from None


async def _until_done(workers: list[asyncio.Task[None]], answered: asyncio.Queue[Answered | None]) -> None:
    """Ends the queue when all have finished or one has failed; when it is cancelled nobody listens any more."""
    try:
        await asyncio.gather(*workers)
    except Exception:
        await answered.put(None)
        raise
    await answered.put(None)
