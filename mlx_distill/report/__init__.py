"""Reporting: results.json in, pictures and text out. Nothing is computed here."""

from __future__ import annotations

from pathlib import Path

from mlx_distill.report.look import DEFAULT, Look
from mlx_distill.run.folder import write_atomic
from mlx_distill.run.results import Results

__all__ = ["draw"]


def draw(
    results: Results, report_folder: Path, visuals_folder: Path, look: Look = DEFAULT, animated: bool = False
) -> list[Path]:
    """Writes RESULTS.md and report.html into one folder, charts and pipeline.mmd into the other, and a model card to
    the adapter, where the folder has one. Returns the paths."""
    from mlx_distill.report.drawn import draw_charts
    from mlx_distill.report.markdown import results_markdown
    from mlx_distill.report.page import page
    from mlx_distill.report.sections.making import pipeline_diagram

    charts = draw_charts(results, visuals_folder, look)
    diagram = visuals_folder / "pipeline.mmd"
    write_atomic(diagram, pipeline_diagram(results))
    text = report_folder / "RESULTS.md"
    names = [chart.path.name for chart in charts]
    write_atomic(text, results_markdown(results, names, visuals_folder.relative_to(report_folder)))
    shown = report_folder / "report.html"
    write_atomic(shown, page(results, [chart.picture for chart in charts]))
    moving = _animated(results, visuals_folder, look) if animated else []
    return [*(chart.path for chart in charts), *moving, diagram, text, shown, *_card(results, report_folder)]


def _card(results: Results, report_folder: Path) -> list[Path]:
    from mlx_distill.report.card import card_folder, model_card

    folder = card_folder(results, report_folder)
    if folder is None:
        return []
    write_atomic(folder / "README.md", model_card(results))
    return [folder / "README.md"]


def _animated(results: Results, folder: Path, look: Look) -> list[Path]:
    from mlx_distill.report.animate import animate

    return animate(results, folder, look)
