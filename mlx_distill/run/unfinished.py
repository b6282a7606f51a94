"""What is not finished, or was made from something else: said before anything that rests on it.

In: the run's files. Out: sentences, the gravest first; [] for a run in order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from mlx_distill.run.config import Config
from mlx_distill.run.files import StudentFile
from mlx_distill.run.folder import METRICS, STUDENT, RunDir
from mlx_distill.run.records import StepMetrics

RECORD = STUDENT
ADAPTER = "distilled-student/adapters.safetensors"
DONE = "done"
OTHERS = {
    "select": "The selection of a checkpoint",
    "generate": "Answering the test prompts",
    "judge": "Judging",
    "bench": "Answering the benchmarks",
}


def unfinished_part(run: RunDir, config: Config) -> list[str]:
    """results["unfinished"]."""
    stages, sentences = run.stages(), unfinished_training(run, config)
    begun = [name for name in OTHERS if name in stages and stages[name].state != DONE]
    return sentences + [f"{OTHERS[name]} is not finished: what rests on it counts what was there." for name in begun]


def unfinished_training(run: RunDir, config: Config) -> list[str]:
    """Of the adapter alone, on which every answer of the distilled model rests."""
    if not (run / ADAPTER).exists():
        return []
    stages = run.stages()
    known = run.find(RECORD, StudentFile) or StudentFile()
    if "train" not in stages:
        return ["The adapter was not trained in this run: nothing is known of how, nor whether that was finished."]
    sentences = []
    if stages["train"].state != DONE:
        sentences.append(_steps(run.read(METRICS, StepMetrics), known.steps))
    if different := _different(known.settings, config):
        sentences.append(f"The adapter was trained with other settings than the run has now ({'; '.join(different)}).")
    return sentences


def _steps(metrics: list[StepMetrics], planned: int | None) -> str:
    """Which step's adapter answers: the best by held-out loss so far."""
    measured = [row for row in metrics if row.valid_loss is not None]
    best = min(measured, key=lambda row: (row.valid_loss or 0.0, row.step)).step if measured else 0
    whose = f"that of step {best}, the best so far" if best else "the one of the beginning, which changes nothing"
    done = max((row.step for row in metrics), default=0)
    return f"The training is not finished: {done:,} of {planned or '?'} steps are done, and the adapter is {whose}."


def _different(settings: Mapping[str, Any], config: Config) -> list[str]:
    """What of the training's configuration has changed since; a list that JSON made of a tuple has not."""
    now = dataclasses.asdict(config.training)
    before = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    return [f"{name}: {before[name]} → {now[name]}" for name in before if name in now and before[name] != now[name]]
