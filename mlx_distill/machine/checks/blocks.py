"""Where code stands in an answer, as a careful person reads it.

In: an answer's text. Out: its blocks in order, and the prose outside of them. Blocks are fences, also badly set ones
(a closing fence at the end of a line, text behind it, none at all, an opening one after words, in lists and quotes),
<pre> and <code>, and what is indented. A fence is closed where Markdown closes it; where that is in doubt, at the first
place at which what it holds is Python, so that fences within docstrings end nothing. All is linear in the text.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Literal

from mlx_distill.machine.checks.mending import is_python, unnamed

Kind = Literal["fence", "html", "indented", "span"]

MARKS = re.compile(r"`{3,}|~{3,}")
LISTED = re.compile(r"[ \t]*(?:(?:[-*+]|\d{1,9}[.)]|>)[ \t]+|>)*[ \t]*")
"""What may stand before a fence: list marks and quotes."""

GLUED = re.compile(r"^(.*[^`\s])[ \t]*(`{3,})[ \t]*$")
INLINE = re.compile(r"(?<!`)(`{1,})(?!`)([^`\n]+)(?<!`)\1(?!`)")
OPENED_HTML = re.compile(r"<(pre|code)\b([^<>]{0,200})>", re.IGNORECASE)
INNER_HTML = re.compile(r"</?(?:pre|code|span|div|p|b|i|em|strong|font|samp|kbd)\b[^<>]{0,200}>", re.IGNORECASE)
BREAK_HTML = re.compile(r"<br\s*/?>", re.IGNORECASE)
CLASS_HTML = re.compile(r"(?:language|lang|class)\s*[-=]\s*[\"']?([\w+#.-]+)", re.IGNORECASE)

QUOTED = re.compile(
    r"^[ \t]*('''|\"\"\"|\[)[ \t]*(?:python|PYTHON|py)\]?[ \t]*\n(.*?)\n[ \t]*(?:\1|\[/PYTHON\])[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
OPENED_QUOTE = re.compile(r"^[ \t]*(?:'''|\"\"\"|\[)[ \t]*(?:python|PYTHON|py)\]?[ \t]*$", re.MULTILINE)
MOST_QUOTES = 10
"""Other marks around a block, where an answer has no fence: three quotes, [PYTHON]."""

MOST_DOUBTS = 50
"""Places in a text where parsing decides whether a fence ends."""


@dataclass(frozen=True)
class Block:
    """`tag`: its language, "python" and "sql" by these names however they are written, "" where none is named.
    `strict`: a fence as Markdown has it, opened and closed on lines of their own. `line`: where it begins."""

    tag: str
    code: str
    kind: Kind
    line: int
    closed: bool = True
    strict: bool = False


@dataclass(frozen=True)
class Parts:
    blocks: tuple[Block, ...]
    prose: str
    """What stands outside of fences and HTML: prose, or code without either."""


def parts(text: str) -> Parts:
    if "```" not in text and len(OPENED_QUOTE.findall(text)) < MOST_QUOTES:
        text = QUOTED.sub(r"```python\n\2\n```", text)
    return _Reader(lines_of(text.removeprefix("\ufeff"))).read()


def lines_of(text: str) -> list[str]:
    """Not splitlines: that would break a line of code at a form feed, or at a separator inside of a text."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


# ---------------------------------------------------------------- languages

NAMED = ("python", "sql")
PYTHON = re.compile(r"(?:i|c)?python(?:[23](?:\.\d+)*)?(?:-repl|-console)?|py[23]?(?:con)?|python_code|pypy3?|.*\.py")
SQL = re.compile(r"(?:ansi|ms|my|pl|pg|p|t)?sql(?:ite3?)?|postgres(?:ql)?|.*\.sql")


def language(info: str) -> str:
    """The language that a fence's info string names: "{.python .x}", "Python 3", 'py title="a.py"', "language-py"."""
    words = re.split(r"[\s,;:{}()\[\]=\"']+", info.strip().lower().strip("{}[]().: "), maxsplit=2)
    for word in words[:2]:
        named = re.sub(r"^(?:\.|language-|lang-)+", "", word)
        if named in ("language", "lang"):
            continue
        return "python" if PYTHON.fullmatch(named) else "sql" if SQL.fullmatch(named) else named
    return ""


# ---------------------------------------------------------------- fences


@dataclass(frozen=True)
class _Opening:
    marks: str
    info: str
    margin: int
    quotes: int
    strict: bool


class _Reader:
    """Goes through the lines once. `_doubts`: how often it may still parse to find where a fence ends."""

    def __init__(self, lines: list[str]) -> None:
        self._lines, self._doubts = lines, MOST_DOUBTS
        self._blocks: list[Block] = []
        self._prose: list[str] = []
        self._outside: list[tuple[int, str]] = []

    def read(self) -> Parts:
        at = 0
        while at < len(self._lines):
            opened = _opening(self._lines[at])
            if opened is None:
                self._outside.append((at, self._lines[at]))
                at += 1
            else:
                before, opening = opened
                if before:
                    self._outside.append((at, before))
                at = self._fence(at, opening)
        self._read_outside()
        return Parts(tuple(sorted(self._blocks, key=lambda block: block.line)), "\n".join(self._prose))

    def _fence(self, start: int, opening: _Opening) -> int:
        """Adds the block that begins at a line; the line at which to go on."""
        held: list[str] = []
        first: tuple[int, list[str], str, bool] | None = None
        for at in range(start + 1, len(self._lines)):
            line = _inner(self._lines[at], opening)
            end = _end(line, opening)
            if end is not None:
                last, rest, strict = end
                if strict and not self._within_text(held, opening):
                    return self._add(start, at, opening, held, rest, strict)
                if strict and first is None:
                    first = (at, [*held], rest, strict)
                if not strict and self._is_end(held, last, opening):
                    return self._add(start, at, opening, [*held, last], rest, strict)
            held.append(line)
        if first is not None:
            return self._add(start, first[0], opening, *first[1:])
        self._blocks.append(Block(language(opening.info), _joined(held), "fence", start, closed=False))
        return len(self._lines)

    def _add(self, start: int, at: int, opening: _Opening, code: list[str], rest: str, strict: bool) -> int:
        whole = strict and opening.strict
        self._blocks.append(Block(language(opening.info), _joined(code), "fence", start, True, whole))
        if rest and _opening(rest):
            self._lines[at] = rest
            return at
        if rest:
            self._outside.append((at, rest))
        return at + 1

    def _is_end(self, held: list[str], last: str, opening: _Opening) -> bool:
        """Whether a doubtful end is one: what stands before it is whole."""
        if language(opening.info) not in ("", "python"):
            return True
        self._doubts -= 1
        if self._doubts < 0:
            return False
        code = _joined([*held, last])
        return bool(code.strip()) and bool(is_python(unnamed(code)))

    def _within_text(self, held: list[str], opening: _Opening) -> bool:
        """Whether a fence stands within a text of three quotes, as in docstrings."""
        code = _joined(held) if self._doubts > 0 and language(opening.info) in ("", "python") else ""
        if not ('"""' in code or "'''" in code):
            return False
        self._doubts -= 1
        return is_python(unnamed(code)) is None

    # ------------------------------------------------------------ outside of fences

    def _read_outside(self) -> None:
        """HTML, indented blocks and spans, in each stretch of lines between two fences."""
        stretch: list[tuple[int, str]] = []
        for at, line in [*self._outside, (-1, "")]:
            if stretch and at != stretch[-1][0] + 1 and at != stretch[-1][0]:
                self._stretch(stretch[0][0], [line for _, line in stretch])
                stretch = []
            stretch.append((at, line))

    def _stretch(self, line: int, lines: list[str]) -> None:
        text, prose, at = "\n".join(lines), list[str](), 0
        while match := OPENED_HTML.search(text, at):
            closing = re.compile(rf"</{match[1]}\s*>", re.IGNORECASE).search(text, match.end())
            end, after = (closing.start(), closing.end()) if closing else (len(text), len(text))
            code = _plain(text[match.end() : end])
            kind: Kind = "html" if "\n" in text[match.end() : end] else "span"
            self._blocks.append(Block(_html_language(text[match.start() : end]), code, kind, line, closing is not None))
            prose.append(text[at : after if kind == "span" else match.start()])
            at = after
        prose.append(text[at:])
        self._prose.append("".join(prose))
        self._indented(line, self._prose[-1])
        for span in INLINE.finditer(self._prose[-1]):
            word, _, rest = span[2].strip().partition(" ")
            code = rest if language(word) == "python" else span[2].strip()
            self._blocks.append(Block("", code, "span", line))

    def _indented(self, line: int, prose: str) -> None:
        """Indented code, as Markdown has it: after an empty line, four columns in."""
        held: list[str] = []
        before = ""
        for at, text in enumerate([*prose.split("\n"), "end"]):
            inside = text.startswith(("    ", "\t"))
            if inside and (held or not before.strip()):
                held.append(text)
            elif held and not text.strip():
                held.append("")
            elif held:
                self._blocks.append(Block("", _joined(_without_margin(held)), "indented", line + at - len(held)))
                held = []
            before = text


def _opening(line: str) -> tuple[str, _Opening] | None:
    """What stands before an opening fence, where that is words, and the fence."""
    match = MARKS.search(line)
    if match is None:
        return None
    before, info = line[: match.start()], line[match.end() :]
    if match[0][0] == "`" and "`" in info:
        return None
    listed = LISTED.fullmatch(before)
    if listed:
        quotes = before.count(">")
        margin = len(before.expandtabs(4)) if not quotes else 0
        return "", _Opening(match[0], info, margin, quotes, not before.strip() and margin < 4)
    named = language(info) in NAMED or (not info.strip() and before.rstrip().endswith(":"))
    return (before, _Opening(match[0], info, 0, 0, False)) if match[0][0] == "`" and named else None


def _inner(line: str, opening: _Opening) -> str:
    """A line inside of a fence, without the quote marks and the margin of the fence."""
    for _ in range(opening.quotes):
        line = re.sub(r"^[ \t]{0,3}> ?", "", line)
    if not opening.margin:
        return line
    blank = len(line) - len(line.lstrip(" \t"))
    expanded = line[:blank].expandtabs(4) if "\t" in line[:blank] else line[:blank]
    return expanded[min(len(expanded), opening.margin) :] + line[blank:]


def _end(line: str, opening: _Opening) -> tuple[str, str, bool] | None:
    """(code before it, text behind it, whether it stands alone) of a closing fence, or of one that opens the next."""
    match = MARKS.match(line.lstrip(" \t"))
    if match and match[0].startswith(opening.marks):
        rest = line.lstrip(" \t")[match.end() :]
        further = len(line.expandtabs(4)) - len(line.expandtabs(4).lstrip())
        if not rest.strip() and further >= 4:
            return "", "", False  # in a docstring, or closed too far in
        if not rest.strip():
            return "", "", True
        return "", rest.strip() if len(rest.split()) > 1 and language(rest) not in NAMED else line.strip(), False
    glued = GLUED.match(line) if "`" in line else None
    return (glued[1], "", False) if glued and glued[2].startswith(opening.marks) else None


def _joined(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


# ---------------------------------------------------------------- HTML and margins


def _plain(text: str) -> str:
    """The text of HTML."""
    return html.unescape(INNER_HTML.sub("", BREAK_HTML.sub("\n", text))).strip("\n") + "\n"


def _html_language(text: str) -> str:
    named = CLASS_HTML.search(text[:300])
    return language(named[1]) if named else ""


def _without_margin(lines: list[str]) -> list[str]:
    wide = [line.expandtabs(4) for line in lines]
    margin = min((len(line) - len(line.lstrip()) for line in wide if line.strip()), default=0)
    while wide and not wide[-1].strip():
        wide.pop()
    return [line[margin:] for line in wide]
