"""The charts building themselves up, for a video: numbered frames, and a GIF that shows the same at half the size.

In: results and a Look. Out: `NAME/0001.png` … and `NAME.gif` for each chart. Bars grow and curves draw themselves,
intervals and verdicts come last, and the last frame is the still picture.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from PIL import Image

from mlx_distill.report.charts import CHARTS, drawing
from mlx_distill.report.look import DEFAULT, Look
from mlx_distill.run.results import Results

FPS, FRAMES, HOLD = 20, 40, 3.0
"""Frames a second (a GIF counts hundredths), frames in all, and the seconds for which the GIF shows the last one."""


def animate(results: Results, folder: Path, look: Look = DEFAULT, frames: int = FRAMES) -> list[Path]:
    """Writes the frames and GIFs of every chart that can be drawn. Returns the GIFs' paths."""
    still = dataclasses.replace(look, format="png")
    written = []
    for name in CHARTS:
        drawn = _frames(name, results, folder / name, still, frames)
        if drawn:
            written.append(_gif(drawn, folder / f"{name}.gif"))
    return written


def _frames(name: str, results: Results, folder: Path, look: Look, frames: int) -> list[Path]:
    written = []
    for index in range(frames):
        canvas = drawing(name, results, look, index / (frames - 1))
        if canvas is None:
            return []
        folder.mkdir(parents=True, exist_ok=True)
        written.append(canvas.save(folder / f"{index + 1:04d}.png"))
    for stale in folder.glob("*.png"):
        if stale not in written:
            stale.unlink()  # of a longer animation, drawn before
    return written


def _gif(frames: list[Path], path: Path) -> Path:
    """One palette for all frames, of the last one, which has every colour: nothing flickers."""
    last = _small(frames[-1]).quantize(255)
    images = [_small(frame).quantize(palette=last, dither=Image.Dither.NONE) for frame in frames]
    times = [1000 // FPS] * (len(images) - 1) + [int(HOLD * 1000)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=times, loop=0, optimize=False)
    return path


def _small(frame: Path) -> Image.Image:
    with Image.open(frame) as image:
        return image.convert("RGB").reduce(2)
