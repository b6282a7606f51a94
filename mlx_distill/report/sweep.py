"""A sweep's reports: sweep.json in, sweep.md, sweep.html and one chart out. Nothing is computed here.

What the runs say singly stands in their own folders beside it; the page leads there.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from mlx_distill.report.drawn import draw_chart
from mlx_distill.report.look import DEFAULT, Look
from mlx_distill.run.folder import write_atomic
from mlx_distill.run.results.sweep import SweepResults

__all__ = ["draw_sweep"]


def draw_sweep(results: SweepResults, folder: Path, look: Look = DEFAULT) -> list[Path]:
    """Writes sweep.md and sweep.html into the folder, and visuals/sweep.<format> where there is anything to draw. The
    runs' folders are taken to lie in it under their names. Returns the paths."""
    from mlx_distill.report.charts.sweep_chart import sweep_chart
    from mlx_distill.report.markdown import sweep_markdown
    from mlx_distill.report.page.sweep import sweep_page

    chart = draw_chart(partial(sweep_chart, results), folder / "visuals" / f"sweep.{look.format}", look)
    text, shown = folder / "sweep.md", folder / "sweep.html"
    write_atomic(text, sweep_markdown(results, chart.path.relative_to(folder).as_posix() if chart else None))
    write_atomic(shown, sweep_page(results, [chart.picture] if chart else []))
    return [*([chart.path] if chart else []), text, shown]
