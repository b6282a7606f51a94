"""Markdown that says what it was given: escapes, fences, tables and lists.

In: trusted text (ours, numbers) and untrusted text (models', judges', files'). Out: Markdown in which the untrusted
part is shown letter by letter: it makes no HTML, image, link, table cell or heading, in any renderer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mlx_distill.run.wording import NOTHING, visible

MARKS = re.compile(r"([\\`*_\[\]|~$])")
LEADING = re.compile(r"^(\d*)([.)](?=\s|$)|(?<!\d)[-+#=])")
ENTITIES = re.compile(r"&(?=[#\w])")
OPENING = re.compile(r"<(?! \S)")
"""Before a space it begins nothing: `p < 0.001` stays as it is."""
ADDRESSES = re.compile(r"(?<=/)(?=/)|(?<=www)(?=\.)|(?<=mailto)(?=:)|(?=@\S*\.)", re.IGNORECASE)
"""Where many renderers see an address and make a link of it, escaped or not: a zero-width space parts it."""


INTERVAL = re.compile(r"(?<=[\d%] )\[[+−-]?\d[\d,.]*%?, [+−-]?\d[\d,.]*%?\](?![(\[:])")
"""Numbers in brackets behind a number: no renderer makes a link of them, and escaped they are hard to read."""


def inline(text: object, *, first: bool = True) -> str:
    """Untrusted text within a line. `first`: it may begin the line, where a dash or a number would make a list."""
    plain = visible(" ".join(str(text).split()))
    marked, end = "", 0
    for interval in INTERVAL.finditer(plain):
        marked += MARKS.sub(r"\\\1", plain[end : interval.start()]) + interval[0]
        end = interval.end()
    marked += MARKS.sub(r"\\\1", plain[end:])
    marked = LEADING.sub(r"\1\\\2", marked) if first else marked
    parted = ADDRESSES.sub("\u200b", ENTITIES.sub("&amp;", marked))
    return OPENING.sub("&lt;", parted).replace(">", "&gt;")


def fence(text: str) -> str:
    """Untrusted text in a fence that it cannot close."""
    shown = visible(text)
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}text\n{shown}\n{marks}"


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Of trusted cells: untrusted ones go through `inline` first."""
    names = list(header)
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return "\n".join([*lines, *("| " + " | ".join(_cell(value) for value in row) + " |" for row in rows)])


def _cell(value: object) -> str:
    return NOTHING if value is None else str(value)


def bullets(lines: Iterable[str], otherwise: str = "") -> str:
    return "\n".join(f"- {line}" for line in lines) or otherwise
