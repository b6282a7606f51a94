"""How long the answers are, how many were cut off, and whether the preference is one for length and Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mlx_distill.report.charts.canvas import Canvas
from mlx_distill.report.charts.forest import Forest, Line, draw_forest
from mlx_distill.report.charts.frame import BODY, SMALL, Box, axis, foot_of, heading, page
from mlx_distill.report.charts.scale import Scale
from mlx_distill.report.charts.words import percent
from mlx_distill.report.look import Look
from mlx_distill.report.style import PALETTES, Theme
from mlx_distill.run.records import ROLES, Estimate, Role
from mlx_distill.run.results import Results
from mlx_distill.run.results.comparison import AnswersOfRole, Comparison, PairPreference
from mlx_distill.run.wording import estimate


def answer_lengths(results: Results, look: Look, progress: float = 1.0) -> Canvas | None:
    comparison = results.comparison
    if comparison is None or not any(answers.count for answers in comparison.answers.values()):
        return None
    canvas, box = page(
        look, progress, foot_of(results), "Lengths of answers", _sentences(comparison), roles=comparison.roles
    )
    entry = comparison.primary
    forests = _forests(entry, PALETTES[look.theme]) if entry and entry.n else []
    halves = box.rows(*([1, 0.85] if forests else [1]), gap=40)
    bars = halves[0].rows(1, 1, gap=30) if canvas.narrow else halves[0].columns(0.58, 0.42, gap=80)
    _characters(canvas, bars[0], comparison.answers)
    _cut_off(canvas, bars[1], comparison.answers)
    if forests:
        places = halves[1].rows(1.4, 1, gap=30) if canvas.narrow else halves[1].columns(0.58, 0.42, gap=80)
        for forest, place in zip(forests, places, strict=True):
            draw_forest(canvas, place, forest)
    return canvas


def _sentences(comparison: Comparison) -> list[str]:
    entry, answers = comparison.primary, comparison.answers
    cut = ", ".join(f"{role} {mine.cut_off} of {mine.count}" for role, mine in answers.items())
    ratio = entry.length_ratio if entry else None
    longer = [f"Distilled answers are {estimate(ratio)} times as long as the base's"] if ratio else []
    loops = ", ".join(f"{role} {mine.loops}" for role, mine in answers.items() if mine.loops)
    ends = f"Cut off at the token cap: {cut}"
    return [*longer, f"{ends}; end in a loop: {loops}" if loops else ends]


Bar = tuple[Role, Estimate | None, str]
"""Whose it is, how long, and its words."""


def _bars(canvas: Canvas, box: Box, scale: Scale, values: Sequence[Bar]) -> float:
    """A bar a role, its words beyond the interval. Returns where they end."""
    height = min(box.height / len(values), 140)
    for index, (role, characters, words) in enumerate(values):
        y = box.top + (index + 0.5) * height
        canvas.text(scale.left - 16, y, role, BODY, align="right", anchor="middle")
        beyond = scale.left
        if characters:
            canvas.role_bar(scale, y, characters.mean, role, height * 0.7, index / 3)
            canvas.whisker(scale, y, characters, 9)
            beyond = scale(characters.top)
        canvas.text(beyond + 16, y, words, SMALL, anchor="middle", late=True)
    return box.top + height * len(values)


def _room(canvas: Canvas, box: Box, words: list[str], high: float) -> Scale:
    left = box.left + max(canvas.measure(role, BODY) for role in ROLES) + 16
    return Scale(0, high, left, box.right - max(canvas.measure(word, SMALL) for word in words) - 24)


def _characters(canvas: Canvas, box: Box, answers: Mapping[Role, AnswersOfRole]) -> None:
    inside = heading(canvas, box, "Characters", "mean over prompts, with its 95 % interval")
    characters = [(role, mine.characters) for role, mine in answers.items()]
    words = [_number(e) for _, e in characters]
    high = max((e.top for _, e in characters if e), default=1)
    scale = _room(canvas, inside, words, max(high, 1) * 1.04)
    room = Box(inside.left, inside.top, inside.right, inside.bottom - 34)
    bottom = room.top + min(room.height / len(answers), 140) * len(answers)
    axis(canvas, scale, room.top, bottom, lambda value: f"{value:,.0f}")
    _bars(canvas, room, scale, [(role, e, text) for (role, e), text in zip(characters, words, strict=True)])


def _number(score: Estimate | None) -> str:
    if not score:
        return "no answers"
    interval = f" [{score.low:,.0f}, {score.high:,.0f}]" if score.interval else ""
    return f"{score.mean:,.0f}{interval}"


def _cut_off(canvas: Canvas, box: Box, answers: Mapping[Role, AnswersOfRole]) -> None:
    inside = heading(canvas, box, "Cut off", "share of answers that ended at the token cap")
    words = [f"{mine.cut_off} of {mine.count}" for mine in answers.values()]
    scale = _room(canvas, inside, words, 1)
    room = Box(inside.left, inside.top, inside.right, inside.bottom - 34)
    values: list[Bar] = []
    for (role, mine), text in zip(answers.items(), words, strict=True):
        values.append((role, Estimate(mine.cut_off / max(mine.count, 1), mine.count), text))
    bottom = room.top + min(room.height / len(answers), 140) * len(answers)
    axis(canvas, scale, room.top, bottom, percent, [0, 0.5, 1])
    _bars(canvas, room, scale, values)


# ---------------------------------------------------------------- what length has to do with it


def _forests(entry: PairPreference, theme: Theme) -> list[Forest]:
    ratio, adjusted = entry.length_ratio, entry.adjusted
    colour = theme.roles["distilled"]
    known = [end for end in ratio.ends if end] if ratio else []
    reach = max([2.0, *(2.0 ** math.ceil(abs(math.log2(value)) - 1e-9) for value in known)])
    reach = min(reach, 64.0)
    length = Forest(
        "Length ratio", "distilled to base; 1 is as long", [Line("characters", estimate(ratio), ratio, colour)],
        1 / reach, reach, lambda value: f"×{value:g}", (1 / reach, 1.0, reach), 1.0, log=True,
    )  # fmt: skip
    lines = [Line("as judged", estimate(entry.difference, 2, "+"), entry.difference, colour)]
    words = estimate(adjusted, 2, "+") if adjusted else "needs 20 prompts"
    lines.append(Line("at equal length and Markdown", words, adjusted, colour, "D"))
    preference = Forest(
        "Preference, and what length explains of it", "won minus lost, distilled against base; −1 lost all, +1 won all",
        lines, -1, 1, lambda value: f"{value:+g}" if value else "0", (-1.0, -0.5, 0.0, 0.5, 1.0), 0.0,
    )  # fmt: skip
    return [preference, length]
