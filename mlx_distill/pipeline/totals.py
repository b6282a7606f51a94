"""How many prompts a run has, and how often its teacher is asked, before anything is collected.

In: a configuration. Out: totals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from mlx_distill.collect import answers_asked
from mlx_distill.models.teachers.traits import traits_of
from mlx_distill.run.config import Config
from mlx_distill.run.prompts import heldout_prompts, stream_prompts
from mlx_distill.run.records import Prompt


@dataclass(frozen=True)
class PromptTotals:
    """How many prompts there are in each split, and how many training prompts with checks; how often the teacher is
    asked, and the bytes of all these questions."""

    counts: Counter[str]
    checked: int
    asked: int
    bytes: int


def count_prompts(config: Config) -> PromptTotals:
    counts, checked, asked, size = Counter[str](), 0, 0, 0
    for prompt in _prompts(config):
        times = answers_asked(prompt, config.choice.teacher_answers)
        counts[prompt.split] += 1
        checked += prompt.split == "train" and bool(prompt.checks)
        asked += times
        size += times * len(prompt.text.encode())
    return PromptTotals(counts, checked, asked, size)


def further_answers(config: Config) -> list[str]:
    """For a digest of what is asked: nothing where every prompt is asked once."""
    count = config.choice.teacher_answers
    return [str(count)] if count > 1 else []


def _prompts(config: Config) -> Iterable[Prompt]:
    if config.training.data or traits_of(config.teacher.spec).kind == "traces":
        return heldout_prompts(config.prompts, ("test",))
    return stream_prompts(config.prompts)
