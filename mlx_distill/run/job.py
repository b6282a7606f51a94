"""A run as a command works on it: its folder, its configuration, and who watches.

In: what the command line opened. Out: the Job that every stage takes.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mlx_distill.run.config import Config
from mlx_distill.run.folder import GENERATIONS, METRICS, TEACHER_DATA, RunDir
from mlx_distill.run.patience import Patience
from mlx_distill.run.records import StepMetrics

ADAPTER = "distilled-student"
KEPT = "kept-student"
WEIGHTS = "adapters.safetensors"
WORK = (TEACHER_DATA, METRICS, GENERATIONS)
"""What another configuration must not silently redo. Answers in the ledger stay valid under any."""

STATIC = "static"
"""The judge that is no teacher: measurements of the code itself."""


class View(Protocol):
    """Who watches: the terminal, or a test."""

    def kept(self, stage: str) -> None: ...
    def note(self, text: str) -> None: ...
    def warn(self, text: str) -> None: ...
    def confirm(self, question: str) -> bool: ...
    def tracking(self, stage: str, total: int) -> contextlib.AbstractContextManager[Callable[[int, str], None]]: ...
    def training(
        self, total: int, earlier: Sequence[StepMetrics] = ()
    ) -> contextlib.AbstractContextManager[Callable[[StepMetrics], None]]: ...


@dataclass(frozen=True)
class Job:
    """`changed`: the run had another configuration before. `yes`: costs are agreed to, so nobody is asked.
    `teacher_named`: the command names the teacher."""

    run: RunDir
    config: Config
    view: View
    changed: bool = False
    yes: bool = False
    teacher_named: bool = False
    patience: Patience = dataclasses.field(default_factory=Patience)


def adapter_folder(run: RunDir) -> str:
    """Of the adapter that answers: the selection's where it kept any, or else the training's."""
    return KEPT if (run / KEPT / WEIGHTS).exists() else ADAPTER


def adapter_file(run: RunDir) -> str:
    return f"{adapter_folder(run)}/{WEIGHTS}"
