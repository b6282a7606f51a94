"""What a run's reports say, once for Markdown, page, terminal and card: Results → sections.

In: Results. Out: Sections in the order in which they are read. Renderers own look and escaping; nothing is computed.
"""

from __future__ import annotations

from mlx_distill.report.document import Section
from mlx_distill.report.sections import benchmarks, comparison, findings, making, seeds, selection
from mlx_distill.run.results import Results


def first(results: Results) -> list[Section]:
    """What stands above everything else."""
    return [
        findings.gate_section(results),
        findings.verdict_section(results),
        findings.warnings_section(results),
        seeds.training_seeds(results),
        findings.self_check_section(results),
    ]


def measured(results: Results) -> list[Section]:
    """What was measured, benchmarks before opinions."""
    return [
        findings.changes_section(results),
        benchmarks.scores(results),
        benchmarks.forgetting(results),
        selection.selection(results),
        comparison.scorecard(results),
        comparison.preference(results),
        comparison.checks(results),
        comparison.prompted(results),
        comparison.judges(results),
        comparison.answers(results),
        benchmarks.changed_items(results),
        benchmarks.details(results),
        benchmarks.others(results),
    ]


def sections(results: Results) -> list[Section]:
    """All of them, without those that have nothing to say."""
    return [section for section in (*first(results), *measured(results), making.making(results)) if section.filled]
