"""What an answer looks like, apart from what it says: judges are known to be swayed by it.

In: an answer. Out: its length and how much Markdown it uses, as differences between two answers.
"""

from __future__ import annotations

import functools
import math

from markdown_it import MarkdownIt

ELEMENTS = ("heading_open", "list_item_open", "strong_open", "tr_open")


def elements(text: str) -> int:
    """Headings, list items, bold words and table rows."""
    count = 0
    for token in _markdown().parse(text):
        count += token.type in ELEMENTS
        count += sum(child.type in ELEMENTS for child in token.children or ())
    return count


@functools.cache
def _markdown() -> MarkdownIt:
    return MarkdownIt().enable("table")


def style_difference(text: str, other: str) -> tuple[float, float]:
    """(log of the ratio of lengths in characters, normalised difference of Markdown elements from -1 to 1)."""
    mine, others = elements(text), elements(other)
    return math.log((len(text) + 1) / (len(other) + 1)), (mine - others) / max(1, mine + others)
