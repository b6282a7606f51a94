"""The server as a process of its own: options in; a url, its state, and changes while it runs out.

It shares no GIL with whoever measures it and outlives clients that are killed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from messages_api.answers import JSON
from messages_api.closing import Closing

START_SECONDS = 20.0


class ServerProcess(Closing):
    """`ServerProcess(delay=0.01, limits={"requests": [50, 5]})`: options are JSON as in options.py."""

    def __init__(self, **options: Any) -> None:
        self._folder = tempfile.TemporaryDirectory()
        port_file = Path(self._folder.name) / "port"
        command = [sys.executable, "-m", "messages_api", "--port-file", str(port_file), json.dumps(options)]
        self._process = subprocess.Popen(command, cwd=Path(__file__).parents[1])
        self.url = f"http://127.0.0.1:{self._port(port_file)}"

    def _port(self, port_file: Path) -> int:
        deadline = time.monotonic() + START_SECONDS
        while not port_file.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise RuntimeError("the server did not start: see what it wrote to stderr")
            time.sleep(0.01)
        return int(port_file.read_text())

    def state(self) -> JSON:
        """GET /_state."""
        with urllib.request.urlopen(f"{self.url}/_state") as response:
            found: JSON = json.load(response)
            return found

    def set(self, **changes: Any) -> None:
        """POST /_set; raises urllib.error.HTTPError for what cannot be changed."""
        body = json.dumps(changes).encode()
        urllib.request.urlopen(f"{self.url}/_set", data=body).close()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()
