"""RESULTS.md and pipeline.mmd from results.json: the verdict, what it rests on, what got worse, and how it was made.

In: results. Out: text. Nothing is computed, and nothing that a model, a judge or a file wrote is rendered.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlx_distill.report.markdown import benchmarks, comparison, making, prompts, selection
from mlx_distill.report.markdown.making import pipeline_diagram
from mlx_distill.report.markdown_text import fence, inline, section
from mlx_distill.run.results import Results

__all__ = ["fence", "inline", "pipeline_diagram", "results_markdown", "unfinished"]


def results_markdown(results: Results, charts: Sequence[str], visuals: Path) -> str:
    parts = [
        f"# Results: {inline(results.run.name)}",
        unfinished(results),
        benchmarks.gate(results),
        comparison.verdict(results),
        comparison.caveats(results),
        comparison.changes(results),
        benchmarks.scores(results),
        selection.selection(results),
        benchmarks.details(results),
        benchmarks.forgetting(results),
        benchmarks.protocol(results),
        comparison.preference(results),
        comparison.scorecard(results),
        comparison.checks(results),
        comparison.judges(results),
        comparison.answers(results),
        _pictures(charts, visuals),
        making.pipeline(results),
        making.collecting(results),
        making.training(results),
        making.cost(results),
        making.environment(results),
        making.previous(results),
        making.self_check(results),
        prompts.prompt_by_prompt(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def unfinished(results: Results) -> str:
    """What is said before anything else: what follows may rest on a part of the work."""
    return "\n\n".join(f"**{inline(sentence)}**" for sentence in results.unfinished or [])


def _pictures(charts: Sequence[str], visuals: Path) -> str:
    shown = [_picture(name, (visuals / name).as_posix()) for name in charts]
    return section("Charts", "\n\n".join(shown))


def _picture(name: str, path: str) -> str:
    return f"{'' if name.endswith('.pdf') else '!'}[{name}]({path})"
