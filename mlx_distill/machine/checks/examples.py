"""Docstring examples (`>>>`): does the code do what its documentation shows?

In: an answer's code and its docstrings. Out: for each docstring, which of its examples hold. The rules are doctest's,
but a value may be written in another way than Python writes it, such as a text in double quotes. As with checks, the
sandbox says what was printed and raised, and the comparison is made here. One start of the sandbox is enough for an
answer: each docstring has a process of its own there, and its examples share their names.
"""

from __future__ import annotations

import ast
import dataclasses
import doctest
import json
import re
from collections.abc import Sequence
from typing import Any

from mlx_distill.machine.checks import LIMITS, equality, evaluated, lacking
from mlx_distill.machine.checks.mending import parsed
from mlx_distill.machine.checks.values import UNREADABLE

SECONDS = 2.0
"""Of the processor, for a docstring: its examples are small, and a loop without an end should not cost more."""

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.DONT_ACCEPT_TRUE_FOR_1

SHOWN = """
def shown(sources, names):
    import contextlib, io
    outputs = []
    for source in sources:
        printed, error = io.StringIO(), None
        with contextlib.redirect_stdout(printed):
            try:
                exec(compile(source, "example", "single"), names)
            except Exception as raised:
                error = type(raised).__name__ + ": " + str(raised)
        outputs.append([printed.getvalue(), error])
    return outputs
shown({sources}, dict(globals()))
"""
"""Runs inside the sandbox, as the lines of a check."""

Examples = list[doctest.Example]


def examples_hold(
    code: str,
    names: Sequence[str],
    docstrings: Sequence[str],
    *,
    unsandboxed: bool = False,
    packages: tuple[str, ...] = (),
) -> list[list[bool]]:
    """For each docstring, whether each of its examples holds. Examples that cannot be run here, because the sandbox
    lacks what the code needs, count as if they were not there.

    names  what the code defines
    """
    read = [_examples(docstring) for docstring in docstrings]
    run = [examples for examples in read if examples]
    if not run:
        return [[] if examples is not None else [False] for examples in read]
    lines = [SHOWN.replace("{sources}", repr([example.source for example in examples])) for examples in run]
    limits = dataclasses.replace(LIMITS, seconds=SECONDS)
    outcome = evaluated(code, names, lines, limits, unsandboxed=unsandboxed, packages=packages)
    outputs = outcome.result if isinstance(outcome.result, list) else []
    shown = iter([*outputs, *[None] * len(run)])
    held = [[False] if examples is None else _held(examples, next(shown)) if examples else [] for examples in read]
    could_run = outcome.ended != "not run" and (all(map(all, held)) or not _lacks(code, unsandboxed, packages))
    return held if could_run else [[] for _ in read]


def _lacks(code: str, unsandboxed: bool, packages: tuple[str, ...]) -> bool:
    return bool(lacking.packages(code, packages) or lacking.facility(code, unsandboxed=unsandboxed))


def _examples(docstring: str) -> Examples | None:
    """None where doctest cannot read them. Those that their writer marked to be skipped are not there."""
    try:
        examples = doctest.DocTestParser().get_examples(docstring)
    except ValueError:
        return None
    return [example for example in examples if not example.options.get(doctest.SKIP)]


def _held(examples: Examples, result: Any) -> list[bool]:
    """`result` is [an encoded list of (printed, error)], or anything else: it comes from the sandbox."""
    outputs = _outputs(result)
    if len(outputs) != len(examples):
        return [False] * len(examples)
    return [_holds(example, output) for example, output in zip(examples, outputs, strict=True)]


def _outputs(result: Any) -> list[Any]:
    try:
        outputs = json.loads(result[0]) if isinstance(result, list) else []
    except (*UNREADABLE, IndexError):
        return []
    return outputs if isinstance(outputs, list) else []


def _holds(example: doctest.Example, output: Any) -> bool:
    match output:
        case [str(), str(error)]:
            return example.exc_msg is not None and _same(re.sub(r"^[\w.]+\.", "", example.exc_msg), f"{error}\n")
        case [str(printed), None]:
            return example.exc_msg is None and (_same(example.want, printed) or _equal(example.want, printed))
    return False


def _same(expected: str, printed: str) -> bool:
    return doctest.OutputChecker().check_output(expected, printed, OPTIONS)


def _equal(expected: str, printed: str) -> bool:
    """Two ways to write one value. They are of about one length: what was printed may be as long as its writer likes,
    and to read it may take long."""
    try:
        return len(printed) <= 2 * len(expected) and equality.equal(_value(printed), _value(expected))
    except UNREADABLE:
        return False


def _value(text: str) -> Any:
    """Raises ValueError for what is no literal."""
    tree = parsed(text.strip())
    if tree is None or len(tree.body) != 1 or not isinstance(tree.body[0], ast.Expr):
        raise ValueError("no literal")
    return ast.literal_eval(tree.body[0].value)
