"""The verdict at a glance: the preference first, then the five dimensions, then the executed checks.

Each with its picture, difference, interval, verdict in words, n and p; a loss as large as a gain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlx_distill.records import ROLES
from mlx_distill.report.charts.canvas import LINE, Canvas
from mlx_distill.report.charts.frame import BODY, SMALL, Box, axis, page, verdict
from mlx_distill.report.charts.scale import Scale
from mlx_distill.report.charts.words import judged_by, outcome, percent, primary, prompts, tried
from mlx_distill.report.look import Look
from mlx_distill.report.style import HATCHES
from mlx_distill.wording import estimate
from mlx_distill.wording import percent as with_interval

AXIS = 34.0
"""Height of an axis' values."""


@dataclass(frozen=True)
class Row:
    """`draw` gets the picture's room, its place in the animation, and whether it ends with the axis' values."""

    name: str
    note: str
    verdict: str
    numbers: str
    tried: str
    draw: Callable[[Canvas, Box, float, bool], None]


def model_scorecard(results: dict[str, Any], look: Look, progress: float = 1.0) -> Canvas | None:
    comparison = results["comparison"]
    if comparison is None:
        return None
    sentences = [outcome(comparison), f"{prompts(comparison['n'])} · {judged_by(comparison)}"]
    sentences += [f"! {caveat}" for caveat in comparison["caveats"] if "of one family" in caveat][:1]
    canvas, box = page(look, progress, results, "Scorecard", sentences)
    rows = _rows(comparison)
    tails = [AXIS if _ends(rows, index) else 0.0 for index in range(len(rows))]
    height = min((box.height - sum(tails) - 14 * sum(map(bool, tails))) / len(rows), 230 if canvas.narrow else 130)
    top = box.top
    for index, (row, tail) in enumerate(zip(rows, tails, strict=True)):
        _row(canvas, Box(box.left, top, box.right, top + height), row, index / len(rows), bool(tail))
        top += height + tail + (14 if tail else 0)
    return canvas


def _rows(comparison: dict[str, Any]) -> list[Row]:
    preference, pairs = primary(comparison), comparison["checks"]["pairs"]
    rows = [_preference(preference)] if preference and preference["n"] else []
    rows += [_dimension(row) for row in comparison["dimensions"] if row["n"] or any(row[role] for role in ROLES)]
    rows += [_checks(comparison["checks"])] if pairs else []
    return rows or [Row("Nothing scored", "", "not scored", "", "", lambda *_: None)]


def _ends(rows: list[Row], index: int) -> bool:
    """The last row that shares its axis, which has the values beneath."""
    return rows[index].name == "Preference" or index + 1 == len(rows) or rows[index + 1].name == "Executed checks"


def _row(canvas: Canvas, box: Box, row: Row, place: float, last: bool) -> None:
    if canvas.narrow:
        picture = _above(canvas, box, row)
    else:
        name, shown, words = box.columns(0.21, 0.47, 0.28, gap=40)
        height = (BODY + (SMALL * LINE if row.note else 0)) / 2
        canvas.text(name.left, box.top + box.height / 2 - height, row.name, BODY, width=name.width, bold=True)
        canvas.text(
            name.left,
            box.top + box.height / 2 + 12,
            row.note,
            SMALL,
            width=name.width,
            colour=canvas.theme.muted,
            late=True,
        )
        _said(canvas, words, row)
        picture = Box(shown.left, box.top + 7, shown.right, box.bottom - 7)
    row.draw(canvas, picture, place, last)


def _said(canvas: Canvas, box: Box, row: Row) -> None:
    """Verdict, difference, n and p, as large as the row lets them be."""
    whole = LINE * (BODY + SMALL * 2)
    size = min(1.0, (box.height - 2) / whole)
    y = box.top + (box.height - whole * size) / 2
    y += verdict(canvas, box.left, y, row.verdict, box.width, BODY * size)
    y += canvas.text(box.left, y, row.numbers, SMALL * size, width=box.width, late=True)
    canvas.text(box.left, y, row.tried, SMALL * size, width=box.width, late=True, colour=canvas.theme.muted)


def _above(canvas: Canvas, box: Box, row: Row) -> Box:
    """Name and verdict over the picture. Returns the picture's room."""
    middle = box.left + box.width * 0.5
    canvas.text(box.left, box.top, row.name, BODY, width=box.width * 0.48, bold=True)
    canvas.text(
        box.left, box.top + BODY * LINE, row.note, SMALL, width=box.width * 0.48, colour=canvas.theme.muted, late=True
    )
    y = box.top + verdict(canvas, middle, box.top, row.verdict, box.width * 0.5)
    y += canvas.text(middle, y, row.numbers, SMALL, width=box.width * 0.5, late=True)
    canvas.text(middle, y, row.tried, SMALL, width=box.width * 0.5, late=True, colour=canvas.theme.muted)
    return Box(box.left, box.top + BODY * LINE + SMALL * LINE * 2 + 8, box.right, box.bottom - 10)


# ---------------------------------------------------------------- the pictures


def _dimension(row: dict[str, Any]) -> Row:
    def draw(canvas: Canvas, box: Box, place: float, last: bool) -> None:
        scale = Scale(0, 10, box.left, box.right - 60)
        _grid(canvas, scale, box, lambda value: f"{value:.0f}", [0, 2, 4, 6, 8, 10], last)
        thick = box.height / 3
        for index, role in enumerate(ROLES):
            if row[role] is None:
                continue
            y = box.top + thick * (index + 0.5)
            canvas.role_bar(scale, y, row[role]["mean"], role, thick * 0.84, place)
            canvas.whisker(scale, y, row[role], thick * 0.26)
            beyond = scale(row[role]["mean"] if row[role]["high"] is None else row[role]["high"])
            canvas.text(
                beyond + 14, y, f"{row[role]['mean']:.1f}", min(SMALL, thick * 0.72), anchor="middle", late=True
            )

    note = "score, 0 to 10"
    if row["from_checks"]:
        note = f"from checks: {row['from_checks']} of {row['n']}"
    if row["difference"] is None:
        return Row(row["name"], note, row["verdict"], "", f"n = {row['n']}", draw)
    return Row(row["name"], note, row["verdict"], estimate(row["difference"], 2, "+"), tried(row), draw)


def _preference(entry: dict[str, Any]) -> Row:
    def draw(canvas: Canvas, box: Box, place: float, last: bool) -> None:
        scale = Scale(0, 1, box.left, box.right - 60)
        _grid(canvas, scale, box, percent, [0, 0.25, 0.5, 0.75, 1], last)
        share, (y, thick) = entry["share"]["mean"], _under_words(box)
        role = "distilled" if share >= 0.5 else "base"
        end = scale(0.5) + (scale(share) - scale(0.5)) * canvas.grown(place)
        canvas.bar(scale(0.5), y - thick / 2, end, y + thick / 2, canvas.theme.roles[role], HATCHES[role])
        canvas.line([scale(0.5)] * 2, [box.top, box.bottom], canvas.theme.text, 2.4, order=3)
        canvas.whisker(scale, y, entry["share"], 11)
        half, edge = (scale.right - scale.left) * 0.46, box.top - 4
        canvas.text(scale.left, edge, "◀ base preferred", SMALL, width=half, colour=canvas.theme.muted)
        canvas.text(
            scale.right, edge, "distilled preferred ▶", SMALL, width=half, align="right", colour=canvas.theme.muted
        )

    numbers = f"{with_interval(entry['share'])} preferred"
    note = f"won {entry['won']}, lost {entry['lost']}, tied {entry['tied']}"
    return Row("Preference", note, entry["verdict"], numbers, tried(entry), draw)


def _under_words(box: Box) -> tuple[float, float]:
    """Where a bar lies that has words above it, and how thick it is."""
    room = box.height - 28
    return box.top + 28 + room / 2, min(52.0, room * 0.86)


def _checks(checks: dict[str, Any]) -> Row:
    pairs, roles = checks["pairs"], checks["roles"]

    def draw(canvas: Canvas, box: Box, place: float, last: bool) -> None:
        reach = max(pairs["gained"], pairs["lost"], 1)
        scale = Scale(-reach, reach, box.left + 60, box.right - 120)
        y, thick = _under_words(box)
        half, edge = (scale.right - scale.left) * 0.46, box.top - 4
        for count, sign, colour, word in (
            (pairs["lost"], -1, canvas.theme.worse, "▼ lost"),
            (pairs["gained"], 1, canvas.theme.better, "▲ gained"),
        ):
            end = scale(0) + (scale(sign * count) - scale(0)) * canvas.grown(place)
            canvas.bar(scale(0), y - thick / 2, end, y + thick / 2, colour)
            align = "right" if sign < 0 else "left"
            canvas.text(scale(sign * count) + 14 * sign, y, str(count), BODY, align=align, anchor="middle", late=True)
            canvas.text(scale(0) + 14 * sign, edge, word, SMALL, width=half, align=align, colour=colour)
        canvas.line([scale(0)] * 2, [box.top, box.bottom], canvas.theme.text, 2.4, order=3)
        if last:
            passed = " · ".join(
                f"{role} {found['passed']} of {found['run']}" for role in ROLES if (found := roles.get(role))
            )
            words = f"passed: {passed}"
            canvas.text(box.left, box.bottom + 8, words, SMALL, width=box.width, colour=canvas.theme.muted, late=True)

    numbers = f"gained {pairs['gained']}, lost {pairs['lost']}"
    note = f"both {pairs['both']}, neither {pairs['neither']}"
    return Row("Executed checks", note, pairs["verdict"], numbers, tried(pairs), draw)


def _grid(
    canvas: Canvas, scale: Scale, box: Box, label: Callable[[float], str], ticks: list[float], last: bool
) -> None:
    """Grid lines through the gap between rows; values under the last of them."""
    bottom = box.bottom + (7 if last else 14)
    axis(canvas, scale, box.top, bottom, label if last else lambda _: "", ticks)
