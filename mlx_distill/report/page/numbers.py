"""The numbers behind each chart, as tables.

In: results. Out: for each chart's name a heading, what it shows in words, and its table; cells are plain text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlx_distill.run.records import MODELS, ROLES
from mlx_distill.run.results import Results
from mlx_distill.run.results.benchmarks import Benchmark, DomainRow
from mlx_distill.run.results.comparison import Measure, PairPreference
from mlx_distill.run.results.selection import Selection
from mlx_distill.run.wording import NOTHING, dollars, equivalence, estimate, p_value, percent, points, share, standing


@dataclass(frozen=True)
class Table:
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def numbers_of(chart: str, results: Results) -> tuple[str, Table | None]:
    """Heading and table of the chart with this file name; a chart that is not known here has its name alone."""
    title, rows = TABLES.get(chart, (chart.replace("_", " ").capitalize(), lambda _: None))
    return title, rows(results)


def _number(value: float | None, form: str = ".3f") -> str:
    return NOTHING if value is None else f"{value:{form}}"


def _curves(results: Results) -> Table | None:
    if results.training is None:
        return None
    names = ("loss", "accuracy", "valid_loss", "valid_accuracy")
    header = ("step", "epoch", "loss", "accuracy", "held-out loss", "held-out accuracy", "learning rate")
    rows = [
        (
            str(row.step),
            _number(row.epoch, ".2f"),
            *(_number(getattr(row, n)) for n in names),
            _number(row.learning_rate, ".1e"),
        )
        for row in results.training.curve
    ]
    return Table(header, rows)


def _scorecard(results: Results) -> Table | None:
    if results.comparison is None:
        return None
    header = ("measure", *ROLES, "distilled − base", "p", "p (Holm)", "n", "could have shown", "verdict")
    return Table(header, [_measure(row) for row in results.comparison.measures])


def _measure(row: Measure) -> tuple[str, ...]:
    return (
        row.name,
        *(estimate(getattr(row, role, None)) for role in ROLES),
        estimate(row.difference, 2, "+"),
        p_value(row.p),
        p_value(row.p_holm),
        str(row.n),
        _number(row.smallest, ".2f"),
        row.verdict,
    )


def _prompts(results: Results) -> Table | None:
    if results.comparison is None:
        return None
    header = ("prompt", "", *ROLES, "distilled − base", "preference", "outcome")
    rows = [
        (
            str(number),
            prompt.title,
            *(_number(prompt.of(role).overall, ".1f") for role in ROLES),
            _number(prompt.difference, "+.2f"),
            _number(prompt.preference, "+.2f"),
            prompt.outcome,
        )
        for number, prompt in enumerate(results.comparison.prompts, 1)
    ]
    return Table(header, rows)


def _cost(results: Results) -> Table | None:
    rows = [(row.label, f"{row.prompts:,}", dollars(row.usd), dollars(row.usd_batch)) for row in results.cost_scaling]
    return Table(("", "prompts", "online, USD", "batch, USD"), rows) if rows else None


def judges_table(entry: PairPreference) -> Table:
    """How far each judge of a pair can be trusted."""
    rows = [
        (
            judge.judge + (" (a person)" if judge.person else ""),
            percent(judge.share),
            percent(judge.swap_consistency),
            percent(judge.first_slot),
            percent(judge.repeat_agreement),
            share(judge.ties),
            f"{judge.unscored} of {judge.questions}",
        )
        for judge in entry.judges
    ]
    header = (f"prefers {entry.pair[0]}", "same in both orders", "first shown wins", "repeats agree", "ties")
    return Table(("judge", *header, "unscored"), rows)


def _judges(results: Results) -> Table | None:
    entry = results.comparison.primary if results.comparison else None
    return judges_table(entry) if entry and entry.judges else None


def _lengths(results: Results) -> Table | None:
    if results.comparison is None:
        return None
    found = results.comparison.answers
    header = ("role", "answers", "cut at the cap", "characters", "tokens", "tokens/s")
    rows = [
        (
            role,
            str(found[role].count),
            str(found[role].cut_off),
            estimate(found[role].characters, 0),
            f"{found[role].tokens:,}",
            _number(found[role].tokens_per_second, ",.0f"),
        )
        for role in ROLES
    ]
    return Table(header, rows)


# ---------------------------------------------------------------- benchmarks


def _benchmarks(results: Results) -> Table | None:
    counts = ("gained", "lost", "both", "neither")
    header = ("benchmark", "n", "base, %", "distilled, %", "difference", *counts, "p", "p (Holm)", "verdict")
    rows = [
        (row.title, str(row.n), *_tested(row), *_counted(row, counts), *_decided(row), equivalence(row))
        for row in _asked(results)
    ]
    return Table((*header, "equivalent within ±3 points"), rows) if rows else None


def _asked(results: Results) -> Sequence[Benchmark]:
    return results.benchmarks


def _tested(row: Benchmark | DomainRow) -> tuple[str, ...]:
    return (*(points(row.of(role)) for role in MODELS), points(row.difference, sign="+"))


def _counted(row: Benchmark, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(_number(getattr(row, name), ",.0f") for name in names)


def _decided(row: Benchmark | DomainRow) -> tuple[str, ...]:
    return p_value(row.p), p_value(row.p_holm), row.verdict


def _changed(results: Results) -> Table | None:
    counts = ("gained", "lost", "both", "neither")
    rows = [(row.title, str(row.n), *_counted(row, counts), *_decided(row)) for row in _asked(results)]
    return Table(("benchmark", "n", *counts, "p", "p (Holm)", "verdict"), rows) if rows else None


def _forgetting(results: Results) -> Table | None:
    rows = [
        (row.domain, ", ".join(row.benchmarks), str(row.n), *_tested(row), *_decided(row))
        for row in (results.gate.forgetting if results.gate else ())
    ]
    header = ("domain", "benchmarks", "n", "base, %", "distilled, %", "difference", "p", "p (Holm)", "verdict")
    return Table(header, rows) if rows else None


def _reasoning(results: Results) -> Table | None:
    rows = [
        (
            row.title,
            *(estimate(row.roles[role].characters, 0) for role in MODELS),
            estimate(row.length_ratio),
            *(f"{row.roles[role].cut_off} of {row.roles[role].answers}" for role in MODELS),
        )
        for row in _asked(results)
    ]
    header = ("benchmark", "base, characters", "distilled, characters", "ratio", "base, cut off", "distilled, cut off")
    return Table(header, rows) if rows else None


# ---------------------------------------------------------------- selection


def candidates(found: Selection) -> Table:
    """All of them, and what each is among the others."""
    rows = [
        (
            str(row.step),
            f"{row.strength:g}",
            points(row.gain, sign="+"),
            points(row.elsewhere, sign="+"),
            ", ".join(row.loses) or NOTHING,
            ", ".join(standing(found, row)),
        )
        for row in found.candidates
    ]
    return Table(("step", "strength", "own domain, points", "elsewhere, points", "loses on", ""), rows)


def _selected(results: Results) -> Table | None:
    found = results.selection
    return candidates(found) if found else None


def _checkpoints(results: Results) -> Table | None:
    """Shares passed on the choosing items."""
    found = results.selection
    if not found:
        return None
    rows = [("0", "base", *(points(asked.base) for asked in found.benchmarks))]
    rows += [
        (
            str(row.step),
            f"{row.strength:g}",
            *(f"{points(score.score)}{' loses' if score.loses else ''}" for score in row.scores),
        )
        for row in found.candidates
    ]
    return Table(("step", "strength", *(f"{asked.title}, %" for asked in found.benchmarks)), rows)


TABLES: dict[str, tuple[str, Callable[[Results], Table | None]]] = {
    "benchmark_comparison": ("Benchmarks, base and distilled", _benchmarks),
    "gained_lost": ("Items gained and lost", _changed),
    "forgetting": ("What was forgotten", _forgetting),
    "reasoning_length": ("Length of the answers to benchmarks", _reasoning),
    "checkpoint_scores": ("Every checkpoint at every strength, on the items that choose", _checkpoints),
    "gain_against_forgetting": ("Gained here against changed elsewhere", _selected),
    "model_scorecard": ("Scores, base and distilled beside the teacher", _scorecard),
    "prompt_comparison": ("Every prompt", _prompts),
    "answer_lengths": ("Length of the answers", _lengths),
    "judge_agreement": ("How far the judges agree, with themselves and each other", _judges),
    "training_curves": ("Training", _curves),
    "cost_scaling": ("What many more answers would cost", _cost),
}
