"""The ledger: every attempt, on disk before it is sent, and every answer before anything else happens with it.

In: requests and replies. Out: the reply to a request asked before, in this run or another that shares the file;
what was spent; what may have been spent, because it was sent and no answer came. SQLite in WAL mode with full
sync. One thread writes: whatever comes while it commits goes into the next commit together (a group commit, a few
milliseconds), so durability costs no throughput. A key is kept as 16 bytes in a table of its own, about 28 bytes a
key on disk, so that looking up stays cheap at millions.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from mlx_distill.models.teachers import Reply, Request
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.folder import opened

VERSION = 3
SCHEMA = """
CREATE TABLE attempts (
  id INTEGER PRIMARY KEY,
  state TEXT NOT NULL,       -- sent: no answer known, may be charged; answered; failed: not charged
  usd REAL NOT NULL,         -- charged, or for `sent` the most that it can have cost
  at REAL NOT NULL,          -- Unix seconds
  batch INTEGER,             -- the message batch that it went with
  reason TEXT,               -- why there is no answer
  request TEXT NOT NULL,     -- JSON
  reply TEXT                 -- JSON
);
CREATE INDEX attempts_of_batch ON attempts (batch) WHERE batch IS NOT NULL;
CREATE TABLE answers (
  key BLOB PRIMARY KEY,      -- the first 16 bytes of the request's key
  attempt INTEGER NOT NULL   -- the newest answered one
) WITHOUT ROWID;
CREATE TABLE batches (
  id INTEGER PRIMARY KEY,
  model TEXT NOT NULL,
  name TEXT,                 -- the server's id; NULL: meant to be submitted, and perhaps it was
  at REAL NOT NULL,
  items INTEGER NOT NULL,
  state TEXT NOT NULL        -- open, done
);
CREATE TABLE progress (stream TEXT PRIMARY KEY, done INTEGER NOT NULL, flagged INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE totals (spent REAL NOT NULL, uncertain REAL NOT NULL);
INSERT INTO totals VALUES (0, 0);
"""

MOST_IN_A_COMMIT = 1000

Result = TypeVar("Result")
Work = Callable[[sqlite3.Connection], Any]
_Job = tuple[Work, asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Ledger:
    """Open it with `with`. Raises UsageError while another process has it, DataError when it cannot be used."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self.clock = clock
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _refuse_links(path)
            self._lock = opened(path.with_name(f".{path.name}.lock"), "w")
        except OSError as error:
            raise DataError(f"The ledger {path} cannot be opened ({error.strerror}): check its permissions.") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._database = self._open()
            self._writing = _connect(path)
        except BlockingIOError as error:
            self._lock.close()
            raise UsageError(f"The ledger {path} is in use by another process: wait for it.") from error
        except sqlite3.Error as error:
            self._lock.close()
            raise self._failure(error) from error
        self._thread = threading.Thread(target=self._write_all, name="ledger", daemon=True)
        self._thread.start()

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            database.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        elif version != VERSION:
            database.close()
            self._lock.close()
            raise DataError(
                f"The ledger {self._path} was made by another program or another version of mlx-distill: name another "
                "--ledger, or use the version that made it."
            )
        return _prepared(database)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._jobs.put(None)
        self._thread.join()
        self._writing.close()
        self._database.close()
        self._lock.close()

    # ---- reading

    def get(self, request: Request) -> Reply | None:
        """The answer, if there is one. One that was cut does not answer a request with a larger cap."""
        row = self._row(
            "SELECT request, reply FROM answers JOIN attempts ON id = attempt WHERE key = ?", (_key(request),)
        )
        if row is None:
            return None
        reply = Reply(**json.loads(row[1]))
        if reply.stop_reason == "max_tokens" and json.loads(row[0])["max_tokens"] < request.max_tokens:
            return None
        return reply

    def spent_usd(self) -> float:
        return max(0.0, float(self._row("SELECT spent FROM totals")[0]))

    def uncertain_usd(self) -> float:
        """The most that attempts without a known answer can have cost."""
        return max(0.0, float(self._row("SELECT uncertain FROM totals")[0]))

    def with_server(self, model: str) -> int:
        """How many prompts are in message batches whose results are not here yet."""
        row = self._row("SELECT sum(items) FROM batches WHERE state = 'open' AND model = ?", (model,))
        return int(row[0] or 0)

    def done(self, stream: str) -> tuple[int, int]:
        """How many leading requests of a stream are answered, and how many of those are flagged."""
        row = self._row("SELECT done, flagged FROM progress WHERE stream = ?", (stream,))
        return (row[0], row[1]) if row else (0, 0)

    def rows(self, statement: str, values: tuple[Any, ...] = ()) -> Iterator[Any]:
        with self._told():
            yield from self._database.execute(statement, values)

    def _row(self, statement: str, values: tuple[Any, ...] = ()) -> Any:
        with self._told():
            return self._database.execute(statement, values).fetchone()

    # ---- writing: each is durable when it returns

    async def sent(self, request: Request, worst_usd: float) -> int:
        """Notes what is about to be sent. Returns the attempt's number."""
        return await self.write(lambda database: insert_attempt(database, request, worst_usd, self.clock()))

    async def answered(self, attempt: int, request: Request, reply: Reply) -> None:
        await self.write(lambda database: settle(database, attempt, request, reply))

    async def unanswered(self, attempt: int, reason: str, *, charged: bool) -> None:
        """`charged`: it may have been, so its bound stays in the account."""
        await self.write(lambda database: fail(database, attempt, reason, charged=charged))

    async def note_progress(self, stream: str, done: int, flagged: int) -> None:
        values = (stream, done, flagged)
        await self.write(lambda database: database.execute("REPLACE INTO progress VALUES (?, ?, ?)", values))

    async def write(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Runs `work` within the next commit; returns its result when that is on disk. Raises DataError."""
        if not self._thread.is_alive():
            raise DataError(f"The ledger {self._path} is closed: run the same command again.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._jobs.put((work, loop, future))
        return await asyncio.shield(future)

    def _write_all(self) -> None:
        """The writing thread: one commit after another until the ledger closes."""
        closing = False
        while not closing:
            jobs = [self._jobs.get()]
            while len(jobs) < MOST_IN_A_COMMIT and not self._jobs.empty():
                jobs.append(self._jobs.get())
            closing = None in jobs
            self._commit([job for job in jobs if job is not None])

    def _commit(self, jobs: list[_Job]) -> None:
        if not jobs:
            return
        database = self._writing
        outcome: list[Any] | DataError
        try:
            database.execute("BEGIN IMMEDIATE")
            outcome = [work(database) for work, _, _ in jobs]
            database.execute("COMMIT")
        except Exception as error:  # whoever waits must hear of it: this thread has nobody else to tell
            with contextlib.suppress(sqlite3.Error):
                database.execute("ROLLBACK")
            outcome = self._failure(error)
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            jobs[0][1].call_soon_threadsafe(_tell, [future for _, _, future in jobs], outcome)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> DataError:
        return DataError(
            f"The ledger {self._path} cannot be used ({error}): make room or check its permissions, "
            "then run the same command again."
        )


def _refuse_links(path: Path) -> None:
    """SQLite writes through them, also those beside it. Raises DataError."""
    for ending in ("", "-wal", "-shm", "-journal"):
        beside = path.with_name(f"{path.name}{ending}")
        if os.path.lexists(beside):
            opened(beside, "rb").close()


def _connect(path: Path) -> sqlite3.Connection:
    return _prepared(sqlite3.connect(path, isolation_level=None, check_same_thread=False))


def _prepared(database: sqlite3.Connection) -> sqlite3.Connection:
    """What a look at somebody else's database must not do: the journal's mode stays in the file."""
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    return database


def _tell(futures: list[asyncio.Future[Any]], outcome: list[Any] | DataError) -> None:
    for place, future in enumerate(futures):
        if future.cancelled():
            continue
        if isinstance(outcome, DataError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome[place])


def _key(request: Request) -> bytes:
    return bytes.fromhex(request.key[:32])


# ---------------------------------------------------------------- within a commit


def insert_attempt(
    database: sqlite3.Connection, request: Request, worst_usd: float, at: float, batch: int | None = None
) -> int:
    database.execute("UPDATE totals SET uncertain = uncertain + ?", (worst_usd,))
    values = (worst_usd, at, batch, json.dumps(request.asked()))
    row = database.execute("INSERT INTO attempts (state, usd, at, batch, request) VALUES ('sent', ?, ?, ?, ?)", values)
    return int(row.lastrowid or 0)


def settle(database: sqlite3.Connection, attempt: int, request: Request, reply: Reply) -> None:
    """The attempt is answered: what it cost takes the place of its bound. Done twice, it counts once."""
    usd = reply.usd or 0.0
    if not _close(database, attempt, usd):
        return
    database.execute(
        "UPDATE attempts SET state = 'answered', usd = ?, reply = ? WHERE id = ?",
        (usd, json.dumps(vars(reply)), attempt),
    )
    known = database.execute(
        "SELECT json_extract(reply, '$.stop_reason') FROM answers JOIN attempts ON id = attempt WHERE key = ?",
        (_key(request),),
    ).fetchone()
    if known is None or known[0] == "max_tokens" or reply.stop_reason != "max_tokens":
        database.execute("REPLACE INTO answers VALUES (?, ?)", (_key(request), attempt))


def fail(database: sqlite3.Connection, attempt: int, reason: str, *, charged: bool) -> None:
    reason = reason.encode("utf-8", "replace").decode()
    if charged:
        database.execute("UPDATE attempts SET reason = ? WHERE id = ? AND state = 'sent'", (reason, attempt))
    elif _close(database, attempt, 0.0):
        database.execute("UPDATE attempts SET state = 'failed', usd = 0, reason = ? WHERE id = ?", (reason, attempt))


def _close(database: sqlite3.Connection, attempt: int, usd: float) -> bool:
    """Moves an open attempt's bound out of the account. False when it is open no more."""
    bound = database.execute("SELECT usd FROM attempts WHERE id = ? AND state = 'sent'", (attempt,)).fetchone()
    if bound is None:
        return False
    database.execute("UPDATE totals SET spent = spent + ?, uncertain = uncertain - ?", (usd, bound[0]))
    return True
