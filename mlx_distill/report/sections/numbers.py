"""The numbers behind each chart, as tables.

In: Results. Out: for each chart's name a heading and its table, None where there is nothing to show.
"""

from __future__ import annotations

from collections.abc import Callable

from mlx_distill.report.document import Cell, Table, verdict
from mlx_distill.report.sections.comparison import answers_table, judges_table
from mlx_distill.report.sections.making import cost_table
from mlx_distill.report.sections.measures import MODELS
from mlx_distill.report.sections.selection import candidates
from mlx_distill.run.records import Role
from mlx_distill.run.results import Results
from mlx_distill.run.results.benchmarks import Benchmark, DomainRow
from mlx_distill.run.results.comparison import Dimension
from mlx_distill.run.wording import NOTHING, equivalence, estimate, p_value, points


def numbers_of(chart: str, results: Results) -> tuple[str, Table | None]:
    """Heading and table of the chart with this file name; a chart that is not known here has its name alone."""
    title, rows = TABLES.get(chart, (chart.replace("_", " ").capitalize(), lambda _: None))
    table = rows(results)
    return title, table if table and table.rows else None


def _number(value: float | None, form: str = ".3f") -> str:
    return NOTHING if value is None else f"{value:{form}}"


def _curves(results: Results) -> Table | None:
    header = ("step", "epoch", "loss", "accuracy", "held-out loss", "held-out accuracy", "learning rate")
    rows = [
        (
            str(row.step),
            _number(row.epoch, ".2f"),
            *map(_number, (row.loss, row.accuracy, row.valid_loss, row.valid_accuracy)),
            _number(row.learning_rate, ".1e"),
        )
        for row in (results.training.curve if results.training else ())
    ]
    return Table(header, rows)


def _roles(results: Results) -> tuple[Role, ...]:
    return results.comparison.roles if results.comparison else ()


def _scorecard(results: Results) -> Table | None:
    roles = _roles(results)
    header = ("measure", *roles, "distilled − base", "p", "p (Holm)", "n", "detectable", "verdict")
    rows: list[tuple[Cell | str, ...]] = [
        (
            str(row.name),
            *(estimate(row.of(role) if isinstance(row, Dimension) else None) for role in roles),
            estimate(row.difference, 2, "+"),
            p_value(row.p),
            p_value(row.p_holm),
            str(row.n),
            _number(row.smallest, ".2f"),
            verdict(str(row.verdict)),
        )
        for row in (results.comparison.measures if results.comparison else ())
    ]
    return Table(header, rows)


def _prompts(results: Results) -> Table | None:
    roles = _roles(results)
    header = ("prompt", "", *roles, "distilled − base", "preference", "outcome")
    rows = [
        (
            str(number),
            prompt.title,
            *(_number(prompt.of(role).overall, ".1f") for role in roles),
            _number(prompt.difference, "+.2f"),
            _number(prompt.preference, "+.2f"),
            prompt.outcome,
        )
        for number, prompt in enumerate(results.comparison.prompts if results.comparison else (), 1)
    ]
    return Table(header, rows)


def _judges(results: Results) -> Table | None:
    first = results.comparison.primary if results.comparison else None
    return judges_table(first) if first else None


def _lengths(results: Results) -> Table | None:
    return answers_table(results.comparison) if results.comparison else None


# ---------------------------------------------------------------- benchmarks

COUNTS = ("gained", "lost", "both", "neither")


def _benchmarks(results: Results) -> Table | None:
    header = ("benchmark", "n", "base, %", "distilled, %", "difference", *COUNTS, "p", "p (Holm)", "verdict")
    rows = [
        (row.title, str(row.n), *_tested(row), *_counted(row), *_decided(row), equivalence(row))
        for row in results.benchmarks
    ]
    return Table((*header, "equivalent within ±3 points"), rows)


def _tested(row: Benchmark | DomainRow) -> tuple[str, ...]:
    return (*(points(row.of(role)) for role in MODELS), points(row.difference, sign="+"))


def _counted(row: Benchmark) -> tuple[str, ...]:
    return tuple(_number(count, ",.0f") for count in (row.gained, row.lost, row.both, row.neither))


def _decided(row: Benchmark | DomainRow) -> tuple[Cell | str, ...]:
    return p_value(row.p), p_value(row.p_holm), verdict(row.verdict)


def _changed(results: Results) -> Table | None:
    rows = [(row.title, str(row.n), *_counted(row), *_decided(row)) for row in results.benchmarks]
    return Table(("benchmark", "n", *COUNTS, "p", "p (Holm)", "verdict"), rows)


def _forgetting(results: Results) -> Table | None:
    rows = [
        (row.domain, ", ".join(row.benchmarks), str(row.n), *_tested(row), *_decided(row))
        for row in (results.gate.forgetting if results.gate else ())
    ]
    header = ("domain", "benchmarks", "n", "base, %", "distilled, %", "difference", "p", "p (Holm)", "verdict")
    return Table(header, rows)


def _reasoning(results: Results) -> Table | None:
    rows = [
        (
            row.title,
            *(estimate(row.roles[role].characters, 0) for role in MODELS),
            estimate(row.length_ratio),
            *(f"{row.roles[role].cut_off} of {row.roles[role].answers}" for role in MODELS),
        )
        for row in results.benchmarks
    ]
    header = ("benchmark", "base, characters", "distilled, characters", "ratio", "base, cut off", "distilled, cut off")
    return Table(header, rows)


# ---------------------------------------------------------------- selection


def _selected(results: Results) -> Table | None:
    return candidates(results.selection) if results.selection else None


def _checkpoints(results: Results) -> Table | None:
    """Shares passed on the choosing items."""
    selection = results.selection
    if not selection:
        return None
    rows: list[tuple[Cell | str, ...]] = [("0", "base", *(points(asked.base) for asked in selection.benchmarks))]
    rows += [
        (
            str(row.step),
            f"{row.strength:g}",
            *(Cell(points(score.score), "loses" if score.loses else "") for score in row.scores),
        )
        for row in selection.candidates
    ]
    return Table(("step", "strength", *(f"{asked.title}, %" for asked in selection.benchmarks)), rows)


TABLES: dict[str, tuple[str, Callable[[Results], Table | None]]] = {
    "benchmark_comparison": ("Benchmarks, base and distilled", _benchmarks),
    "gained_lost": ("Items gained and lost", _changed),
    "forgetting": ("What was forgotten", _forgetting),
    "reasoning_length": ("Length of the answers to benchmarks", _reasoning),
    "checkpoint_scores": ("Every checkpoint at every strength, on the items that choose", _checkpoints),
    "gain_against_forgetting": ("Gained here against changed elsewhere", _selected),
    "model_scorecard": ("Scores of base and distilled", _scorecard),
    "prompt_comparison": ("Every prompt", _prompts),
    "answer_lengths": ("Length of the answers", _lengths),
    "judge_agreement": ("How far the judges agree, with themselves and each other", _judges),
    "training_curves": ("Training", _curves),
    "cost_scaling": ("What many more answers would cost", cost_table),
}
