"""The ledger: every answer that was received, durable before anything else happens with it.

In: requests and replies. Out: the reply to a request asked before, in this run or another that shares the file.
SQLite in WAL mode with full sync: a commit costs milliseconds, and an answer costs money.
"""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from mlx_distill.errors import DataError
from mlx_distill.teachers import Reply, Request

SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
  key TEXT PRIMARY KEY,      -- SHA-256 of the canonical request
  request TEXT NOT NULL,     -- JSON
  reply TEXT NOT NULL,       -- JSON
  usd REAL,                  -- NULL where nothing is charged
  answered_at REAL NOT NULL  -- Unix seconds
) WITHOUT ROWID;
"""


class Ledger:
    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(SCHEMA)
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def get(self, request: Request) -> Reply | None:
        row = self._execute("SELECT reply FROM answers WHERE key = ?", (request.key,))
        return Reply(**json.loads(row[0])) if row else None

    def put(self, request: Request, reply: Reply) -> None:
        """Durable when it returns. Raises DataError when the disk refuses."""
        row = (request.key, json.dumps(asdict(request)), json.dumps(asdict(reply)), reply.usd, time.time())
        self._execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", row)

    def total_usd(self) -> float:
        return float(self._execute("SELECT total(usd) FROM answers")[0])

    def _execute(self, statement: str, values: tuple[Any, ...] = ()) -> Any:
        """The first row, or None."""
        try:
            return self._database.execute(statement, values).fetchone()
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _failure(self, error: sqlite3.Error) -> DataError:
        return DataError(
            f"The ledger {self._path} cannot be used ({error}): make room or check its permissions, "
            "then run the same command again."
        )
