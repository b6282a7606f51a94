"""The prompt cache: a request in; out come the tokens that it writes and reads.

A prefix is readable from the moment in which the answer that wrote it begins to be sent, until five minutes (or an
hour) after its last use. So first requests that are under way together all write, as with the real API.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from messages_api.answers import JSON
from messages_api.clock import Clock
from messages_api.tokens import BYTES_PER_TOKEN, Block, blocks

MINUTES_5, HOUR = 300.0, 3600.0


@dataclass(frozen=True, slots=True)
class Prefix:
    """Everything up to the end of one block; `seconds` to live where the block carries cache_control."""

    digest: str
    tokens: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class CacheUse:
    """Tokens of one request, and the prefixes that its answer makes readable."""

    write: int = 0
    write_hour: int = 0
    read: int = 0
    prefixes: tuple[Prefix, ...] = ()


UNUSED = CacheUse()


class PromptCache:
    """`minimum`: shorter prefixes are not cached, whatever their block says."""

    def __init__(self, clock: Clock, minimum: int) -> None:
        self.minimum = minimum
        self._clock = clock
        self._readable_until: dict[str, float] = {}

    def look(self, body: JSON) -> CacheUse:
        """On arrival. Reads the longest known prefix, writes from there to the last marked block."""
        if not _is_marked(body):
            return UNUSED
        prefixes = _prefixes(body)
        marked = tuple(p for p in prefixes if p.seconds is not None and p.tokens >= self.minimum)
        if not marked:
            return UNUSED
        known = [p.tokens for p in prefixes if p.tokens <= marked[-1].tokens and self._is_readable(p)]
        read = position = max(known, default=0)
        written = {MINUTES_5: 0, HOUR: 0}
        for prefix in marked:
            assert prefix.seconds is not None
            written[prefix.seconds] += max(0, prefix.tokens - position)
            position = max(position, prefix.tokens)
        return CacheUse(written[MINUTES_5], written[HOUR], read, marked)

    def publish(self, use: CacheUse) -> None:
        """When the answer begins to be sent."""
        now = self._clock()
        for prefix in use.prefixes:
            self._readable_until[prefix.digest] = now + (prefix.seconds or 0.0)

    def _is_readable(self, prefix: Prefix) -> bool:
        return self._readable_until.get(prefix.digest, float("-inf")) > self._clock()


def _is_marked(body: JSON) -> bool:
    if "cache_control" in body:
        return True
    contents = [body.get("system"), *(turn["content"] for turn in body["messages"])]
    return any("cache_control" in block for content in contents if isinstance(content, list) for block in content)


def _prefixes(body: JSON) -> list[Prefix]:
    """One for each block. The model and its tools stand before all of them but weigh nothing here."""
    running = hashlib.sha256(json.dumps([body["model"], body.get("tools")], sort_keys=True).encode())
    found: list[Prefix] = []
    size = 0
    for block in _with_automatic_mark(body):
        text = block.text.encode()
        size += len(text)
        running.update(f"{block.place} {len(text)} ".encode() + text)
        found.append(Prefix(running.hexdigest(), size // BYTES_PER_TOKEN, _lifetime(block.control)))
    return found


def _with_automatic_mark(body: JSON) -> list[Block]:
    """cache_control beside the messages marks the last block."""
    found = list(blocks(body))
    control = body.get("cache_control")
    return [*found[:-1], found[-1]._replace(control=control)] if control and found else found


def _lifetime(control: JSON | None) -> float | None:
    if control is None:
        return None
    return HOUR if control.get("ttl") == "1h" else MINUTES_5
