"""What the static judge measures of Python's documentation: docstrings, their examples, type hints, prose.

In: the definitions that a prompt asks for, and an answer's text. Out: measures. A docstring whose example is false
does not count: it looks like documentation and misleads who reads it. To find that out, examples are executed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlx_distill.evaluate.judges.measures import DEFINITION, Measure, definitions, faultless, functions
from mlx_distill.machine.checks.code import prose_of

Hold = Callable[[str, Sequence[str], Sequence[str]], list[list[bool]]]
"""Executes the examples of docstrings: see `machine.checks.examples`."""


@dataclass(frozen=True)
class Docstring:
    """`examples` says of each whether it holds."""

    text: str
    examples: Sequence[bool] = ()

    @property
    def counts(self) -> bool:
        return bool(self.text) and all(self.examples)


def docstrings_of(code: str, asked: ast.Module, hold: Hold | None) -> list[Docstring]:
    """Of what is asked for, in the order of its definitions. Without `hold` no example is looked at."""
    texts = [ast.get_docstring(node) or "" for node in definitions(asked)]
    if hold is None:
        return [Docstring(text) for text in texts]
    names = [node.name for node in asked.body if isinstance(node, DEFINITION)]
    return [Docstring(text, held) for text, held in zip(texts, hold(code, names, texts), strict=True)]


def has_true_example(docstrings: Sequence[Docstring]) -> bool:
    return any(any(docstring.examples) for docstring in docstrings)


def documentation(asked: ast.Module, docstrings: Sequence[Docstring], text: str, *, executed: bool) -> list[Measure]:
    """executed  examples could be run; else they are no measure"""
    measures: list[Measure] = [
        ("docstrings", 5, faultless([docstring.counts for docstring in docstrings]) if docstrings else 0),
        ("type hints", 2, faultless(_hinted(asked)) if functions(asked) else 0),
        ("prose", 3, len(prose_of(text).split()) >= 8),
    ]
    examples = [held for docstring in docstrings for held in docstring.examples]
    if executed:
        measures.append(("true docstring examples", 2, faultless(examples) if any(examples) else 0))
    return measures


def _hinted(tree: ast.Module) -> list[bool]:
    return [_is_hinted(function) for function in functions(tree)]


def _is_hinted(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    hinted = [argument.annotation is not None for argument in arguments if argument.arg not in ("self", "cls")]
    return all(hinted) and (function.returns is not None or function.name == "__init__")
