"""The 541 prompts, as items.

In: rows of the authors' file, or of the hub's, where each instruction has every argument and null for those it does
not take. Out: Items. What cannot be scored is said before a model is asked anything.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from mlx_distill.evaluate.benchmarks.benchmark import Item
from mlx_distill.evaluate.benchmarks.ifeval.content import RELATIONS
from mlx_distill.evaluate.benchmarks.ifeval.marking import CHECKS
from mlx_distill.run.errors import DataError

SEVERAL = "several families"
FIX = "take the published file, input_data.jsonl or google/IFEval"


def read(rows: Sequence[Mapping[str, Any]]) -> list[Item]:
    """Raises DataError for an instruction that is unknown or lacks an argument."""
    return [_item(str(row.get("key", number)), row) for number, row in enumerate(rows)]


def _item(key: str, row: Mapping[str, Any]) -> Item:
    """Its category is the family that all its instructions belong to; its difficulty is how many they are."""
    names, arguments = row["instruction_id_list"], row["kwargs"]
    if len(names) != len(arguments):
        raise DataError(f"IFEval prompt {key} has {len(names)} instructions and {len(arguments)} kwargs: {FIX}")
    instructions = tuple(_instruction(key, *asked) for asked in zip(names, arguments, strict=True))
    families = {name.partition(":")[0] for name in names}
    return Item(
        benchmark="ifeval",
        id=key,
        prompt=row["prompt"],
        category=families.pop() if len(families) == 1 else SEVERAL,
        difficulty="1 instruction" if len(names) == 1 else f"{len(names)} instructions",
        data={"instructions": instructions},
    )


def _instruction(key: str, name: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    try:
        given = {argument: _whole(value) for argument, value in arguments.items() if value is not None}
        inspect.signature(CHECKS[name]).bind("", **given)
        if unknown := {value for argument, value in given.items() if argument.endswith("relation")} - set(RELATIONS):
            raise ValueError(f"unknown relation {unknown}")
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"IFEval prompt {key}: {name} cannot be checked with {arguments} ({error}): {FIX}") from error
    return name, given


def _whole(value: Any) -> Any:
    """Tables that hold nulls turn whole numbers into fractions."""
    return int(value) if isinstance(value, float) else value
