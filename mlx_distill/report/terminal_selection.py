"""What a selection looks like in the terminal: the best candidates, and which of them is kept, or that none is.

In: results.json's content. Out: what rich draws, nothing where nothing was selected. A base that is kept is said as
loudly as a loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mlx_distill.report.terminal_text import WIDE, table, text
from mlx_distill.run.results import Results
from mlx_distill.run.results.selection import CandidateRow, Selection
from mlx_distill.run.wording import NOTHING, kept, points, reason, selecting, standing

MOST = 4
"""Candidates that are listed; RESULTS.md has them all."""
NOTES = {"kept": "bold green", "not confirmed": "bold red"}


def selection(results: Results, width: int) -> Iterable[RenderableType]:
    found = results.selection
    if not found:
        return
    yield text("")
    yield _table(found, width)
    style = "bold green" if found.chosen else "bold red"
    yield Text.assemble(text(kept(found), style), text(f": {reason(found)}."))


def _table(found: Selection, width: int) -> Table:
    header = ["step", "strength", "own domain", "elsewhere", "loses on", ""]
    made = table("Selection, points against the base", header, left=("loses on", ""))
    for column in made.columns[:4]:
        column.no_wrap = True  # a long title folds instead
    for row in _best(found):
        loses = text(", ".join(row.loses), "bold red") if row.loses else text(NOTHING, "dim")
        made.add_row(*map(text, _cells(row, width >= WIDE)), loses, _notes(found, row))
    rest = len(found.candidates) - made.row_count
    asked = f"on {selecting(found)} that are not among the reported ones"
    made.caption = text(f"{f'and {rest} more, ' if rest > 0 else ''}{asked}", "dim")
    made.caption_justify = "left"
    return made


def _best(found: Selection) -> Sequence[CandidateRow]:
    """What was put to confirmation, the checkpoint with the lowest held-out loss, and those that gain most."""
    ranked = sorted(found.candidates, key=_gain, reverse=True)
    first = [row for row in ranked if standing(found, row)]
    shown = [*first, *(row for row in ranked if row not in first)][:MOST]
    return [row for row in ranked if row in shown]


def _gain(row: CandidateRow) -> float:
    return float(row.gain.mean) if row.gain else float("-inf")


def _cells(row: CandidateRow, wide: bool) -> Sequence[str]:
    differences = (row.gain, row.elsewhere)
    if wide:
        said = [points(difference, sign="+") for difference in differences]
    else:
        said = [NOTHING if found is None else f"{100 * found.mean:+.1f}" for found in differences]
    return [str(row.step), f"{row.strength:g}", *said]


def _notes(found: Selection, row: CandidateRow) -> Text:
    said = [text(words, NOTES.get(words, "dim")) for words in standing(found, row)]
    return Text(", ").join(said)
