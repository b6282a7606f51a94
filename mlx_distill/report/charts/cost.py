"""What the teacher's answers cost, and what many more would, online and as a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlx_distill.report.charts.canvas import Canvas
from mlx_distill.report.charts.frame import BODY, SMALL, Box, Key, axis, foot_of, page
from mlx_distill.report.charts.scale import Scale
from mlx_distill.report.charts.words import dollars, prompts
from mlx_distill.report.look import Look
from mlx_distill.report.style import PALETTES
from mlx_distill.run.records import Estimate
from mlx_distill.run.results import CostRow, Results

NOTHING = 1e-4
"""Dollars; a logarithm has no zero."""


def cost_scaling(results: Results, look: Look, progress: float = 1.0) -> Canvas | None:
    rows = results.cost_scaling
    if not rows:
        return None
    theme = PALETTES[look.theme]
    keys = [Key("online", theme.roles["teacher"]), Key("batch (half price)", theme.batch, "//")]
    basis: str = rows[0].basis
    canvas, box = page(look, progress, foot_of(results), "Cost at scale", [basis[:1].upper() + basis[1:]], keys)
    names = [_name(row) for row in rows]
    left = 0.0 if canvas.narrow else max(canvas.measure(name, BODY) for name in names) + 30
    amounts = [_amount(usd) for row in rows for usd in (row.usd, row.usd_batch)]
    right = max(canvas.measure(words, SMALL) for words in amounts) + 20
    scale = _scale(rows, box.left + left, box.right - right)
    bottom = box.bottom - 66
    height = min((bottom - box.top) / len(rows), 340)
    bottom = box.top + height * len(rows)
    axis(canvas, scale, box.top, bottom, dollars)
    canvas.text(
        (scale.left + scale.right) / 2, bottom + 40, "US dollars, logarithmic", SMALL, align="center",
        colour=theme.muted,
    )  # fmt: skip
    for index, (row, name) in enumerate(zip(rows, names, strict=True)):
        top = box.top + index * height
        _row(canvas, Box(box.left, top, box.right, top + height), row, name, scale, index / len(rows))
    return canvas


def _name(row: CostRow) -> str:
    return f"this run: {prompts(row.prompts)}" if row.label == "this run" else str(row.label)


def _amount(estimate: Estimate) -> str:
    if estimate.interval is None:
        return dollars(estimate.mean)
    low, high = map(dollars, estimate.interval)
    return f"{dollars(estimate.mean)}  [{low}, {high}]"


def _scale(rows: Sequence[CostRow], left: float, right: float) -> Scale:
    values = [usd.mean for row in rows for usd in (row.usd, row.usd_batch)]
    highs = [row.usd.top for row in rows]
    low = 10.0 ** _power(max(min(values), NOTHING))
    return Scale(low, max(max(highs) * 1.3, low * 100), left, right, log=True)


def _power(value: float) -> int:
    """Of ten, below the value: a bar needs a length."""
    return math.floor(math.log10(value / 2))


def _row(canvas: Canvas, box: Box, row: CostRow, name: str, scale: Scale, place: float) -> None:
    top, room = box.top, box.height
    if canvas.narrow:
        canvas.text(box.left, top, name, BODY, bold=True)
        top, room = top + 34, room - 34
    else:
        canvas.text(scale.left - 22, (box.top + box.bottom) / 2, name, BODY, align="right", anchor="middle")
    thick = min((room - 16) / 2, 104)
    middle = top + room / 2
    for estimate, y, colour, hatch in (
        (row.usd, middle - thick / 2, canvas.theme.roles["teacher"], ""),
        (row.usd_batch, middle + thick / 2, canvas.theme.batch, "//"),
    ):
        end = scale.left + (scale(estimate.mean) - scale.left) * canvas.grown(place)
        canvas.bar(scale.left, y - thick * 0.43, end, y + thick * 0.43, colour, hatch)
        canvas.whisker(scale, y, estimate, 8)
        beyond = scale(estimate.top)
        canvas.text(beyond + 16, y, _amount(estimate), SMALL, anchor="middle", late=True)
