"""The charts as data: addresses, in both themes.

In: PNG files, drawn once a theme. Out: pictures, pixel by pixel the same in half of the bytes (WebP): a page holds a
dozen, and as SVG they would be twice as long.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image


@dataclass(frozen=True)
class Picture:
    """`name` is the chart's file name without its ending; width and height in pixels keep its place while it loads."""

    name: str
    light: str
    dark: str
    width: int
    height: int


def pictures(light: Sequence[Path], dark: Sequence[Path]) -> list[Picture]:
    """Of one picture a chart and theme, in the same order."""
    return [_picture(first, second) for first, second in zip(light, dark, strict=True)]


def _picture(light: Path, dark: Path) -> Picture:
    with Image.open(light) as image:
        size = image.size
    return Picture(light.stem, _address(light), _address(dark), *size)


def _address(path: Path) -> str:
    packed = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(packed, "WEBP", lossless=True)
    return f"data:image/webp;base64,{base64.b64encode(packed.getvalue()).decode()}"
