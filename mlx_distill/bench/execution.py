"""Answers and references, run in sandboxes of their own, several at a time.

In: code and what it is called with. Out: what it returned, encoded. The reference runs once in a process's lifetime;
its outputs stay here, and its times set the limits of the answers. Of an item with two answers the second waits for the
first's reference.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlx_distill import sandbox
from mlx_distill.bench import running
from mlx_distill.bench.benchmark import Case, Mark, Scoring
from mlx_distill.sandbox import Limits, Outcome

MEMORY = 4 << 30
"""Bytes, as EvalPlus allows."""

REFERENCE_SECONDS = 600
SHORTEST, LONGEST, TIMES = 1.0, 60.0, 4
"""Seconds for one input at least, for a task at most, and how many times the reference's own, as EvalPlus allows. For
an input they are the processor's (see `running.PATIENCE`)."""

START_SECONDS = 10
"""What a sandbox may take to start on a machine that is busy."""


@dataclass(frozen=True)
class Calls:
    """How an answer is run: `entry_point` (or a method of that class) is called with each of `inputs`, which are
    encoded lists of arguments; with `script` it is a program, and they are its standard input. `setup` is run before
    it, `shape` is of `running.SHAPES`."""

    inputs: tuple[str, ...]
    entry_point: str = ""
    method: str = ""
    setup: str = ""
    shape: str = ""
    script: bool = False


@dataclass(frozen=True)
class Allowed:
    """Seconds of the processor for each input, and by the clock for all; bytes of output."""

    each: tuple[float, ...]
    seconds: float
    output_bytes: int


@dataclass(frozen=True)
class Ran:
    """`outputs` and `seconds` (of the processor) of the inputs up to the first that failed; `took` seconds in all;
    `why` it failed, else empty. `whole`: whether the program lived to tell."""

    outputs: tuple[str, ...] = ()
    seconds: tuple[float, ...] = ()
    took: float = 0.0
    why: str = ""
    level: str = ""
    whole: bool = True


@functools.cache
def _program() -> str:
    return Path(running.__file__).read_text("utf-8")


def reason_not_to_run(scoring: Scoring) -> str:
    """Why no code is run on this machine; empty where it is."""
    return sandbox.NOT_RUN if sandbox.level() == "none" and not scoring.unsandboxed else ""


def run(code: str, calls: Calls, allowed: Allowed, *, unsandboxed: bool = False) -> Ran:
    """Runs code in one sandbox. Never raises for what the code does."""
    task = {**vars(calls), "code": code, "limits": allowed.each}
    limits = Limits(
        seconds=allowed.seconds,
        memory_bytes=MEMORY,
        output_bytes=allowed.output_bytes,
        disk_bytes=_disk(calls) + 2 * allowed.output_bytes,
    )
    return _read(sandbox.run(_program(), task, limits=limits, unsandboxed=unsandboxed), len(calls.inputs))


def _disk(calls: Calls) -> int:
    """A script's input lies in a file beside it."""
    return Limits.disk_bytes + (4 * max(map(len, calls.inputs), default=0) if calls.script else 0)


def _read(outcome: Outcome, most: int) -> Ran:
    """The program may have been taken over by the answer, and printed anything."""
    try:
        outputs, seconds, took, why = (outcome.result[key] for key in ("outputs", "seconds", "took", "why"))
        if all(isinstance(output, str) for output in outputs) and len(outputs) <= most:
            return Ran(tuple(outputs), tuple(map(float, seconds)), float(took), str(why)[:200], outcome.level)
    except (LookupError, TypeError, ValueError):
        pass
    return Ran(why=outcome.detail or "it ended without a result", level=outcome.level, whole=False)


# ---------------------------------------------------------------- references

_known: dict[tuple[str, Calls], Future[Ran]] = {}
_lock = threading.Lock()


def reference(code: str, calls: Calls, *, unsandboxed: bool = False) -> Ran:
    """What the published solution returns, and how long it takes here; `why` is not empty where it could not be run
    to its end, and then it is tried again the next time."""
    key = (code, calls)
    with _lock:
        mine = key not in _known
        future = _known.setdefault(key, Future())
    if mine:
        _find_out(future, key, unsandboxed)
    return future.result()


def _find_out(future: Future[Ran], key: tuple[str, Calls], unsandboxed: bool) -> None:
    code, calls = key
    allowed = Allowed((float(REFERENCE_SECONDS),) * len(calls.inputs), REFERENCE_SECONDS, 1 << 30)
    why = "interrupted"
    try:
        ran = run(code, calls, allowed, unsandboxed=unsandboxed)
        why = ran.why
        future.set_result(ran)
    except BaseException as error:
        future.set_exception(error)
    if why:
        with _lock:
            del _known[key]


def allowed_beside(known: Ran) -> Allowed:
    """What an answer may use, by what its reference used (EvalPlus's rule); at least twice the reference's time where
    that takes long."""
    each = tuple(max(SHORTEST, TIMES * seconds) for seconds in known.seconds)
    seconds = max(min(LONGEST, sum(each)) + 1, 2 * known.took) + START_SECONDS
    return Allowed(each, seconds, output_bytes(known.outputs))


def output_bytes(expected: Iterable[str]) -> int:
    """What an answer may send: four times what is expected, and in whole MiB, which tell nothing about it."""
    return (1 + (4 * sum(map(len, expected)) >> 20)) << 20


# ---------------------------------------------------------------- many at a time


def in_order(
    cases: Sequence[Case], work: Callable[[Case], Mark], workers: int, first: Callable[[Case], Any] = lambda _: False
) -> Iterator[Mark]:
    """The cases' marks, in their order; `workers` at a time, those before the others for which `first` holds."""
    pool = ThreadPoolExecutor(max(1, workers))
    try:
        started = {
            at: pool.submit(work, cases[at]) for at in sorted(range(len(cases)), key=lambda at: not first(cases[at]))
        }
        for at in range(len(cases)):
            yield started.pop(at).result()
    finally:
        pool.shutdown(cancel_futures=True)
