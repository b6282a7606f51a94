"""How the loss and the accuracy went: what was trained on, and the held-out prompts that were never trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlx_distill.report.charts.canvas import Canvas
from mlx_distill.report.charts.frame import SMALL, Box, Key, foot_of, heading, page
from mlx_distill.report.charts.scale import Scale
from mlx_distill.report.look import Look
from mlx_distill.report.style import PALETTES
from mlx_distill.run.results import Results
from mlx_distill.run.results.training import HeldoutLoss, TokenAccuracy, Training
from mlx_distill.run.wording import estimate, plural

Interval = tuple[float, float]
Points = Sequence[tuple[float, float]]


def training_curves(results: Results, look: Look, progress: float = 1.0) -> Canvas | None:
    training = results.training
    if training is None:
        return None
    theme = PALETTES[look.theme]
    keys = [
        Key("training batch", theme.muted, marker="."),
        Key("held out", theme.roles["distilled"], marker="o"),
        Key("base", theme.roles["base"], marker="s"),
        Key("kept", theme.roles["teacher"], marker="*"),
    ]
    canvas, box = page(look, progress, foot_of(results), "Training", _sentences(training), keys)
    panels = box.rows(1, 1) if canvas.narrow else box.columns(1, 1, gap=80)
    _curve(canvas, panels[0], training, "loss", "heldout_loss", "Loss", "nats per scored token; lower is better")
    _curve(
        canvas, panels[1], training, "accuracy", "token_accuracy", "Token accuracy",
        "share of tokens that the model puts first; higher is better",
    )  # fmt: skip
    return canvas


def _sentences(training: Training) -> list[str]:
    loss = training.heldout_loss
    student = f"{training.student}, {training.fine_tune}, {plural(training.steps, 'step')}"
    change = estimate(loss.change, 3, "+")
    return [
        f"Held-out loss {loss.base.mean:.3f} → {loss.best.mean:.3f} ({change}) "
        f"on {plural(training.heldout_prompts, 'prompt')} never trained on",
        student,
    ]


def _curve(canvas: Canvas, box: Box, training: Training, name: str, measured: str, title: str, note: str) -> None:
    inside = heading(canvas, box, title, note)
    curve = training.curve
    batches = [(row.step, value) for row in curve if (value := getattr(row, name)) is not None]
    heldout = [(row.step, value) for row in curve if (value := getattr(row, f"valid_{name}")) is not None]
    if not batches and not heldout:
        canvas.text(inside.left, inside.top + 20, "not measured", SMALL, colour=canvas.theme.muted)
        return
    ends = _intervals(training, measured)
    x, y = _scales(canvas, inside, batches + heldout, list(ends.values()))
    shown = x(x.low + (x.high - x.low) * canvas.grown())
    _line(canvas, x, y, batches, canvas.theme.muted, 2.2, shown)
    _line(canvas, x, y, heldout, canvas.theme.roles["distilled"], 5, shown)
    for step, value in heldout:
        if x(step) <= shown:
            canvas.dot(x(step), y(value), canvas.theme.roles["distilled"], "o", 15)
    _marked(canvas, x, y, heldout, training.best_step, ends, shown)


def _intervals(training: Training, measured: str) -> Mapping[str, Interval]:
    """Of the base and of the step that was kept, where they have one."""
    values: HeldoutLoss | TokenAccuracy = getattr(training, measured)
    known = {"base": values.base.interval, "best": values.best.interval}
    return {name: interval for name, interval in known.items() if interval}


def _scales(canvas: Canvas, box: Box, points: Points, intervals: Sequence[Interval]) -> tuple[Scale, Scale]:
    values = [value for _, value in points] + [end for ends in intervals for end in ends]
    low, high = min(values), max(values)
    room = (high - low) * 0.1 or max(abs(high) * 0.1, 0.05)
    y = Scale(low - room, high + room, box.bottom - 76, box.top + 8)
    ticks = y.ticks(6)
    labels = [f"{tick:.{_digits(ticks)}f}" for tick in ticks]
    left = box.left + max(canvas.measure(label, SMALL) for label in labels) + 14
    for tick, label in zip(ticks, labels, strict=True):
        canvas.line([left, box.right], [y(tick), y(tick)], canvas.theme.faint, 1.4)
        canvas.text(left - 14, y(tick), label, SMALL, align="right", anchor="middle", colour=canvas.theme.muted)
    last = max(step for step, _ in points)
    x = Scale(0, max(last, 1), left + 16, box.right - 22)
    _steps(canvas, x, box)
    return x, y


def _digits(ticks: list[float]) -> int:
    """As many as show every tick where it is."""
    return next((count for count in range(1, 6) if all(abs(t - round(t, count)) < 1e-9 for t in ticks)), 6)


def _steps(canvas: Canvas, x: Scale, box: Box) -> None:
    count = max(1, int((x.right - x.left) / (canvas.measure(f"{x.high:,.0f}", SMALL) + 40)))
    for tick in x.ticks(min(count, 8), whole=True):
        canvas.text(x(tick), box.bottom - 62, f"{tick:,.0f}", SMALL, align="center", colour=canvas.theme.muted)
    middle = (x.left + x.right) / 2
    canvas.text(middle, box.bottom - 32, "optimiser step", SMALL, align="center", colour=canvas.theme.muted)


def _line(canvas: Canvas, x: Scale, y: Scale, points: Points, colour: str, thick: float, shown: float) -> None:
    """As far as the animation has come, in the middle of a step too."""
    xs, ys = [x(step) for step, _ in points], [y(value) for _, value in points]
    seen = sum(place <= shown for place in xs)
    if 0 < seen < len(xs):
        part = (shown - xs[seen - 1]) / (xs[seen] - xs[seen - 1])
        ys[seen] = ys[seen - 1] + (ys[seen] - ys[seen - 1]) * part
        xs[seen] = shown
        seen += 1
    canvas.line(xs[:seen], ys[:seen], colour, thick, order=2)


def _marked(
    canvas: Canvas,
    x: Scale,
    y: Scale,
    heldout: Points,
    best: int | None,
    ends: Mapping[str, Interval],
    shown: float,
) -> None:
    """The base, and the step that was kept, with the intervals of both."""
    values = dict(heldout)
    for step, name, role, marker, size in ((0, "base", "base", "s", 20), (best, "best", "teacher", "*", 34)):
        if step is None or step not in values or x(step) > shown + 1:
            continue
        if interval := ends.get(name):
            _upright(canvas, x(step), y, interval)
        canvas.dot(x(step), y(values[step]), canvas.theme.roles[role], marker, size)


def _upright(canvas: Canvas, x: float, y: Scale, interval: Interval) -> None:
    low, high = map(y, interval)
    for xs, ys in (([x, x], [low, high]), ([x - 9, x + 9], [low, low]), ([x - 9, x + 9], [high, high])):
        canvas.line(xs, ys, canvas.theme.text, 2.4, order=3, opacity=canvas.late)
