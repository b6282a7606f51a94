"""What is with the server: message batches and their items, as the ledger has them.

In: requests that are about to be submitted, and what became of them. Out: batches that are still open, and their
items without an outcome. A batch is written with its items before it is submitted, so a crash leaves a row without
a name, never a batch without a row.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mlx_distill.models.asking.ledger import Ledger, fail, insert_attempt, settle
from mlx_distill.models.teachers import Busy, Reply, Request
from mlx_distill.run.errors import TeacherError

Outcome = Reply | Busy | TeacherError


@dataclass
class Batch:
    """Submitted under `name`, or (None) only meant to be. `at` is this clock's Unix seconds."""

    id: int
    name: str | None
    at: float
    items: int


@dataclass
class Item:
    """An attempt that went with a batch and has no outcome yet."""

    attempt: int
    worst_usd: float
    request: Request


class Submitted:
    """One model's batches in a ledger. What it writes is durable when it returns."""

    def __init__(self, ledger: Ledger, model: str) -> None:
        self._ledger = ledger
        self._model = model

    def open(self) -> list[Batch]:
        rows = self._ledger.rows(
            "SELECT id, name, at, items FROM batches WHERE state = 'open' AND model = ? ORDER BY id", (self._model,)
        )
        return [Batch(*row) for row in rows]

    def names(self) -> set[str]:
        """Of all batches that are known by name, open or done."""
        return {row[0] for row in self._ledger.rows("SELECT name FROM batches WHERE name IS NOT NULL")}

    def items(self, batch: Batch) -> Iterator[Item]:
        """Those without an outcome."""
        rows = self._ledger.rows(
            "SELECT id, usd, request FROM attempts WHERE batch = ? AND state = 'sent'", (batch.id,)
        )
        return (Item(row[0], row[1], Request(**json.loads(row[2]))) for row in rows)

    async def intend(self, requests: Sequence[Request], worst_usd: Callable[[Request], float]) -> Batch:
        """A batch that is about to be submitted."""
        at = self._ledger.clock()

        def work(database: sqlite3.Connection) -> int:
            row = database.execute(
                "INSERT INTO batches (model, at, items, state) VALUES (?, ?, ?, 'open')",
                (self._model, at, len(requests)),
            )
            for request in requests:
                insert_attempt(database, request, worst_usd(request), at, row.lastrowid)
            return int(row.lastrowid or 0)

        return Batch(await self._ledger.write(work), None, at, len(requests))

    async def named(self, batch: Batch) -> None:
        """It is with the server under this name."""
        values = (batch.name, batch.id)
        await self._ledger.write(lambda database: database.execute("UPDATE batches SET name = ? WHERE id = ?", values))

    async def settle(self, outcomes: Sequence[tuple[Item, Outcome]]) -> None:
        def work(database: sqlite3.Connection) -> None:
            for item, outcome in outcomes:
                if isinstance(outcome, Reply):
                    settle(database, item.attempt, item.request, outcome)
                else:
                    fail(database, item.attempt, str(outcome), charged=is_lost(outcome))

        await self._ledger.write(work)

    async def close(self, batch: Batch) -> None:
        """All that the server has to say of it is known."""
        await self._ledger.write(lambda database: _done(database, batch))

    async def forget(self, batch: Batch, reason: str) -> None:
        """It was never created: nothing in it was charged."""
        left = [item.attempt for item in self.items(batch)]

        def work(database: sqlite3.Connection) -> None:
            for attempt in left:
                fail(database, attempt, reason, charged=False)
            _done(database, batch)

        await self._ledger.write(work)


def is_lost(outcome: Outcome) -> bool:
    """Whether it may have been charged and nothing came of it."""
    return isinstance(outcome, Busy) and outcome.kind == "lost"


def _done(database: sqlite3.Connection, batch: Batch) -> None:
    database.execute("UPDATE batches SET state = 'done' WHERE id = ?", (batch.id,))
