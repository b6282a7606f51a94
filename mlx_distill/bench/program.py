"""The code in an answer: the last complete fenced block that defines what was asked for.

In: an answer's text and a name. Out: code, or None where the answer has none. One block is taken, and taken alone: what
an earlier block defined is not put before it, because the question asks for one self-contained block. A fence that is
never closed was cut off and holds no complete block. All is linear in the text: a million characters take seconds.
"""

from __future__ import annotations

import ast
import re
import threading
import warnings

FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})(.*)")
PYTHON = frozenset({"", "python", "py", "python3"})
LONGEST_PARSED = 200_000
"""Characters up to which a block is parsed; Python's parser needs much memory for long nonsense."""

_parsing = threading.Lock()
"""Warnings are silenced for the whole process; two threads would each put back what the other had set."""

UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


def blocks(text: str) -> list[tuple[str, str]]:
    """(language tag in lower case, code) of each closed block, as CommonMark closes them: with at least as many of the
    same marks, nothing after them, and less than four columns further in (such stand in docstrings). Unlike there a
    block may start at any depth, as in lists; that much is taken off its lines."""
    found: list[tuple[str, str]] = []
    opened: re.Match[str] | None = None
    lines: list[str] = []
    for line in _lines(text):
        fence = FENCE.match(line)
        if opened is None:
            if fence and not (fence[2][0] == "`" and "`" in fence[3]):
                opened, lines = fence, []
        elif fence and _closes(fence, opened):
            found.append((_tag(opened[3]), "".join(lines)))
            opened = None
        else:
            lines.append(_dedented(line, len(opened[1])) + "\n")
    return found


def _lines(text: str) -> list[str]:
    """Not splitlines: that would break a line of code at a form feed, or at a separator inside of a text."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _closes(fence: re.Match[str], opened: re.Match[str]) -> bool:
    further = len(fence[1].expandtabs(4)) - len(opened[1].expandtabs(4))
    return fence[2].startswith(opened[2]) and not fence[3].strip() and further < 4


def _tag(info: str) -> str:
    words = info.split(maxsplit=1)
    return words[0].lower() if words else ""


def _dedented(line: str, depth: int) -> str:
    margin = len(line) - len(line.lstrip(" \t"))
    return line[min(depth, margin) :]


def defining(text: str, name: str) -> str | None:
    """The last closed block that defines the function or class `name` at module level; the text itself where that is
    Python and does."""
    if defines(text, name) and _parsed(text):
        return text
    return next((code for _, code in reversed(blocks(text)) if defines(code, name)), None)


def script(text: str) -> str | None:
    """The last closed block of Python, or without a language tag, that is not empty; the text itself where that is
    Python."""
    if text.strip() and _parsed(text):
        return text
    return next((code for tag, code in reversed(blocks(text)) if tag in PYTHON and code.strip()), None)


def defines(code: str, name: str) -> bool:
    """Whether code gives `name` a function or class at module level; code that cannot be parsed is looked at line by
    line."""
    written = rf"(?:async[ \t]+def|def|class)[ \t]+{re.escape(name)}\b"
    if not re.search(rf"^[ \t]*{written}", code, re.MULTILINE):
        return False
    tree = _parsed(code)
    if tree is None:
        return bool(re.search(f"^{written}", code, re.MULTILINE))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return any(isinstance(node, kinds) and node.name == name for node in tree.body)


def before(code: str, name: str) -> str:
    """What stands before the definition of `name`: imports and functions that a prompt gives. Raises SyntaxError."""
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return "".join(f"{line}\n" for line in _lines(code)[: node.lineno - 1])
    return ""


def _parsed(code: str) -> ast.Module | None:
    if len(code) > LONGEST_PARSED:
        return None
    with _parsing, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(code)
        except UNPARSABLE:
            return None
