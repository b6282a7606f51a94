"""MBPP+: 378 short functions from a sentence and an assert (Austin et al. 2021, arXiv 2108.07732), with the many more
tests of EvalPlus v0.2.0 (Liu et al. 2023, arXiv 2305.01210).

In: rows of evalplus/mbppplus, or of EvalPlus's own release file; both make the same items. JSON knows no tuples and no
complex numbers, so that for the release file a table says which arguments are such.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mlx_distill.evaluate.benchmarks import evalplus
from mlx_distill.evaluate.benchmarks.benchmark import Benchmark, Case, Item, Mark, Scoring, Source

NAME = "mbpp-plus"

INSTRUCTION = (
    "Write this Python function. Answer with the whole function and all it needs, as self-contained Python in one "
    "fenced code block."
)

CALL = re.compile(r"assertion\((\w+)\(\*inp\)")
LINK = re.compile(r"https?://\S+")

SHAPES = {
    **dict.fromkeys((2, 7, 111, 140, 232, 249, 579, 769), "set"),
    **dict.fromkeys((737, 787, 794), "given"),
}
"""Tasks whose test looks at the elements of an output only, or at whether there is one."""

ACCEPTED = {164: "anything", 295: "zero", 558: "digits", 581: "pyramid"}
"""Tasks that can be understood in two ways; both are right."""

SLOW = frozenset(f"Mbpp/{number}" for number in (84, 123, 255, 271, 300, 389, 392, 583, 589, 592, 599, 603, 630))
"""Tasks whose references take long: 599's adds up a hundred million numbers one by one, for twenty of its inputs;
255's makes 1.7 million tuples of 77 texts."""

BASE_TESTS = {3: 5, 162: 4, 223: 3, 780: 4, 799: 6}
"""How many of a task's inputs are MBPP's own, where that is not the number of its asserts."""

TYPES: dict[int, tuple[str, ...]] = {
    **dict.fromkeys((2, 116, 132, 222, 261, 273, 394, 421, 424, 429, 470, 560, 579), ("t",)),
    **dict.fromkeys((596, 616, 630, 726, 740, 744, 809), ("t",)),
    **dict.fromkeys((63, 64, 70, 94, 120, 237, 272, 299, 409, 473, 614, 780), ("lt",)),
    **dict.fromkeys((75, 413, 722, 753), ("lt", "")),
    **dict.fromkeys((106, 750), ("", "t")),
    **dict.fromkeys((250, 405, 446, 720, 763, 808), ("t", "")),
    **dict.fromkeys((259, 278, 445), ("tt",)),
    **dict.fromkeys((580, 615, 791), ("*",)),
    124: ("f", "c"),
    252: ("c",),
}
"""What JSON cannot say of a task's arguments, the last for all that follow: `t` a tuple and `l` a list, from the
outside in; `*` tuples all the way; `f` a float and `c` a complex number, written as texts."""


def read(rows: Sequence[Mapping[str, Any]]) -> list[Item]:
    """Raises DataError for a row that is not EvalPlus's."""
    return evalplus.read(rows, lambda row: _item(row) if "base_input" in row else _item_of_program(row))


def _item(row: Mapping[str, Any]) -> Item:
    number = int(row["task_id"].rpartition("/")[2])
    return _made(
        number,
        row["prompt"],
        reference=row["canonical_solution"],
        entry_point=row["entry_point"],
        inputs=(_all_typed(number, row["base_input"]), _all_typed(number, row["plus_input"])),
        tolerance=float(row["atol"]),
    )


def _item_of_program(row: Mapping[str, Any]) -> Item:
    inputs, number = evalplus.literal_inputs(row["test"]), int(row["task_id"])
    base = BASE_TESTS.get(number, len(row["test_list"]))
    call = CALL.search(row["test"])
    return _made(
        number,
        f'"""\n{row["prompt"]}\n{row["test_list"][0]}\n"""\n',
        reference=row["code"],
        entry_point=call[1] if call else "",
        inputs=(_all_typed(number, inputs[:base]), _all_typed(number, inputs[base:])),
        tolerance=evalplus.tolerance_of(row["test"]),
    )


def _made(number: int, docstring: str, **more: Any) -> Item:
    """The release file has no links in its texts, and the other does: they go."""
    prompt = f"{INSTRUCTION}\n\n```python\n{LINK.sub('', docstring).strip()}\n```"
    accept, shape = ACCEPTED.get(number, ""), SHAPES.get(number, "")
    return evalplus.item(NAME, f"Mbpp/{number}", prompt, accept=accept, shape=shape, **more)


def _all_typed(number: int, inputs: Iterable[Sequence[Any]]) -> list[list[Any]]:
    patterns = TYPES.get(number, ("",))
    last = len(patterns) - 1
    return [[_as(value, patterns[min(at, last)]) for at, value in enumerate(arguments)] for arguments in inputs]


def _as(value: Any, pattern: str) -> Any:
    if pattern in ("c", "f"):
        return complex(value) + 0 if pattern == "c" else float(value)  # the two files differ in the sign of a zero
    inner = pattern if pattern == "*" else pattern[1:]
    if pattern[:1] == "l" and isinstance(value, dict):
        return {key: _as(item, inner) for key, item in value.items()}
    if not pattern or not isinstance(value, list):
        return value
    items = [_as(item, inner) for item in value]
    return items if pattern[0] == "l" else tuple(items)


def score(cases: Sequence[Case], scoring: Scoring) -> Iterator[Mark]:
    return evalplus.score(cases, scoring, SLOW)


MBPP_PLUS = Benchmark(
    name=NAME,
    title="MBPP+",
    capability="code",
    source=Source("evalplus/mbppplus", "b2d74c91837c3f2a20c1299ae98133cbe7cfa077"),
    columns=(
        frozenset({"task_id", "prompt", "entry_point", "canonical_solution", "base_input", "plus_input", "assertion"}),
        frozenset({"task_id", "code", "prompt", "test_list", "test"}),
    ),
    size=378,
    max_tokens=1024,
    scorer="mbpp-plus 3",
    read=read,
    score=score,
    deviations=(
        *evalplus.DEVIATIONS,
        "Links are left out of the texts, as in EvalPlus's release file.",
        "Mbpp/558, 581, 737, 787 and 794 are scored as EvalPlus does: the self-contained test programs know one of the "
        "two meanings of 558 and 581, and assert nothing of the others.",
    ),
)
