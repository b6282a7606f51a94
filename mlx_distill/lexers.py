"""The lexers that untrusted code may meet: those whose time grows with the code alone.

In: a language's name as a code block gives it. Out: Pygments' lexer, or None for all other languages. Some of its five
hundred take half a minute for four kilobytes that were written for it; these are common ones, and a block longer than
LONGEST is for none.
"""

from __future__ import annotations

from functools import cache
from typing import Any

LEXERS = {"python", "pycon", "sql", "bash", "console", "javascript", "typescript", "json", "yaml", "toml", "ini"}
LEXERS |= {"html", "css", "c", "cpp", "java", "go", "rust", "ruby", "swift", "diff", "docker", "make"}
OTHER_NAMES = {"py": "python", "python3": "python", "sh": "bash", "shell": "bash", "js": "javascript"}
OTHER_NAMES |= {"ts": "typescript", "yml": "yaml", "sqlite": "sql", "postgresql": "sql", "dockerfile": "docker"}
OTHER_NAMES |= {"c++": "cpp", "golang": "go", "rs": "rust", "rb": "ruby", "zsh": "bash", "makefile": "make"}

LONGEST = 50_000
"""Characters of a block."""


def lexer(language: str) -> Any | None:
    """Whose `get_tokens` gives back all of a text; None for a language that is not on the list."""
    return _lexer(OTHER_NAMES.get(language.lower(), language.lower()))


@cache
def _lexer(name: str) -> Any | None:
    from pygments.lexers import get_lexer_by_name

    return get_lexer_by_name(name, stripnl=False, ensurenl=False) if name in LEXERS else None
