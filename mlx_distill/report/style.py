"""What the charts share in looks: the colours of both themes, a role's hatch, matplotlib's settings.

Roles, and better against worse, stay apart for viewers with each of the three colour-blindnesses, and are never told
by colour alone. Text has a contrast of 4.5:1 with the background, marks of 3:1 (WCAG 2.2); tests measure all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

HATCHES = {"teacher": "", "base": "//", "distilled": ".."}
WORDS = {"better": "▲", "worse": "▼"}
"""A verdict's sign beside its colour; others get a dot."""


@dataclass(frozen=True)
class Theme:
    background: str
    text: str
    muted: str
    faint: str
    better: str
    worse: str
    batch: str
    roles: dict[str, str] = field(default_factory=dict)

    def verdict(self, word: str) -> str:
        return {"better": self.better, "worse": self.worse}.get(word, self.text)


PALETTES = {
    "dark": Theme(
        "#1a1a2e", "#e0e0e0", "#a6a6bd", "#3a3a55", "#5fe3c0", "#ff9f43", "#a594ff",
        {"teacher": "#ffd93d", "base": "#00d4ff", "distilled": "#ff6b6b"},
    ),
    "light": Theme(
        "#ffffff", "#1f2430", "#5b6170", "#d9dce4", "#007a78", "#b84a00", "#6a51c7",
        {"teacher": "#b88600", "base": "#0a6cc4", "distilled": "#b0174a"},
    ),
}  # fmt: skip

SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so pictures are the same everywhere
    "text.parse_math": False,  # a prompt's dollar signs are dollar signs
    "text.hinting": "none",
    "svg.fonttype": "path",  # a viewer without the font sees the same
    "svg.hashsalt": "mlx-distill",
    "path.simplify": False,
    "hatch.linewidth": 0.7,
}
