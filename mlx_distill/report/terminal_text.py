"""The pieces that summaries in the terminal are made of: lines and tables in which nobody else's text acts.

In: words and verdicts. Out: what rich draws. Everything is Text and no markup, so names and judges' words cannot
colour, move or hide anything.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from mlx_distill.run.wording import visible

STYLES = {
    "better": "green",
    "worse": "bold red",
    "mixed": "bold yellow",
    "ship": "bold green",
    "do not ship": "bold red",
    "loses": "bold red",
    "failed": "bold red",
    "kept": "bold green",
    "not confirmed": "bold red",
}

WIDE = 110
"""Columns from which a table shows n and p too."""


def text(words: str, style: str = "") -> Text:
    return Text(visible(words), style)


def word(verdict: str) -> Text:
    return text(verdict, STYLES.get(verdict, "dim"))


def line(before: str, verdict: str, after: str = "") -> Text:
    """A line in which the verdict has its colour."""
    return Text.assemble(visible(before), word(verdict), visible(after))


def table(title: str, header: Sequence[str], left: Sequence[str]) -> Table:
    drawn = Table(
        title=text(title, "bold"), title_justify="left", pad_edge=False, padding=(0, 1, 0, 0), box=box.SIMPLE_HEAD
    )
    for name in header:
        drawn.add_column(text(name), justify="left" if name in left else "right", overflow="fold")
    return drawn
