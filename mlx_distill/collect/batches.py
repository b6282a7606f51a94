"""Asks through message batches: half the price, for those who can wait up to a day.

In: requests, lazily. Out: each with its reply, as batches end. A batch and its items are in the ledger before it is
submitted; one that was submitted and not noted (a crash, a lost answer) is found again by listing what the server
has and comparing keys, so nothing is submitted twice. Results stream into the ledger; only what expired or failed
in passing is submitted again.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from dataclasses import dataclass

from mlx_distill.collect.ask import Patience
from mlx_distill.collect.budget import Budget
from mlx_distill.collect.ledger import Ledger, fail, insert_attempt, settle
from mlx_distill.errors import TeacherError
from mlx_distill.teachers import Busy, Reply, Request
from mlx_distill.teachers.batches import ClaudeBatches, Listed

BATCH_ITEMS = 10_000
BATCH_BYTES = 64_000_000
"""Of one batch. The API takes 100,000 and 256 MB; less at once needs less memory here and ends sooner."""

OPEN_AT_ONCE = 10
SUBMISSIONS = 3
"""Of one request; after that it is given up."""

READINGS = 10
"""Of a batch's results, until one that is missing counts as lost."""

RESULTS_IN_A_COMMIT = 500
KEPT_DAYS, WARN_DAYS = 29, 25
"""The server keeps results for 29 days after a batch was created."""

CLOCK_SKEW_SECONDS = 300.0
DAY = 86_400.0


Answered = tuple[Request, Reply]
Outcome = Reply | Busy | TeacherError


@dataclass
class Batch:
    """A row of the ledger: submitted under `name`, or (None) only meant to be."""

    id: int
    name: str | None
    at: float
    items: int
    readings: int = 0


@dataclass
class Item:
    """An attempt that went with a batch and has no outcome yet."""

    attempt: int
    worst_usd: float
    request: Request


async def ask_in_batches(
    requests: Iterable[Request],
    batches: ClaudeBatches,
    worst_usd: Callable[[Request], float],
    ledger: Ledger,
    *,
    budget: Budget,
    patience: Patience,
    note: Callable[[str], None],
) -> AsyncGenerator[Answered, None]:
    """Every request with its reply, in the order in which they arrive.

    Raises TeacherError or BudgetError when nothing more can be submitted; what is with the server is fetched by the
    next run.
    """
    asking = _Batching(batches, worst_usd, ledger, budget, patience, note)
    await asking.take_up()
    for request in requests:
        if known := ledger.get(request):
            yield request, known
            continue
        async for each in asking.add(request):
            yield each
    await asking.submit()
    while asking.open:
        async for each in asking.fetch():
            yield each
    if asking.given_up:
        raise asking.failure()


class _Batching:
    """What is to be submitted, and what is with the server."""

    def __init__(
        self,
        batches: ClaudeBatches,
        worst_usd: Callable[[Request], float],
        ledger: Ledger,
        budget: Budget,
        patience: Patience,
        note: Callable[[str], None],
    ) -> None:
        self._batches = batches
        self._worst_usd = worst_usd
        self._ledger = ledger
        self._budget = budget
        self._patience = patience
        self._note = note
        self._chunk: list[Request] = []
        self._chunk_bytes = 0
        self._wanted: Counter[str] = Counter()
        self._out: set[str] = set()
        self._submissions: Counter[str] = Counter()
        self.open: list[Batch] = []
        self.given_up: Counter[str] = Counter()

    # ---- submitting

    async def add(self, request: Request) -> AsyncGenerator[Answered, None]:
        """Takes one more request; submits when a batch is full, and waits where the budget or the server asks it."""
        self._wanted[request.key] += 1
        if request.key in self._out:
            return
        size = len(json.dumps(self._batches.item(request)))
        if len(self._chunk) >= BATCH_ITEMS or self._chunk_bytes + size > BATCH_BYTES:
            await self.submit()
        while len(self.open) >= OPEN_AT_ONCE or not self._budget.reserve(self._worst_usd(request)):
            await self.submit()
            async for each in self.fetch():
                yield each
        self._out.add(request.key)
        self._chunk.append(request)
        self._chunk_bytes += size

    async def submit(self) -> None:
        requests, self._chunk, self._chunk_bytes = self._chunk, [], 0
        if requests:
            await self._submit(requests)

    async def _submit(self, requests: list[Request]) -> None:
        batch = await self._ledger.write(lambda database: self._intend(database, requests))
        try:
            batch.name = await self._create(batch, requests)
        except TeacherError as error:
            await self._close(batch, str(error))
            raise
        await self._opened(batch)
        self._submissions.update(request.key for request in requests)
        self._note(f"Submitted {len(requests):,} prompts as {batch.name}.")

    def _intend(self, database: sqlite3.Connection, requests: list[Request]) -> Batch:
        at = self._ledger.clock()
        row = database.execute("INSERT INTO batches (at, items, state) VALUES (?, ?, 'open')", (at, len(requests)))
        batch = Batch(int(row.lastrowid or 0), None, at, len(requests))
        for request in requests:
            insert_attempt(database, request, self._worst_usd(request), at, batch.id)
        return batch

    async def _create(self, batch: Batch, requests: list[Request]) -> str:
        for attempt in range(self._patience.attempts["throttled"]):
            try:
                return await self._batches.create(requests)
            except Busy as busy:
                reason = str(busy)
                if busy.kind == "lost" and (name := await self._find(batch)):
                    return name
                await self._patience.sleep(self._patience.pause(attempt, busy.retry_after))
        raise TeacherError(f"The server takes no batch now ({reason}): run the same command again later.")

    async def _opened(self, batch: Batch) -> None:
        values = (batch.name, batch.id)
        await self._ledger.write(lambda database: database.execute("UPDATE batches SET name = ? WHERE id = ?", values))
        self.open.append(batch)

    # ---- what an earlier run left with the server

    async def take_up(self) -> None:
        """Each open batch has a name, or is found by its content, or was never submitted."""
        rows = list(self._ledger.rows("SELECT id, name, at, items FROM batches WHERE state = 'open' ORDER BY id"))
        for batch in [Batch(*row) for row in rows]:
            self._warn_of_age(batch)
            batch.name = batch.name or await self._find(batch)
            if batch.name is None:
                await self._close(batch, "never submitted")
                continue
            await self._opened(batch)
            for item in self._items(batch):
                self._out.add(item.request.key)
                self._budget.settle(-item.worst_usd, -item.worst_usd)

    async def _find(self, batch: Batch) -> str | None:
        """A batch that was created unheard: of about that time and that size, with our keys in it."""
        await self._patience.sleep(self._patience.unheard_seconds)
        named = {row[0] for row in self._ledger.rows("SELECT name FROM batches WHERE name IS NOT NULL")}
        keys = {item.request.key for item in self._items(batch)}
        for listed in await self._listed(batch.at - CLOCK_SKEW_SECONDS):
            if listed.name in named or listed.items != batch.items:
                continue
            while not await self._batches.ended(listed.name):
                await self._patience.sleep(self._patience.poll_seconds)
            if await self._batches.first_key(listed.name) in keys:
                self._note(f"Found {listed.name}, which was submitted without being noted.")
                return listed.name
        return None

    async def _listed(self, at: float) -> list[Listed]:
        for attempt in range(self._patience.attempts["fault"]):
            try:
                return await self._batches.since(at)
            except Busy as busy:
                await self._patience.sleep(self._patience.pause(attempt, busy.retry_after))
        raise TeacherError("The server does not list its batches now: run the same command again later.")

    def _warn_of_age(self, batch: Batch) -> None:
        days = (self._ledger.clock() - batch.at) / DAY
        if days > WARN_DAYS:
            self._note(f"A batch is {days:.0f} days old; its results are kept for {KEPT_DAYS} days only.")

    # ---- results

    async def fetch(self) -> AsyncGenerator[Answered, None]:
        """Waits for the next look at the server, then hands out what has ended."""
        await self._patience.sleep(self._patience.poll_seconds)
        for batch in list(self.open):
            if batch.name and await self._batches.ended(batch.name):
                async for each in self._read(batch, batch.name):
                    yield each

    async def _read(self, batch: Batch, name: str) -> AsyncGenerator[Answered, None]:
        """Streams the results into the ledger. A batch is over when there is one for each of its items."""
        items = {item.request.key: item for item in self._items(batch)}
        requests = {key: item.request for key, item in items.items()}
        outcomes: list[tuple[Item, Outcome]] = []
        again: list[Request] = []
        seen = 0
        try:
            async for key, outcome in self._batches.results(name, requests):
                seen += 1
                if key in items:
                    outcomes.append((items.pop(key), outcome))
                if len(outcomes) >= RESULTS_IN_A_COMMIT:
                    for each in await self._settle(outcomes, again):
                        yield each
                    outcomes = []
        except Busy as busy:
            self._note(f"The results of {name} broke off ({busy}); they are read again.")
        batch.readings += 1
        whole = seen >= batch.items or batch.readings >= READINGS
        if whole:
            outcomes += [(item, Busy("lost", "the batch has no result for it")) for item in items.values()]
        for each in await self._settle(outcomes, again):
            yield each
        if whole:
            self.open.remove(batch)
            await self._close(batch, "ended")
        if again:
            await self._submit(again)

    async def _settle(self, outcomes: list[tuple[Item, Outcome]], again: list[Request]) -> list[Answered]:
        """Durable first; then what is wanted is handed out, and what failed in passing goes into `again`."""

        def work(database: sqlite3.Connection) -> None:
            for item, outcome in outcomes:
                if isinstance(outcome, Reply):
                    settle(database, item.attempt, item.request, outcome)
                else:
                    charged = isinstance(outcome, Busy) and outcome.kind == "lost"
                    fail(database, item.attempt, str(outcome), charged=charged)

        await self._ledger.write(work)
        answered = []
        for item, outcome in outcomes:
            key = item.request.key
            if isinstance(outcome, Busy) and self._submissions[key] < SUBMISSIONS:
                again.append(item.request)
                continue
            self._out.discard(key)
            self._budget.settle(item.worst_usd, (outcome.usd or 0.0) if isinstance(outcome, Reply) else 0.0)
            wanted = self._wanted.pop(key, 0)
            if isinstance(outcome, Reply):
                answered += [(item.request, outcome)] * wanted
            else:
                self.given_up[str(outcome)] += wanted
        return answered

    def _items(self, batch: Batch) -> Iterator[Item]:
        rows = self._ledger.rows(
            "SELECT id, usd, request FROM attempts WHERE batch = ? AND state = 'sent'", (batch.id,)
        )
        return (Item(row[0], row[1], Request(**json.loads(row[2]))) for row in rows)

    async def _close(self, batch: Batch, reason: str) -> None:
        """The batch is over; what it held and has no outcome was not charged."""
        left = [item.attempt for item in self._items(batch)] if batch.name is None else []

        def work(database: sqlite3.Connection) -> None:
            for attempt in left:
                fail(database, attempt, reason, charged=False)
            database.execute("UPDATE batches SET state = 'done' WHERE id = ?", (batch.id,))

        await self._ledger.write(work)

    def failure(self) -> TeacherError:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in self.given_up.most_common())
        return TeacherError(
            f"{self.given_up.total():,} prompts were not answered ({reasons}): everything else is kept; "
            "run the same command again to ask for what is missing."
        )
