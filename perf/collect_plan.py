"""What a measurement of collecting is given: a seed, a size, a folder."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import table

MODEL = "claude-sonnet-4-6"
AT_ONCE = 64
"""Requests under way, in every measurement that does not say otherwise."""

SENTENCE = "which of its parts would you build first, and why would the others have to wait for it "


@dataclass(frozen=True)
class Plan:
    """`small` is for trying the measurements out: its figures say little."""

    seed: int
    small: bool

    def size(self, full: int, small: int) -> int:
        return small if self.small else full

    def random(self, name: str) -> random.Random:
        return random.Random(f"{self.seed} {name}")

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """Empty, and gone afterwards; TMPDIR says on which disk."""
        with tempfile.TemporaryDirectory(prefix="perf-collect-", ignore_cleanup_errors=True) as name:
            yield Path(name)

    def question(self, number: int, letters: int = 0) -> str:
        """A prompt like no other; `letters` long where that is more than it needs."""
        text = f"Question number {number} about topic {number}.{self.seed}: {SENTENCE}"
        return (text * (letters // len(text) + 1))[: max(letters, len(text))].strip()


Section = table.Section[Plan]
