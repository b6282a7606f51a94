"""Code of others in its parts: by lexers, and for texts, that cannot keep a program busy.

In: a language's name as a code block gives it, and the block. Out: its tokens, or None where they are not to be had:
the language is not on the list, or the block is not of the kind that people write. Pygments' patterns take time that
grows with the square of what they look through: half a minute for four kilobytes that were written for it. The list has
common languages, and the bounds (on a block, a line, and a stretch of white space) were measured on it.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

LEXERS = {"python", "pycon", "sql", "bash", "console", "javascript", "typescript", "json", "yaml", "toml", "ini"}
LEXERS |= {"html", "css", "c", "cpp", "java", "go", "rust", "ruby", "swift", "diff", "docker", "make"}
OTHER_NAMES = {"py": "python", "python3": "python", "sh": "bash", "shell": "bash", "js": "javascript"}
OTHER_NAMES |= {"ts": "typescript", "yml": "yaml", "sqlite": "sql", "postgresql": "sql", "dockerfile": "docker"}
OTHER_NAMES |= {"c++": "cpp", "golang": "go", "rs": "rust", "rb": "ruby", "zsh": "bash", "makefile": "make"}

LONGEST = 16_000
OWN_LONGEST = {"python": 50_000, "java": 4_000}
"""Characters of a block; by what its lexer took at worst."""
UNLIKE_CODE = re.compile(r"\s{200}|[^\n]{1000}")
"""What no code has: a stretch of white space, a line."""

Token = tuple[Any, str]
"""Pygments' kind, and the text."""


def is_known(language: str) -> bool:
    return _name(language) in LEXERS


def tokens(language: str, code: str) -> list[Token] | None:
    """All of the code, in order."""
    name = _name(language)
    if name not in LEXERS or len(code) > OWN_LONGEST.get(name, LONGEST) or UNLIKE_CODE.search(code):
        return None
    pairs = [(kind, text) for _, kind, text in _lexer(name).get_tokens_unprocessed(code)]
    return pairs if "".join(text for _, text in pairs) == code else None


def _name(language: str) -> str:
    return OTHER_NAMES.get(language.lower(), language.lower())


@cache
def _lexer(name: str) -> Any:
    from pygments.lexers import get_lexer_by_name

    return get_lexer_by_name(name)
