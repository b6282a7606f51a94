"""The bootstrap (Efron 1979): what a measure would have been, had other prompts been drawn.

In: one row of numbers for each prompt. Out: their sums over every resample, one row for each. A measure that is a
function of sums is so one product of matrices; the draws are made once for each number of prompts and kept. The
trade-off: only measures that are functions of sums can be had.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

SEED = 0
AT_ONCE = 4_000_000
"""Draws held at a time: a benchmark of thousands of items would take gigabytes. No number depends on it."""

KEPT = 20_000_000
"""Draws kept for the next measure of as many prompts, two bytes each."""


def resampled_sums(rows: Any, resamples: int) -> Any:
    """rows (prompts, columns) → their sums (resamples, columns), each over as many prompts, drawn with replacement."""
    import numpy as np

    values = np.asarray(rows, dtype=float)
    n = len(values)
    blocks = _kept_draws(n, resamples) if n * resamples <= KEPT else _draws(n, resamples)
    return np.concatenate([block.astype(float) @ values for block in blocks])


@functools.lru_cache(maxsize=8)
def _kept_draws(n: int, resamples: int) -> list[Any]:
    return list(_draws(n, resamples))


def _draws(n: int, resamples: int) -> Iterator[Any]:
    """How often each of n prompts is drawn in each resample, (resamples, n), in blocks of rows."""
    import numpy as np

    random, at_once = np.random.default_rng(SEED), max(1, AT_ONCE // n)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = random.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.uint16)
