"""The model behind the API: one valid request in, one answer out, charged the moment it is written.

Messages and batches share it, so a text and its price do not depend on the way that it was asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from messages_api.answers import JSON, Reply, Script
from messages_api.billing import Billing, Charge
from messages_api.cache import UNUSED, CacheUse
from messages_api.faults import EDITS
from messages_api.tokens import BYTES_PER_TOKEN, Tokens

NOTHING = Tokens(0, 0)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, what it weighs, and the fault (if any) that its answer will have."""

    body: JSON
    digest: str
    input_tokens: int
    use: CacheUse = UNUSED
    kind: str | None = None


@dataclass(slots=True)
class Written:
    """What the script and the fault made of it. Anything but status 200 cost nothing."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    tokens: Tokens = field(default=NOTHING)


class Model:
    def __init__(self, script: Script, output_tokens: Callable[[JSON, str], int], billing: Billing) -> None:
        self._script, self._output_tokens, self._billing = script, output_tokens, billing

    def write(self, asked: Asked, *, batch: bool = False) -> Written:
        """A Reply gets ids and usage; an Answer goes out as it is, and is charged by the usage that it states."""
        answer = self._script(asked.body)
        if isinstance(answer, Reply):
            message: JSON | None = self._message(asked, answer, batch)
            written = Written(200, b"")
        else:
            written = Written(answer[0], answer[2], answer[1])
            message = _message_in(written.body) if written.status == 200 else None
        if written.status == 200:
            self._settle(written, message, asked)
            charge = Charge(asked.body["model"], written.tokens, batch)
            self._billing.charge(asked.digest, charge)
        return written

    def _settle(self, written: Written, message: JSON | None, asked: Asked) -> None:
        """Applies the fault to the message and counts its tokens as they were before the fault hid them."""
        usage = message["usage"] if message else None
        if message and asked.kind in EDITS:
            EDITS[asked.kind](message, asked.body)
        if message and (asked.kind in EDITS or not written.body):
            written.body = json.dumps(message).encode()
        guess = Tokens(asked.input_tokens, len(written.body) // BYTES_PER_TOKEN)
        written.tokens = Tokens.of_usage(usage) if usage else guess

    def _message(self, asked: Asked, reply: Reply, batch: bool) -> JSON:
        """The id names the request and how often it was answered: unique, and the same in every run."""
        number = self._billing.billed(asked.digest)
        tokens = reply.output_tokens
        return {
            "id": f"msg_{asked.digest[:20]}{number:04x}",
            "type": "message",
            "role": "assistant",
            "model": asked.body["model"],
            "content": [{"type": "text", "text": reply.text}],
            "stop_reason": reply.stop_reason,
            "stop_sequence": None,
            "stop_details": reply.stop_details,
            "usage": _tokens(asked, self._output_tokens(asked.body, reply.text) if tokens is None else tokens).usage()
            | {"service_tier": "batch" if batch else "standard"},
        }


def _tokens(asked: Asked, output: int) -> Tokens:
    use = asked.use
    plain = asked.input_tokens - use.write - use.write_hour - use.read
    return Tokens(plain, output, use.write, use.write_hour, use.read)


def _message_in(body: bytes) -> JSON | None:
    """A scripted body as a message; None where it is none, on purpose or not."""
    try:
        message = json.loads(body)
        Tokens.of_usage(message["usage"])
        return message if isinstance(message["content"], list) else None
    except (ValueError, KeyError, TypeError):
        return None
