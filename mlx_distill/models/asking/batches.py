"""Asks through message batches: half the price, for those who can wait up to a day.

In: requests, lazily. Out: each with its reply, as batches end. A batch and its items are in the ledger before it is
submitted; one that was submitted and not noted (a crash, a lost answer) is found again by listing what the server
has and comparing keys, so nothing is submitted twice. Results stream into the ledger; only what expired or failed
in passing is submitted again.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from mlx_distill.models.asking.budget import Budget
from mlx_distill.models.asking.ledger import Ledger
from mlx_distill.models.asking.submitted import Batch, Item, Outcome, Submitted, is_lost
from mlx_distill.models.teachers import Busy, Reply, Request, Unreachable, refuse_hopeless
from mlx_distill.models.teachers.batches import ClaudeBatches
from mlx_distill.run.errors import TeacherError
from mlx_distill.run.patience import Patience

BATCH_ITEMS = 10_000
BATCH_BYTES = 64_000_000
"""Of one batch. The API takes 100,000 and 256 MB; less at once needs less memory here and ends sooner."""

OPEN_AT_ONCE = 10
SUBMISSIONS = 3
"""Of one request; after that it is given up."""

RESULTS_IN_A_COMMIT = 500
DAY = 86_400.0
KEPT_DAYS, WARN_DAYS = 29, 25
"""The server keeps results for 29 days after a batch was created."""

CLOCK_SKEW_SECONDS = DAY
"""By how much this clock may differ from the server's when a batch is looked for."""

UNKNOWN_SECONDS = 600.0
"""A batch that the server does not know so long after it was submitted is gone."""

Answered = tuple[Request, Reply]
Result = TypeVar("Result")


@dataclass
class Wanted:
    """How many ask for an answer, and the largest cap among them."""

    count: int = 0
    max_tokens: int = 0


async def ask_in_batches(
    requests: Iterable[Request],
    batches: ClaudeBatches,
    ledger: Ledger,
    *,
    budget: Budget,
    patience: Patience,
    note: Callable[[str], None],
    waiting: Callable[[int], None] = lambda prompts: None,
) -> AsyncGenerator[Answered, None]:
    """Every request with its reply, in the order in which they arrive; `waiting` hears how many are with the server.

    Raises TeacherError or BudgetError when nothing more can be submitted; what is with the server is fetched by the
    next run.
    """
    asking = _Batching(batches, ledger, budget, patience, note, waiting)
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
        ledger: Ledger,
        budget: Budget,
        patience: Patience,
        note: Callable[[str], None],
        waiting: Callable[[int], None],
    ) -> None:
        self._batches = batches
        self._clock = ledger.clock
        self._submitted = Submitted(ledger, batches.model)
        self._budget = budget
        self._patience = patience
        self._note = note
        self._waiting = waiting
        self._chunk: list[Request] = []
        self._chunk_bytes = 0
        self._wanted: dict[str, Wanted] = {}
        self._out: set[str] = set()
        self._submissions: Counter[str] = Counter()
        self.open: list[Batch] = []
        self.given_up: Counter[str] = Counter()

    # ---- submitting

    async def add(self, request: Request) -> AsyncGenerator[Answered, None]:
        """Takes one more request; submits when a batch is full, and waits where the budget or the server asks it."""
        wanted = self._wanted.setdefault(request.key, Wanted())
        wanted.count += 1
        wanted.max_tokens = max(wanted.max_tokens, request.max_tokens)
        if request.key in self._out:
            return
        size = len(json.dumps(self._batches.item(request)))
        if len(self._chunk) >= BATCH_ITEMS or self._chunk_bytes + size > BATCH_BYTES:
            await self.submit()
        while len(self.open) >= OPEN_AT_ONCE or not self._budget.reserve(self._batches.worst_usd(request)):
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
        """The bounds of the requests are reserved already."""
        batch = await self._submitted.intend(requests, self._batches.worst_usd)
        batch.name = await self._create(batch, requests)
        await self._submitted.named(batch)
        self.open.append(batch)
        self._submissions.update(request.key for request in requests)
        self._note(f"Submitted {len(requests):,} prompts as {batch.name}.")

    async def _create(self, batch: Batch, requests: list[Request]) -> str:
        """The batch's name. What may have been created is never closed here: the next run looks for it again."""
        for attempt in range(self._patience.attempts["throttled"]):
            try:
                return await self._batches.create(requests)
            except Busy as busy:
                reason = str(busy)
                if busy.kind == "lost" and (name := await self._find(batch)):
                    return name
                await self._refuse_hopeless(busy, attempt + 1, batch)
                await self._patience.sleep(self._patience.pause(attempt, busy.retry_after))
            except TeacherError as error:
                await self._submitted.forget(batch, str(error))
                raise
        await self._submitted.forget(batch, reason)
        raise TeacherError(f"The server takes no batch now ({reason}): run the same command again later.")

    async def _refuse_hopeless(self, busy: Busy, tries: int, batch: Batch) -> None:
        """Where no batch is with the server yet, and nobody answers."""
        if isinstance(busy, Unreachable) and not self.open:
            try:
                refuse_hopeless(self._batches.model, busy, tries)
            except TeacherError as error:
                await self._submitted.forget(batch, str(error))
                raise
            self._note(f"Trying again: {busy}.")

    # ---- what an earlier run left with the server

    async def take_up(self) -> None:
        """Each open batch of this model has a name, or is found by its content, or was never submitted."""
        for batch in self._submitted.open():
            if self._is_too_old(batch):
                await self._submitted.close(batch)
                continue
            batch.name = batch.name or await self._find(batch)
            for item in self._submitted.items(batch):
                self._budget.adopt(item.worst_usd)
                if batch.name is None:
                    self._budget.settle(item.worst_usd, 0.0)
                else:
                    self._out.add(item.request.key)
            if batch.name is None:
                await self._submitted.forget(batch, "never submitted")
            else:
                await self._submitted.named(batch)
                self.open.append(batch)

    def _is_too_old(self, batch: Batch) -> bool:
        days = (self._clock() - batch.at) / DAY
        if days > KEPT_DAYS:
            self._note(f"The results of a batch of {batch.items:,} prompts are gone: it is {days:.0f} days old.")
        elif days > WARN_DAYS:
            self._note(f"A batch is {days:.0f} days old; its results are kept for {KEPT_DAYS} days only.")
        return days > KEPT_DAYS

    async def _find(self, batch: Batch) -> str | None:
        """A batch that was created unheard: of about that time and that size, with our keys in it."""
        await self._patience.sleep(self._patience.unheard_seconds)
        named = self._submitted.names()
        keys: set[str | None] = {item.request.key for item in self._submitted.items(batch)}
        for listed in await self._retried(functools.partial(self._batches.since, batch.at - CLOCK_SKEW_SECONDS)):
            if listed.name in named or listed.items != batch.items:
                continue
            if not listed.ended:
                self._note(f"Waiting for {listed.name} to end, to see whether it is ours; you may stop and come back.")
            while not await self._ended(listed.name):
                await self._patience.sleep(self._patience.poll_seconds)
            if await self._retried(functools.partial(self._batches.first_key, listed.name)) in keys:
                self._note(f"Found {listed.name}, which was submitted without being noted.")
                return listed.name
        return None

    async def _retried(self, ask: Callable[[], Awaitable[Result]]) -> Result:
        for attempt in range(self._patience.attempts["fault"]):
            try:
                return await ask()
            except Busy as busy:
                reason = str(busy)
                await self._patience.sleep(self._patience.pause(attempt, busy.retry_after))
        raise TeacherError(f"The server does not say what batches it has ({reason}): run the same command again later.")

    # ---- results

    async def fetch(self) -> AsyncGenerator[Answered, None]:
        """Waits for the next look at the server, then hands out what has ended."""
        self._tell_waiting()
        await self._patience.sleep(self._patience.poll_seconds)
        for batch in list(self.open):
            if batch.name and await self._has_ended(batch, batch.name):
                async for each in self._read(batch, batch.name):
                    yield each
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        self._waiting(sum(batch.items for batch in self.open))

    async def _ended(self, name: str) -> bool | None:
        """False too while nobody can be asked: that is said, and the next look is as good."""
        try:
            return await self._batches.ended(name)
        except Unreachable as unreachable:
            self._note(f"{name} cannot be looked at now: {unreachable}.")
            return False

    async def _has_ended(self, batch: Batch, name: str) -> bool:
        ended = await self._ended(name)
        if ended is None and self._clock() - batch.at > UNKNOWN_SECONDS:
            raise TeacherError(
                f"The server does not know the batch {name} (another key or workspace, or it was deleted): "
                "use the key that submitted it, or another --ledger."
            )
        return bool(ended)

    async def _read(self, batch: Batch, name: str) -> AsyncGenerator[Answered, None]:
        """Streams the results into the ledger. The batch is over when there was one for each of its items."""
        items = {item.request.key: item for item in self._submitted.items(batch)}
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
            self._note(f"The results of {name} cannot be read now ({busy}); they are read again.")
        else:
            if seen < batch.items:
                self._note(f"The results of {name} lack {batch.items - seen:,} items; they are read again.")
        for each in await self._settle(outcomes, again):
            yield each
        if seen >= batch.items:
            self.open.remove(batch)
            await self._submitted.close(batch)
        if again:
            await self._submit(again)

    async def _settle(self, outcomes: list[tuple[Item, Outcome]], again: list[Request]) -> list[Answered]:
        """Durable first; then what is wanted is handed out, and what failed in passing goes into `again`."""
        outcomes = [(item, self._dated(item, outcome)) for item, outcome in outcomes]

        await self._submitted.settle(outcomes)
        return [each for item, outcome in outcomes for each in self._handed_out(item, outcome, again)]

    def _dated(self, item: Item, outcome: Outcome) -> Outcome:
        if not isinstance(outcome, Reply):
            return outcome
        number = max(1, self._submissions[item.request.key])
        return dataclasses.replace(outcome, attempt=number, answered_at=self._clock())

    def _handed_out(self, item: Item, outcome: Outcome, again: list[Request]) -> list[Answered]:
        key = item.request.key
        wanted = self._wanted.get(key)
        request = dataclasses.replace(item.request, max_tokens=wanted.max_tokens if wanted else item.request.max_tokens)
        if isinstance(outcome, Reply):
            paid = outcome.usd or 0.0
            is_answer = outcome.stop_reason != "max_tokens" or request.max_tokens <= item.request.max_tokens
        else:
            paid = item.worst_usd if is_lost(outcome) else 0.0
            is_answer = False
        self._budget.settle(item.worst_usd, paid)
        if (
            wanted
            and not is_answer
            and self._may_go_again(outcome, key)
            and self._budget.reserve(self._batches.worst_usd(request))
        ):
            again.append(request)
            return []
        self._out.discard(key)
        self._submissions.pop(key, None)
        self._wanted.pop(key, None)
        if wanted and not is_answer:
            self.given_up["cut at the smaller cap" if isinstance(outcome, Reply) else str(outcome)] += wanted.count
        return [(request, outcome)] * wanted.count if wanted and isinstance(outcome, Reply) and is_answer else []

    def _may_go_again(self, outcome: Outcome, key: str) -> bool:
        passing = isinstance(outcome, Reply) or (isinstance(outcome, Busy) and not is_lost(outcome))
        return passing and self._submissions[key] < SUBMISSIONS

    def failure(self) -> TeacherError:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in self.given_up.most_common())
        return TeacherError(
            f"{self.given_up.total():,} prompts were not answered ({reasons}): everything else is kept; "
            "mend or remove what cannot be answered, then run the same command again."
        )
