"""How many requests a second the tests' Messages server answers, in its own process, to 64 keep-alive connections.

    python perf/messages_api.py [REQUESTS] [RUNS]

The client is as thin as asyncio allows, so that the figure is the server's; every request is another text, so every
one is hashed, counted and billed on its own. The peer in the same run is a server that answers fixed bytes: what the
loop and the client alone would allow.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from messages_api import ServerProcess

CONNECTIONS = 64
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length: "
FIXED = b'HTTP/1.1 200 OK\r\ncontent-length: 300\r\n\r\n"' + b"x" * 298 + b'"'


def asked(number: int) -> bytes:
    body = {
        "model": "claude-sonnet-4-6",
        "max_tokens": 1024,
        "system": "You write short, documented Python functions. " * 8,
        "messages": [{"role": "user", "content": f"Write function number {number}."}],
    }
    data = json.dumps(body).encode()
    head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: x\r\ncontent-length: {len(data)}\r\n\r\n"
    return head.encode() + data


class Client(asyncio.Protocol):
    """Sends the next request as soon as the last is answered."""

    def __init__(self, requests: Iterator[bytes], ended: asyncio.Future[None]) -> None:
        self._requests, self._ended = requests, ended
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(HEAD_END)
        if end < 0:
            return
        assert self._buffer.startswith(b"HTTP/1.1 200"), self._buffer
        start = self._buffer.index(LENGTH) + len(LENGTH)
        size = int(self._buffer[start : self._buffer.index(b"\r\n", start)])
        if len(self._buffer) == end + len(HEAD_END) + size:
            self._buffer = b""
            self._send()

    def _send(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._transport.close()
        else:
            self._transport.write(request)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set_result(None)


class Fixed(asyncio.Protocol):
    """Answers whatever arrives in one piece."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(FIXED)


def serve_fixed(pipe: Pipe) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Fixed, "127.0.0.1", 0, backlog=CONNECTIONS)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


async def drive(port: int, count: int) -> float:
    """Requests a second."""
    loop = asyncio.get_running_loop()
    requests = iter([asked(number) for number in range(count)])
    ends = [loop.create_future() for _ in range(CONNECTIONS)]
    started = time.perf_counter()
    for end in ends:
        await loop.create_connection(lambda end=end: Client(requests, end), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*ends)
    return count / (time.perf_counter() - started)


def fixed_rate(count: int) -> float:
    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve_fixed, args=(theirs,), daemon=True)
    process.start()
    try:
        return asyncio.run(drive(mine.recv(), count))
    finally:
        process.terminate()


def rate(count: int, **options: object) -> float:
    with ServerProcess(remember=False, **options) as server:
        measured = asyncio.run(drive(urlsplit(server.url).port or 0, count))
        state = server.state()
    assert (state["posts"], state["billed"], state["hashes"]) == (count, count, count), state
    return measured


def main(count: int = 20_000, runs: int = 3) -> None:
    enough = {"requests": 10**9, "input_tokens": 10**12, "output_tokens": 10**12}
    some = {"seed": 1, "shares": {"refusal": 0.05, "truncated": 0.05}}
    for run in range(1, runs + 1):
        plain, whole, ceiling = rate(count), rate(count, limits=enough, faults=some), fixed_rate(count)
        print(f"run {run}: {plain:,.0f} requests/s; with limits and faults {whole:,.0f}; fixed bytes {ceiling:,.0f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
