"""Markdown that says what it was given: the escapes and blocks that the report is made of.

In: trusted text (ours, numbers) and untrusted text (models', judges', files'). Out: Markdown in which the untrusted
part is shown letter by letter: it makes no HTML, image, link, table cell or heading, in any renderer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from mlx_distill.run.wording import NOTHING, visible

MARKS = re.compile(r"([\\`*_\[\]|~$])")
LEADING = re.compile(r"^(\d*)([.)](?=\s|$)|(?<!\d)[-+#=])")
ENTITIES = re.compile(r"&(?=[#\w])")
ADDRESSES = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=@)", re.IGNORECASE)
"""Where many renderers see an address and make a link of it, escaped or not: a zero-width space parts it."""


def inline(text: Any) -> str:
    """Untrusted text within a line."""
    plain = visible(" ".join(str(text).split()))
    marked = LEADING.sub(r"\1\\\2", MARKS.sub(r"\\\1", plain))
    parted = ADDRESSES.sub("\u200b", ENTITIES.sub("&amp;", marked))
    return parted.replace("<", "&lt;").replace(">", "&gt;")


def fence(text: str) -> str:
    """Untrusted text in a fence that it cannot close."""
    shown = visible(text)
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}text\n{shown}\n{marks}"


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Of trusted cells: untrusted ones go through `inline` first."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(_cell(value) for value in row) + " |" for row in rows)])


def _cell(value: Any) -> str:
    return NOTHING if value is None else str(value)


def bullets(lines: Iterable[str], otherwise: str = "") -> str:
    return "\n".join(f"- {line}" for line in lines) or otherwise


def section(title: str, *parts: str, level: int = 2) -> str:
    """A heading and what stands under it; nothing where that is empty."""
    filled = [part for part in parts if part]
    return "\n\n".join([f"{'#' * level} {title}", *filled]) if filled else ""


def strong(verdict: str) -> str:
    """A verdict; those that say something stand out."""
    return f"**{verdict}**" if verdict in ("better", "worse") else inline(verdict)
