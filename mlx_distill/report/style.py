"""What the charts share: the dark theme, the frame of a figure, a role's bar, and numbers as text."""

from __future__ import annotations

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


def new_figure(title: str, subtitle: str, results: dict[str, Any]) -> Figure:
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


def save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, metadata={"Software": "mlx-distill"})
    plt.close(figure)
    return path


def error(estimate: dict[str, Any]) -> list[list[float]] | None:
    if estimate["low"] is None:
        return None
    return [[max(0, estimate["mean"] - estimate["low"])], [max(0, estimate["high"] - estimate["mean"])]]


def signed(estimate: dict[str, Any]) -> str:
    interval = "" if estimate["low"] is None else f" [{estimate['low']:+.2f}, {estimate['high']:+.2f}]"
    return f"{estimate['mean']:+.2f}{interval}"


def bar(axes: Axes, place: float, estimate: dict[str, Any], role: str, width: float) -> None:
    axes.bar(
        place,
        estimate["mean"],
        width,
        color=COLOURS[role],
        hatch=HATCHES[role],
        edgecolor=BACKGROUND,
        yerr=error(estimate),
        error_kw={"ecolor": TEXT, "elinewidth": 2, "capsize": 6},
    )
    top = estimate["high"] if estimate["high"] is not None else estimate["mean"]
    axes.text(place, top + 0.18, f"{estimate['mean']:.1f}", ha="center", va="bottom", fontsize=17)


def legend(figure: Figure) -> None:
    handles = [
        mpl.patches.Patch(facecolor=COLOURS[role], hatch=HATCHES[role], edgecolor=BACKGROUND, label=role)
        for role in ROLES
    ]
    figure.legend(handles=handles, loc="upper right", bbox_to_anchor=(0.975, 0.985), ncols=3, fontsize=19)


def money(value: float) -> str:
    return f"${value:,.0f}" if value >= 100 else f"${value:,.2f}"
