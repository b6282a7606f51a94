"""A sweep's reports: sweep.json in, sweep.md, sweep.html and one chart out. Nothing is computed here.

What the runs say singly stands in their own folders beside it; the page leads there.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlx_distill.report.look import DEFAULT, Look
from mlx_distill.rundir import write_atomic

if TYPE_CHECKING:
    from mlx_distill.report.page.pictures import Picture

__all__ = ["draw_sweep"]


def draw_sweep(found: dict[str, Any], folder: Path, look: Look = DEFAULT) -> list[Path]:
    """Writes sweep.md and sweep.html into the folder, and visuals/sweep.<format> where there is anything to draw. The
    runs' folders are taken to lie in it under their names. Returns the paths."""
    from mlx_distill.report.sweep.markdown import sweep_markdown
    from mlx_distill.report.sweep.page import sweep_page

    chart = _chart(found, folder / "visuals", look)
    text, shown = folder / "sweep.md", folder / "sweep.html"
    write_atomic(text, sweep_markdown(found, chart.relative_to(folder).as_posix() if chart else None))
    write_atomic(shown, sweep_page(found, _pictures(found)))
    return [*([chart] if chart else []), text, shown]


def _chart(found: dict[str, Any], folder: Path, look: Look) -> Path | None:
    import matplotlib as mpl

    from mlx_distill.report.style import SETTINGS
    from mlx_distill.report.sweep.chart import sweep_chart

    with mpl.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a name in another script: boxes
        canvas = sweep_chart(found, look)
    if canvas is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return canvas.save(folder / f"sweep.{look.format}")


def _pictures(found: dict[str, Any]) -> list[Picture]:
    """In both themes, whatever the picture beside the page looks like."""
    from mlx_distill.report.page.pictures import pictures

    with tempfile.TemporaryDirectory() as folder:
        light, dark = (_chart(found, Path(folder, theme), Look(theme=theme)) for theme in ("light", "dark"))
        return pictures([light], [dark]) if light and dark else []
