"""The static judge: what can be measured of the code itself, without a model. It is not an LLM and says so.

In: an answer. Out: 0-10 for each of the five dimensions, with what was measured. Every measure is a share (of
definitions, of checks, of functions), never a count, so that a longer answer is not a better one. What cannot be
measured here (error handling where the prompt does not ask for any; correctness without a sandbox) is unscored.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from mlx_distill import sandbox
from mlx_distill.compare.checks import runs
from mlx_distill.compare.code import code_of, parts
from mlx_distill.records import Generation, Judgment, Prompt, Score

NAME = "static analysis, not an LLM"

DIMENSIONS = (
    "Code Correctness",
    "Structure & Design",
    "Documentation",
    "Error Handling",
    "Completeness",
)

MEASURED = {
    "Code Correctness": "parses; ends without an error when run; passes the prompt's checks",
    "Structure & Design": "code stands in definitions; short functions; shallow nesting; usual names; no globals",
    "Documentation": "docstrings; type hints; prose around the code",
    "Error Handling": "where the prompt asks for it: raises or catches specific exceptions, with messages",
    "Completeness": "not cut off; no placeholders; defines the names that the prompt gives; shows an example or test",
}

Measure = tuple[str, float, float]
"""What is measured, its weight, and its share from 0 to 1."""

MAX_FUNCTION_LINES = 40
MAX_NESTING = 4
PLACEHOLDER = re.compile(r"\b(TODO|FIXME|your code here|implement this|rest of the code)\b", re.I)
GIVEN_NAME = re.compile(r"\b(?:function|class|decorator|method)\s+([A-Za-z_]\w*)(?=\s*[(,.]|\s+(?:with|that|for|is))")
ERRORS_ASKED = re.compile(r"\b(rais|error|invalid|malformed|fail|exception|timeout|reject|refus|cancel)", re.I)
FILLER = frozenset({"that", "which", "with", "for", "is", "to", "in"})


def judge(prompt: Prompt, generation: Generation, score: Score | None) -> Judgment:
    """The measurements of one answer. An answer without code has all zeros: there is nothing to measure."""
    code = code_of(generation.text, prompt.language)
    measure = _sql if prompt.language == "sql" else _python
    found = measure(prompt, generation, code, score) if code.strip() else _nothing("code in the answer")
    measured = {dimension: found[dimension] for dimension in _measurable(prompt) if found[dimension]}
    return Judgment(
        prompt_id=prompt.id,
        role=generation.role,
        judge=NAME,
        scores={dimension: _score(measures) for dimension, measures in measured.items()},
        reason="; ".join(
            f"{dimension}: " + ", ".join(f"{name} {share:.0%}" for name, _, share in measures)
            for dimension, measures in measured.items()
        ),
    )


def _measurable(prompt: Prompt) -> list[str]:
    """The dimensions that can be measured here; it depends on the prompt and the machine, never on the answer."""
    errors = prompt.language != "sql" and ERRORS_ASKED.search(prompt.text)
    left_out = {"Error Handling": not errors, "Code Correctness": sandbox.level() == "none"}
    return [dimension for dimension in DIMENSIONS if not left_out.get(dimension)]


def _score(measures: Sequence[Measure]) -> float:
    total = sum(weight for _, weight, _ in measures)
    return round(10 * sum(weight * share for _, weight, share in measures) / total, 2)


def _nothing(missing: str) -> dict[str, list[Measure]]:
    return {dimension: [(missing, 1, 0)] for dimension in DIMENSIONS}


# ---------------------------------------------------------------- Python


def _python(prompt: Prompt, generation: Generation, code: str, score: Score | None) -> dict[str, list[Measure]]:
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _nothing("parses") | {"Completeness": _completeness(prompt, generation, code, None)}
    return {
        "Code Correctness": _correctness(code, score),
        "Structure & Design": _structure(tree),
        "Documentation": _documentation(tree, generation.text),
        "Error Handling": _error_handling(tree),
        "Completeness": _completeness(prompt, generation, code, tree),
    }


def _correctness(code: str, score: Score | None) -> list[Measure]:
    measures: list[Measure] = [("parses", 2, 1), ("runs", 3, runs(code).ended == "ok")]
    return measures + _checked(score)


def _checked(score: Score | None) -> list[Measure]:
    if score is None or score.passed is None:
        return []
    return [("checks passed", 5, score.checks_passed / score.checks)]


def _functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _definitions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Public definitions, and methods other than the special ones, which need no docstring."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return [node for node in ast.walk(tree) if isinstance(node, kinds) and not node.name.startswith("_")]


def _structure(tree: ast.Module) -> list[Measure]:
    functions = _functions(tree)
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    if not functions and not classes:
        return [("code in definitions", 1, 0)]
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom | ast.If
    ordered = [isinstance(node, kinds) or _is_constant(node) for node in tree.body]
    short = [(node.end_lineno or 0) - node.lineno < MAX_FUNCTION_LINES for node in functions]
    shallow = [_nesting(node) <= MAX_NESTING for node in functions]
    named = [node.name.islower() or node.name.startswith(("setUp", "tearDown")) for node in functions]
    named += [node.name[:1].isupper() and "_" not in node.name for node in classes]
    uses_globals = any(isinstance(node, ast.Global) for node in ast.walk(tree))
    starred = any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree))
    return [
        ("code in definitions", 4, _share(ordered)),
        ("short functions", 2, _share(short)),
        ("shallow nesting", 2, _share(shallow)),
        ("conventional names", 1, _share(named)),
        ("no globals", 1, not (uses_globals or starred)),
    ]


def _is_constant(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign | ast.AnnAssign) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _nesting(node: ast.AST, depth: int = 0) -> int:
    deeper = isinstance(node, ast.If | ast.For | ast.While | ast.Try | ast.With | ast.AsyncFor | ast.AsyncWith)
    inside = depth + deeper
    return max((_nesting(child, inside) for child in ast.iter_child_nodes(node)), default=inside)


def _documentation(tree: ast.Module, text: str) -> list[Measure]:
    documented = [bool(ast.get_docstring(node)) for node in _definitions(tree)]
    return [
        ("docstrings", 5, _share(documented) if documented else 0),
        ("type hints", 2, _share(list(_hinted(tree))) if _functions(tree) else 0),
        ("prose", 3, len(parts(text).prose.split()) >= 8),
    ]


def _hinted(tree: ast.Module) -> Iterator[bool]:
    for function in _functions(tree):
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        for argument in arguments:
            if argument.arg not in ("self", "cls"):
                yield argument.annotation is not None
        if function.name != "__init__":
            yield function.returns is not None


def _error_handling(tree: ast.Module) -> list[Measure]:
    raised = [node for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc is not None]
    handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
    if not raised and not handlers:
        return [("raises or catches", 1, 0)]
    specific = [_exception_name(node.exc) not in ("Exception", "BaseException", None) for node in raised]
    specific += [node.type is not None and _exception_name(node.type) != "BaseException" for node in handlers]
    messages = [isinstance(node.exc, ast.Call) and bool(node.exc.args) for node in raised]
    swallowed = [_swallows(node) for node in handlers]
    measures: list[Measure] = [
        ("raises or catches", 4, 1),
        ("specific", 3, _share(specific)),
        ("nothing swallowed", 1, not any(swallowed)),
    ]
    return measures + ([("messages", 2, _share(messages))] if messages else [])


def _exception_name(node: ast.expr | None) -> str | None:
    target = node.func if isinstance(node, ast.Call) else node
    return target.id if isinstance(target, ast.Name) else getattr(target, "attr", "several")


def _swallows(handler: ast.ExceptHandler) -> bool:
    broad = handler.type is None or _exception_name(handler.type) in ("Exception", "BaseException")
    return broad and all(isinstance(node, ast.Pass | ast.Continue) for node in handler.body)


def _completeness(prompt: Prompt, generation: Generation, code: str, tree: ast.Module | None) -> list[Measure]:
    given = [name for name in GIVEN_NAME.findall(prompt.text) if name not in FILLER]
    defined = {node.name for node in ast.walk(tree) if hasattr(node, "name")} if tree else set()
    measures: list[Measure] = [
        ("not cut off", 3, generation.finish_reason == "stop"),
        ("no placeholders", 3, not PLACEHOLDER.search(code) and not (tree and _has_stub(tree))),
        ("an example or test", 2, bool(tree) and _has_example(tree)),
    ]
    if given:
        measures.append(("names given in the prompt", 2, _share([name in defined for name in given])))
    return measures


def _has_stub(tree: ast.Module) -> bool:
    """A function that does nothing, outside of classes that are meant to be filled (Protocol, ABC)."""
    open_classes = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(_exception_name(b) in ("Protocol", "ABC") for b in node.bases)
    ]
    allowed = {id(inner) for node in open_classes for inner in ast.walk(node)}
    return any(_is_stub(node) for node in _functions(tree) if id(node) not in allowed)


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
    tests = any(function.name.startswith("test") for function in _functions(tree))
    used = any(isinstance(node, ast.Assert) for node in ast.walk(tree)) or any(
        isinstance(node, ast.If | ast.Expr | ast.For | ast.With) and not _is_docstring(node) for node in tree.body
    )
    return tests or used


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and _is_text(node.value)


# ---------------------------------------------------------------- SQL


def _sql(prompt: Prompt, generation: Generation, code: str, score: Score | None) -> dict[str, list[Measure]]:
    words = code.split()
    lines = [line for line in code.splitlines() if line.strip()]
    keywords = [word for word in words if word.upper() in ("SELECT", "FROM", "WHERE", "JOIN", "ORDER", "GROUP")]
    prose = len(parts(generation.text).prose.split()) >= 8
    return {
        "Code Correctness": _checked(score),
        "Structure & Design": [
            ("a SELECT", 4, "SELECT" in code.upper()),
            ("a clause a line", 3, len(lines) >= max(1, len(keywords)) / 2),
            ("one style of keywords", 2, len({word.isupper() for word in keywords}) <= 1),
            ("columns by name", 1, not re.search(r"SELECT\s+\*", code, re.I)),
        ],
        "Documentation": [
            ("prose", 7, prose),
            ("aliases or comments", 3, bool(re.search(r"\bAS\b|--", code, re.I))),
        ],
        "Error Handling": [],
        "Completeness": [
            ("not cut off", 3, generation.finish_reason == "stop"),
            ("no placeholders", 3, not PLACEHOLDER.search(code) and "..." not in code),
            ("a whole statement", 2, code.rstrip().endswith(";")),
        ],
    }


def _share(found: Sequence[bool]) -> float:
    """The share that holds; 1 where there is nothing that could fail."""
    return sum(found) / len(found) if found else 1.0
