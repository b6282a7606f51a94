"""Reporting: results.json in, pictures and text out. Nothing is computed here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlx_distill.rundir import write_atomic

__all__ = ["draw"]


def draw(results: dict[str, Any], report_folder: Path, visuals_folder: Path) -> list[Path]:
    """Writes RESULTS.md into one folder, the charts and pipeline.mmd into the other. Returns the paths."""
    from mlx_distill.report.charts import CHARTS
    from mlx_distill.report.markdown import pipeline_diagram, results_markdown

    visuals_folder.mkdir(parents=True, exist_ok=True)
    written = [path for chart in CHARTS if (path := chart(results, visuals_folder))]
    diagram = visuals_folder / "pipeline.mmd"
    write_atomic(diagram, pipeline_diagram(results))
    text = report_folder / "RESULTS.md"
    names = [path.name for path in written]
    write_atomic(text, results_markdown(results, names, visuals_folder.relative_to(report_folder)))
    return [*written, diagram, text]
