"""The four charts, each drawn from results.json alone, 1920 × 1080.

In: results. Out: PNG files. A role is told by its colour and by its place and label too; intervals are drawn
wherever there are any; what got worse is drawn in the same size as what got better.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from mlx_distill.records import ROLES
from mlx_distill.report.style import (
    BACKGROUND,
    BETTER,
    COLOURS,
    SAME,
    STYLE,
    TEXT,
    WORD_COLOURS,
    WORSE,
    bar,
    error,
    legend,
    money,
    new_figure,
    save,
    signed,
)


def _judge_name(comparison: dict[str, Any]) -> str:
    names = ", ".join(comparison["judges"])
    judge = f"judge: {names}" if comparison["judge_is_llm"] else f"scored by {names}"
    return f"{judge} · teacher: {textwrap.shorten(', '.join(comparison['teacher_models']), 60, placeholder=' …')}"


# ---------------------------------------------------------------- training


def training_curves(results: dict[str, Any], folder: Path) -> Path | None:
    training = results["training"]
    if training is None:
        return None
    with plt.rc_context(STYLE):
        loss = training["heldout_loss"]
        subtitle = (
            f"{training['student']} · held-out loss {loss['base']['mean']:.3f} → {loss['best']['mean']:.3f} "
            f"nats per token ({signed(loss['change'])}) on {training['heldout_prompts']} prompts never trained on"
        )
        figure = new_figure("Training", subtitle, results)
        grid = figure.add_gridspec(1, 2, left=0.07, right=0.97, top=0.8, bottom=0.14, wspace=0.2)
        _curve(figure.add_subplot(grid[0]), training, "loss", "Loss (nats per scored token)")
        _curve(figure.add_subplot(grid[1]), training, "accuracy", "Token accuracy")
        return save(figure, folder / "training_curves.png")


def _curve(axes: Axes, training: dict[str, Any], name: str, title: str) -> None:
    curve = training["curve"]
    steps = [(row["step"], row[name]) for row in curve if row[name] is not None]
    heldout = [(row["step"], row[f"valid_{name}"]) for row in curve if row[f"valid_{name}"] is not None]
    axes.plot(*zip(*steps, strict=True), color=SAME, linewidth=2, marker=".", label="training batch")
    axes.plot(
        *zip(*heldout, strict=True),
        color=COLOURS["distilled"],
        linewidth=3.5,
        marker="o",
        markersize=11,
        label="held out",
    )
    axes.plot(*heldout[0], color=COLOURS["base"], marker="s", markersize=15, linestyle="", label="base")
    best = next(value for step, value in heldout if step == training["best_step"])
    axes.plot(
        training["best_step"],
        best,
        marker="*",
        markersize=28,
        color=COLOURS["teacher"],
        linestyle="",
        label=f"kept (step {training['best_step']})",
    )
    axes.set_title(title, loc="left", pad=16)
    axes.set_xlabel("optimiser step")
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    axes.grid(axis="y")
    axes.margins(y=0.12)
    axes.legend(loc="best", fontsize=17)


# ---------------------------------------------------------------- scorecard


def model_scorecard(results: dict[str, Any], folder: Path) -> Path | None:
    comparison = results["comparison"]
    if comparison is None:
        return None
    with plt.rc_context(STYLE):
        count = len(comparison["prompts"])
        verdict = f"Distilled against base: {comparison['verdict']}; {comparison['verdict_in_words']}"
        subtitle = f"{verdict}\n{count} held-out prompts · {_judge_name(comparison)}"
        figure = new_figure("Scorecard", subtitle, results)
        axes = figure.add_axes((0.06, 0.27, 0.91, 0.55))
        dimensions = comparison["dimensions"]
        for place, role in enumerate(ROLES):
            for index, dimension in enumerate(dimensions):
                if dimension[role] is not None:
                    bar(axes, index + (place - 1) * 0.27, dimension[role], role, 0.25)
        axes.set_ylim(0, 11.4)
        axes.set_yticks(range(0, 11, 2))
        axes.set_ylabel("score, 0 to 10")
        axes.set_xlim(-0.5, len(dimensions) - 0.5)
        axes.set_xticks(range(len(dimensions)), [d["name"] for d in dimensions], fontsize=20)
        axes.tick_params(axis="x", length=0, pad=10)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        for index, dimension in enumerate(dimensions):
            _verdict(axes, index, dimension)
        legend(figure)
        figure.text(
            0.04,
            0.065,
            "Below each dimension: distilled minus base with its 95 % interval, the verdict (adjusted for looking at "
            "several dimensions), and n. Whiskers: 95 % interval over prompts.",
            fontsize=15,
            color=SAME,
        )
        return save(figure, folder / "model_scorecard.png")


def _verdict(axes: Axes, index: int, dimension: dict[str, Any]) -> None:
    if dimension["difference"] is None:
        lines, colour = "not scored", SAME
    else:
        colour = WORD_COLOURS.get(dimension["verdict"], SAME)
        lines = f"{signed(dimension['difference'])}\n{dimension['verdict']}\nn = {dimension['n']}"
    axes.annotate(
        lines,
        (index, 0),
        xytext=(0, -52),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=17,
        color=colour,
        linespacing=1.4,
    )


# ---------------------------------------------------------------- prompt by prompt


def prompt_comparison(results: dict[str, Any], folder: Path) -> Path | None:
    comparison = results["comparison"]
    if comparison is None:
        return None
    with plt.rc_context(STYLE):
        shown = [prompt for prompt in comparison["prompts"] if prompt["source"] == "showcase"]
        shown = (shown or comparison["prompts"])[:4]
        figure = new_figure("Prompt by prompt", _tally(comparison), results)
        _showcase(figure.add_axes((0.06, 0.2, 0.45, 0.59)), shown)
        _differences(figure.add_axes((0.68, 0.12, 0.28, 0.67)), comparison["prompts"])
        legend(figure)
        return save(figure, folder / "prompt_comparison.png")


def _difference(prompt: dict[str, Any]) -> float | None:
    base, distilled = prompt["base"]["overall"], prompt["distilled"]["overall"]
    return None if base is None or distilled is None else distilled - base


def _tally(comparison: dict[str, Any]) -> str:
    found = [d for prompt in comparison["prompts"] if (d := _difference(prompt)) is not None]
    better, worse = sum(d > 0 for d in found), sum(d < 0 for d in found)
    same = len(found) - better - worse
    counted = f"Distilled scored higher on {better}, lower on {worse}, equal on {same} of {len(found)}"
    return f"{counted}\n{_judge_name(comparison)}"


def _showcase(axes: Axes, prompts: list[dict[str, Any]]) -> None:
    for index, prompt in enumerate(prompts):
        for place, role in enumerate(ROLES):
            value = prompt[role]["overall"]
            if value is None:
                continue
            bar(axes, index + (place - 1) * 0.27, {"mean": value, "low": None, "high": None}, role, 0.25)
    axes.set_title("Showcase prompts, mean score", loc="left", pad=16)
    axes.set_ylim(0, 11.2)
    axes.set_yticks(range(0, 11, 2))
    axes.set_xlim(-0.55, len(prompts) - 0.45)
    names = [textwrap.fill(prompt["title"], 16) for prompt in prompts]
    axes.set_xticks(range(len(prompts)), names, fontsize=17)
    axes.tick_params(axis="x", length=0, pad=8)
    axes.grid(axis="y")
    axes.set_axisbelow(True)


def _differences(axes: Axes, prompts: list[dict[str, Any]]) -> None:
    found = sorted(
        ((d, prompt) for prompt in prompts if (d := _difference(prompt)) is not None), key=lambda row: row[0]
    )
    if not found:
        axes.axis("off")
        return
    values = [value for value, _ in found]
    axes.barh(range(len(found)), values, color=[BETTER if value > 0 else WORSE for value in values], height=0.72)
    axes.axvline(0, color=TEXT, linewidth=1.5)
    reach = max(1.0, *(abs(value) for value in values)) * 1.25
    axes.set_xlim(-reach, reach)
    size = 14 if len(found) <= 30 else 9
    axes.set_yticks(range(len(found)), [p["title"] for _, p in found], fontsize=size)
    for place, value in enumerate(values):
        side = "left" if value >= 0 else "right"
        axes.text(
            value + reach * 0.02 * (1 if value >= 0 else -1),
            place,
            f"{value:+.1f}" if value else "0",
            ha=side,
            va="center",
            fontsize=size,
        )
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.7, len(found) - 0.3)
    axes.set_title("Distilled minus base, every test prompt", loc="left", pad=16, x=-0.28)
    axes.set_xlabel("← worse      difference in mean score      better →", fontsize=15)
    axes.grid(axis="x")
    axes.set_axisbelow(True)


# ---------------------------------------------------------------- cost


def cost_scaling(results: dict[str, Any], folder: Path) -> Path | None:
    rows = results["cost_scaling"]
    if not rows:
        return None
    with plt.rc_context(STYLE):
        figure = new_figure("Cost at scale", textwrap.fill(rows[0]["basis"], 100), results)
        axes = figure.add_axes((0.19, 0.13, 0.76, 0.66))
        for index, row in enumerate(reversed(rows)):
            for offset, key, colour, hatch in (
                (0.2, "usd", COLOURS["teacher"], ""),
                (-0.2, "usd_batch", "#8f7bff", "//"),
            ):
                estimate = row[key]
                axes.barh(
                    index + offset,
                    estimate["mean"],
                    0.36,
                    color=colour,
                    hatch=hatch,
                    edgecolor=BACKGROUND,
                    xerr=error(estimate),
                    error_kw={"ecolor": TEXT, "elinewidth": 2, "capsize": 6},
                )
                top = estimate["high"] or estimate["mean"]
                axes.text(top * 1.25, index + offset, _dollars(estimate), va="center", fontsize=17)
        axes.set_xscale("log")
        lowest = min(row["usd_batch"]["mean"] for row in rows)
        highest = max(row["usd"]["mean"] for row in rows)
        axes.set_xlim(lowest / 4, highest * 400)
        names = [
            f"{row['label']}\n({row['prompts']:,} prompts)" if row["label"] == "this run" else row["label"]
            for row in rows
        ]
        axes.set_yticks(range(len(rows)), list(reversed(names)), fontsize=19)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_formatter(lambda value, _: money(value))
        axes.minorticks_off()
        axes.set_xlabel("US dollars (logarithmic)")
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        handles = [
            mpl.patches.Patch(facecolor=COLOURS["teacher"], label="online"),
            mpl.patches.Patch(facecolor="#8f7bff", hatch="//", edgecolor=BACKGROUND, label="batch (half price)"),
        ]
        figure.legend(handles=handles, loc="upper right", bbox_to_anchor=(0.975, 0.985), ncols=2, fontsize=19)
        return save(figure, folder / "cost_scaling.png")


def _dollars(estimate: dict[str, Any]) -> str:
    if estimate["low"] is None:
        return money(estimate["mean"])
    return f"{money(estimate['mean'])}   [{money(estimate['low'])} – {money(estimate['high'])}]"


CHARTS: tuple[Callable[[dict[str, Any], Path], Path | None], ...] = (
    training_curves,
    model_scorecard,
    prompt_comparison,
    cost_scaling,
)
"""Every chart: results and a folder in, the file or None (its stage has not run) out. Add yours here."""
