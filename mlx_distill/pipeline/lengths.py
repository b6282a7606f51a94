"""How long the examples of a run will be, as far as that can be known before it starts.

In: a configuration, how many prompts there are, the run's files. Out: lengths, and in words how they were found:
counted with the student's tokenizer, or else typical.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from mlx_distill.models import students
from mlx_distill.run.config import Config
from mlx_distill.run.data.material import counted_texts
from mlx_distill.run.folder import RunDir
from mlx_distill.train.fit import Lengths
from mlx_distill.train.fit.lengths import Turns, sizes_of
from mlx_distill.train.replay.answers import sizes as replay_sizes

Split = Sequence[Sequence[Turns]]
"""Conversations to train on, and held out."""

TYPICAL = (1000, 500)
"""Tokens of an example with an answer of a page or two, and how many of them are scored."""

TOKEN_LETTERS = 4
"""Of a token, about, where the student's tokenizer is not here yet."""


def lengths_of(config: Config, prompts: Counter[str], run: Path) -> tuple[Lengths, str]:
    """`prompts`: how many there are in each split."""
    count = students.token_counter(config.training.student)
    lengths, source = _examples(config, prompts, run, count)
    if not config.replay.wanted:
        return lengths, source
    replayed, general = replay_sizes(config, RunDir(run), count or (lambda text: len(text) // TOKEN_LETTERS))
    ratio = config.replay.ratio
    return dataclasses.replace(lengths, replayed=tuple(replayed), general=tuple(general), ratio=ratio), source


def _examples(
    config: Config, prompts: Counter[str], run: Path, count: Callable[[str], int] | None
) -> tuple[Lengths, str]:
    parts = counted_texts(config, RunDir(run))
    splits = [[[(m["role"], m["content"]) for m in c.messages] for c in part] for part in parts]
    number = sum(map(len, splits))
    if count is None or not number:
        reason = "the student's tokenizer is not here yet" if number else "nothing is collected yet"
        return _typical(config, prompts, splits, reason)
    train, valid = (sizes_of(turns, config.training.system, count) for turns in splits)
    least, most = min(train + valid)[0], max(train + valid)[0]
    source = f"{number:,} of {least:,} to {most:,} tokens, counted with the student's tokenizer"
    return Lengths(tuple(train), tuple(valid)), source


def _typical(config: Config, prompts: Counter[str], splits: Split, reason: str) -> tuple[Lengths, str]:
    train = max(1, len(splits[0]) or prompts["train"])
    valid = max(1, len(splits[1]) or prompts["valid"])
    tokens, scored = (min(each, config.training.window) for each in TYPICAL)
    lengths = Lengths(((tokens, scored),) * train, ((tokens, scored),) * valid)
    return lengths, f"{train + valid:,}, assumed to have {tokens:,} tokens each ({reason})"
