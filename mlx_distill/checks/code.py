"""Finds the code in an answer, as a Markdown reader would. An unclosed block reaches to the end."""

from __future__ import annotations

from dataclasses import dataclass

from markdown_it import MarkdownIt

NAMES = {"python": ("python", "py", "python3"), "sql": ("sql", "sqlite", "postgresql")}


@dataclass(frozen=True)
class Parts:
    """`blocks`: (language tag, code). `prose`: what stands outside of them."""

    blocks: tuple[tuple[str, str], ...]
    prose: str


def parts(text: str) -> Parts:
    tokens = MarkdownIt().parse(text)
    blocks = tuple(
        (token.info.strip().split(" ")[0].lower(), token.content) for token in tokens if token.type == "fence"
    )
    prose = "\n".join(token.content for token in tokens if token.type == "inline")
    return Parts(blocks, prose)


def code_of(text: str, language: str) -> str:
    """The blocks of the language joined; the untagged ones where none is tagged so; empty when there are none."""
    blocks = parts(text).blocks
    tagged = [code for tag, code in blocks if tag in NAMES.get(language, (language,))]
    return "\n".join(tagged or [code for tag, code in blocks if not tag])
