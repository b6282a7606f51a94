"""Other models' scores as somebody published them, to be shown beside ours and never tested.

In: bench/published.json, which the bench stage wrote from the user's files. Out: rows of model, benchmark, score and
source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlx_distill.run.data.rows import rows_of
from mlx_distill.run.decode import typed
from mlx_distill.run.errors import DataError
from mlx_distill.run.folder import BENCH_PUBLISHED, RunDir
from mlx_distill.run.results.benchmarks import Published

PUBLISHED = BENCH_PUBLISHED


def published_part(run: RunDir) -> tuple[Published, ...]:
    if not (run / PUBLISHED).exists():
        return ()
    where = str(run / PUBLISHED)
    return typed(tuple[Published, ...], run.read_json(PUBLISHED), where, "run `mlx-distill bench` again")


def read_published(files: Sequence[str]) -> list[Published]:
    """The user's JSON lines. Raises DataError naming the row that cannot be meant."""
    return [_row(row, f"{file}, row {number}") for file in files for number, row in _numbered(file)]


def _numbered(file: str) -> Iterable[tuple[int, Mapping[str, Any]]]:
    return enumerate(rows_of(Path(file)), 1)


def _row(row: Mapping[str, Any], where: str) -> Published:
    score = row.get("score")
    if not isinstance(row.get("model"), str) or not isinstance(row.get("benchmark"), str):
        raise DataError(f"{where} needs a model and a benchmark's name.")
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise DataError(f"{where}: score is {score!r}: give the share passed, 0 to 1.")
    return Published(
        model=row["model"],
        benchmark=row["benchmark"],
        score=float(score),
        source=str(row.get("source", "")),
    )
