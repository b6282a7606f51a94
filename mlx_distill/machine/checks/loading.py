"""How an answer is loaded inside the sandbox: as a module, statement by statement.

In: its code and the names that are asked for. Out: what the module defines. What an answer only shows, such as an
example that raises, an exit, a test or a missing import that nothing needs, does not take away what it has defined: an
error ends the loading only where the program itself says so (exit, raise), and fails it only where a name is missing.
This file's text is part of the programs that run in the sandbox; it imports nothing but the standard library.
"""

# ruff: noqa: PTH100, PTH120, PTH123  pathlib would take longer to load than most answers to run

import __future__

import ast
import os
import signal
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

USAGE_SECONDS = 5.0
"""By the clock, for what follows once all names are there: a server that is started, a question that is asked."""


class Enough(BaseException):
    """Not an Exception: answers catch those."""


def module(name: str, code: str) -> types.ModuleType:
    """A module that can be imported by its name and as __main__, and whose source can be read, as that of a program
    in a file; so can it by the processes that it starts."""
    created, path = types.ModuleType(name), os.path.abspath("answer.py")
    try:
        with open(path, "w", encoding="utf-8", errors="surrogatepass") as file:
            file.write(code)
    except OSError:
        pass
    created.__file__ = path
    sys.argv, sys.modules["answer"], sys.modules["__main__"] = [path], created, created
    if os.path.dirname(path) not in sys.path:
        sys.path.append(os.path.dirname(path))
    return created


def load(
    code: str, wanted: Sequence[str], setup: str = "", *, needed: bool = True
) -> tuple[dict[str, Any], BaseException | None]:
    """What the module holds, and the first error that was passed over. Raises that error where a name is missing, if
    all are `needed`."""
    loaded = module("answer", code)
    names: dict[str, Any] = loaded.__dict__
    exec(setup, names)
    for known in wanted:
        names.pop(known, None)  # a setup that imports everything may have one
    clock = _Usage()
    failed = _run(_statements(code, loaded.__file__ or ""), names, wanted, clock)
    clock.stop()
    missing = [known for known in wanted if known not in names]
    if missing and needed:
        raise failed or NameError(f"name {missing[0]!r} is not defined")
    return names, failed


def _statements(code: str, path: str) -> list[tuple[ast.stmt, Callable[[], types.CodeType]]]:
    """Each with what compiles it, under the code's own `from __future__`."""
    tree: Any = compile(code, path, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    flags = 0
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            for alias in node.names:
                flags |= getattr(getattr(__future__, alias.name, None), "compiler_flag", 0)

    def compiled(node: ast.stmt) -> Callable[[], types.CodeType]:
        return lambda: compile(ast.Module([node], []), path, "exec", flags, dont_inherit=True)

    return [(node, compiled(node)) for node in tree.body]


def _run(
    statements: Sequence[tuple[ast.stmt, Callable[[], types.CodeType]]],
    names: dict[str, Any],
    wanted: Sequence[str],
    clock: "_Usage",
) -> BaseException | None:
    """The first error."""
    execute, is_raise = exec, ast.Raise
    failed: BaseException | None = None
    for node, compiled in statements:
        if wanted and all(known in names for known in wanted):
            clock.start()
        try:
            execute(compiled(), names)
        except Exception as error:
            failed = failed or error
            if isinstance(node, is_raise):
                break
        except BaseException as error:
            failed = failed or error
            break
    return failed


class _Usage:
    """Ends what takes too long of what an answer does beside defining."""

    def __init__(self) -> None:
        self._set, self._handle, self._running = signal.setitimer, signal.signal, False
        self._before: Any = signal.SIG_DFL

    def start(self) -> None:
        if not self._running:
            self._running = True
            self._before = self._handle(signal.SIGALRM, self._end)
            self._set(signal.ITIMER_REAL, USAGE_SECONDS, 1.0)

    def stop(self) -> None:
        if self._running:
            self._set(signal.ITIMER_REAL, 0)
            self._handle(signal.SIGALRM, self._before)

    def _end(self, *_: Any) -> None:
        raise Enough


def why(error: BaseException) -> str:
    """One line; an error of an answer's own may not even be said."""
    if isinstance(error, Enough):
        return "too slow"
    try:
        text = " ".join(str(error).split())
    except BaseException:
        text = ""
    name = type(error).__name__
    return f"{name}: {text}"[:200] if text else name
