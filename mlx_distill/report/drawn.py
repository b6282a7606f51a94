"""A chart as a file in the look that was asked for, and as a picture on a page in both themes.

In: what draws the chart in a given look. Out: the file's path and the picture. Drawing takes longer than anything else
in a report, so whatever is the same picture is drawn once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mlx_distill.report.look import THEMES, Look
from mlx_distill.run.results import Results

if TYPE_CHECKING:
    from mlx_distill.report.charts.canvas import Canvas
    from mlx_distill.report.page.pictures import Picture


@dataclass(frozen=True)
class Drawn:
    path: Path
    picture: Picture


def draw_chart(drawing: Callable[[Look], Canvas | None], path: Path, look: Look) -> Drawn | None:
    """Writes the chart to `path`, whose folder it makes. None where there is nothing to draw."""
    from mlx_distill.report.page.pictures import picture

    themes = {theme: drawing(Look(theme=theme)) for theme in THEMES}
    shown = themes[look.theme] if look == Look(theme=look.theme) else drawing(look)
    light, dark = themes["light"], themes["dark"]
    if shown is None or light is None or dark is None:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    return Drawn(shown.save(path), picture(path.stem, light.image, dark.image))


def draw_charts(results: Results, folder: Path, look: Look) -> list[Drawn]:
    """Every chart of a run that can be drawn."""
    from mlx_distill.report.charts import CHARTS, drawing

    drawn = (draw_chart(partial(drawing, name, results), folder / f"{name}.{look.format}", look) for name in CHARTS)
    return [chart for chart in drawn if chart]
