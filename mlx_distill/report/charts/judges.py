"""How far the judges can be trusted: whether order, repetition and who judges change what is said."""

from __future__ import annotations

from collections.abc import Sequence

from mlx_distill.report.charts.canvas import Canvas
from mlx_distill.report.charts.forest import Forest, Line, draw_forest
from mlx_distill.report.charts.frame import Box, Key, foot_of, page
from mlx_distill.report.charts.words import percent
from mlx_distill.report.look import Look
from mlx_distill.report.style import PALETTES, Theme
from mlx_distill.run.records import Estimate
from mlx_distill.run.results import Results
from mlx_distill.run.results.comparison import Agreement, Comparison, JudgeOfPairs, PairPreference
from mlx_distill.run.wording import NOTHING, estimate, plural
from mlx_distill.run.wording import percent as with_interval

MEASURES = (
    ("swap_consistency", "Swap consistency", "the same is preferred in both orders", None),
    ("first_slot", "First-slot win rate", "away from 50 %: the place decides", 0.5),
    ("repeat_agreement", "Repeat agreement", "the same is said when asked again", None),
    ("ties", "Ties", "cases without a winner", None),
)
NAMED = 4
"""Judges of whom every pair gets a line; more of them share one alpha."""
SCALE = (0.0, 0.25, 0.5, 0.75, 1.0)


def judge_agreement(results: Results, look: Look, progress: float = 1.0) -> Canvas | None:
    comparison = results.comparison
    if comparison is None:
        return None
    entry = comparison.primary
    theme = PALETTES[look.theme]
    panels = _measures(entry, theme) if entry else []
    between = _between(comparison, entry, theme)
    if not panels and not between:
        return None
    judges = entry.judges if entry else ()
    keys = [Key("model", theme.batch, marker="o"), Key("person", theme.better, marker="^")]
    people = any(judge.person for judge in judges)
    canvas, box = page(
        look, progress, foot_of(results), "Judges", _sentences(comparison, entry), keys if people else []
    )
    _place(canvas, box, panels, between)
    return canvas


def _sentences(comparison: Comparison, entry: PairPreference | None) -> list[str]:
    repeats = f"asked {plural(comparison.repeats, 'time')} each"
    if entry is None:
        return [f"{plural(comparison.judgments, 'judgment')} of single answers, {repeats}"]
    sentence = f"{plural(entry.questions, 'question')} on {plural(entry.n, 'prompt')}, orders and repeats included"
    sentence += f", {entry.unscored} unscored" if entry.unscored else ""
    alpha = entry.agreement and entry.agreement.alpha
    judges = plural(len(entry.judges), "judge")
    agree = f": they agree with alpha {estimate(alpha)}" if alpha else ""
    named = [" · ".join(_names(entry.judges).values())] if len(entry.judges) > 1 else []
    return [f"{judges}{agree}", *named, f"{sentence} · whiskers: 95 % interval over prompts"]


def _names(judges: Sequence[JudgeOfPairs]) -> dict[str, str]:
    """Numbered, so that pairs of them can be named in a word."""
    if len(judges) == 1:
        return {judges[0].judge: judges[0].judge}
    return {judge.judge: f"{index}  {judge.judge}" for index, judge in enumerate(judges, 1)}


def _measures(entry: PairPreference, theme: Theme) -> list[Forest]:
    names = _names(entry.judges)
    measures = []
    for key, title, note, reference in MEASURES:
        lines = [_judge(judge, names[judge.judge], key, theme) for judge in entry.judges]
        measures.append(Forest(title, note, lines, 0, 1, percent, SCALE, reference))
    return measures


def _judge(judge: JudgeOfPairs, name: str, key: str, theme: Theme) -> Line:
    value = getattr(judge, key)
    if isinstance(value, float | int):
        value = Estimate(value, judge.questions)
    words = with_interval(value) if value else NOTHING
    colour, marker = (theme.better, "^") if judge.person else (theme.batch, "o")
    return Line(name, words, value, colour, marker)


def _between(comparison: Comparison, entry: PairPreference | None, theme: Theme) -> Forest | None:
    lines = _pairs(entry, entry.agreement, theme) if entry and entry.agreement else []
    for dimension in comparison.dimensions:
        if dimension.agreement:
            words = estimate(dimension.agreement)
            lines.append(Line(f"{dimension.name}, α", words, dimension.agreement, theme.text, "D"))
    note = "1: always alike, 0: as alike as by chance (α, κ)"
    ticks = (-1.0, -0.5, 0.0, 0.5, 1.0)
    return Forest("Agreement between judges", note, lines, -1, 1, lambda v: f"{v:g}", ticks, 0.0) if lines else None


def _pairs(entry: PairPreference, agreement: Agreement, theme: Theme) -> list[Line]:
    numbers = {judge.judge: index for index, judge in enumerate(entry.judges, 1)}
    alpha = agreement.alpha
    lines = [Line("Who won, α", estimate(alpha), alpha, theme.text, "D")]
    for row in agreement.kappa if 2 < len(numbers) <= NAMED else []:
        first, second = (numbers[name] for name in row.judges)
        lines.append(Line(f"Who won, {first} and {second}, κ", estimate(row.kappa), row.kappa, theme.batch, "s"))
    if len(numbers) == 2:
        kappa = agreement.kappa[0].kappa
        lines.append(Line("Who won, κ", estimate(kappa), kappa, theme.batch, "s"))
    return lines


def _place(canvas: Canvas, box: Box, panels: list[Forest], between: Forest | None) -> None:
    """A grid: the judges' measures two by two, what is between them beside or below."""
    parts = [box]
    if panels and between:
        parts = box.rows(2, 1 + len(between.lines) / 8) if canvas.narrow else box.columns(2, 1, gap=70)
    if panels:
        upper, lower = parts[0].rows(1, 1, gap=30)
        places = [*upper.columns(1, 1, gap=70), *lower.columns(1, 1, gap=70)]
        for panel, place in zip(panels, places, strict=True):
            draw_forest(canvas, place, panel)
    if between:
        draw_forest(canvas, parts[-1], between)
