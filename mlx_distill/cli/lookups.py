"""The commands that show, draw or export what runs have measured, and what this machine has.

In: run directories. Out: what the terminal shows, or files in another form. None of them trains, asks or answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cloup

from mlx_distill.cli.commands import JSON
from mlx_distill.cli.job import open_job
from mlx_distill.cli.options import OUTPUT, group, settings
from mlx_distill.cli.values import Place
from mlx_distill.report.look import FORMATS, THEMES, Look, size_of


@cloup.command(
    short_help="Draw the charts, and write RESULTS.md and report.html.",
    epilog="Example: mlx-distill report --run runs/standard --theme light --size 1080x1920",
)
@settings("report")
@cloup.option(
    "--format",
    "picture",
    type=cloup.Choice(FORMATS),
    default="png",
    group=group("report", OUTPUT),
    help="file format of the charts [png]",
)
@cloup.option(
    "--size",
    default="1920x1080",
    group=group("report", OUTPUT),
    help="size of the charts in pixels, such as 1080x1920 [1920x1080]",
)
@cloup.option(
    "--theme",
    type=cloup.Choice(THEMES),
    default="dark",
    group=group("report", OUTPUT),
    help="colours of the charts [dark]",
)
@cloup.option(
    "--animate",
    is_flag=True,
    group=group("report", OUTPUT),
    help="also write each chart as an animation: numbered frames and a GIF",
)
def report(picture: str, size: str, theme: str, animate: bool, **options: Any) -> None:
    """Draw the charts and write RESULTS.md and report.html from what the run has measured."""
    from mlx_distill.cli.terminal import Terminal

    look, terminal = Look(picture, size_of(size), theme), Terminal()
    with open_job(options, terminal, computes=False) as job:
        from mlx_distill.pipeline import commands

        terminal.summary(commands.report(job, look, animate), str(job.run.path))


@cloup.command(epilog="Example: mlx-distill export peft --run runs/standard")
@cloup.argument("form", metavar="FORMAT", type=cloup.Choice(("peft", "votes")))
@cloup.option("--run", "run_path", type=Place(), default=Path("runs", "standard"), help="run directory [runs/standard]")
@cloup.option("--to", "folder", type=Place(), help="folder or file to write [RUN/exports/FORMAT]")
def export(form: str, run_path: Path, folder: Path | None) -> None:
    """Write a run's adapter or answers in another FORMAT.

    peft: the adapter for Hugging Face. votes: a blind table of base and distilled answers, for people's --human votes.
    """
    from mlx_distill.cli.terminal import Terminal
    from mlx_distill.pipeline.commands import export
    from mlx_distill.run.folder import RunDir

    with RunDir(run_path).locked() as run_dir:
        for line in export(run_dir, form, folder):
            Terminal().line(line)


@cloup.command(short_help="List runs with their verdicts and losses.", epilog="Example: mlx-distill runs --json")
@cloup.argument("folder", type=Place(), default=Path("runs"))
@JSON
def runs(folder: Path, as_json: bool) -> None:
    """List the runs of FOLDER [runs], the latest first: verdict, losses, dollars, minutes."""
    from mlx_distill.cli.terminal import Terminal
    from mlx_distill.summarise import history

    entries, terminal = history.listed(folder), Terminal()
    if as_json:
        terminal.json(entries)
    else:
        terminal.runs(entries, str(folder))


@cloup.command(short_help="Compare two runs.", epilog="Example: mlx-distill diff first second")
@cloup.argument("a", type=Place())
@cloup.argument("b", type=Place())
@JSON
def diff(a: Path, b: Path, as_json: bool) -> None:
    """Compare runs A and B, and their distilled models on the prompts that both answered.

    A and B are run directories, or names of runs in runs/.
    """
    from mlx_distill.cli.terminal import Terminal
    from mlx_distill.summarise import history

    difference, terminal = history.diff(a, b), Terminal()
    if as_json:
        terminal.json(difference)
    else:
        terminal.diff(difference)


@cloup.command(epilog="Example: mlx-distill doctor")
def doctor() -> None:
    """Show what this machine has, what is missing, and how to get it."""
    from mlx_distill.machine import blas

    blas.ensure()
    from mlx_distill.cli.doctor import examine
    from mlx_distill.cli.terminal import Terminal

    rows = [(finding.what, finding.state, finding.advice) for finding in examine()]
    Terminal().table("mlx-distill doctor", ("what", "state", "to do"), rows)


COMMANDS = (report, export, runs, diff, doctor)
