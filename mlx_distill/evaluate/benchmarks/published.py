"""Other models' scores as somebody published them, to be shown beside ours and never tested.

In: bench/published.json, which the bench stage wrote from the user's files. Out: rows of model, benchmark, score and
source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlx_distill.run.data.rows import rows_of
from mlx_distill.run.errors import DataError
from mlx_distill.run.folder import BENCH_PUBLISHED, RunDir

PUBLISHED = BENCH_PUBLISHED


def published_part(run: RunDir) -> list[dict[str, Any]]:
    return list(run.read_json(PUBLISHED)) if (run / PUBLISHED).exists() else []


def read_published(files: Sequence[str]) -> list[dict[str, Any]]:
    """The user's JSON lines. Raises DataError naming the row that cannot be meant."""
    return [_row(row, f"{file}, row {number}") for file in files for number, row in _numbered(file)]


def _numbered(file: str) -> Iterable[tuple[int, Mapping[str, Any]]]:
    return enumerate(rows_of(Path(file)), 1)


def _row(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    score = row.get("score")
    if not isinstance(row.get("model"), str) or not isinstance(row.get("benchmark"), str):
        raise DataError(f"{where} needs a model and a benchmark's name.")
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise DataError(f"{where}: score is {score!r}: give the share passed, 0 to 1.")
    return {
        "model": row["model"],
        "benchmark": row["benchmark"],
        "score": float(score),
        "source": str(row.get("source", "")),
    }
