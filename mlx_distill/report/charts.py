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

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlx_distill.records import ROLES

BACKGROUND, TEXT, FAINT = "#1a1a2e", "#e0e0e0", "#3a3a55"
COLOURS = {"teacher": "#ffd93d", "base": "#00d4ff", "distilled": "#ff6b6b"}
HATCHES = {"teacher": "", "base": "//", "distilled": ".."}
BETTER, WORSE, SAME = "#7bd88f", "#ff9f43", "#9a9ab0"
WORD_COLOURS = {"better": BETTER, "worse": WORSE}

STYLE: dict[Any, Any] = {
    "figure.facecolor": BACKGROUND,
    "axes.facecolor": BACKGROUND,
    "savefig.facecolor": BACKGROUND,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": FAINT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "grid.color": FAINT,
    "font.family": "DejaVu Sans",
    "font.size": 18,
    "text.parse_math": False,  # a prompt's dollar signs are dollar signs
    "axes.titlesize": 22,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
}


def _figure(title: str, subtitle: str, results: dict[str, Any]) -> Figure:
    figure = plt.figure(figsize=(19.2, 10.8), dpi=100)
    figure.text(0.04, 0.955, title, fontsize=32, fontweight="bold", va="center")
    figure.text(0.04, 0.922, subtitle, fontsize=19, va="top", color=TEXT)
    run = results["run"]
    hardware = run["hardware"]
    memory = hardware["memory_bytes"] / 2**30
    student = f"{results['training']['student']} · " if results["training"] else ""
    made = f"{student}{hardware['chip']}, {hardware['cores']} cores, {memory:.0f} GiB, {hardware['backend']}"
    figure.text(
        0.04,
        0.025,
        f"run {run['name']} · {run['created'][:10]} · {made} · seed {run['seed']}",
        fontsize=14,
        color=SAME,
    )
    return figure


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, metadata={"Software": "mlx-distill"})
    plt.close(figure)
    return path


def _judge_name(comparison: dict[str, Any]) -> str:
    names = ", ".join(comparison["judges"])
    judge = f"judge: {names}" if comparison["judge_is_llm"] else f"scored by {names}"
    return f"{judge} · teacher: {textwrap.shorten(', '.join(comparison['teacher_models']), 60, placeholder=' …')}"


def _error(estimate: dict[str, Any]) -> list[list[float]] | None:
    if estimate["low"] is None:
        return None
    return [[max(0, estimate["mean"] - estimate["low"])], [max(0, estimate["high"] - estimate["mean"])]]


def _signed(estimate: dict[str, Any]) -> str:
    interval = "" if estimate["low"] is None else f" [{estimate['low']:+.2f}, {estimate['high']:+.2f}]"
    return f"{estimate['mean']:+.2f}{interval}"


# ---------------------------------------------------------------- training


def training_curves(results: dict[str, Any], folder: Path) -> Path | None:
    training = results["training"]
    if training is None:
        return None
    with plt.rc_context(STYLE):
        loss = training["heldout_loss"]
        subtitle = (
            f"{training['student']} · held-out loss {loss['base']['mean']:.3f} → {loss['best']['mean']:.3f} "
            f"nats per token ({_signed(loss['change'])}) on {training['heldout_prompts']} prompts never trained on"
        )
        figure = _figure("Training", subtitle, results)
        grid = figure.add_gridspec(1, 2, left=0.07, right=0.97, top=0.8, bottom=0.14, wspace=0.2)
        _curve(figure.add_subplot(grid[0]), training, "loss", "Loss (nats per scored token)")
        _curve(figure.add_subplot(grid[1]), training, "accuracy", "Token accuracy")
        return _save(figure, folder / "training_curves.png")


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
        figure = _figure("Scorecard", subtitle, results)
        axes = figure.add_axes((0.06, 0.27, 0.91, 0.55))
        dimensions = comparison["dimensions"]
        for place, role in enumerate(ROLES):
            for index, dimension in enumerate(dimensions):
                if dimension[role] is not None:
                    _bar(axes, index + (place - 1) * 0.27, dimension[role], role, 0.25)
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
        _legend(figure)
        figure.text(
            0.04,
            0.065,
            "Below each dimension: distilled minus base with its 95 % interval, the verdict (adjusted for looking at "
            "several dimensions), and n. Whiskers: 95 % interval over prompts.",
            fontsize=15,
            color=SAME,
        )
        return _save(figure, folder / "model_scorecard.png")


def _bar(axes: Axes, place: float, estimate: dict[str, Any], role: str, width: float) -> None:
    axes.bar(
        place,
        estimate["mean"],
        width,
        color=COLOURS[role],
        hatch=HATCHES[role],
        edgecolor=BACKGROUND,
        yerr=_error(estimate),
        error_kw={"ecolor": TEXT, "elinewidth": 2, "capsize": 6},
    )
    top = estimate["high"] if estimate["high"] is not None else estimate["mean"]
    axes.text(place, top + 0.18, f"{estimate['mean']:.1f}", ha="center", va="bottom", fontsize=17)


def _verdict(axes: Axes, index: int, dimension: dict[str, Any]) -> None:
    if dimension["difference"] is None:
        lines, colour = "not scored", SAME
    else:
        colour = WORD_COLOURS.get(dimension["verdict"], SAME)
        lines = f"{_signed(dimension['difference'])}\n{dimension['verdict']}\nn = {dimension['n']}"
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


def _legend(figure: Figure) -> None:
    handles = [
        mpl.patches.Patch(facecolor=COLOURS[role], hatch=HATCHES[role], edgecolor=BACKGROUND, label=role)
        for role in ROLES
    ]
    figure.legend(handles=handles, loc="upper right", bbox_to_anchor=(0.975, 0.985), ncols=3, fontsize=19)


# ---------------------------------------------------------------- prompt by prompt


def prompt_comparison(results: dict[str, Any], folder: Path) -> Path | None:
    comparison = results["comparison"]
    if comparison is None:
        return None
    with plt.rc_context(STYLE):
        shown = [prompt for prompt in comparison["prompts"] if prompt["source"] == "showcase"]
        shown = (shown or comparison["prompts"])[:4]
        figure = _figure("Prompt by prompt", _tally(comparison), results)
        _showcase(figure.add_axes((0.06, 0.2, 0.45, 0.59)), shown)
        _differences(figure.add_axes((0.68, 0.12, 0.28, 0.67)), comparison["prompts"])
        _legend(figure)
        return _save(figure, folder / "prompt_comparison.png")


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
            _bar(axes, index + (place - 1) * 0.27, {"mean": value, "low": None, "high": None}, role, 0.25)
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
            f"{value:+.1f}",
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
        figure = _figure("Cost at scale", textwrap.fill(rows[0]["basis"], 100), results)
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
                    xerr=_error(estimate),
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
        axes.set_xlabel("US dollars (logarithmic)")
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        handles = [
            mpl.patches.Patch(facecolor=COLOURS["teacher"], label="online"),
            mpl.patches.Patch(facecolor="#8f7bff", hatch="//", edgecolor=BACKGROUND, label="batch (half price)"),
        ]
        figure.legend(handles=handles, loc="upper right", bbox_to_anchor=(0.975, 0.985), ncols=2, fontsize=19)
        return _save(figure, folder / "cost_scaling.png")


def _dollars(estimate: dict[str, Any]) -> str:
    def money(value: float) -> str:
        return f"${value:,.0f}" if value >= 100 else f"${value:,.2f}"

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
