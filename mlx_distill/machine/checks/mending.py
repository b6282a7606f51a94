"""Python as a careful person reads it: what is no part of the code but of how it was written down is taken off.

In: the text of a block. Out: code that parses, or the text as it was. Taken off are marks that no editor shows, the
name of the language on the first line, prompts of the interpreter with what it printed, numbers of lines, a margin that
all lines have, spaces that are none to Python, HTML's and typographers' signs. Nothing is added, and nothing that
parses is changed but for its first line: a fault of the program stays one.
"""

from __future__ import annotations

import ast
import html
import itertools
import re
import textwrap
import threading
import warnings
from collections.abc import Callable, Iterator

LONGEST_PARSED = 200_000
"""Characters up to which a block is parsed; Python's parser needs much memory for long nonsense."""

UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)

_parsing = threading.Lock()
"""Warnings are silenced for the whole process; two threads would each put back what the other had set."""

NAMED = re.compile(
    r"\s*[\[(`*]{0,2}\s*(?:(?:i?python|py)[ -]?[23]?(?:\.\d+)*|sql(?:ite3?)?)\s*[\])`*]{0,2}\s*:?\s*"
    r"|\s*copy(?: code)?\s*",
    re.I,
)
"""A line that is the name of a language alone, or the caption of a button that was copied along."""

LONGEST_NAME = 40

UNSEEN = re.compile("^[\ufeff\u200b-\u200f\u2060]+", re.MULTILINE)
ENDED = re.compile(r"(?:<\|[a-z_]{1,30}\|>|</s>|<eos>)\s*\Z")
PROMPTED = re.compile(r"^[ \t]*(?:>>>|In \[\d*\]:)(?: |$)")
CONTINUED = re.compile(r"^[ \t]*\.\.\.(?:: |: *$| |$)")
DEFINING = re.compile(r"[ \t]*(?:(?:async[ \t]+)?def|class|from|import)[ \t]+\w")
NUMBERED = re.compile(r"^[ \t]*(\d{1,4})(?:[.:|)]|[ \t]*[|│])?(?:[ \t]|$)")
SPACES = dict.fromkeys(map(ord, "\u00a0\u1680\u202f\u205f\u3000"), " ") | dict.fromkeys(range(0x2000, 0x200B), " ")
NOTHING = dict.fromkeys(map(ord, "\u200b\u200e\u200f\u2060\ufeff\u00ad"))
ESCAPED = re.compile(r"\\([_*#<>\[\]()`])")
QUOTES = str.maketrans("“”„‟″‘’‚‛′", "\"\"\"\"\"'''''")


def parsed(code: str) -> ast.Module | None:
    """None for what is no Python, or too long to look at."""
    tree = _parse(code)
    return tree if isinstance(tree, ast.Module) else None


def is_python(code: str) -> bool | None:
    """None where a text of three quotes is not closed, so that what follows may belong to it."""
    tree = _parse(code)
    if isinstance(tree, ast.Module):
        return True
    return None if "unterminated triple-quoted" in str(tree) else False


def _parse(code: str) -> ast.Module | Exception:
    if len(code) > LONGEST_PARSED:
        return ValueError("too long")
    with _parsing, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(code)
        except UNPARSABLE as error:
            return error


def unnamed(code: str) -> str:
    """Code without what is never a part of it: unseen marks, an end token, and a first line that names its language."""
    code = ENDED.sub("", UNSEEN.sub("", code))
    for _ in range(3):
        first, line_end, rest = code.lstrip("\n").partition("\n")
        if len(first) > LONGEST_NAME or not NAMED.fullmatch(first):
            break
        code = rest if line_end else ""
    return code


def mended(code: str) -> str:
    """The first reading that parses; what parses in none is as it was, but for `unnamed`."""
    code = unnamed(code)
    return next((reading for reading in _readings(code) if parsed(reading)), code)


def _readings(code: str) -> Iterator[str]:
    """Each goes on from the one before it."""
    yield code
    for mend in MENDS:
        changed = mend(code)
        if changed != code:
            code = changed
            yield code


# ---------------------------------------------------------------- mends


def _typed(code: str) -> str:
    """What was typed at the interpreter's prompts; what it printed is left out. Prompts in a docstring are none: there
    a line without one defines something, which no interpreter prints."""
    lines = code.split("\n")
    if not any(map(PROMPTED.match, lines)) or any(map(DEFINING.match, lines)):
        return code
    typed, inside = [], False
    for line in lines:
        prompt = PROMPTED.match(line) or (CONTINUED.match(line) if inside else None)
        inside = prompt is not None
        if prompt:
            typed.append(line[prompt.end() :])
    return "\n".join(typed) + "\n"


def _unnumbered(code: str) -> str:
    """Without line numbers, where every line that is not empty has one, and they count up."""
    lines = code.split("\n")
    matches = [NUMBERED.match(line) for line in lines if line.strip()]
    numbers = [int(match[1]) for match in matches if match]
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    if len(numbers) != len(matches) or not numbers or not all(0 < step <= 3 for step in steps):
        return code
    return "\n".join(line[match.end() :] if (match := NUMBERED.match(line)) else "" for line in lines)


def _even(code: str) -> str:
    """With plain spaces for those of other kinds at the beginning of lines."""
    lines = code.translate(NOTHING).split("\n")
    return "\n".join(line[: len(line) - len(line.lstrip())].translate(SPACES) + line.lstrip() for line in lines)


def _without_escapes(code: str) -> str:
    """Without the backslashes of Markdown."""
    return ESCAPED.sub(r"\1", code)


def _unfolded(code: str) -> str:
    """With line ends for what stands for them, in code of one line."""
    return code if "\n" in code.strip() else code.replace("\\n", "\n").replace('\\"', '"')


def _added(code: str) -> str:
    """The lines that a diff adds, where it has no others."""
    lines = [line for line in code.split("\n") if line.strip()]
    return re.sub(r"^\+ ?", "", code, flags=re.MULTILINE) if all(line.startswith("+") for line in lines) else code


def _hanging(code: str) -> str:
    """Without the margin that all lines but the first have."""
    first, line_end, rest = code.lstrip("\n").partition("\n")
    return first.lstrip() + line_end + textwrap.dedent(rest)


MENDS: tuple[Callable[[str], str], ...] = (
    textwrap.dedent,
    _typed,
    _unnumbered,
    textwrap.dedent,
    _even,
    lambda code: code.translate(SPACES),
    textwrap.dedent,
    html.unescape,
    lambda code: code.translate(QUOTES),
    _without_escapes,
    _added,
    _unfolded,
    _hanging,
)


# ---------------------------------------------------------------- what is whole among what is not

GOES_ON = re.compile(r"(?:else|finally)\s*:|(?:elif|except)\b.*:\s*(?:#.*)?$|[)\]}]")
OPEN = ("was never closed", "unterminated triple-quoted", "unexpected EOF")
MOST_JOINED, LONGEST_JOINED = 100, 20_000
"""Further pieces, and characters, with which an open one is tried: texts and brackets may reach to the margin."""

MOST_PARSED = 3000
"""Pieces that are looked at in one text."""

STATEMENTS = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.AugAssign),
    *(ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match, ast.Assert, ast.Raise, ast.AsyncWith, ast.AsyncFor),
)


def salvaged(text: str) -> str:
    """The statements among a text's lines, such as stand between words or beside broken ones; each is whole. A word
    alone is a name to Python, and none here."""
    return "".join(f"{piece}\n" for piece in _whole(_pieces(unnamed(text).split("\n"))))


def _pieces(lines: list[str]) -> list[str]:
    """Lines from one at the margin to the next one."""
    pieces: list[list[str]] = []
    for line in lines:
        starts = bool(line.strip()) and not line[0].isspace() and not GOES_ON.match(line)
        if starts and not (pieces and pieces[-1][-1].startswith("@")):
            pieces.append([line])
        elif pieces:
            pieces[-1].append(line)
    return ["\n".join(piece) for piece in pieces]


def _whole(pieces: list[str]) -> Iterator[str]:
    """Statements of one piece or of several."""
    at, left = 0, MOST_PARSED
    while at < len(pieces) and left > 0:
        joined, count = pieces[at], 1
        left -= 1
        while (tree := _parse(joined)) and _is_open(tree, joined) and count <= MOST_JOINED and left > 0:
            if at + count == len(pieces) or len(joined) > LONGEST_JOINED:
                break
            joined, count, left = f"{joined}\n{pieces[at + count]}", count + 1, left - 1
        if isinstance(tree, ast.Module):
            at += count
            if _is_code(tree):
                yield joined
        else:
            at += 1


def _is_open(tree: ast.Module | Exception, code: str) -> bool:
    """Whether more lines could make it whole; decorators wait for what they decorate."""
    return not isinstance(tree, ast.Module) and (code.startswith("@") or any(words in str(tree) for words in OPEN))


def _is_code(tree: ast.Module) -> bool:
    return any(
        isinstance(node, STATEMENTS)
        or (isinstance(node, ast.AnnAssign) and node.value is not None)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await))
        for node in tree.body
    )
