"""Base and distilled model on each benchmark, with intervals, verdicts, and what others published beside them.

Published scores are open diamonds with a letter, on a line of their own: nobody tested them against ours.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence

from mlx_distill.report.charts.canvas import Canvas
from mlx_distill.report.charts.frame import SMALL, Box, Key, foot_of, page
from mlx_distill.report.charts.rows import Row, draw_rows, grid, lanes
from mlx_distill.report.charts.scale import Scale
from mlx_distill.report.charts.words import doubts, gated, percent, tried
from mlx_distill.report.look import Look
from mlx_distill.report.sections.measures import worth
from mlx_distill.report.style import HATCHES, PALETTES
from mlx_distill.run.records import MODELS, Estimate
from mlx_distill.run.results import Results
from mlx_distill.run.results.benchmarks import Benchmark
from mlx_distill.run.wording import plural, points, published

NAMED = 8
"""Models that get a letter; RESULTS.md has the others."""


def benchmark_comparison(results: Results, look: Look, progress: float = 1.0) -> Canvas | None:
    rows = results.benchmarks
    if not rows:
        return None
    letters = _letters(rows, results)
    theme = PALETTES[look.theme]
    keys = [Key(role, theme.roles[role], HATCHES[role]) for role in MODELS]
    keys += [Key("published, not tested", theme.text, marker="◇")] if letters else []
    sentences = [gated(results), f"Share passed, with its 95 % interval{_tests(rows)}"]
    canvas, box = page(look, progress, foot_of(results), "Benchmarks", sentences, keys)
    bottom = box.bottom - (_named(canvas, box, letters) + 12 if letters else 0)
    drawn = [_row(row, _scores(row, results, letters), bool(letters)) for row in rows]
    draw_rows(
        canvas, Box(box.left, box.top, box.right, bottom), drawn, [row is drawn[-1] for row in drawn], tallest=160
    )
    return canvas


def _tests(rows: Sequence[Benchmark]) -> str:
    tests = sum(row.p is not None for row in rows)
    return f" · p adjusted for {plural(tests, 'benchmark')} (Holm)" if tests else ""


def _row(row: Benchmark, others: Sequence[tuple[str, float]], third: bool) -> Row:
    """`third`: a line for what others published, in every row so that all bars are alike."""

    def draw(canvas: Canvas, box: Box, place: float, last: bool) -> None:
        scale = Scale(0, 1, box.left, box.right - 76)
        grid(canvas, scale, box, percent, [0, 0.25, 0.5, 0.75, 1], last)
        places = lanes(box, 3 if third else 2)
        for role, (y, thick) in zip(MODELS, places, strict=False):
            _bar(canvas, scale, y, row.of(role), role, thick, place)
        if others:
            _diamonds(canvas, scale, places[-1][0], others, min(SMALL, thick * 0.72), box.right)

    whole = row.items if row.size is None else row.size
    asked = f" · {row.items:,} of {plural(whole, 'item')}" if row.subset else ""
    numbers = f"{points(row.difference, sign='+')} points" if row.difference else "not compared"
    return Row(row.title, f"{row.domain}{asked}", row.verdict, numbers, tried(row), draw, worth(row), doubts(row))


def _bar(
    canvas: Canvas, scale: Scale, y: float, estimate: Estimate | None, role: str, thick: float, place: float
) -> None:
    size = min(SMALL, thick * 0.72)
    if estimate is None:
        canvas.text(
            scale.left + 14, y, f"{role}: not scored", size, anchor="middle", late=True, colour=canvas.theme.muted
        )
        return
    canvas.role_bar(scale, y, estimate.mean, role, min(thick * 0.84, 58), place)
    canvas.whisker(scale, y, estimate, min(thick * 0.26, 9))
    beyond = scale(estimate.top)
    canvas.text(beyond + 14, y, f"{100 * estimate.mean:.1f}", size, anchor="middle", late=True)


# ---------------------------------------------------------------- what others published


def _letters(rows: Sequence[Benchmark], results: Results) -> dict[str, str]:
    """Model → letter, in the order given."""
    models = dict.fromkeys(str(entry.model) for row in rows for entry in published(row, results))
    return dict(zip(list(models)[:NAMED], string.ascii_lowercase, strict=False))


def _scores(row: Benchmark, results: Results, letters: Mapping[str, str]) -> list[tuple[str, float]]:
    scores = [(letters[entry.model], entry.score) for entry in published(row, results) if entry.model in letters]
    return sorted(scores, key=lambda pair: pair[1])


def _named(canvas: Canvas, box: Box, letters: Mapping[str, str]) -> float:
    """Which letter is whose, at the foot. Returns its height."""
    words = "Published by others: " + " · ".join(f"{letter} {model}" for model, letter in letters.items())
    muted = canvas.theme.muted
    return canvas.text(box.left, box.bottom, words, SMALL, width=box.width, lines=2, anchor="bottom", colour=muted)


def _diamonds(
    canvas: Canvas, scale: Scale, y: float, scores: Sequence[tuple[str, float]], size: float, right: float
) -> None:
    """Letters stand behind their diamond, together where diamonds are too close for one each."""
    group: list[str] = []
    for index, (letter, score) in enumerate(scores):
        x = scale(score)
        canvas.dot(x, y, canvas.theme.text, "◇", size * 0.8)
        group.append(letter)
        words = ", ".join(group)
        ends = x + size * 0.7 + canvas.measure(words, size) + size * 0.7
        if index + 1 == len(scores) or scale(scores[index + 1][1]) > ends:
            canvas.text(x + size * 0.7, y, words, size, width=right - x, anchor="middle", late=True)
            group = []
