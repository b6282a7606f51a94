"""What runs inside the sandbox: one answer, and all that it is called with or reads from its standard input.

In: a task, or a list of them, as JSON on standard input. Out: {"outputs", "seconds", "why"}, or a list of such.
This file's text is the program, after those of `checks.values` and `checks.loading`; it imports nothing but the
standard library. No expected output ever comes in here: an answer that takes over this process can only send what it
would have returned anyway.
"""

# ruff: noqa: PTH123, SIM115  pathlib and contextlib would take longer to load than most answers to run

import os
import signal
import sys
import time
import types
from collections.abc import Callable
from typing import Any, TypedDict

from mlx_distill.machine.checks.loading import load, module, why
from mlx_distill.machine.checks.values import dumps, encoded, loads, untagged


class Task(TypedDict):
    """An answer and all that it is run with: see `execution.Calls`. `limits`: seconds for each input."""

    code: str
    inputs: list[str]
    limits: list[float]
    total: float
    entry_point: str
    method: str
    setup: str
    shape: str
    script: bool


class Result(TypedDict):
    outputs: list[str]
    seconds: list[float]
    why: str


# ---------------------------------------------------------------- an answer that is called


PATIENCE = 5
"""Times the seconds of the processor that an answer may take by the clock: a busy machine fails nobody."""


class TooLong(BaseException):
    """Not an Exception: answers catch those."""


def _too_long(*_: Any) -> None:
    raise TooLong


def _limited() -> Callable[[float], None]:
    """What sets the time from now on, and ends it with 0. An answer may put other functions in these places."""
    signal.signal(signal.SIGALRM, _too_long)
    signal.signal(signal.SIGPROF, _too_long)
    timer, clock, processor, patience = signal.setitimer, signal.ITIMER_REAL, signal.ITIMER_PROF, PATIENCE

    def limit(seconds: float) -> None:
        timer(processor, seconds)
        timer(clock, patience * seconds)

    return limit


SHAPES: dict[str, Callable[[Any], Any]] = {
    "": lambda output: output,
    "set": set,
    "given": lambda output: output if type(output) is bool else output is not None,
    "list": lambda output: [*output] if isinstance(output, tuple) else output,
}
"""What is sent of an output, where the published test looks at a part of it only: its elements, whether there is one,
a tuple's content."""


def call(task: Task, result: Result) -> None:
    """Calls the answer with one input after another, until one raises or takes longer than its limit.

    Each input is read anew, so that no call sees what another has changed.
    """
    clock, limit, write, read, parse = time.process_time, _limited(), encoded, untagged, loads
    shape = SHAPES[task["shape"]]
    function, failed = _load(task)
    left = task["total"]
    for text, most in zip(task["inputs"], task["limits"], strict=True):
        arguments = read(parse(text))
        started = clock()
        try:
            limit(min(most, left))
            output = shape(function(*arguments))
        except NameError as error:
            raise failed or error from None
        finally:
            limit(0)
        spent = clock() - started
        left = max(left - spent, 0.001)
        result["seconds"].append(spent)
        result["outputs"].append(write(output))
        del output


def _load(task: Task) -> tuple[Callable[..., Any], BaseException | None]:
    """The function, and what went wrong beside defining it."""
    names, failed = load(task["code"], [task["entry_point"]], task["setup"])
    entry = names[task["entry_point"]]
    return (getattr(entry(), task["method"]) if task["method"] else entry), failed


# ---------------------------------------------------------------- an answer that is a script


class Failed(Exception):
    """A script did; its error has been written down by its own process."""


def script(task: Task, result: Result) -> None:
    """Runs the answer as a program of its own for each input, until one fails or takes longer than its limit."""
    program = module("__main__", task["code"])
    code, names = compile(task["code"], program.__file__ or "", "exec"), program.__dict__
    exec(task["setup"], names)
    limit, left = _limited(), task["total"]
    for text, most in zip(task["inputs"], task["limits"], strict=True):
        for name, content in (("input", text), ("output", ""), ("error", "it was killed")):
            with open(name, "w", encoding="utf-8", errors="surrogatepass") as file:
                file.write(content)
        started = time.perf_counter()
        _fork(code, names, limit, min(most, left))
        spent = time.perf_counter() - started
        left = max(left - spent, 0.001)
        result["seconds"].append(spent)
        with open("output", encoding="utf-8", errors="replace") as file:
            result["outputs"].append(file.read())


def _fork(code: types.CodeType, names: dict[str, Any], limit: Callable[[float], None], most: float) -> None:
    """Raises TooLong or Failed."""
    child = os.fork()
    if not child:
        _as_main(code, names, limit, most)
    try:
        limit(most)
        _, status = os.waitpid(child, 0)
        limit(0)
    except TooLong:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    if status:
        with open("error", encoding="utf-8", errors="replace") as file:
            raise Failed(file.read(200))


def _as_main(code: types.CodeType, names: dict[str, Any], limit: Callable[[float], None], most: float) -> None:
    """Never comes back. An exit is an end like any other, as in the published test."""
    leave, status, reason = os._exit, 1, _why
    try:
        for descriptor, name, flags in ((0, "input", os.O_RDONLY), (1, "output", os.O_WRONLY)):
            os.dup2(os.open(name, flags), descriptor)
        sys.stdin = open(0, encoding="utf-8", errors="surrogatepass", closefd=False)
        sys.stdout = open(1, "w", encoding="utf-8", errors="surrogatepass", closefd=False)
        limit(most)
        exec(code, names)
        sys.stdout.flush()
        status = 0
    except SystemExit:
        sys.stdout.flush()
        status = 0
    except BaseException as error:
        with open("error", "w", encoding="utf-8") as file:
            file.write(reason(error))
    finally:
        leave(status)


# ---------------------------------------------------------------- the program


def _why(error: BaseException) -> str:
    if isinstance(error, TooLong):
        return "too slow"
    return str(error) if isinstance(error, Failed) else why(error)


def answer(task: Task, to: int) -> None:
    """Never comes back. Nothing that an answer prints gets into the result, and nothing of it goes on after that."""
    result: Result = {"outputs": [], "seconds": [], "why": ""}
    reply = open(to, "w", encoding="utf-8", errors="surrogatepass")
    leave, write, reason = os._exit, dumps, _why  # an answer may replace them
    try:
        (script if task["script"] else call)(task, result)
    except BaseException as error:
        result["why"] = reason(error)
    reply.write(write(result))
    reply.close()
    leave(0)


def several(tasks: list[Task], to: int) -> None:
    """The results as a list. Each task has a process of its own, but they share the sandbox: not for answers."""
    with open(to, "w", encoding="utf-8", errors="surrogatepass") as reply:
        for number, task in enumerate(tasks):
            read, write = os.pipe()
            child = os.fork()
            if not child:
                answer(task, write)
            os.close(write)
            with open(read, encoding="utf-8", errors="surrogatepass") as result:
                reply.write(f"{',' if number else '['}{result.read() or 'null'}")
            os.waitpid(child, 0)
        reply.write("]")


def main() -> None:
    printed, nothing = os.dup(1), os.open(os.devnull, os.O_RDWR)
    task = loads(sys.stdin.read())
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    (several if isinstance(task, list) else answer)(task, printed)


if __name__ == "__main__":
    main()
