"""What an answer is: text or raw bytes from whoever scripts the server, message and error bodies to the client.

A script returns an Answer (status, headers, body: sent as it is) or a Reply (the server adds ids and usage).
Whatever cannot be answered is raised as Refused and becomes the API's error body.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

JSON = dict[str, Any]

Answer = tuple[int, dict[str, str], bytes]
"""HTTP status, headers, body."""


@dataclass(frozen=True)
class Reply:
    """A message without its wrapping; `output_tokens` None leaves the count to the server."""

    text: str
    stop_reason: str = "end_turn"
    output_tokens: int | None = None
    stop_details: JSON | None = None


Script = Callable[[JSON], Answer | Reply]
"""From a request's JSON to what comes back."""


@dataclass
class Refused(Exception):
    """A request that gets an error: HTTP status, the API's error type, its words."""

    status: int
    kind: str
    text: str
    headers: dict[str, str] = field(default_factory=dict)
    details: JSON = field(default_factory=dict)

    def body(self, request_id: str) -> JSON:
        """The API's error object, as a whole response body or inside a batch result."""
        error: JSON = {"type": self.kind, "message": self.text}
        if self.details:
            error["details"] = self.details
        return {"type": "error", "error": error, "request_id": request_id}


def message(text: str, *, stop_reason: str = "end_turn", tokens: tuple[int, int] = (10, 20), **more: Any) -> Answer:
    """A whole message with the given usage and fixed ids; `more` replaces or adds top-level keys."""
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "content": [{"type": "text", "text": text}],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": tokens[0], "output_tokens": tokens[1]},
    }
    return 200, {"request-id": "req_1"}, json.dumps(body | more).encode()


def error(status: int, kind: str, text: str = "no", headers: dict[str, str] | None = None, **details: Any) -> Answer:
    """An error body; `details` become `error.details`."""
    content = {"type": kind, "message": text} | ({"details": details} if details else {})
    return status, headers or {}, json.dumps({"type": "error", "error": content}).encode()


def echo(request: JSON) -> Reply:
    """The default script: every answer names the question it answers."""
    return Reply(f"answer to {last_text(request)}")


def last_text(request: JSON) -> str:
    """The text of the last user message."""
    for turn in reversed(request["messages"]):
        if turn["role"] == "user":
            content = turn["content"]
            return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)
    return ""


def request_hash(body: Any) -> str:
    """SHA-256 of the canonical JSON: what the ledger and the fault schedule call one request."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
