"""Prompt by prompt: the showcase prompts with the scores of all roles, and every prompt's difference, sorted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mlx_distill.report.charts.canvas import Canvas
from mlx_distill.report.charts.frame import SMALL, Box, Key, axis, foot_of, heading, page
from mlx_distill.report.charts.scale import Scale
from mlx_distill.report.charts.words import judged_by, prompts
from mlx_distill.report.look import Look
from mlx_distill.run.records import Role
from mlx_distill.run.results import Results
from mlx_distill.run.results.comparison import PromptResult

NAMED = 15.0
"""A row of fewer pixels gets no title: there, the shape of all prompts is what can be seen."""
COLUMNS: tuple[tuple[str, str, str, Callable[[float], str]], ...] = (
    ("preference", "Preference", "judgments won minus lost", lambda value: f"{value:+.0%}"),
    ("difference", "Mean score", "distilled minus base", lambda value: f"{value:+.1f}"),
)


def prompt_comparison(results: Results, look: Look, progress: float = 1.0) -> Canvas | None:
    comparison = results.comparison
    if comparison is None:
        return None
    rows = comparison.prompts
    showcase = [p for p in rows if p.source == "showcase"] or rows
    roles = comparison.roles
    shown = [p for p in showcase if any(p.of(role).overall is not None for role in roles)][:4]
    keys: list[Key] | None = None if shown else []
    canvas, box = page(
        look,
        progress,
        foot_of(results),
        "Prompt by prompt",
        [_tally(rows), judged_by(comparison)],
        keys,
        roles=roles,
    )
    if not shown:
        _all(canvas, box, rows)
        return canvas
    if canvas.narrow:
        height = 90 + 118 * len(shown)
        boxes = box.rows(height, max(box.height - height, 300))
    else:
        boxes = box.columns(0.38, 0.62, gap=80)
    _showcase(canvas, boxes[0], shown, roles)
    _all(canvas, boxes[1], rows)
    return canvas


def _tally(rows: Sequence[PromptResult]) -> str:
    count = {word: sum(p.outcome == word for p in rows) for word in ("better", "worse", "same", "unscored")}
    unscored = f"; {count['unscored']} unscored" if count["unscored"] else ""
    return (
        f"Distilled better on {count['better']}, worse on {count['worse']}, the same on {count['same']} "
        f"of {prompts(len(rows))}{unscored}"
    )


def _showcase(canvas: Canvas, box: Box, rows: Sequence[PromptResult], roles: Sequence[Role]) -> None:
    title = "Showcase prompts" if rows[0].source == "showcase" else "The first prompts"
    inside = heading(canvas, box, title, "mean score, 0 to 10")
    scale = Scale(0, 10, inside.left, inside.right - 60)
    bottom = inside.bottom - 34
    height = min((bottom - inside.top) / len(rows), 190)
    bottom = inside.top + height * len(rows)
    axis(canvas, scale, inside.top + 34, bottom, lambda value: f"{value:.0f}", [0, 2, 4, 6, 8, 10])
    for index, prompt in enumerate(rows):
        top = inside.top + index * height
        plate = canvas.wrapped(prompt.title, 22, inside.width)[0]
        width = canvas.measure(plate, 22)
        canvas.bar(inside.left - 2, top + 2, inside.left + width + 8, top + 30, canvas.theme.background)
        canvas.text(inside.left, top, plate, 22)
        thick = (height - 30 - 14) / len(roles)
        for place, role in enumerate(roles):
            value, y = prompt.of(role).overall, top + 32 + thick * (place + 0.5)
            if value is None:
                canvas.text(inside.left + 8, y, "unscored", min(SMALL, thick * 0.72), anchor="middle", late=True,
                            colour=canvas.theme.muted)  # fmt: skip
                continue
            canvas.role_bar(scale, y, value, role, thick * 0.84, index / len(rows))
            canvas.text(scale(value) + 12, y, f"{value:.1f}", min(SMALL, thick * 0.72), anchor="middle", late=True)


# ---------------------------------------------------------------- every prompt


def _all(canvas: Canvas, box: Box, entries: Sequence[PromptResult]) -> None:
    columns = [column for column in COLUMNS if any(getattr(p, column[0]) is not None for p in entries)]
    if not columns:
        canvas.text(box.left, box.top, "No prompt was scored for both models.", SMALL, width=box.width, lines=2)
        return
    rows = [p for p in entries if any(getattr(p, name) is not None for name, *_ in columns)]
    rows.sort(key=lambda p: tuple(_or_least(getattr(p, name)) for name, *_ in columns), reverse=True)
    inside = heading(canvas, box, "Every prompt, distilled against base")
    top, bottom = inside.top + 62, inside.bottom - 40
    height = min((bottom - top) / len(rows), 44)
    named = height >= NAMED
    titles = 0.0
    if named:
        size = min(SMALL, height * 0.74)
        widest = max(canvas.measure(canvas.wrapped(p.title, size, inside.width)[0], size) for p in rows)
        titles = min(widest + 4, inside.width * 0.36)
        for index, prompt in enumerate(rows):
            canvas.text(
                inside.left + titles, top + (index + 0.5) * height, prompt.title, size,
                width=titles, align="right", anchor="middle",
            )  # fmt: skip
    pictures = Box(inside.left + titles + (24 if named else 0), top, inside.right, top + height * len(rows))
    for column, part in zip(columns, pictures.columns(*[1] * len(columns), gap=36), strict=True):
        _column(canvas, part, inside.top, column, rows, height)


def _or_least(value: float | None) -> float:
    return float("-inf") if value is None else value


def _column(
    canvas: Canvas,
    box: Box,
    head: float,
    column: tuple[str, str, str, Callable[[float], str]],
    rows: Sequence[PromptResult],
    height: float,
) -> None:
    name, title, note, label = column
    canvas.text(box.left, head, title, SMALL, width=box.width, bold=True)
    canvas.text(box.left, head + 26, note, SMALL, width=box.width, colour=canvas.theme.muted)
    reach = (
        1.0
        if name == "preference"
        else max([1.0, *(abs(value) for p in rows if (value := getattr(p, name)) is not None)])
    )
    size = min(18.0, height * 0.74)
    room = canvas.measure(label(-reach), size) + 12 if height >= NAMED else 4
    scale = Scale(-reach, reach, box.left + room, box.right - room)
    for index, prompt in enumerate(rows):
        if (value := getattr(prompt, name)) is not None:
            _one(canvas, scale, box.top + (index + 0.5) * height, value, height, size, label, index / len(rows))
    canvas.line([scale(0)] * 2, [box.top - 2, box.bottom + 2], canvas.theme.text, 2.0, order=3)
    half = box.width / 2 - 8
    canvas.text(scale(0) - 12, box.bottom + 6, "◀ worse", SMALL, width=half, align="right", colour=canvas.theme.worse)
    canvas.text(scale(0) + 12, box.bottom + 6, "better ▶", SMALL, width=half, colour=canvas.theme.better)


def _one(
    canvas: Canvas,
    scale: Scale,
    y: float,
    value: float,
    height: float,
    size: float,
    label: Callable[[float], str],
    place: float,
) -> None:
    gained = value >= 0
    end = scale(0) + (scale(value) - scale(0)) * canvas.grown(place)
    thick = height * 0.74 if height >= NAMED else height
    if value:
        canvas.bar(scale(0), y - thick / 2, end, y + thick / 2, canvas.theme.better if gained else canvas.theme.worse)
    if height >= NAMED:
        words, beyond = (label(value) if value else "0"), 8 if gained else -8
        canvas.text(
            scale(value) + beyond, y, words, size, align="left" if gained else "right", anchor="middle", late=True
        )
