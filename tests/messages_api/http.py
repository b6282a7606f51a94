"""HTTP/1.1 on one connection: bytes in, Requests to the app, Responses back in all the ways that a network has.

A protocol without tasks: a request that is answered at once costs two callbacks. A Response says how it travels:
whole, late, cut off, dripping, stalled or as a reset connection.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl

HEAD_END = b"\r\n\r\n"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends RST, not FIN."""


@dataclass(frozen=True, slots=True)
class Request:
    """`size` is the declared length of the body; the body is empty where the app wants none of that size."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    size: int


@dataclass(slots=True)
class Response:
    """`delivery`: whole, late (after `seconds`), drip (a byte every `seconds`), cut, stall or reset."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    delivery: str = "whole"
    seconds: float = 0.0
    begun: Callable[[], None] = lambda: None
    """Called when the first byte goes out, and also when nobody is there any more to read it."""

    def head(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {'OK' if self.status == 200 else 'Error'}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += [f"content-length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode()


class App(Protocol):
    def receive(self, request: Request, send: Callable[[Response], None]) -> None:
        """Answers through `send`, now or later."""

    def finished(self, request: Request) -> None:
        """The answer is out, or the client is gone; once for each request."""

    def largest(self, path: str) -> int:
        """How many bytes of body are read; more are thrown away."""


class Connection(asyncio.Protocol):
    """One keep-alive connection. Requests that come before the last is answered wait."""

    def __init__(self, app: App, loop: asyncio.AbstractEventLoop, connections: set[Connection]) -> None:
        self._app, self._loop, self._connections = app, loop, connections
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._next: Request | None = None
        self._missing = 0
        self._current: Request | None = None

    # ------------------------------------------------------------ in

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._transport = None
        self._finish()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _advance(self) -> None:
        if self._current is not None or (self._next is None and not self._read_head()):
            return
        assert self._next is not None
        request = self._read_body(self._next)
        if request is not None:
            self._next, self._current = None, request
            self._app.receive(request, self.send)

    def _read_head(self) -> bool:
        end = self._buffer.find(HEAD_END)
        if end < 0:
            return False
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + len(HEAD_END)]
        method, target, _ = first.split(" ", 2)
        path, _, query = target.partition("?")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        self._missing = int(headers.get("content-length", 0))
        self._next = Request(method, path, dict(parse_qsl(query)) if query else {}, headers, b"", self._missing)
        return True

    def _read_body(self, head: Request) -> Request | None:
        """The request once its body is complete; a body that is too large is read but not kept."""
        if head.size > self._app.largest(head.path):
            thrown = min(self._missing, len(self._buffer))
            del self._buffer[:thrown]
            self._missing -= thrown
            return None if self._missing else head
        if len(self._buffer) < head.size:
            return None
        body = bytes(self._buffer[: head.size])
        del self._buffer[: head.size]
        return Request(head.method, head.path, head.query, head.headers, body, head.size)

    # ------------------------------------------------------------ out

    def send(self, response: Response) -> None:
        if response.delivery == "late":
            self._loop.call_later(response.seconds, self._write, response)
        else:
            self._write(response)

    def _write(self, response: Response) -> None:
        transport = self._transport
        if response.delivery != "reset":
            response.begun()
        if transport is None or self._current is None:
            return
        if response.delivery == "reset":
            self._reset(transport)
        elif response.delivery == "cut":
            transport.write(response.head() + response.body[: len(response.body) // 2])
            transport.close()
        elif response.delivery in ("drip", "stall"):
            transport.write(response.head())
            if response.delivery == "drip":
                self._drip(response, 0)
        else:
            transport.write(response.head() + response.body)
            self._finish()

    def _drip(self, response: Response, sent: int) -> None:
        if self._transport is None:
            return
        self._transport.write(response.body[sent : sent + 1])
        if sent + 1 < len(response.body):
            self._loop.call_later(response.seconds, self._drip, response, sent + 1)
        else:
            self._finish()

    def _reset(self, transport: asyncio.Transport) -> None:
        connected = transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        transport.abort()

    def _finish(self) -> None:
        request, self._current = self._current, None
        if request is None:
            return
        self._app.finished(request)
        if self._transport is not None and request.headers.get("connection", "").lower() == "close":
            self._transport.close()
        elif self._transport is not None and self._buffer:
            self._loop.call_soon(self._advance)
