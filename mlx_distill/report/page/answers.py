"""What a model wrote, as pieces of escaped HTML: prose letter by letter, code blocks with their colours.

In: untrusted text. Out: pieces in the order of the text, none left out. Markdown is only read for where its code
blocks begin and end: rendering it would let an answer draw its own page, and prose reads well without.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup, escape
from pygments.token import Token

from mlx_distill.machine.lexers import LEXERS, tokens
from mlx_distill.run.wording import visible

__all__ = ["LEXERS", "Piece", "highlight", "pieces"]

COLOURED = (
    ("c", Token.Comment),
    ("s", Token.Literal.String),
    ("m", Token.Literal.Number),
    ("f", Token.Name.Function),
    ("f", Token.Name.Class),
    ("d", Token.Name.Decorator),
    ("b", Token.Name.Builtin),
    ("k", Token.Keyword),
    ("k", Token.Operator.Word),
    ("del", Token.Generic.Deleted),
    ("ins", Token.Generic.Inserted),
)


@dataclass(frozen=True)
class Piece:
    """`language` None: prose; else code, empty where no language is named."""

    language: str | None
    html: Markup


def pieces(text: str, language: str = "") -> list[Piece]:
    """`language`: what code blocks without a tag are taken for."""
    text = visible(text)
    lines, html, at = text.split("\n"), [], 0
    for token in _blocks().parse(text):
        if token.type != "fence" or token.map is None:
            continue
        html += _prose(lines[at : token.map[0]])
        tag = (token.info.split() or [""])[0].lower()
        html.append(Piece(tag or language, highlight(token.content.rstrip("\n"), tag or language)))
        at = token.map[1]
    return html + _prose(lines[at:])


@cache
def _blocks() -> MarkdownIt:
    return MarkdownIt().disable("inline")


def _prose(lines: list[str]) -> list[Piece]:
    text = "\n".join(lines).strip("\n")
    return [Piece(None, escape(text))] if text.strip() else []


def highlight(code: str, language: str) -> Markup:
    code = visible(code)
    lexed = tokens(language, code)
    if lexed is None:
        return escape(code)
    parts = list(_merged(lexed))
    return Markup("").join(_span(name, text) for name, text in parts)


def _span(name: str, text: str) -> Markup:
    return Markup("<i class={}>{}</i>").format(name, text) if name else escape(text)


@cache
def _colour(kind: Sequence[str]) -> str:
    return next((name for name, of in COLOURED if kind in of), "")


def _merged(lexed: Iterable[tuple[Any, str]]) -> Iterator[tuple[str, str]]:
    """Neighbours of one colour as one: a page of hundreds of answers has to be drawn at once."""
    last, parts = "", list[str]()
    for kind, text in lexed:
        name = _colour(kind) if text.strip() else last
        if name != last and parts:
            yield last, "".join(parts)
            parts = []
        last = name
        parts.append(text)
    if parts:
        yield last, "".join(parts)
