"""Sentences and numbers that several charts say."""

from __future__ import annotations

from mlx_distill.run.results import Results
from mlx_distill.run.results.benchmarks import Benchmark, DomainRow
from mlx_distill.run.results.comparison import Comparison, Measure
from mlx_distill.run.wording import BOUNDS, plural, tested


def judged_by(comparison: Comparison) -> str:
    names = ", ".join(comparison.judges)
    judge = f"judged by {names}" if comparison.judge_is_llm else f"scored by {names}"
    models = ", ".join(comparison.teacher_models)
    return f"{judge} · teacher: {models}" if models else judge


def outcome(comparison: Comparison) -> str:
    return f"Distilled against base: {comparison.verdict}; {comparison.verdict_in_words}"


def tried(row: Benchmark | DomainRow | Measure) -> str:
    """n, and p adjusted for the number of measures."""
    p = f" · {tested(row.p_holm)} (Holm)" if row.p_holm is not None else ""
    return f"n = {row.n}{p}"


def gated(results: Results) -> str:
    """The gate's verdict, and the sentence that decided it."""
    gate = results.gate
    return f"{gate.verdict.capitalize()}: {gate.because}" if gate else "No gate has judged these benchmarks"


def doubts(row: Benchmark) -> str:
    """What makes a benchmark's result doubtful, shortly; the reports have all of it."""
    sentences = [*row.degraded, *([BOUNDS[row.bound]] if row.bound in BOUNDS else [])]
    more = f", and {len(sentences) - 1} more" if len(sentences) > 1 else ""
    return f"! {sentences[0].split(' (')[0]}{more}" if sentences else ""


def percent(value: float) -> str:
    return f"{value:.0%}"


def dollars(value: float) -> str:
    return f"${value:,.0f}" if value >= 100 else f"${value:,.2f}"


def prompts(count: int) -> str:
    return plural(count, "prompt")
