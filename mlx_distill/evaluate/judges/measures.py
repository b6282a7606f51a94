"""What a measure is, and the parts of an answer's code that measures look at.

In: an answer's syntax tree. Out: its definitions; shares from 0 to 1 of what was looked at.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

Measure = tuple[str, float, float]
"""What is measured, its weight, and its share from 0 to 1."""

PLACEHOLDER = re.compile(r"\b(TODO|FIXME|your code here|implement this|rest of the code)\b", re.I)

DEFINITION = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def definitions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Public definitions, and methods other than the special ones, which need no docstring."""
    return [node for node in ast.walk(tree) if isinstance(node, DEFINITION) and not node.name.startswith("_")]


def share(passed: Sequence[bool]) -> float:
    return sum(passed) / len(passed)


def faultless(passed: Sequence[bool]) -> float:
    """1 where nothing fails, a half with one fault, a third with two: what is added beside a fault does not mend it."""
    return 1 / (1 + list(passed).count(False))
