"""HumanEval+: 164 functions to complete from their docstrings (Chen et al. 2021, arXiv 2107.03374), with the many more
tests of EvalPlus (Liu et al. 2023, arXiv 2305.01210).

In: rows of evalplus/humanevalplus, or of EvalPlus's own release file; both make the same items. What the prompt gives
beside the function (imports, functions that are used) stands before every answer, as if it had gone on writing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlx_distill.evaluate.benchmarks import evalplus
from mlx_distill.evaluate.benchmarks.benchmark import Benchmark, Case, Item, Mark, Scoring, Source

NAME = "humaneval-plus"

INSTRUCTION = (
    "Complete this Python function. Answer with the whole function and all it needs, as self-contained Python in one "
    "fenced code block."
)

ACCEPTED = {"HumanEval/32": "root"}
"""Any root of the polynomial is right, not only the reference's."""

SLOW = frozenset(f"HumanEval/{number}" for number in (15, 36, 59, 83, 94, 130, 139))
"""Problems whose references take long: EvalPlus asks for factorials and primes up to a million."""

# fmt: off
BASE_TESTS = (
    7, 4, 3, 6, 3, 3, 3, 4, 5, 4, 5, 3, 3, 4, 3, 3, 5, 5, 4, 5, 5, 5, 3, 3, 5,
    8, 3, 3, 3, 2, 4, 12, 99, 7, 1, 2, 8, 3, 100, 10, 9, 5, 3, 9, 12, 3, 4, 5, 7, 7,
    100, 7, 6, 105, 7, 5, 12, 8, 4, 5, 5, 12, 5, 7, 7, 5, 8, 7, 8, 25, 9, 9, 6, 8, 9,
    4, 10, 9, 7, 4, 8, 6, 16, 5, 5, 4, 7, 6, 7, 8, 6, 6, 10, 5, 9, 7, 10, 8, 7, 5,
    5, 6, 8, 12, 4, 5, 4, 8, 8, 5, 7, 7, 9, 3, 12, 5, 7, 7, 13, 12, 11, 7, 5, 4, 16,
    8, 13, 8, 8, 10, 10, 7, 14, 12, 10, 5, 11, 8, 8, 4, 5, 26, 11, 7, 12, 6, 7, 4, 7, 7,
    10, 7, 4, 9, 6, 8, 14, 11, 10, 6, 3, 8, 4, 4,
)
# fmt: on
"""How many of each problem's inputs are HumanEval's own: those stand first, and the self-contained test programs do not
say where they end."""


def read(rows: Sequence[Mapping[str, Any]]) -> list[Item]:
    """Raises DataError for a row that is not EvalPlus's."""
    return evalplus.read(rows, _item)


def _item(row: Mapping[str, Any]) -> Item:
    name, prompt = row["task_id"], row["prompt"]
    return evalplus.item(
        NAME,
        name,
        f"{INSTRUCTION}\n\n```python\n{prompt.strip()}\n```",
        reference=prompt + row["canonical_solution"],
        entry_point=row["entry_point"],
        inputs=_inputs(row),
        tolerance=float(row["atol"]) if "atol" in row else evalplus.tolerance_of(row["test"]),
        setup=_before(f"{prompt}\n    pass\n", row["entry_point"]),
        accept=ACCEPTED.get(name, ""),
        published=prompt,
    )


def _before(code: str, name: str) -> str:
    """What stands before the definition of `name`: imports and functions that a prompt gives. Raises SyntaxError."""
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return "".join(f"{line}\n" for line in code.split("\n")[: node.lineno - 1])
    return ""


def _inputs(row: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    if "base_input" in row:
        return list(row["base_input"]), list(row["plus_input"])
    inputs = evalplus.literal_inputs(row["test"])
    base = BASE_TESTS[int(row["task_id"].rpartition("/")[2])]
    return inputs[:base], inputs[base:]


def score(cases: Sequence[Case], scoring: Scoring) -> Iterator[Mark]:
    return evalplus.score(cases, scoring, SLOW)


HUMANEVAL_PLUS = Benchmark(
    name=NAME,
    title="HumanEval+",
    capability="code",
    source=Source("evalplus/humanevalplus", "d32357cf319e50e9c8d8dab5ea876c72b0fd321b"),
    columns=(
        frozenset(
            {"task_id", "prompt", "entry_point", "canonical_solution", "test", "base_input", "plus_input", "atol"}
        ),
        frozenset({"task_id", "prompt", "entry_point", "canonical_solution", "test"}),
    ),
    size=164,
    max_tokens=1024,
    scorer="humaneval-plus 3",
    read=read,
    score=score,
    deviations=(
        *evalplus.DEVIATIONS,
        "The prompt's own imports and functions stand before the answer.",
        "HumanEval/32 is scored by the polynomial's value, as EvalPlus does; the published test program unpacks the "
        "answer where the coefficients belong, and passes none.",
    ),
)
