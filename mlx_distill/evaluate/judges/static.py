"""The static judge: what can be measured of the code itself, without a model. It is not an LLM and says so.

In: an answer. Out: 0-10 for each of the five dimensions, with what was measured. Measures count faults, never merits,
and look at the definitions that the names given in the prompt reach, so that a longer answer is not a better one; where
the prompt gives none, or the answer defines none of them, they look at all. What cannot be measured is unscored:
error handling that was not asked for, or of no function in particular; correctness of SQL, or without a sandbox.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mlx_distill.evaluate.judges.documentation import Hold, docstrings_of, documentation, has_true_example
from mlx_distill.evaluate.judges.measures import DEFINITION, PLACEHOLDER, Measure, faultless, functions, share
from mlx_distill.evaluate.judges.sql import sql_measures
from mlx_distill.machine import sandbox
from mlx_distill.machine.checks import runs, wanted
from mlx_distill.machine.checks.code import Extracted, code_of
from mlx_distill.machine.checks.examples import examples_hold
from mlx_distill.machine.checks.mending import parsed
from mlx_distill.run.records import Generation, Judgment, Prompt

NAME = "static analysis, not an LLM"

VERSION = "static 3"
"""Another version measures anew."""

MEASURED = {
    "Code Correctness": "Python: parses; ends without an error when run, beside usage in blocks of its own (where a "
    "prompt has checks, they decide)",
    "Structure & Design": "Python: code stands in definitions; short functions; shallow nesting; usual names; "
    "no globals. SQL: few clauses a line; one style of keywords; columns by name",
    "Documentation": "Python: docstrings, of which one with a false example does not count; type hints; docstring "
    "examples that hold when they are run. SQL: aliases. Both: prose around the code",
    "Error Handling": "Python, where the prompt asks a named function for it: specific exceptions, with messages",
    "Completeness": "not cut off; no placeholders. Python: defines the names that the prompt gives; shows an example "
    "or test (in a docstring: one that holds). SQL: a whole statement",
}
"""By dimension of the bundled rubric; of another rubric's it measures those of the same name."""


class Execution(NamedTuple):
    """How code is run here: as a program, and the examples of its docstrings. None where there is no sandbox."""

    run: Callable[[str], sandbox.Outcome]
    hold: Hold | None


MAX_FUNCTION_LINES = 40
MAX_NESTING = 4
GIVEN_NAME = re.compile(r"\b(?:function|class|decorator|method)\s+([A-Za-z_]\w*)(?=\s*[(,.]|\s+(?:with|that|for|is))")
ERRORS_ASKED = re.compile(r"\b(rais|error|invalid|malformed|fail|exception|timeout|reject|refus|cancel)", re.I)
FILLER = frozenset({"that", "which", "with", "for", "is", "to", "in"})


def judge(
    prompt: Prompt, generation: Generation, *, unsandboxed: bool = False, packages: tuple[str, ...] = ()
) -> Judgment:
    """The measurements of one answer. An answer without code has all zeros: there is nothing to measure."""
    names = (*_given(prompt), *wanted(prompt.checks))
    code = code_of(generation.text, prompt.language, names, cut=generation.finish_reason == "length")
    measurable = _measurable(prompt, unsandboxed)
    execution = _execution(unsandboxed, packages)
    marks = _measures(prompt, generation, code, execution) if code.code else _nothing("code in the answer")
    measured = {dimension: marks[dimension] for dimension in measurable}
    return Judgment(
        prompt_id=prompt.id,
        role=generation.role,
        sample=generation.sample,
        judge=NAME,
        scores={dimension: _score(measures) for dimension, measures in measured.items()},
        reason="; ".join(
            f"{dimension}: " + ", ".join(f"{name} {share:.0%}" for name, _, share in measures)
            for dimension, measures in measured.items()
        ),
    )


def _execution(unsandboxed: bool, packages: tuple[str, ...]) -> Execution:
    run = functools.partial(runs, unsandboxed=unsandboxed, packages=packages)
    hold = functools.partial(examples_hold, unsandboxed=unsandboxed, packages=packages)
    return Execution(run, hold if _can_run(unsandboxed) else None)


def _can_run(unsandboxed: bool) -> bool:
    return unsandboxed or sandbox.level() != "none"


def _measurable(prompt: Prompt, unsandboxed: bool) -> list[str]:
    """The dimensions that can be measured here; it depends on the prompt and the machine, never on the answer."""
    python = prompt.language != "sql"
    left_out = {
        "Error Handling": not (python and ERRORS_ASKED.search(prompt.text) and _given(prompt)),
        "Code Correctness": not (python and _can_run(unsandboxed)),
    }
    return [dimension for dimension in MEASURED if not left_out.get(dimension)]


def _measures(
    prompt: Prompt, generation: Generation, code: Extracted, execution: Execution
) -> dict[str, list[Measure]]:
    if prompt.language == "sql":
        return sql_measures(generation, code.code or "")
    return _python(prompt, generation, code, execution)


def _score(measures: Sequence[Measure]) -> float:
    total = sum(weight for _, weight, _ in measures)
    return round(10 * sum(weight * share for _, weight, share in measures) / total, 2)


def _nothing(missing: str) -> dict[str, list[Measure]]:
    return {dimension: [(missing, 1, 0)] for dimension in MEASURED}


# ---------------------------------------------------------------- Python


BLOCK = ast.If | ast.For | ast.While | ast.Try | ast.With | ast.AsyncFor | ast.AsyncWith


def _python(prompt: Prompt, generation: Generation, read: Extracted, execution: Execution) -> dict[str, list[Measure]]:
    code = read.code or ""
    tree = parsed(code)
    if tree is None:
        return _nothing("parses") | {"Completeness": _completeness(prompt, generation, read, None, shown=False)}
    asked = _asked(prompt, tree)
    docstrings = docstrings_of(code, asked, execution.hold)
    shown = has_true_example(docstrings)
    return {
        "Code Correctness": _correctness(code, execution),
        "Structure & Design": _structure(asked),
        "Documentation": documentation(asked, docstrings, generation.answer_text, executed=execution.hold is not None),
        "Error Handling": _error_handling([node for node in asked.body if isinstance(node, DEFINITION)]),
        "Completeness": _completeness(prompt, generation, read, tree, shown=shown),
    }


def _asked(prompt: Prompt, tree: ast.Module) -> ast.Module:
    """Without the definitions that the names given in the prompt do not reach: padding is neither good nor bad."""
    defined = {node.name: node for node in tree.body if isinstance(node, DEFINITION)}
    wanted = [name for name in _given(prompt) if name in defined]
    if not wanted:
        return tree
    reached: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in reached:
            reached.add(name)
            uses = (node.id for node in ast.walk(defined[name]) if isinstance(node, ast.Name))
            wanted += [used for used in uses if used in defined]
    return ast.Module([node for node in tree.body if not isinstance(node, DEFINITION) or node.name in reached], [])


def _given(prompt: Prompt) -> list[str]:
    return [name for name in GIVEN_NAME.findall(prompt.text) if name not in FILLER]


def _correctness(code: str, execution: Execution) -> list[Measure]:
    """Of the block that defines what was asked for, not of others that use it."""
    return [("parses", 2, 1), ("runs", 3, execution.run(code).ended == "ok")]


def _structure(tree: ast.Module) -> list[Measure]:
    defined = functions(tree)
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    if not defined and not classes:
        return [("code in definitions", 1, 0)]
    kinds = DEFINITION | ast.Import | ast.ImportFrom | ast.If
    ordered = [isinstance(node, kinds) or _is_constant(node) for node in tree.body]
    short = [(node.end_lineno or 0) - node.lineno < MAX_FUNCTION_LINES for node in defined]
    shallow = [_nesting(node) <= MAX_NESTING for node in defined]
    named = [node.name.islower() or node.name.startswith(("setUp", "tearDown")) for node in defined]
    named += [node.name[:1].isupper() and "_" not in node.name for node in classes]
    uses_globals = any(isinstance(node, ast.Global) for node in ast.walk(tree))
    starred = any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree))
    return [
        ("code in definitions", 4, faultless(ordered)),
        ("short functions", 2, faultless(short)),
        ("shallow nesting", 2, faultless(shallow)),
        ("conventional names", 1, faultless(named)),
        ("no globals", 1, not (uses_globals or starred)),
    ]


def _is_constant(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign | ast.AnnAssign) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _nesting(function: ast.AST) -> int:
    """Without recursion: an answer's expressions may be nested more deeply than Python's stack."""
    deepest, waiting = 0, [(function, 0)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        for child in ast.iter_child_nodes(node):
            elif_branch = isinstance(node, ast.If) and [child] == node.orelse and isinstance(child, ast.If)
            waiting.append((child, depth + (isinstance(child, BLOCK) and not elif_branch)))
    return deepest


def _error_handling(definitions: Sequence[ast.AST]) -> list[Measure]:
    nodes = [node for definition in definitions for node in ast.walk(definition)]
    raised = [node for node in nodes if isinstance(node, ast.Raise) and node.exc is not None]
    handlers = [node for node in nodes if isinstance(node, ast.ExceptHandler)]
    if not raised and not handlers:
        return [("raises or catches", 1, 0)]
    specific = [_exception_name(node.exc) not in ("Exception", "BaseException", None) for node in raised]
    specific += [node.type is not None and _exception_name(node.type) != "BaseException" for node in handlers]
    messages = [isinstance(node.exc, ast.Call) and bool(node.exc.args) for node in raised]
    swallowed = [_swallows(node) for node in handlers]
    measures: list[Measure] = [
        ("raises or catches", 4, 1),
        ("specific", 3, faultless(specific)),
        ("nothing swallowed", 1, not any(swallowed)),
    ]
    return measures + ([("messages", 2, faultless(messages))] if messages else [])


def _exception_name(node: ast.expr | None) -> str | None:
    target = node.func if isinstance(node, ast.Call) else node
    return target.id if isinstance(target, ast.Name) else getattr(target, "attr", "several")


def _swallows(handler: ast.ExceptHandler) -> bool:
    broad = handler.type is None or _exception_name(handler.type) in ("Exception", "BaseException")
    return broad and all(isinstance(node, ast.Pass | ast.Continue) for node in handler.body)


def _completeness(
    prompt: Prompt, generation: Generation, read: Extracted, tree: ast.Module | None, *, shown: bool
) -> list[Measure]:
    """shown  a docstring has an example that holds"""
    code, beside = read.code or "", [parsed(other) for other in read.others]
    given = _given(prompt)
    defined = {node.name for node in ast.walk(tree) if hasattr(node, "name")} if tree else set()
    measures: list[Measure] = [
        ("not cut off", 3, generation.finish_reason == "stop"),
        ("no placeholders", 3, not PLACEHOLDER.search(code) and not (tree and _has_stub(tree))),
        ("an example or test", 2, shown or (bool(tree) and any(map(_has_example, [tree, *beside])))),
    ]
    if given:
        measures.append(("names given in the prompt", 2, share([name in defined for name in given])))
    return measures


def _has_stub(tree: ast.Module) -> bool:
    """A function that does nothing, outside of classes that are meant to be filled (Protocol, ABC)."""
    open_classes = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(_exception_name(b) in ("Protocol", "ABC") for b in node.bases)
    ]
    allowed = {id(inner) for node in open_classes for inner in ast.walk(node)}
    return any(_is_stub(node) for node in functions(tree) if id(node) not in allowed)


def _is_stub(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    body = [node for node in function.body if not (isinstance(node, ast.Expr) and _is_text(node.value))]
    return all(isinstance(node, ast.Pass) or _is_ellipsis(node) for node in body)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_ellipsis(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is Ellipsis


def _has_example(tree: ast.Module | None) -> bool:
    if tree is None:
        return False
    tests = any(function.name.startswith("test") for function in functions(tree))
    used = any(isinstance(node, ast.Assert) for node in ast.walk(tree)) or any(
        isinstance(node, ast.If | ast.Expr | ast.For | ast.With) and not _is_docstring(node) for node in tree.body
    )
    return tests or used


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and _is_text(node.value)
