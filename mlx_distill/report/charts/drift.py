"""What a training gained on held-out answers against how far it took the student from its base, measurement by
measurement: a path that turns right without rising pays in forgetting for nothing."""

from __future__ import annotations

from collections.abc import Sequence

from mlx_distill.report.charts.canvas import LINE, Canvas
from mlx_distill.report.charts.frame import SMALL, Box, Key, foot_of, page
from mlx_distill.report.charts.scale import Scale
from mlx_distill.report.look import Look
from mlx_distill.report.style import PALETTES, Theme
from mlx_distill.run.results import Results
from mlx_distill.run.results.training import Training
from mlx_distill.run.wording import drift_in_words

Points = Sequence[tuple[int, float, float]]
"""Step, drift, gain."""

OWN, GENERAL = "on held-out answers", "on general prompts"
NOTE = (
    "Drift is KL(base ‖ student), the divergence that predicts forgetting; a path leads from the base through the steps"
)
DOT, STAR, BASE = 15.0, 34.0, 22.0
ROOM = 0.08


def gain_against_drift(results: Results, look: Look, progress: float = 1.0) -> Canvas | None:
    training = results.training
    if training is None or training.drift is None:
        return None
    theme = PALETTES[look.theme]
    paths = {OWN: _points(training, "drift"), GENERAL: _points(training, "replay_drift")}
    sentences = [drift_in_words(training), NOTE]
    canvas, box = page(look, progress, foot_of(results), "Gain against drift", sentences, _keys(theme), lines=4)
    x, y = _scales(canvas, box, [point for path in paths.values() for point in path])
    for name, path in paths.items():
        _path(canvas, x, y, path, name, training.best_step)
    canvas.dot(x(0), y(0), theme.roles["base"], "s", BASE)
    return canvas


def _keys(theme: Theme) -> list[Key]:
    return [
        Key("base", theme.roles["base"], marker="s"),
        Key(OWN, theme.roles["distilled"], marker="o"),
        Key(GENERAL, theme.muted, marker="^"),
        Key("kept", theme.roles["teacher"], marker="*"),
    ]


def _points(training: Training, name: str) -> Points:
    """After the base, whose drift and gain are nothing."""
    base = training.heldout_loss.base.mean
    rows = [(row.step, getattr(row, name), row.valid_loss) for row in training.curve if row.step]
    return [(step, drift, base - loss) for step, drift, loss in rows if drift is not None and loss is not None]


def _scales(canvas: Canvas, box: Box, points: Points) -> tuple[Scale, Scale]:
    line = LINE * SMALL
    frame = Box(
        box.left + canvas.measure("+0.0000", SMALL) + 14, box.top + line + 8, box.right, box.bottom - 2 * line - 14
    )
    far = (1 + ROOM) * max((drift for _, drift, _ in points), default=0.0) or 0.05
    gains = [0.0, *(gain for _, _, gain in points)]
    room = ROOM * (max(gains) - min(gains)) or 0.05
    x = Scale(0, far, frame.left + 24, frame.right - 24)
    y = Scale(min(gains) - room, max(gains) + room, frame.bottom, frame.top)
    _grid(canvas, frame, x, y)
    words = ("↑ held-out loss below the base's, nats per token", "→ drift, nats per token")
    canvas.text(box.left, box.top, words[0], SMALL, width=box.width, colour=canvas.theme.muted)
    edge = frame.bottom + line + 12
    canvas.text(frame.right, edge, words[1], SMALL, width=frame.width, align="right", colour=canvas.theme.muted)
    return x, y


def _grid(canvas: Canvas, frame: Box, x: Scale, y: Scale) -> None:
    theme = canvas.theme
    for tick in x.ticks(max(2, min(7, int(frame.width / 170)))):
        canvas.line([x(tick)] * 2, [frame.top, frame.bottom], theme.faint, 1.4)
        canvas.text(x(tick), frame.bottom + 6, f"{tick:.3g}", SMALL, align="center", colour=theme.muted)
    for tick in y.ticks(max(2, min(7, int(frame.height / 80)))):
        colour, thick = (theme.faint, 1.4) if tick else (theme.muted, 2.4)
        canvas.line([frame.left, frame.right], [y(tick)] * 2, colour, thick)
        words = f"{tick:+.3g}" if tick else "0"
        canvas.text(frame.left - 12, y(tick), words, SMALL, align="right", anchor="middle", colour=theme.muted)


def _path(canvas: Canvas, x: Scale, y: Scale, path: Points, name: str, kept: int) -> None:
    theme = canvas.theme
    colour, marker = (theme.roles["distilled"], "o") if name == OWN else (theme.muted, "^")
    seen = path[: round(len(path) * canvas.grown())]
    spots = [(x(0), y(0)), *((x(drift), y(gain)) for _, drift, gain in seen)]
    canvas.line([at for at, _ in spots], [at for _, at in spots], colour, 3.2, order=2.5, opacity=0.75)
    for (step, _, _), spot in zip(seen, spots[1:], strict=True):
        canvas.dot(*spot, colour, marker, DOT)
        if step == kept:
            canvas.dot(*spot, theme.roles["teacher"], "*", STAR)
