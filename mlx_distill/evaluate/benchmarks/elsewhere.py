"""Answers that were made elsewhere, scored without a model and without a training run.

In: JSON lines with `task_id` (an item's id) or `prompt`, `text`, and `role`; or EvalPlus' samples, with `solution` or
`completion`. Out: generations for the items that they answer. Rows without a role get the one that the file was given
with. An answer to nothing that is asked is an error: it would silently be left out of a score.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlx_distill.evaluate.benchmarks.benchmark import Item
from mlx_distill.run.data.rows import found_in
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.prompts import shorten
from mlx_distill.run.records import ROLES, Generation, Role

TEXTS = ("text", "solution", "completion")


@dataclass(frozen=True)
class Given:
    """A file of answers; `role` of its rows that name none."""

    path: Path
    role: Role


def given(text: str) -> Given:
    """`[ROLE=]FILE`; distilled where no role is named. Raises UsageError."""
    role, equals, path = text.partition("=")
    if not equals:
        return Given(Path(text), "distilled")
    for known in ROLES:
        if role == known:
            return Given(Path(path), known)
    raise UsageError(f"--answers {text}: write base=FILE or distilled=FILE, or a FILE whose rows have a role.")


def read_answers(files: Sequence[Given], items: Sequence[Item]) -> list[Generation]:
    """Raises DataError for a row that cannot be meant."""
    index, counts = _Index(items), Counter[tuple[str, Role]]()
    generations = []
    for file in files:
        for where, row in found_in(file.path):
            item, role, text = _row(row, index, file, where)
            key = item.key
            generations.append(
                Generation(key, role, text, 0, 0.0, str(row.get("finish_reason", "stop")), counts[key, role])
            )
            counts[key, role] += 1
    if not generations:
        raise DataError(f"{', '.join(str(file.path) for file in files)}: no answers are in there.")
    return generations


class _Index:
    """Items by what a row may call them."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._by_name: dict[str, list[Item]] = {}
        self._items = items
        for item in items:
            for name in {item.id, item.key, item.prompt.strip()}:
                self._by_name.setdefault(name, []).append(item)

    def find(self, row: Mapping[str, Any], where: str) -> Item:
        name = row.get("task_id", row.get("prompt"))
        if not isinstance(name, str | int):
            raise DataError(f"{where} has neither task_id nor prompt: add one of them.")
        items = self._by_name.get(str(name).strip()) or list(self._asking(str(name)))
        if len(items) != 1:
            what = "belongs to several benchmarks" if items else "is no item of the chosen benchmarks"
            raise DataError(f"{where}: {shorten(str(name))!r} {what}: check --benchmark, --data and --limit.")
        return items[0]

    def _asking(self, question: str) -> Iterator[Item]:
        """The items whose prompt holds a published question, with a request before or after it."""
        if len(question) > 30:
            yield from (item for item in self._items if question.strip() in item.prompt)


def _row(row: Mapping[str, Any], index: _Index, file: Given, where: str) -> tuple[Item, Role, str]:
    item, role = index.find(row, where), row.get("role", file.role)
    if role not in ROLES:
        raise DataError(f"{where}: the role {role!r} is none of {', '.join(ROLES)}: correct it.")
    name = next((name for name in TEXTS if isinstance(row.get(name), str)), None)
    if name is None:
        raise DataError(f"{where} has no {', '.join(TEXTS)}: add the answer.")
    text = str(row[name])
    if name == "completion":  # goes on where the published prompt ends
        text = str(item.data.get("published", "")) + text
    return item, role, text
