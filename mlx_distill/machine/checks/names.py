"""What Python code gives and what it needs, by name.

In: code that parses. Out: the names that it binds at module level with the statements that do, those that it uses from
there, and whether a definition is more than its signature. Only what is written counts; nothing is run.
"""

from __future__ import annotations

import ast
import builtins
import symtable
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlx_distill.machine.checks.mending import UNPARSABLE, parsed

BUILTINS = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__", "__builtins__"}
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
DEFINITION = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Binding:
    """A statement at module level that gives a name something: `definition` where that is written there, and not
    imported; `stub` where it is a signature alone."""

    name: str
    statement: ast.stmt
    definition: bool = True
    stub: bool = False


def bindings(tree: ast.Module) -> list[Binding]:
    """In the order of the statements; what stands in if, try, with and loops belongs to that statement."""
    return [Binding(name, node, defines, stub) for node in tree.body for name, defines, stub in _bound(node)]


def _bound(node: ast.stmt) -> Iterator[tuple[str, bool, bool]]:
    if isinstance(node, DEFINITION):
        yield node.name, True, is_stub(node)
    elif isinstance(node, ast.Import):
        yield from ((alias.asname or alias.name.partition(".")[0], False, False) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from ((alias.asname or alias.name, False, False) for alias in node.names)
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from ((name, True, False) for target in targets for name in _stored(target))
    else:
        yield from _bound_within(node)


def _bound_within(node: ast.stmt) -> Iterator[tuple[str, bool, bool]]:
    if isinstance(node, ast.For | ast.AsyncFor):
        yield from ((name, True, False) for name in _stored(node.target))
    for field in ("body", "orelse", "finalbody"):
        for inner in getattr(node, field, None) or ():
            if isinstance(inner, ast.stmt):
                yield from _bound(inner)
    for handler in getattr(node, "handlers", ()):
        for inner in handler.body:
            yield from _bound(inner)


def _stored(target: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, ast.Tuple | ast.List):
        for element in target.elts:
            yield from _stored(element)
    elif isinstance(target, ast.Starred):
        yield from _stored(target.value)


def is_stub(node: ast.AST) -> bool:
    """A function that does nothing or says that it is not written; a class with a base of none but such."""
    if isinstance(node, ast.ClassDef):
        inner = [item for item in node.body if not _is_text(item)]
        if all(isinstance(item, ast.Pass) or _is_ellipsis(item) for item in inner):
            return not node.bases
        return all(isinstance(item, FUNCTION) and is_stub(item) for item in inner)
    if not isinstance(node, FUNCTION):
        return False
    return all(_is_text(item) or isinstance(item, ast.Pass) or _is_ellipsis(item) or _is_unwritten(item)
               for item in node.body)  # fmt: skip


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_ellipsis(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is Ellipsis


def _is_unwritten(node: ast.stmt) -> bool:
    raised = node.exc if isinstance(node, ast.Raise) else None
    named = raised.func if isinstance(raised, ast.Call) else raised
    return isinstance(named, ast.Name) and named.id == "NotImplementedError"


def needed(code: str) -> frozenset[str]:
    """The names that code uses and does not bind, at module level, but for Python's own."""
    return used_names(code) - BUILTINS


def used_names(code: str) -> frozenset[str]:
    """Python's own too; empty for what does not compile."""
    try:
        table = symtable.symtable(code, "answer", "exec")
    except UNPARSABLE:
        return frozenset()
    given = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    given |= {child.get_name() for child in table.get_children() if child.get_type() in ("function", "class")}
    return frozenset(_used(table)) - given


def _used(table: symtable.SymbolTable) -> Iterator[str]:
    waiting = [table]
    while waiting:
        scope = waiting.pop()
        for symbol in scope.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or scope is table):
                yield symbol.get_name()
        waiting += scope.get_children()


def method_of(tree: ast.Module, name: str) -> tuple[str, bool] | None:
    """The last class at module level that has such a method, and whether that needs no object."""
    for node in reversed(tree.body):
        if isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, FUNCTION) and item.name == name and not is_stub(item):
                    marks = {mark.id for mark in item.decorator_list if isinstance(mark, ast.Name)}
                    return node.name, bool(marks & {"staticmethod", "classmethod"})
    return None


def written(code: str, node: ast.stmt) -> str:
    """The lines of a statement, with its decorators."""
    first = min([node.lineno, *(mark.lineno for mark in getattr(node, "decorator_list", ()))])
    return "".join(f"{line}\n" for line in code.split("\n")[first - 1 : node.end_lineno])


def imported(code: str) -> frozenset[str]:
    """The modules, by their first names, that code imports anywhere."""
    tree = parsed(code)
    nodes: Sequence[ast.AST] = list(ast.walk(tree)) if tree else []
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return frozenset(name.partition(".")[0] for name in names)


def is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names
