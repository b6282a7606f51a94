"""How many answers a run's benchmarks take, counted without loading one.

In: a configuration. Out: numbers at most, or None where only the run will know: early stopping leaves checkpoints out,
and an item in two files counts twice. What is published of a benchmark and the lines of the user's own files say how
large they are.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path

from mlx_distill.evaluate import benchmarks as bench
from mlx_distill.models.teachers.traits import traits_of
from mlx_distill.run.config import Config
from mlx_distill.run.data.material import own_data
from mlx_distill.run.data.rows import count_rows
from mlx_distill.run.prompts import stream_prompts


@dataclass(frozen=True)
class Answers:
    """`base`: the same for all runs that share them, under the same `key`. `distilled`: reported, and to choose."""

    key: str
    base: int
    distilled: int

    @property
    def whole(self) -> int:
        return self.base + self.distilled


def count_answers(config: Config) -> Answers | None:
    """Raises DataError for a file that is not there."""
    if not config.bench.wanted:
        return Answers("", 0, 0)
    sizes, wanted = _sizes(config), config.selection.items
    drawn = [min(wanted or 0, size // 2) for size in sizes]
    held = [bench.most_held(used, size, config.selection.most) for used, size in zip(drawn, sizes, strict=True)]
    asked = [min(config.bench.limit or size, size - used) for size, used in zip(sizes, held, strict=True)]
    reported = sum(asked) * (config.bench.samples or 1)
    key = repr((config.training.student, config.training.seed, config.bench, wanted, config.selection.most))
    if wanted is None:
        return Answers(key, reported, reported)
    candidates = _candidates(config)
    if candidates is None:
        return None
    choosing = [math.ceil(used / 3) for used in drawn]
    tried = sum(choosing) * candidates + sum(held) - sum(choosing)
    return Answers(key, reported + sum(held), reported + tried)


def _sizes(config: Config) -> list[int]:
    published = [bench.BENCHMARKS[name].size for name in bench.named(config.bench.benchmarks)]
    return published + [_lines(Path(path)) for path in config.bench.data]


@functools.cache
def _lines(path: Path) -> int:
    return count_rows(path)


def _candidates(config: Config) -> int | None:
    """Checkpoints at every strength: those that are saved, and the one of the lowest held-out loss."""
    steps, every = _steps(config), config.training.save_every
    if steps is None and every:
        return None
    saved = steps // every if steps and every else 0
    return (saved + 1) * len(config.selection.strengths)


def _steps(config: Config) -> int | None:
    training = config.training
    if training.steps:
        return training.steps
    if training.data:
        own = own_data(config).conversations
        return training.all_steps(sum(conversation.split == "train" for conversation in own))
    if traits_of(config.teacher.spec).kind == "traces":
        return None
    return training.all_steps(sum(prompt.split == "train" for prompt in stream_prompts(config.prompts)))
