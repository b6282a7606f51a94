"""What runs inside the sandbox for a prompt's checks: it loads an answer and says what each check evaluates to.

In, on standard input: a line of JSON with the answer's code, then the checks' lines, never what is expected. Out: a
JSON list with, for each check, [its value, encoded] or why there is none; it is written anew after every check, so that
what has been found out stays where a later check takes everything down. Each check runs in a process of its own that
starts before the check is read: it loads the answer, is then told the check, and evaluates it with code compiled anew.
This file's text is the program, after that of `loading`; that of `values` is a constant in it.

What cannot be closed while checks hand iterators and callbacks to an answer, and is accepted: an answer that takes over
its own process, frame by frame, can reply there what it likes. It does not know what is expected, so it can only guess,
as any wrong function can. It cannot reply for another check, and a reply from before the check was told has no nonce.
"""

# ruff: noqa: PTH123, SIM115  pathlib would take longer to load than most answers to run

import ast
import builtins
import contextlib
import importlib
import json
import marshal
import math
import os
import resource
import select
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from typing import Any, TypedDict

from mlx_distill.machine.checks.loading import load, why

VALUES = ""
"""The text of `values`, which is put here: it is executed apart, where frames do not lead."""

RAISED = """
def raised(call):
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return None
"""

LONGEST_REPLY = 8 << 20
TOO_SLOW = "too slow"
MOST_SLOW = 2
"""Checks that may use up their seconds until the others are not tried any more; of those that only wait, one."""


class Task(TypedDict):
    """An answer, the names that checks use, how many checks there are, and how long each may take."""

    code: str
    names: list[str]
    checks: int
    seconds: float
    patience: float


Result = list[str] | str
"""[an encoded value], or why there is none."""


# ---------------------------------------------------------------- in a check's own process


def answer(task: Task, questions: int, replies: int) -> None:
    # Names are bound before the answer is loaded: it may put others in their place.
    execute, evaluate, parsed, build, reason = exec, eval, marshal.loads, dict, why
    read, write, clean = os.read, os.write, dict(vars(builtins))
    helper: dict[str, Any] = {"__builtins__": build(clean)}
    own: dict[str, Any] = {"__builtins__": build(clean), "__name__": "values"}
    execute(VALUES, own)
    execute(RAISED, helper)
    encode, raised = own["encoded"], {"raised": helper["raised"]}
    mark = b"failed "
    try:
        names, failed = load(task["code"], task["names"], needed=False)
        mark = b""
        write(replies, b"loaded\n")
        size = int.from_bytes(read(questions, 4), "big")
        question = b""
        while len(question) < size:
            question += read(questions, size - len(question))
        nonce, asks, lines, last = parsed(question)
        mark = nonce + b"!"
        names = build(names, __builtins__=build(clean), **(raised if asks else {}))
        execute(lines, names)
        reply = nonce + b"=" + encode(evaluate(last, names)).encode("utf-8", "surrogatepass")
    except BaseException as error:
        said = failed if mark and isinstance(error, NameError) and mark != b"failed " and failed else error
        reply = mark + reason(said).encode("utf-8", "replace")
    reply += b"\n"
    while reply:
        reply = reply[write(replies, reply) :]


def start(task: Task, theirs: tuple[int, int], ours: Sequence[int], nothing: int) -> int:
    child = os.fork()
    if child:
        return child
    leave = os._exit  # before the answer can replace it
    try:
        for descriptor in ours:
            os.close(descriptor)
        os.dup2(nothing, 0)
        _limit_processor(task["seconds"])
        answer(task, *theirs)
    finally:
        leave(0)


def _limit_processor(seconds: float) -> None:
    """The kernel ends this process, and each that it starts, when it has had its seconds."""
    most = math.ceil(seconds)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (most, most + 1))


# ---------------------------------------------------------------- beside it


def asks_what_is_raised(line: bytes) -> bool:
    """Whether a check uses the helper: `raised` with one argument. An answer may have a function of that name."""
    calls = [node for node in ast.walk(ast.parse(json.loads(line).strip())) if isinstance(node, ast.Call)]
    return any(isinstance(call.func, ast.Name) and call.func.id == "raised" and len(call.args) == 1 for call in calls)


def question(line: bytes, nonce: bytes) -> bytes:
    tree = ast.parse(json.loads(line).strip())
    last = tree.body.pop()
    assert isinstance(last, ast.Expr)
    lines, value = compile(tree, "check", "exec"), compile(ast.Expression(last.value), "check", "eval")
    asked = marshal.dumps((nonce, asks_what_is_raised(line), lines, value))
    return len(asked).to_bytes(4, "big") + asked


def _line(replies: int, until: float) -> bytes | None:
    """The next line; None where time is up, and what there is where the process has ended."""
    line = b""
    while not line.endswith(b"\n") and len(line) < LONGEST_REPLY:
        left = until - time.monotonic()
        if left <= 0 or not select.select([replies], [], [], left)[0]:
            return None
        part = os.read(replies, 1 << 16)
        if not part:
            break
        line += part
    return line


def value(to: int, reference: int, line: bytes, until: float) -> Result:
    loaded = _line(reference, until)
    if loaded != b"loaded\n":
        return _said(loaded, b"failed ", "it ended while it was loaded")
    nonce = os.urandom(16).hex().encode()
    os.write(to, question(line, nonce))
    reply = _line(reference, until)
    if reply is not None and reply.startswith(nonce + b"=") and reply.endswith(b"\n"):
        return [reply[len(nonce) + 1 : -1].decode("utf-8", "surrogatepass")]
    return _said(reply, nonce + b"!", "it ended without a result")


def _said(reply: bytes | None, mark: bytes, otherwise: str) -> str:
    if reply is None:
        return TOO_SLOW
    return reply.removeprefix(mark).decode("utf-8", "replace").strip()[:200] if reply.startswith(mark) else otherwise


def checked(task: Task, ours: Sequence[int], given: Any, nothing: int) -> tuple[Result, int]:
    """The result, and how much it counts against MOST_SLOW."""
    (questions, to), (said, replies) = os.pipe(), os.pipe()
    started = time.monotonic()
    child = start(task, (questions, replies), (to, said, *ours), nothing)
    os.close(questions)
    os.close(replies)
    try:
        result = value(to, said, given.readline(), started + task["patience"] * task["seconds"])
    except Exception as error:
        result = why(error)
    late = _ended_by_limit(child, 0.0 if isinstance(result, list) or result == TOO_SLOW else 1.0)
    for descriptor in (to, said):
        os.close(descriptor)
    if result == TOO_SLOW:
        return result, MOST_SLOW
    return (TOO_SLOW, 1) if late else (result, 0)


def _ended_by_limit(child: int, patience: float) -> bool:
    """Ends the process, if it does not end by itself soon, and says whether the kernel did."""
    until, status = time.monotonic() + patience, 0
    while patience and time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
        time.sleep(0.002)
    with contextlib.suppress(OSError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def import_ahead(code: str) -> None:
    """What the answer imports of the standard library: once instead of in each check's process."""
    imports = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in imports for alias in node.names}
    for name in names | {getattr(node, "module", None) or "" for node in imports}:
        if name.partition(".")[0] in sys.stdlib_module_names and name not in AS_SIDE_EFFECT:
            with contextlib.suppress(Exception):
                importlib.import_module(name)


AS_SIDE_EFFECT = ("this", "antigravity", "idlelib", "__main__", "turtledemo")


def main() -> None:
    nothing, printed = os.open(os.devnull, os.O_RDWR), os.dup(1)
    given = open(os.dup(0), "rb", buffering=0)  # unbuffered: what is not read yet is in no process
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    task = json.loads(given.readline())
    warnings.simplefilter("ignore")
    results: list[Result] = []
    slow = 0
    with contextlib.suppress(Exception):
        import_ahead(task["code"])
    for _ in range(task["checks"]):
        result, cost = (TOO_SLOW, 0) if slow >= MOST_SLOW else checked(task, (printed, given.fileno()), given, nothing)
        results.append(result)
        slow += cost
        os.pwrite(printed, json.dumps(results).encode(), 0)


if __name__ == "__main__":
    main()
