"""The charts, each drawn from results.json alone: one file a chart, all of them in one table.

In: results and a Look. Out: a file a chart, none for a stage that has not run. An axis starts at nothing, intervals
are drawn wherever there are any, and what got worse is drawn in the same size as what got better.
"""

from __future__ import annotations

from collections.abc import Callable

from mlx_distill.report.charts.benchmarks import benchmark_comparison
from mlx_distill.report.charts.canvas import Canvas, drawn_so
from mlx_distill.report.charts.changed import gained_lost
from mlx_distill.report.charts.checkpoints import checkpoint_scores
from mlx_distill.report.charts.cost import cost_scaling
from mlx_distill.report.charts.drift import gain_against_drift
from mlx_distill.report.charts.forgetting import forgetting
from mlx_distill.report.charts.judges import judge_agreement
from mlx_distill.report.charts.lengths import answer_lengths
from mlx_distill.report.charts.prompts import prompt_comparison
from mlx_distill.report.charts.reasoning import reasoning_length
from mlx_distill.report.charts.scorecard import model_scorecard
from mlx_distill.report.charts.tradeoff import gain_against_forgetting
from mlx_distill.report.charts.training import training_curves
from mlx_distill.report.look import Look
from mlx_distill.run.results import Results

CHARTS: dict[str, Callable[[Results, Look, float], Canvas | None]] = {
    "benchmark_comparison": benchmark_comparison,
    "gained_lost": gained_lost,
    "forgetting": forgetting,
    "checkpoint_scores": checkpoint_scores,
    "gain_against_forgetting": gain_against_forgetting,
    "reasoning_length": reasoning_length,
    "model_scorecard": model_scorecard,
    "prompt_comparison": prompt_comparison,
    "training_curves": training_curves,
    "gain_against_drift": gain_against_drift,
    "judge_agreement": judge_agreement,
    "answer_lengths": answer_lengths,
    "cost_scaling": cost_scaling,
}
"""Every chart, by its file's name: results, a look and the animation's progress in; None: its stage has not run."""


def drawing(name: str, results: Results, look: Look, progress: float = 1.0) -> Canvas | None:
    with drawn_so():
        return CHARTS[name](results, look, progress)
