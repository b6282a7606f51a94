"""Distilling twice over the same ground: what a further round of a run is made from.

In: a finished run. Out: the settings of the next one. Its own answers come from the student that the run kept, and the
teacher's fill in where that student passes nothing; the next student is trained anew from the base (as in STaR, arXiv
2203.14465), so that every round is compared with the same base. The trade-off: what a round has learnt is carried on
in data alone, and costs a whole training again.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mlx_distill.evaluate.selection import read_selection
from mlx_distill.run import config as configuration
from mlx_distill.run.errors import UsageError
from mlx_distill.run.folder import CONFIG, LEDGER, PROMPTS, RunDir
from mlx_distill.run.records import Prompt

ANSWERS = 4
"""Of the student to each prompt, where the run had fewer."""


def next_folder(run: Path) -> Path:
    """`runs/x` → `runs/x-round-2` → `runs/x-round-3`."""
    name, number = run.name, 1
    if numbered := re.fullmatch(r"(.+)-round-(\d+)", name):
        name, number = numbered[1], int(numbered[2])
    return run.with_name(f"{name}-round-{number + 1}")


def settings_after(run: Path) -> dict[str, Any]:
    """What the next round changes of the run's configuration, by dotted name. Raises UsageError where it would learn
    the same again, DataError for a folder without a run."""
    config = configuration.load(run / CONFIG)
    if not any(prompt.split == "train" and prompt.checks for prompt in RunDir(run).stream(PROMPTS, Prompt)):
        raise UsageError(
            f"{run} has no training prompt with checks, so nobody can say which of its student's answers are right: "
            "a further round would learn the same again. Use --prompts with checks, in a new run."
        )
    selection = read_selection(RunDir(run))
    if selection and selection.chosen is None:
        raise UsageError(f"{run} kept the base, so there is no student to go on from: see `mlx-distill select`.")
    return {
        "choice.rule": config.choice.rule if config.choice.rule == "own" else "fit",
        "choice.student_answers": max(config.choice.student_answers, ANSWERS),
        "choice.answers_of": str(run.absolute()),
        "collect.ledger": config.collect.ledger or str((run / LEDGER).absolute()),
    }
