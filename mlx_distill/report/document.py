"""What a report consists of, before anything decides how it looks: sections of text, facts, tables and measures.

In: nothing. Out: the records that `sections` make and that Markdown, page, terminal and card render. All text here is
plain: it may come from a model or a file, and each renderer escapes it in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlx_distill.run.records import Estimate, Role

SIGNS = {
    "better": "▲",
    "worse": "▼",
    "mixed": "◆",
    "same": "=",
    "no difference shown": "○",
    "too few prompts to tell": "?",
    "loses": "▼",
    "kept": "★",
    "not confirmed": "☆",
    "failed": "✗",
    "ship": "✓",
    "do not ship": "✗",
}
"""Beside the colour of a verdict; a word without one says itself."""

LOUD = ("better", "worse", "loses", "kept", "not confirmed", "failed", "ship", "do not ship", "mixed")
"""Verdicts that stand out: losses as much as gains."""


@dataclass(frozen=True)
class Cell:
    """`word`: the verdict that gives the text its sign and colour. `run`: the run whose report it leads to. `doubtful`:
    what it rests on is degraded."""

    text: str
    word: str = ""
    run: str = ""
    doubtful: bool = False


@dataclass(frozen=True)
class Line:
    """A sentence. `lead` stands out before it; `word` is the verdict that colours the lead."""

    text: str = ""
    lead: str = ""
    word: str = ""


@dataclass(frozen=True)
class Bullets:
    """`otherwise`: what is said where there are no lines."""

    lines: Sequence[Line]
    otherwise: str = ""


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """The first column names the row."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell | str]]


@dataclass(frozen=True)
class Measure:
    """Something that was tested, base against distilled. `values`: what each role reached, on `scale`; `difference` is
    in `unit` and lies within ± `reach`; `counts`: items gained, lost and so on; `detectable`: the smallest
    difference that could have been detected, where none was shown; `needed`: how many more would show one as large as
    the one seen; `closed`: the share of the teacher's lead that distilled gained; `equivalent`: within what bounds both
    models are shown to be alike; `further`: more columns of a table."""

    name: str
    n: int
    values: Sequence[tuple[Role, Estimate | None, str]]
    scale: tuple[float, float]
    difference: Estimate | None
    difference_text: str
    unit: str
    reach: float
    p: float | None
    p_holm: float | None
    verdict: str
    detectable: str = ""
    needed: str = ""
    closed: str = ""
    equivalent: str = ""
    counts: Sequence[tuple[str, int]] = ()
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    further: Sequence[tuple[str, str]] = ()
    middle: float = 0.0
    """Where no difference would be."""
    of: str = "prompt"
    """What `n` counts, of `whole` that were asked."""
    whole: int | None = None

    @property
    def counted(self) -> str:
        """`28 prompts`, `33 of 66 items`."""
        some = "" if self.whole in (None, self.n) else f" of {self.whole:,}"
        return f"{self.n:,}{some} {self.of}{'' if self.n == 1 and not some else 's'}"

    @property
    def worth(self) -> str:
        """What "no difference shown" is worth; it is never the same as no difference."""
        return self.equivalent or (f"detectable: {self.detectable}" if self.detectable else "")

    @property
    def to_tell(self) -> str:
        return f"{self.needed} would be needed to tell" if self.needed and not self.equivalent else ""

    @property
    def share_closed(self) -> str:
        return f"share of the teacher gap closed: {self.closed}" if self.closed else ""


@dataclass(frozen=True)
class Measures:
    """A scorecard: `first` heads the column of names, `label` names the whole."""

    label: str
    first: str
    rows: Sequence[Measure]


@dataclass(frozen=True)
class Diagram:
    """Mermaid's source; a renderer that has none leaves it out."""

    source: str


Block = Line | Bullets | Facts | Table | Measures | Diagram


@dataclass(frozen=True)
class Section:
    """`name` is its address in a page. Without blocks and subsections it is left out. `folded`: a reader opens it.
    `word`: the verdict that all of it has; where there is room, sections with one stand side by side in one size."""

    name: str
    title: str
    blocks: Sequence[Block] = ()
    sections: Sequence[Section] = ()
    folded: bool = False
    word: str = ""

    @property
    def filled(self) -> bool:
        return any(map(has_content, self.blocks)) or any(section.filled for section in self.sections)


def has_content(block: Block) -> bool:
    match block:
        case Line():
            return bool(block.text or block.lead)
        case Bullets():
            return bool(block.lines or block.otherwise)
        case Diagram():
            return bool(block.source)
        case _:
            return bool(block.rows)


def sign_of(word: str, text: str) -> str:
    """What stands before a text with this verdict: "" where a verdict that is not loud is in the text already."""
    return SIGNS.get(word, "") if word in LOUD or word not in text else ""


def text_of(cell: Cell | str) -> Cell:
    return cell if isinstance(cell, Cell) else Cell(cell)


def verdict(word: str) -> Cell:
    """A cell that says the verdict itself."""
    return Cell(word, word)
