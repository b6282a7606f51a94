"""Short names for contents: the SHA-256 of one text, or of many whose boundaries count."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def content_id(text: str) -> str:
    """Twelve hex digits of the SHA-256 of a text: the id of a prompt."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def digest(rows: Iterable[str]) -> str:
    """One SHA-256 over many strings, whose boundaries count."""
    total = hashlib.sha256()
    for row in rows:
        total.update(hashlib.sha256(row.encode()).digest())
    return total.hexdigest()
