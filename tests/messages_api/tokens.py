"""Token counts without a tokenizer: a request's JSON in, its blocks and four bytes to a token out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from messages_api.answers import JSON

BYTES_PER_TOKEN = 4


class Tokens(NamedTuple):
    """Of one answer. `input` are those that the prompt cache neither wrote nor read."""

    input: int
    output: int
    write: int = 0
    write_hour: int = 0
    read: int = 0

    @classmethod
    def of_usage(cls, usage: Mapping[str, Any]) -> Tokens:
        """From a message's `usage`; raises KeyError or TypeError where it is none."""
        written = usage.get("cache_creation_input_tokens") or 0
        hour = (usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens", 0)
        read = usage.get("cache_read_input_tokens") or 0
        return cls(usage["input_tokens"] + 0, usage["output_tokens"] + 0, written - hour, hour, read)

    def usage(self) -> JSON:
        return {
            "input_tokens": self.input,
            "cache_creation_input_tokens": self.write + self.write_hour,
            "cache_read_input_tokens": self.read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.write,
                "ephemeral_1h_input_tokens": self.write_hour,
            },
            "output_tokens": self.output,
        }


class Block(NamedTuple):
    """`place` is `system` or a role; `control` the block's cache_control."""

    place: str
    text: str
    control: JSON | None


def blocks(body: JSON) -> Iterator[Block]:
    """System and messages in the order in which a model reads them."""
    yield from _content("system", body.get("system") or [])
    for turn in body.get("messages", []):
        yield from _content(turn["role"], turn["content"])


def input_tokens(body: JSON) -> int:
    """At least one."""
    return max(1, sum(len(block.text.encode()) for block in blocks(body)) // BYTES_PER_TOKEN)


def output_tokens(body: JSON, text: str) -> int:
    """The default count of an answer's tokens: at least one, never more than `max_tokens`."""
    allowed: int = body["max_tokens"]
    return min(allowed, max(1, len(text.encode()) // BYTES_PER_TOKEN))


def _content(place: str, content: str | list[JSON]) -> Iterator[Block]:
    if isinstance(content, str):
        yield Block(place, content, None)
        return
    for block in content:
        rest = {name: value for name, value in block.items() if name != "cache_control"}
        text = block["text"] if block.get("type") == "text" else json.dumps(rest, sort_keys=True)
        yield Block(place, text, block.get("cache_control"))
