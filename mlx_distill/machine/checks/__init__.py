"""Executed checks: does the answer's code do what the prompt asked?

In: an answer and its prompt's checks. Out: a Score. The sandbox evaluates the checks' lines and hands back values; what
was expected never goes in, and is compared here. Each check has its own seconds of the processor, so that a busy
machine fails nobody and one check takes nothing from another.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Sequence
from typing import Any

from mlx_distill.machine import sandbox
from mlx_distill.machine.checks import equality, lacking, programs
from mlx_distill.machine.checks.checking import asks_what_is_raised
from mlx_distill.machine.checks.code import Extracted, code_of, ended
from mlx_distill.machine.checks.names import BUILTINS, used_names
from mlx_distill.machine.sandbox import Level, Limits, Outcome
from mlx_distill.run.records import FORMAT, Check, Prompt, Role, Score

VERSION = "checks 3"
"""What marks depend on beside the answers: another version checks anew."""

EACH_SECONDS = 10.0
PATIENCE = 5
"""Times the seconds of the processor that a check may take by the clock."""

START_SECONDS = 10
"""What a sandbox may take to start on a machine that is busy."""

LIMITS = Limits(seconds=EACH_SECONDS, output_bytes=16 << 20)

NO_CODE = "no code in the answer"


def run_checks(
    prompt: Prompt,
    role: Role,
    text: str,
    *,
    sample: int = 0,
    cut: bool = False,
    unsandboxed: bool = False,
    packages: tuple[str, ...] = (),
    limits: Limits | None = None,
) -> Score | None:
    """None for a prompt without checks; `passed` is None when there is no sandbox to run them in, or it lacks what the
    answer needs.

    cut       the text ends at the token cap: its last line is half a line
    packages  of this environment, that the answer may import
    limits    `seconds` are of the processor, and of each check
    """
    if not prompt.checks:
        return None
    code = code_of(ended(text) if cut else text, prompt.language, wanted(prompt.checks), cut=cut)
    if not (code.code or "").strip() and (level := _level(unsandboxed)):
        outcome = Outcome("failed", NO_CODE, None, level)
    else:
        outcome = _run(prompt, code, limits or LIMITS, unsandboxed, packages)
    score = _score(prompt, role, sample, outcome)
    if prompt.language == "sql" or not code.code:
        return dataclasses.replace(score, parts={FORMAT: code.strict})
    why = "" if score.passed is not False else lacking.facility(code.code, unsandboxed=unsandboxed)
    if why:
        score = dataclasses.replace(score, passed=None, detail=why)
    return dataclasses.replace(score, parts={FORMAT: code.strict}, packages=lacking.packages(code.code, packages))


@functools.lru_cache(maxsize=1024)
def wanted(checks: Sequence[Check]) -> tuple[str, ...]:
    """The names that checks use and do not make themselves: what the answer has to define. Python's own are among them
    only where there are no others, as when a task asks for a `sum` of its own."""
    used = [(check, used_names(check.run.strip())) for check in checks]
    names = {
        name: None
        for check, used_in in used
        for name in sorted(used_in)
        if name != "raised" or not asks_what_is_raised(json.dumps(check.run).encode())
    }
    return tuple(name for name in names if name not in BUILTINS) or tuple(names)


def _run(prompt: Prompt, extracted: Extracted, limits: Limits, unsandboxed: bool, packages: tuple[str, ...]) -> Outcome:
    code = extracted.code or ""
    if prompt.language == "sql":
        task = {"code": code, "setup": prompt.setup, "seconds": limits.seconds}
        return sandbox.run(programs.sql(), task, limits=_whole(limits, len(prompt.checks)), unsandboxed=unsandboxed)
    lines = [check.run for check in prompt.checks]
    return evaluated(code, wanted(prompt.checks), lines, limits, unsandboxed=unsandboxed, packages=packages)


def evaluated(
    code: str,
    names: Sequence[str],
    lines: Sequence[str],
    limits: Limits,
    *,
    unsandboxed: bool = False,
    packages: tuple[str, ...] = (),
) -> Outcome:
    """What lines evaluate to after an answer's code, each in a process of its own; see `checking` for the result.

    names   what the code has to define: what it does after that has only so long
    limits  `seconds` are of the processor, and of each line
    """
    task = {"code": code, "names": names, "checks": len(lines), "seconds": limits.seconds, "patience": PATIENCE}
    whole = _whole(limits, len(lines))
    return sandbox.run(programs.python(), task, *lines, limits=whole, unsandboxed=unsandboxed, packages=packages)


def _whole(limits: Limits, count: int) -> Limits:
    return dataclasses.replace(limits, seconds=START_SECONDS + count * PATIENCE * limits.seconds)


def _level(unsandboxed: bool) -> Level | None:
    """What code would run at; where none would be run, an answer without any has not failed either."""
    level = sandbox.level()
    return level if level != "none" or unsandboxed else None


def _score(prompt: Prompt, role: Role, sample: int, outcome: Outcome) -> Score:
    results = outcome.result if isinstance(outcome.result, list) else []
    padded = [*results, *[None] * len(prompt.checks)]
    right = [_is_right(check, result) for check, result in zip(prompt.checks, padded, strict=False)]
    wrong = right.index(False) if False in right else None
    return Score(
        benchmark="checks",
        item_id=prompt.id,
        role=role,
        passed=None if outcome.ended == "not run" else wrong is None,
        checks=len(right),
        checks_passed=sum(right),
        detail="" if wrong is None else _why(prompt.checks[wrong], padded[wrong], outcome)[:200],
        sample=sample,
        sandbox=outcome.level,
    )


def _is_right(check: Check, result: Any) -> bool:
    """`result` is [an encoded value], or anything else where there is none: it comes from the sandbox."""
    is_value = isinstance(result, list) and len(result) == 1 and isinstance(result[0], str)
    return is_value and equality.right(result[0], check.expected)


def _why(check: Check, result: Any, outcome: Outcome) -> str:
    if isinstance(result, str):
        return result
    if result is None:
        return outcome.detail or "it ended without a result"
    lines = check.run.strip().splitlines()
    return f"{lines[-1].strip() if lines else 'the query'} is not {check.expected}"


def runs(code: str, *, unsandboxed: bool = False, packages: tuple[str, ...] = ()) -> Outcome:
    """Whether a Python program ends without an error, run as a script. That it asks where nobody answers, exits, or
    imports a package that is not there and that it does not need is none."""
    limits = dataclasses.replace(LIMITS, seconds=START_SECONDS + 2 * EACH_SECONDS)
    task = {"code": code}
    outcome = sandbox.run(programs.script(), task, limits=limits, unsandboxed=unsandboxed, packages=packages)
    if outcome.ended != "ok" or outcome.result == "":
        return outcome
    return dataclasses.replace(outcome, ended="failed", detail=str(outcome.result or "it ended without a result")[:200])
