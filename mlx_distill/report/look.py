"""How the pictures are to look: file format, size, theme. Imports nothing heavy, so that the command line may ask.

In: what was typed. Out: a Look. Text, lines and margins grow with the picture, so 3840x2160 is 1920x1080, sharper.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlx_distill.run.errors import UsageError

FORMATS = ("png", "svg", "pdf")
THEMES = ("dark", "light")
SHORTEST, LONGEST, SLIMMEST = 320, 8192, 3.0


@dataclass(frozen=True)
class Look:
    """`size`: width and height in pixels; of svg and pdf, which have none, it is the shape."""

    format: str = "png"
    size: tuple[int, int] = (1920, 1080)
    theme: str = "dark"


DEFAULT = Look()


def size_of(text: str) -> tuple[int, int]:
    """`1920x1080` as numbers. Raises UsageError."""
    match = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", text.strip().lower())
    if not match:
        raise UsageError(f"The size {text!r} cannot be read: give width and height in pixels, such as 1920x1080.")
    width, height = int(match[1]), int(match[2])
    if min(width, height) < SHORTEST or max(width, height) > min(LONGEST, SLIMMEST * min(width, height)):
        raise UsageError(
            f"A picture of {width}x{height} cannot be drawn: give {SHORTEST} to {LONGEST} pixels a side, "
            "and the longer side at most three times the shorter."
        )
    return width, height
