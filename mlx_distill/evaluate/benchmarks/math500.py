"""MATH-500: 500 competition problems in seven subjects and five levels, answered in LaTeX.

In: the rows of the published file. Out: Items whose gold "answer" is compared by value. Hendrycks et al. 2021
(arXiv 2103.03874); the 500 are the test split of Lightman et al. 2023 (arXiv 2305.20050).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlx_distill.evaluate.benchmarks import equivalence, mathematics
from mlx_distill.evaluate.benchmarks.benchmark import Benchmark, Item, Source


def read(rows: Sequence[Mapping[str, Any]]) -> list[Item]:
    return [_item(row) for row in rows]


def _item(row: Mapping[str, Any]) -> Item:
    return Item(
        benchmark="math-500",
        id=str(row["unique_id"]),
        prompt=mathematics.ask(str(row["problem"])),
        category=str(row["subject"]),
        difficulty=f"level {row['level']}",
        data={"answer": str(row["answer"])},
    )


MATH500 = Benchmark(
    name="math-500",
    title="MATH-500",
    capability="mathematics",
    source=Source("HuggingFaceH4/MATH-500", "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be", "test"),
    columns=(frozenset({"problem", "answer", "subject", "level", "unique_id"}),),
    size=500,
    max_tokens=2048,
    scorer=mathematics.SCORER,
    read=read,
    score=mathematics.score,
    deviations=(
        "Zero-shot, with a request for a box; a text without a box is read by what it states as its answer, and how "
        "many answers followed the request is said apart.",
        "Answers are compared by value (math-verify), not by their characters: an unreduced fraction or a "
        "calculation not carried out passes, and a unit, a degree sign or a base may be left out.",
        f"A decimal passes for an exact answer only where {equivalence.DIGITS} digits agree.",
    ),
)
