"""Keys in what a server says: an error, or an answer, may repeat a part of the key that came with the request.

In: a server's text. Out: the same, with a mark where the key or a part of it stood. Nothing of a key is shown, and
nothing is kept in the ledger or in a run, which people publish.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
MARK = "…"

PUBLIC = re.compile(r"^sk-ant-(?:[a-z]{2,8}\d\d-)?")
"""How keys begin: every manual says so."""
MASKED = re.compile(r"\bsk-[\w-]*(?:(?:[*•…]+|\.{2,})[\w-]*)*")

PART, ENDING = 6, 4
"""Characters in a row, and at the end of a key, that are a part of it in an error."""
PART_OF_ANSWER = 12
"""In an answer, where a shorter part may be an accident."""


def of_error(text: str) -> str:
    """Also keys that are masked in their middle, whoever's they are."""
    text = MASKED.sub(MARK, text)
    for secret in _secrets():
        text = _without(text, secret, PART)
        ending = re.escape(secret[-ENDING:])
        text = re.sub(rf"(?<![A-Za-z0-9]){ending}(?![A-Za-z0-9])", MARK, text)
    return text


def of_answer(text: str) -> str:
    for secret in _secrets():
        text = _without(text, secret, PART_OF_ANSWER)
    return text


def _secrets() -> Iterator[str]:
    for name in KEYS:
        if key := os.environ.get(name, "").strip():
            yield PUBLIC.sub("", key) or key


def _without(text: str, secret: str, least: int) -> str:
    """Every run of so many characters that also stand so in the secret, as long as it goes. A shorter secret is looked
    for whole."""
    least = min(least, len(secret))
    starts = {secret[at : at + least] for at in range(len(secret) - least + 1)}
    if not any(start in text for start in starts):
        return text
    parts, at = [], 0
    while at < len(text):
        length = least if text[at : at + least] in starts else 0
        while length and at + length < len(text) and text[at : at + length + 1] in secret:
            length += 1
        parts.append(MARK if length else text[at])
        at += length or 1
    return "".join(parts)
