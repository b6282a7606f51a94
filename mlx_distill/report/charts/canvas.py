"""A page to draw on, in its own pixels: y grows downwards, a full-HD page is 1920 wide and every page as large in area.

In: a Look and how far the animation is (1 = the still picture). Out: a figure. All text is measured before it is
placed, wrapped and, where it must be, shortened to its room: matplotlib's own axes would let it overlap.
"""

from __future__ import annotations

import math
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mlx_distill.report.charts.scale import Scale
from mlx_distill.report.look import Look
from mlx_distill.report.style import HATCHES, PALETTES, SETTINGS
from mlx_distill.run.records import Estimate

AREA, NARROWEST, LOWEST = 1920 * 1080, 1000, 1000
LINE = 1.34
"""Height of a line of text over its font size."""
GROWN, SHOWN = 0.65, 0.72
"""Parts of an animation: bars and curves have grown, intervals and verdicts begin to appear."""

OPEN = {"◇": "D", "○": "o", "△": "^", "▽": "v", "□": "s", "⬠": "p", "⬡": "h", "☆": "*"}
"""Open markers, by the one of matplotlib's that they are the outline of."""

COMPRESSION = 3
"""zlib's: half the time of the usual 6, for a file a twentieth larger."""

METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Creator": "mlx-distill", "Date": None},
    "pdf": {"Creator": "mlx-distill", "CreationDate": None},
}


class Canvas:
    """`width` and `height` are the page's own pixels. Colours and what is drawn over what are settled here."""

    def __init__(self, look: Look, progress: float = 1.0) -> None:
        wide, high = look.size
        self.scale = min(math.sqrt(wide * high / AREA), wide / NARROWEST, high / LOWEST)
        self.width, self.height = wide / self.scale, high / self.scale
        self.look, self.theme, self.progress = look, PALETTES[look.theme], progress
        dpi = 100 * self.scale
        self.figure = Figure(((wide + 0.01) / dpi, (high + 0.01) / dpi), dpi, facecolor=self.theme.background)
        self._agg = FigureCanvasAgg(self.figure)
        self.axes: Axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()
        self.axes.set(xlim=(0, self.width), ylim=(self.height, 0))

    @property
    def narrow(self) -> bool:
        """Too narrow for pictures and words side by side."""
        return self.width < 1300

    @property
    def late(self) -> float:
        """Opacity of what an animation shows last."""
        return min(1.0, max(0.0, (self.progress - SHOWN) / (1 - SHOWN)))

    def grown(self, place: float = 0.0) -> float:
        """How much of a bar is there, 0 to 1; `place` (0 to 1) lets later ones follow earlier ones."""
        t = min(1.0, max(0.0, (self.progress / GROWN - 0.4 * place) / 0.6))
        return 1 - (1 - t) ** 3 if self.progress < 1 else 1.0

    # ------------------------------------------------------------ text

    def measure(self, words: str, size: float, bold: bool = False) -> float:
        return _width(words, size, bold, float(self.figure.dpi)) / self.scale

    def wrapped(self, words: str, size: float, width: float, lines: int = 1, bold: bool = False) -> list[str]:
        """At most so many lines of at most this width; what does not fit ends with an ellipsis."""
        rest, rows = _printable(words), list[str]()
        while rest and len(rows) < lines:
            line, rest = self._line(rest, size, width, bold, last=len(rows) == lines - 1)
            rows.append(line)
        return rows or [""]

    def _line(self, words: str, size: float, width: float, bold: bool, last: bool) -> tuple[str, str]:
        """The first line, and what is left."""
        if self.measure(words, size, bold) <= width:
            return words, ""
        low, high = 1, len(words)
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.measure(words[:middle] + ("…" if last else ""), size, bold) <= width
            low, high = (middle, high) if fits else (low, middle - 1)
        if last:
            return words[:low].rstrip() + "…", ""
        space = words.rfind(" ", 0, low + 1)
        cut = space if space > low // 3 else low
        return words[:cut].rstrip(), words[cut:].lstrip()

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: float,
        *,
        width: float | None = None,
        lines: int = 1,
        align: str = "left",
        anchor: str = "top",
        colour: str | None = None,
        bold: bool = False,
        late: bool = False,
    ) -> float:
        """Writes from (x, y), which `align` and `anchor` (top, middle, bottom) place. Returns the height it took."""
        wrapped = self.wrapped(words, size, width, lines, bold) if width else [_printable(words)]
        height = len(wrapped) * size * LINE
        top = y - {"top": 0.0, "middle": height / 2, "bottom": height}[anchor]
        for index, line in enumerate(wrapped):
            self.axes.text(
                x,
                top + (index + 0.5) * size * LINE + size * 0.36,
                line,
                fontsize=size * 0.72,
                ha=align,
                va="baseline",
                color=colour or self.theme.text,
                weight="bold" if bold else "normal",
                alpha=self.late if late else 1.0,
                zorder=5,
            )
        return height

    # ------------------------------------------------------------ marks

    def bar(self, left: float, top: float, right: float, bottom: float, colour: str, hatch: str = "") -> None:
        """A filled rectangle."""
        self.axes.add_artist(
            Rectangle(
                (min(left, right), top),
                abs(right - left),
                bottom - top,
                facecolor=colour,
                edgecolor=self.theme.background,
                linewidth=0,
                hatch=hatch,
                zorder=2,
            )
        )

    def role_bar(self, scale: Scale, y: float, value: float, role: str, thick: float, place: float = 0.0) -> None:
        start = scale.left
        end = start + (scale(value) - start) * self.grown(place)
        self.bar(start, y - thick / 2, end, y + thick / 2, self.theme.roles[role], HATCHES[role])

    def whisker(self, scale: Scale, y: float, estimate: Estimate | None, cap: float = 7.0) -> None:
        """The interval, where there is one: light within a dark rim, so that it shows on any bar."""
        if estimate is None or estimate.interval is None:
            return
        low, high = map(scale, estimate.interval)
        strokes = [[(low, y), (high, y)], [(low, y - cap), (low, y + cap)], [(high, y - cap), (high, y + cap)]]
        for colour, thick, order in ((self.theme.background, 4.6, 3), (self.theme.text, 1.7, 4)):
            lines = LineCollection(strokes, colors=colour, linewidths=thick, alpha=self.late, zorder=order)
            lines.set_capstyle("projecting")
            self.axes.add_collection(lines, autolim=False)

    def line(
        self, xs: list[float], ys: list[float], colour: str, thick: float, order: float = 1, opacity: float = 1.0
    ) -> None:
        self.axes.add_artist(Line2D(xs, ys, color=colour, linewidth=thick * 0.72, zorder=order, alpha=opacity))

    def dot(self, x: float, y: float, colour: str, marker: str = "o", size: float = 14.0) -> None:
        """A marker of matplotlib's, or one that is open."""
        ground, hollow = self.theme.background, marker in OPEN
        self.axes.add_artist(
            Line2D(
                [x],
                [y],
                color=colour,
                marker=OPEN.get(marker, marker),
                markersize=size * 0.72,
                linestyle="",
                zorder=4.5,
                markerfacecolor=ground if hollow else colour,
                markeredgecolor=colour if hollow else ground,
                markeredgewidth=1.8 if hollow else 1.2,
            )
        )

    @cached_property
    def image(self) -> Image.Image:
        """The picture's pixels, rendered once for whoever needs them."""
        with drawn_so():
            self._agg.draw()  # type: ignore[no-untyped-call]
        return Image.fromarray(np.asarray(self._agg.buffer_rgba())[..., :3].copy())  # type: ignore[no-untyped-call]

    def save(self, path: Path) -> Path:
        """The file is the same, byte for byte, for the same results."""
        kind = self.look.format
        if kind == "png":
            metadata = PngInfo()
            metadata.add_text("Software", "mlx-distill")
            self.image.save(path, "PNG", compress_level=COMPRESSION, pnginfo=metadata, dpi=(self.figure.dpi,) * 2)
        else:
            with drawn_so():
                self.figure.savefig(path, format=kind, metadata=METADATA[kind])
        return path


@lru_cache(maxsize=20_000)
def _width(words: str, size: float, bold: bool, dpi: float) -> float:
    """In pixels. Themes and charts share many words, and wrapping measures each line several times."""
    font = FontProperties(size=size * 0.72, weight="bold" if bold else "normal", family="DejaVu Sans")
    width, _, _ = _renderer(dpi).get_text_width_height_descent(words, font, False)  # type: ignore[no-untyped-call]
    return float(width)


@lru_cache(maxsize=4)
def _renderer(dpi: float) -> RendererAgg:
    return RendererAgg(1, 1, dpi)  # type: ignore[no-untyped-call]


@contextmanager
def drawn_so() -> Iterator[None]:
    """With the charts' settings, and boxes for the letters of a script that the font lacks."""
    with mpl.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def _printable(words: str) -> str:
    """Untrusted text on one line, without what has no width or turns the direction of writing."""
    kept = (c if c.isprintable() else " " for c in words if unicodedata.category(c) not in ("Cf", "Mn"))
    return " ".join("".join(kept).split())
