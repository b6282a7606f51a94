"""Answers and references, run in sandboxes of their own, several at a time.

In: code and what it is called with. Out: what it returned, encoded. The reference runs once in a process's lifetime;
its outputs stay here, and its times set the limits of the answers. Answers have a sandbox each; references, which are
published code, share some.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from mlx_distill.evaluate.benchmarks import running
from mlx_distill.evaluate.benchmarks.benchmark import Case, Item, Mark, Scoring
from mlx_distill.machine import sandbox
from mlx_distill.machine.checks import lacking, loading, programs, values
from mlx_distill.machine.checks.code import Extracted
from mlx_distill.machine.sandbox import Limits, Outcome
from mlx_distill.machine.sandbox.leaving import number, text
from mlx_distill.run.records import FORMAT

MEMORY = 4 << 30
"""Bytes, as EvalPlus allows."""

REFERENCE_SECONDS = 600
SHORTEST, LONGEST, TIMES = 1.0, 60.0, 4
"""Seconds of the processor for one input at least, for a task at most, and how many times the reference's own, as
EvalPlus allows by the clock (see `running.PATIENCE`)."""

START_SECONDS = 10
"""What a sandbox may take to start on a machine that is busy."""


LONGEST_TOLD = 1e6
"""Seconds that a program may say that it took; it says what it likes."""


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
    """Seconds of the processor for each input, and for all of them; bytes of output."""

    each: tuple[float, ...]
    total: float
    output_bytes: int


@dataclass(frozen=True)
class Ran:
    """`outputs` and `seconds` (of the processor) of the inputs up to the first that failed; `why` it failed, or "".
    `whole`: whether the program lived to tell; `ran`: whether it was run at all."""

    outputs: tuple[str, ...] = ()
    seconds: tuple[float, ...] = ()
    why: str = ""
    level: str = ""
    whole: bool = True
    ran: bool = True


@functools.cache
def _program() -> str:
    return programs.joined(values, loading, running)


def reason_not_to_run(scoring: Scoring) -> str:
    """Why no code is run on this machine; empty where it is."""
    return sandbox.NOT_RUN if sandbox.level() == "none" and not scoring.unsandboxed else ""


def run(code: str, calls: Calls, allowed: Allowed, scoring: Scoring) -> Ran:
    """Runs code in a sandbox of its own. Never raises for what the code does."""
    outcome = _sandboxed(_task(code, calls, allowed.each, allowed.total), allowed, _disk(calls), scoring)
    return _read(outcome.result, outcome, len(calls.inputs))


def _task(code: str, calls: Calls, each: Sequence[float], total: float) -> dict[str, object]:
    """As `running.Task` has it."""
    return {**vars(calls), "code": code, "limits": each, "total": total}


def _sandboxed(task: Any, allowed: Allowed, disk_bytes: int, scoring: Scoring) -> Outcome:
    limits = Limits(
        seconds=START_SECONDS + running.PATIENCE * allowed.total,
        memory_bytes=MEMORY,
        output_bytes=allowed.output_bytes,
        disk_bytes=disk_bytes + 2 * allowed.output_bytes,
    )
    return sandbox.run(_program(), task, limits=limits, unsandboxed=scoring.unsandboxed, packages=scoring.packages)


def _disk(calls: Calls) -> int:
    """A script's input lies in a file beside it."""
    return Limits.disk_bytes + (4 * max(map(len, calls.inputs), default=0) if calls.script else 0)


def _read(result: Any, outcome: Outcome, most: int) -> Ran:
    """The program may have been taken over by the answer, and printed anything."""
    try:
        outputs, seconds, why = (result[key] for key in ("outputs", "seconds", "why"))
        if all(isinstance(output, str) for output in outputs) and len(outputs) <= most:
            times = tuple(number(second, LONGEST_TOLD) for second in seconds)
            if len(times) <= most and isinstance(why, str):
                return Ran(tuple(map(text, outputs)), times, text(why)[:200], outcome.level)
    except (LookupError, TypeError, ValueError):
        pass
    why = outcome.detail or "it ended without a result"
    return Ran(why=why, level=outcome.level, whole=False, ran=outcome.ended != "not run")


def described(mark: Mark, read: Extracted, scoring: Scoring) -> Mark:
    """A mark with what else is known of the answer: its format, the packages that it imports, and, where it failed for
    want of what the sandbox does not have, that it could not be run."""
    code = read.code or ""
    imported = lacking.packages(code, scoring.packages)
    mark = dataclasses.replace(mark, parts={**mark.parts, FORMAT: read.strict}, packages=imported)
    why = lacking.facility(code, unsandboxed=scoring.unsandboxed) if mark.passed is False else ""
    return dataclasses.replace(mark, passed=None, detail=why) if why else mark


# ---------------------------------------------------------------- references

Key = tuple[str, Calls]

_known: dict[Key, Future[Ran]] = {}
_lock = threading.Lock()


def reference(code: str, calls: Calls, *, unsandboxed: bool = False) -> Ran:
    """What the published solution returns, and how long it takes here; `why` is not empty where it could not be run
    to its end, and then it is tried again the next time."""
    (ran,) = references([(code, calls)], unsandboxed=unsandboxed)
    return ran


def references(keys: Sequence[Key], *, unsandboxed: bool = False) -> list[Ran]:
    """Several; those that are not known yet share a sandbox, which takes longer to start than most of them to run."""
    with _lock:
        mine = [key for key in dict.fromkeys(keys) if key not in _known]
        _known.update((key, Future()) for key in mine)
        futures = [_known[key] for key in keys]
    if mine:
        _find_out(mine, unsandboxed)
    return [future.result() for future in futures]


def _find_out(keys: Sequence[Key], unsandboxed: bool) -> None:
    outcomes: dict[Key, Ran] = {}
    allowed = Allowed((), REFERENCE_SECONDS, 1 << 30)
    try:
        most = allowed.total
        tasks = [_task(code, calls, (most,) * len(calls.inputs), most) for code, calls in keys]
        outcome = _sandboxed(tasks, allowed, Limits.disk_bytes, Scoring(unsandboxed=unsandboxed))
        results = outcome.result if isinstance(outcome.result, list) else [None] * len(keys)
        for key, result in zip(keys, results, strict=False):
            outcomes[key] = _read(result, outcome, len(key[1].inputs))
    finally:
        with _lock:
            for key in keys:
                ran = outcomes.get(key, Ran(why="interrupted", whole=False))
                _known[key].set_result(ran)
                if ran.why:
                    del _known[key]


def allowed_beside(known: Ran) -> Allowed:
    """What an answer may use, by what its reference used (EvalPlus's rule); at least twice the reference's time where
    that takes long."""
    each = tuple(max(SHORTEST, TIMES * seconds) for seconds in known.seconds)
    total = max(min(LONGEST, sum(each)), 2 * sum(known.seconds)) + 1
    return Allowed(each, total, output_bytes(known.outputs))


def output_bytes(expected: Iterable[str]) -> int:
    """What an answer may send: four times what is expected, and in whole MiB, which tell nothing about it."""
    return (1 + (4 * sum(map(len, expected)) >> 20)) << 20


# ---------------------------------------------------------------- many at a time


CHUNK = 12
"""Cases that are prepared at once."""


def in_order(
    cases: Sequence[Case],
    work: Callable[[Case], Mark],
    workers: int,
    prepare: Callable[[Sequence[Case]], Any] = lambda cases: None,
    slow: Callable[[Item], bool] = lambda item: False,
) -> Iterator[Mark]:
    """The cases' marks, in their order, `workers` at a time. Each chunk of cases is prepared while the one before it
    is worked on; slow items come first, and alone, so that nobody waits for them at the end."""
    pool = ThreadPoolExecutor(max(1, workers))
    started: dict[int, Future[Mark]] = {}
    places = [at for at, (item, _) in enumerate(cases) if not slow(item)]
    chunks = [places[at : at + CHUNK] for at in range(0, len(places), CHUNK)]
    try:
        for at in _in_turns(cases, slow):
            started[at] = pool.submit(work, cases[at])
        for chunk, following in itertools.pairwise([[], *chunks, []]):
            pool.submit(prepare, [cases[at] for at in following])
            started |= {at: pool.submit(work, cases[at]) for at in chunk}
        for at in range(len(cases)):
            yield started.pop(at).result()
    finally:
        pool.shutdown(cancel_futures=True)


def _in_turns(cases: Sequence[Case], slow: Callable[[Item], bool]) -> list[int]:
    """Where the slow items' answers are: the first answer to each, then the second, which else would wait for it."""
    seen: Counter[str] = Counter()
    turns = []
    for at, (item, _) in enumerate(cases):
        if slow(item):
            turns.append((seen[item.id], at))
            seen[item.id] += 1
    return [at for _, at in sorted(turns)]
