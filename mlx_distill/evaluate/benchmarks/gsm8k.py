"""GSM8K: 1,319 grade-school word problems, each answered by one number.

In: the rows of the published test split, whose reference ends in "#### number". Out: Items with that number as the gold
"answer". Cobbe et al. 2021 (arXiv 2110.14168).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mlx_distill.evaluate.benchmarks import mathematics
from mlx_distill.evaluate.benchmarks.benchmark import Benchmark, Item, Source
from mlx_distill.evaluate.benchmarks.reading import quantity, signs
from mlx_distill.run.errors import DataError

HASHES = "####"


def read(rows: Sequence[Mapping[str, Any]]) -> list[Item]:
    """Raises DataError for a reference without a number."""
    return [_item(position, row) for position, row in enumerate(rows)]


def _item(position: int, row: Mapping[str, Any]) -> Item:
    reference = str(row["answer"])
    gold = after_hashes(reference)
    if gold is None or re.search("[A-Za-z]", gold) or quantity.read(signs.plain(gold)) is None:
        raise DataError(f"row {position + 1} of GSM8K has no number after {HASHES}: use the published file")
    return Item(
        benchmark="gsm8k",
        id=f"gsm8k-{position}",
        prompt=mathematics.ask(str(row["question"])),
        difficulty=steps(reference),
        data={"answer": gold.replace(",", "")},
    )


def steps(reference: str) -> str:
    """How many calculations the reference marks (<<48/2=24>>), in three classes of about a third of the items each."""
    count = reference.count("<<")
    return "1-2 steps" if count <= 2 else "3 steps" if count == 3 else "4+ steps"


def after_hashes(text: str) -> str | None:
    """The rest of the line after the last ####."""
    _, hashes, rest = text.rpartition(HASHES)
    return (rest.strip().splitlines() or [""])[0].strip() or None if hashes else None


GSM8K = Benchmark(
    name="gsm8k",
    title="GSM8K",
    capability="mathematics",
    source=Source("openai/gsm8k", "740312add88f781978c0658806c59bc2815b9866", "test", name="main"),
    columns=(frozenset({"question", "answer"}),),
    size=1319,
    max_tokens=1024,
    scorer=mathematics.SCORER,
    read=read,
    score=mathematics.score,
    deviations=(
        "Zero-shot, with a request for a box, where the paper's answers and few-shot prompts end in #### and a number; "
        "a text without a box is read so too, or by what it states as its answer.",
        "The gold answers have no units: an answer may have one, which is not compared, but read: 2 dozen is 24.",
    ),
)
