"""The verdict at a glance: the preference first, then the five dimensions, then the executed checks.

Each with its picture, difference, interval, verdict in words, n and p; a loss as large as a gain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlx_distill.report.charts.canvas import Canvas
from mlx_distill.report.charts.diverging import Diverging, draw_diverging
from mlx_distill.report.charts.frame import SMALL, Box, foot_of, page
from mlx_distill.report.charts.rows import Row, draw_rows, grid, under_words
from mlx_distill.report.charts.scale import Scale
from mlx_distill.report.charts.words import judged_by, outcome, percent, prompts, tried
from mlx_distill.report.look import Look
from mlx_distill.report.style import HATCHES
from mlx_distill.run.records import Estimate, Role
from mlx_distill.run.results import Results
from mlx_distill.run.results.comparison import CheckCounts, Comparison, Dimension, ExecutedPairs, PairPreference
from mlx_distill.run.wording import BOUNDS, estimate
from mlx_distill.run.wording import percent as with_interval


def model_scorecard(results: Results, look: Look, progress: float = 1.0) -> Canvas | None:
    comparison = results.comparison
    if comparison is None:
        return None
    sentences = [outcome(comparison), f"{prompts(comparison.n)} · {judged_by(comparison)}"]
    sentences += [f"! {caveat}" for caveat in comparison.caveats if "of one family" in caveat][:1]
    canvas, box = page(look, progress, foot_of(results), "Scorecard", sentences, roles=comparison.roles)
    rows = _rows(comparison)
    draw_rows(canvas, box, rows, [_ends(rows, index) for index in range(len(rows))])
    return canvas


def _rows(comparison: Comparison) -> list[Row]:
    preference, pairs = comparison.primary, comparison.checks.pairs
    rows = [_preference(preference, preference.share)] if preference and preference.share else []
    rows += [
        _dimension(row, comparison.roles)
        for row in comparison.dimensions
        if row.n or any(row.of(role) for role in comparison.roles)
    ]
    rows += [_checks(pairs, comparison.checks.roles)] if pairs else []
    return rows or [Row("Nothing scored", "", "not scored", "", "", lambda *_: None)]


def _ends(rows: list[Row], index: int) -> bool:
    """The last row that shares its axis, which has the values beneath."""
    return rows[index].name == "Preference" or index + 1 == len(rows) or rows[index + 1].name == "Executed checks"


# ---------------------------------------------------------------- the pictures


def _dimension(row: Dimension, roles: Sequence[Role]) -> Row:
    def draw(canvas: Canvas, box: Box, place: float, last: bool) -> None:
        scale = Scale(0, 10, box.left, box.right - 60)
        grid(canvas, scale, box, lambda value: f"{value:.0f}", [0, 2, 4, 6, 8, 10], last)
        thick = box.height / len(roles)
        for index, role in enumerate(roles):
            score = row.of(role)
            if score is None:
                continue
            y = box.top + thick * (index + 0.5)
            canvas.role_bar(scale, y, score.mean, role, thick * 0.84, place)
            canvas.whisker(scale, y, score, thick * 0.26)
            size = min(SMALL, thick * 0.72)
            canvas.text(scale(score.top) + 14, y, f"{score.mean:.1f}", size, anchor="middle", late=True)

    note = "score, 0 to 10"
    if row.from_checks:
        note = f"from checks: {row.from_checks} of {row.n}"
    if row.difference is None:
        return Row(row.name, note, row.verdict, "", f"n = {row.n}", draw)
    return Row(row.name, note, row.verdict, estimate(row.difference, 2, "+"), tried(row), draw)


def _preference(entry: PairPreference, won: Estimate) -> Row:
    def draw(canvas: Canvas, box: Box, place: float, last: bool) -> None:
        scale = Scale(0, 1, box.left, box.right - 60)
        grid(canvas, scale, box, percent, [0, 0.25, 0.5, 0.75, 1], last)
        share, (y, thick) = won.mean, under_words(box)
        role = "distilled" if share >= 0.5 else "base"
        end = scale(0.5) + (scale(share) - scale(0.5)) * canvas.grown(place)
        canvas.bar(scale(0.5), y - thick / 2, end, y + thick / 2, canvas.theme.roles[role], HATCHES[role])
        canvas.line([scale(0.5)] * 2, [box.top, box.bottom], canvas.theme.text, 2.4, order=3)
        canvas.whisker(scale, y, won, 11)
        half, edge = (scale.right - scale.left) * 0.46, box.top - 4
        canvas.text(scale.left, edge, "◀ base preferred", SMALL, width=half, colour=canvas.theme.muted)
        canvas.text(
            scale.right, edge, "distilled preferred ▶", SMALL, width=half, align="right", colour=canvas.theme.muted
        )

    numbers = f"{with_interval(won)} preferred"
    note = f"won {entry.won}, lost {entry.lost}, tied {entry.tied}"
    return Row("Preference", note, entry.verdict, numbers, tried(entry), draw)


def _checks(pairs: ExecutedPairs, roles: Mapping[Role, CheckCounts]) -> Row:
    reach = max(pairs.gained, pairs.lost, 1)

    def draw(canvas: Canvas, box: Box, place: float, last: bool) -> None:
        bars = Diverging(pairs.lost, pairs.gained, str(pairs.lost), str(pairs.gained), reach)
        draw_diverging(canvas, box, bars, place)
        if last:
            passed = " · ".join(f"{role} {checks.passed} of {checks.run}" for role, checks in roles.items())
            words = f"passed: {passed}"
            canvas.text(box.left, box.bottom + 8, words, SMALL, width=box.width, colour=canvas.theme.muted, late=True)

    numbers = f"gained {pairs.gained}, lost {pairs.lost}"
    note = f"both {pairs.both}, neither {pairs.neither}"
    stands = f"! {BOUNDS[pairs.bound]}" if pairs.bound in BOUNDS else ""
    return Row("Executed checks", note, pairs.verdict, numbers, tried(pairs), draw, warning=stands)
