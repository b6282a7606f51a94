"""python -m messages_api --port-file FILE [OPTIONS]: serves until SIGTERM, at the longest for --lifetime seconds.

OPTIONS are JSON as in options.py. The file holds the port once the server listens.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
from pathlib import Path

from messages_api.options import parse
from messages_api.server import MessagesServer


def main() -> None:
    parser = argparse.ArgumentParser(prog="messages_api", description=__doc__)
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--lifetime", type=float, default=3600.0, help="so that none is ever left behind")
    parser.add_argument("options", nargs="?", type=json.loads, default={})
    given = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with MessagesServer(**parse(given.options)) as server:
        _write_whole(given.port_file, str(server.port))
        ended.wait(given.lifetime)


def _write_whole(path: Path, text: str) -> None:
    """Whoever sees the file sees all of it."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)


if __name__ == "__main__":
    main()
