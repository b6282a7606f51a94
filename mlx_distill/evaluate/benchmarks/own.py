"""A benchmark of your own: JSON lines of a prompt and its checks, or of a prompt and its answer.

In: rows with `prompt` and `checks` (as in a prompt set), or `prompt` and `answer`; `id`, `category` and `difficulty` if
you have them. Out: Items. An answer is read from a box, from the last line, or from what the last lines state, and
compared by value where the gold answer has one (docs/marks.md); words count, without regard to case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlx_distill.evaluate.benchmarks import mathematics
from mlx_distill.evaluate.benchmarks.benchmark import Benchmark, Case, Item, Mark, Scoring, Source
from mlx_distill.evaluate.benchmarks.reading.final import last
from mlx_distill.evaluate.benchmarks.reading.sameness import Compare, Gold
from mlx_distill.machine.checks import NO_CODE, VERSION, run_checks
from mlx_distill.run.digest import content_id
from mlx_distill.run.errors import DataError
from mlx_distill.run.prompts import prompt_of
from mlx_distill.run.records import FORMAT, Prompt

COLUMNS = (frozenset({"prompt", "checks"}), frozenset({"prompt", "answer"}))
OPTIONAL = ("category", "difficulty")
SCORER = f"own 3, {VERSION}"


def own(name: str) -> Benchmark:
    return Benchmark(
        name=name,
        title=name,
        capability="general",
        source=Source("", ""),
        columns=COLUMNS,
        size=0,
        max_tokens=1024,
        scorer=SCORER,
        read=lambda rows: [_item(name, number, row) for number, row in enumerate(rows, 1)],
        score=score,
        deviations=(
            "A benchmark of the user's own: nothing is known of it but its file.",
            "An answer is the last box, the last line, or what these state; words and their units count.",
        ),
        default=False,
    )


def _item(name: str, number: int, row: Mapping[str, Any]) -> Item:
    where = f"{name}, item {number}"
    prompt, answer = prompt_of(row, where), row.get("answer")
    if not prompt.checks and not isinstance(answer, str | int | float):
        raise DataError(f"{where} has neither checks nor an answer: give it one of them.")
    data: dict[str, Any] = {"answer": str(answer), "as_written": isinstance(answer, str)}
    if prompt.checks:
        data = {"prompt": prompt}
    kinds = {kind: str(row[kind]) for kind in OPTIONAL if row.get(kind) is not None}
    return Item(name, str(row.get("id", content_id(prompt.text))), prompt.text, **kinds, data=data)


def score(cases: Sequence[Case], scoring: Scoring) -> Iterator[Mark]:
    """Checks are executed, `scoring.workers` at a time; answers are compared."""
    with mathematics.compared(scoring) as (threads, compare):
        yield from threads.map(lambda case: _mark(case[0], case[1], scoring, compare), cases)


def _mark(item: Item, text: str, scoring: Scoring, compare: Compare) -> Mark:
    prompt = item.data.get("prompt")
    if isinstance(prompt, Prompt):
        result = run_checks(
            prompt, "base", text, cut=text in scoring.cut, unsandboxed=scoring.unsandboxed, packages=scoring.packages
        )
        assert result is not None
        read = None if result.detail == NO_CODE else f"{result.checks_passed} of {result.checks} checks"
        return Mark(result.passed, read, result.detail, result.parts, result.sandbox, result.packages)
    return _compared(item, text, compare, text in scoring.cut)


def _compared(item: Item, text: str, compare: Compare, cut: bool) -> Mark:
    """The last line as it stands may be the answer, or state it; a box is one in any case. `cut`: the text ends at the
    token cap."""
    gold = Gold(str(item.data["answer"]), item.prompt, own=True, as_written=bool(item.data["as_written"]))
    readings = last(text, item.prompt, cut=cut)
    if not readings:
        return Mark(False, None, "no answer", {FORMAT: False})
    marks = [mathematics.mark_of(gold, reading, compare) for reading in readings]
    return next((mark for mark in marks if mark.passed), marks[-1])
