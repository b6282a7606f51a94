"""A benchmark of your own: JSON lines of a prompt and its checks, or of a prompt and its answer.

In: rows with `prompt` and `checks` (as in a prompt set), or `prompt` and `answer`; `id`, `category` and `difficulty` if
you have them. Out: Items. An answer is compared by value as in the mathematical benchmarks where it is boxed, else by
its last line, without regard to case and final points: stricter than a reader, and the same for every model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mlx_distill.bench import mathematics
from mlx_distill.bench.benchmark import Benchmark, Case, Item, Mark, Scoring, Source
from mlx_distill.checks import NO_CODE, run_checks
from mlx_distill.errors import DataError
from mlx_distill.promptset import prompt_of
from mlx_distill.records import Prompt, content_id

COLUMNS = (frozenset({"prompt", "checks"}), frozenset({"prompt", "answer"}))
OPTIONAL = ("category", "difficulty")


def own(name: str) -> Benchmark:
    return Benchmark(
        name=name,
        title=name,
        capability="general",
        source=Source("", ""),
        columns=COLUMNS,
        size=0,
        max_tokens=1024,
        scorer="own 2",
        read=lambda rows: [_item(name, number, row) for number, row in enumerate(rows, 1)],
        score=score,
        deviations=("A benchmark of the user's own: nothing is known of it but its file.",),
        default=False,
    )


def _item(name: str, number: int, row: Mapping[str, Any]) -> Item:
    where = f"{name}, item {number}"
    prompt, answer = prompt_of(row, where), row.get("answer")
    if not prompt.checks and not isinstance(answer, str | int | float):
        raise DataError(f"{where} has neither checks nor an answer: give it one of them.")
    data: dict[str, Any] = {"prompt": prompt} if prompt.checks else {"answer": str(answer)}
    kinds = {kind: str(row[kind]) for kind in OPTIONAL if row.get(kind) is not None}
    return Item(name, str(row.get("id", content_id(prompt.text))), prompt.text, **kinds, data=data)


def score(cases: Sequence[Case], scoring: Scoring) -> Iterator[Mark]:
    """Checks are executed, `scoring.workers` at a time; answers are compared."""
    with ThreadPoolExecutor(scoring.workers) as pool:
        yield from pool.map(lambda case: _mark(case[0], case[1], scoring), cases)


def _mark(item: Item, text: str, scoring: Scoring) -> Mark:
    prompt = item.data.get("prompt")
    if isinstance(prompt, Prompt):
        found = run_checks(
            prompt, "base", text, cut=text in scoring.cut, unsandboxed=scoring.unsandboxed, packages=scoring.packages
        )
        assert found is not None
        read = None if found.detail == NO_CODE else f"{found.checks_passed} of {found.checks} checks"
        return Mark(found.passed, read, found.detail, found.parts, found.sandbox, found.packages)
    return _compared(str(item.data["answer"]), text)


def _compared(gold: str, text: str) -> Mark:
    answer = mathematics.boxed(text)
    if answer is None:
        answer = next((line for line in reversed(text.splitlines()) if line.strip()), None)
    if answer is None:
        return Mark(False, None, "no answer")
    right = _plain(answer) == _plain(gold) or _is_number(answer, gold)
    return Mark(right, answer.strip()[:200], "" if right else f"expected {gold[:200]}")


def _is_number(answer: str, gold: str) -> bool:
    found = mathematics.number(answer)
    return found is not None and found == mathematics.number(gold)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")
