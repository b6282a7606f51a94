"""Executed checks: does the answer's code do what the prompt asked?

In: an answer and its prompt's checks. Out: a Score. The sandbox evaluates the checks' lines and hands back literals;
what was expected never goes in, and is compared here.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Any

from mlx_distill import sandbox
from mlx_distill.checks import programs
from mlx_distill.checks.code import code_of
from mlx_distill.records import Check, Prompt, Role, Score
from mlx_distill.sandbox import Level, Limits, Outcome


def run_checks(
    prompt: Prompt,
    role: Role,
    text: str,
    *,
    sample: int = 0,
    unsandboxed: bool = False,
    limits: Limits | None = None,
) -> Score | None:
    """None for a prompt without checks; `passed` is None when there is no sandbox to run them in."""
    if not prompt.checks:
        return None
    code = code_of(text, prompt.language)
    if not code.strip() and (level := _level(unsandboxed)):
        return _score(prompt, role, sample, [], Outcome("failed", "no code in the answer", None, level))
    tasks = _tasks(prompt, code)
    program = programs.SQL if prompt.language == "sql" else programs.PYTHON
    outcome = sandbox.run(program, *tasks, limits=limits, unsandboxed=unsandboxed)
    results = outcome.result if outcome.ended == "ok" and isinstance(outcome.result, list) else []
    return _score(prompt, role, sample, results, outcome)


def _level(unsandboxed: bool) -> Level | None:
    """What code would run at; where none would be run, an answer without any has not failed either."""
    level = sandbox.level()
    return level if level != "none" or unsandboxed else None


def _tasks(prompt: Prompt, code: str) -> list[Any]:
    if prompt.language == "sql":
        return [{"code": code, "setup": prompt.setup}]
    return [{"code": code, "checks": len(prompt.checks)}, *(check.run for check in prompt.checks)]


def _score(prompt: Prompt, role: Role, sample: int, results: list[Any], outcome: Outcome) -> Score:
    padded = results + [None] * len(prompt.checks)
    right = [_equal(check.expected, result) for check, result in zip(prompt.checks, padded, strict=False)]
    return Score(
        benchmark="checks",
        item_id=prompt.id,
        role=role,
        passed=None if outcome.ended == "not run" else all(right),
        checks=len(right),
        checks_passed=sum(right),
        detail="" if all(right) else outcome.detail or _first_wrong(prompt.checks[right.index(False)]),
        sample=sample,
        sandbox=outcome.level,
    )


def _first_wrong(check: Check) -> str:
    lines = check.run.strip().splitlines()
    return f"{lines[-1].strip() if lines else 'the query'} is not {check.expected}"[:200]


def _equal(expected: str, result: Any) -> bool:
    """`result` is [a tagged value], or anything else where there is none: it comes from the sandbox."""
    try:
        (value,) = result
        found, wanted = untagged(value), ast.literal_eval(expected)
        return bool(found == wanted and _truths(found) == _truths(wanted))
    except (LookupError, TypeError, ValueError, RecursionError):
        return False


def _truths(value: Any) -> Any:
    """Where in a value the booleans are: to Python True is 1, and a task that asks for True wants no 1."""
    if isinstance(value, dict):
        return [(_truths(key), _truths(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [_truths(item) for item in value]
    return isinstance(value, bool)


def untagged(value: Any) -> Any:
    """Back from `programs.VALUES`."""
    if not isinstance(value, list):
        return value
    kind, *items = value
    if kind == "dict":
        return {untagged(key): untagged(item) for key, item in items}
    kinds: dict[Any, Callable[[Iterable[Any]], Any]] = {"list": list, "tuple": tuple, "set": set, "bytes": bytes}
    return kinds[kind](map(untagged, items))


def runs(code: str, *, unsandboxed: bool = False) -> Outcome:
    """Whether a Python program ends without an error, run as a script."""
    return sandbox.run(programs.AS_SCRIPT, {"code": code}, unsandboxed=unsandboxed)
