"""The API on loopback, in a thread of its own: options in, a url for the real client out."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from messages_api.answers import Script, echo
from messages_api.api import Api
from messages_api.closing import Closing
from messages_api.http import Connection

BACKLOG = 1024


class MessagesServer(Closing, Api):
    """Serves from construction to `close()`; also a context manager. Options as of Api; port 0 is any free one."""

    def __init__(self, answer: Script = echo, delay: float = 0.0, *, port: int = 0, **options: Any) -> None:
        super().__init__(answer, delay, **options)
        self._connections: set[Connection] = set()
        self._loop = asyncio.new_event_loop()
        listening = self._loop.create_server(self._connect, "127.0.0.1", port, backlog=BACKLOG)
        self._server = self._loop.run_until_complete(listening)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._loop.run_forever, name="messages-api", daemon=True)
        self._thread.start()

    def _connect(self) -> Connection:
        return Connection(self, self._loop, self._connections)

    def close(self) -> None:
        """Ends the connections that clients left open, then the thread. May be called twice."""
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join()
        self._loop.close()

    def _stop(self) -> None:
        self._server.close()
        for connection in list(self._connections):
            connection.abort()
        self._loop.call_soon(self._loop.stop)
