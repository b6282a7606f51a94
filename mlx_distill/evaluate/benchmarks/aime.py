"""AIME 2024 and 2025: thirty problems a year, each answered by an integer from 0 to 999.

In: the rows of a published file. Out: Items with that integer as the gold "answer". The two years come in the same
columns, so `read` refuses a file of the other year. The problems are by the Mathematical Association of America.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mlx_distill.evaluate.benchmarks import mathematics
from mlx_distill.evaluate.benchmarks.benchmark import Benchmark, Item, Source
from mlx_distill.evaluate.benchmarks.reading import quantity, signs
from mlx_distill.run.errors import DataError

LABELS = ("id", "ID", "source", "url", "year")
"""Columns that may tell the year: "aime24-0", an address with 2024_AIME_I, 2024."""

YEAR = re.compile(r"aime[^0-9]?(?:20)?(2[0-9])(?![0-9])|(?<![0-9])20(2[0-9])(?![0-9])", re.IGNORECASE)

DIGESTS = {"24": "6809c5cf89d17fa1", "25": "d3753a86e1806531"}
"""Of a year's thirty answers, in order of size: for files whose rows say no year."""


def read(year: str, rows: Sequence[Mapping[str, Any]]) -> list[Item]:
    """Raises DataError for rows of another year, and for an answer that is no integer."""
    answers = [_answer(position, row) for position, row in enumerate(rows)]
    years = {named_year for row in rows if (named_year := _said(row))} or _recognised(answers)
    if other := sorted(years - {year}):
        raise DataError(f"these are problems of AIME 20{other[0]}, not of 20{year}: name the benchmark aime{other[0]}")
    return [_item(year, position, row, answers[position]) for position, row in enumerate(rows)]


def _answer(position: int, row: Mapping[str, Any]) -> int:
    text = row.get("expected_answer", row.get("answer"))
    number = quantity.read(signs.plain(str(text)))
    if number is None or number.unit or not 0 <= number.value <= 999 or number.value % 1:
        raise DataError(f"row {position + 1} of AIME has no integer from 0 to 999 as its answer: use a published file")
    return int(number.value)


def _said(row: Mapping[str, Any]) -> str | None:
    match = YEAR.search(" ".join(str(row[label]) for label in LABELS if row.get(label) is not None))
    return (match[1] or match[2]) if match else None


def _recognised(answers: Sequence[int]) -> set[str]:
    digest = hashlib.sha256(str(sorted(answers)).encode()).hexdigest()[:16]
    return {year for year, known in DIGESTS.items() if known == digest}


def _item(year: str, position: int, row: Mapping[str, Any], answer: int) -> Item:
    own = str(row.get("id"))
    return Item(
        benchmark=f"aime{year}",
        id=own if own.startswith(f"aime{year}-") else f"aime{year}-{position}",
        prompt=mathematics.ask(str(row["problem"])),
        data={"answer": str(answer)},
    )


def _benchmark(year: str, source: Source, columns: frozenset[str]) -> Benchmark:
    return Benchmark(
        name=f"aime{year}",
        title=f"AIME 20{year}",
        capability="mathematics",
        source=source,
        columns=(columns, frozenset({"problem", "expected_answer"})),
        size=30,
        max_tokens=8192,
        scorer=mathematics.SCORER,
        read=functools.partial(read, year),
        score=mathematics.score,
        deviations=(
            "Zero-shot, with a request for a box, one answer a problem: thirty items, so one more right is 3.3 points.",
            "The prompt does not say that the answer is an integer from 0 to 999, as the examination does.",
        ),
        default=False,
        floor=0.02,
    )


AIME24 = _benchmark(
    "24",
    Source("HuggingFaceH4/aime_2024", "2fe88a2f1091d5048c0f36abc874fb997b3dd99a", "train"),
    frozenset({"problem", "answer", "solution", "year"}),
)
AIME25 = _benchmark(
    "25",
    Source("math-ai/aime25", "563bb8404243c5f09de6ec262f2db674fe5bce9b", "test"),
    frozenset({"problem", "answer", "id"}),
)
