"""Answers to mathematical problems: asked for in a box, read wherever they stand, and compared with the gold answer.

In: cases. Out: Marks in order. Whether an answer stands in the asked box is a part of its mark and decides nothing.
Numbers, words and choices are compared here (`reading`), exactly and at once; expressions go to comparing processes
(`equivalence`), which are ended and replaced when an answer takes them too long, because what a model writes can be
arbitrarily expensive to understand.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import wait
from pathlib import Path

import psutil

from mlx_distill.evaluate.benchmarks import equivalence
from mlx_distill.evaluate.benchmarks.benchmark import Case, Mark, Scoring
from mlx_distill.evaluate.benchmarks.reading.final import Reading, final
from mlx_distill.evaluate.benchmarks.reading.sameness import Compare, Gold, same
from mlx_distill.run.errors import MachineError
from mlx_distill.run.records import FORMAT

SCORER = "math-verify 0.9.0, rules 3"

REQUEST = r"Please reason step by step, and put your final answer within \boxed{}."
"""The request under which MATH results are usually published, e.g. those of the Qwen2.5-Math report (2409.12122)."""

LONGEST = 1000
"""Characters of an answer that is read; the longest gold answer has 53."""

SECONDS = 30
"""How long a pair may take by the clock. What ends it first, unless it waits for a processor, is `CPU_SECONDS`."""

START_SECONDS = 120
RENEW_BYTES = 512 << 20
"""A process that still holds so much after a pair is replaced, so that what one answer left costs no other one."""

LOOK_SECONDS = 0.05


def ask(problem: str) -> str:
    return f"{problem.strip()}\n\n{REQUEST}"


def score(cases: Sequence[Case], scoring: Scoring) -> Iterator[Mark]:
    """Marks in the order of the cases; an item's `data` has the gold "answer".

    Raises MachineError where no comparing process can be started.
    """
    with compared(scoring) as (threads, compare):
        yield from threads.map(lambda case: mark(case, compare, cut=case[1] in scoring.cut), cases)


@contextlib.contextmanager
def compared(scoring: Scoring) -> Iterator[tuple[ThreadPoolExecutor, Compare]]:
    """Threads for so many answers at a time, and what compares expressions for them."""
    processes = Pool()
    threads = ThreadPoolExecutor(max(1, scoring.workers))
    try:
        yield threads, processes.compare
    finally:
        threads.shutdown(cancel_futures=True)
        processes.close()


def mark(case: Case, compare: Compare, *, cut: bool = False) -> Mark:
    """`cut`: the text ends at the token cap."""
    item, text = case
    reading = final(text, item.prompt, cut=cut)
    if reading is None:
        return Mark(False, None, "no answer extracted", {FORMAT: False})
    return mark_of(Gold(str(item.data["answer"]), item.prompt), reading, compare)


def mark_of(gold: Gold, reading: Reading, compare: Compare) -> Mark:
    """What a reading is worth."""
    shown = reading.text[:LONGEST]
    right, why = False, f"an answer of more than {LONGEST} characters"
    if len(reading.text) <= LONGEST:
        right, why = same(gold, reading.text, compare)
    detail = "" if right else why or f"{shown[:80]} is not {gold.text[:200]}"
    return Mark(right, shown, detail, {FORMAT: reading.strict})


class Pool:
    """As many comparing processes as there are threads that ask at the same time."""

    def __init__(self, cpu_seconds: int = equivalence.CPU_SECONDS) -> None:
        self._seconds = cpu_seconds
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()

    def compare(self, gold: str, answer: str) -> tuple[bool, str]:
        try:
            worker = self._idle.get_nowait()
        except queue.Empty:
            worker = Worker(self._seconds)
        try:
            return worker.compare(gold, answer)
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        while not self._idle.empty():
            self._idle.get().close()


class Worker:
    """One comparing process, started when it is first needed and again after an answer that it did not survive."""

    def __init__(self, cpu_seconds: int = equivalence.CPU_SECONDS) -> None:
        self._seconds = cpu_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def compare(self, gold: str, answer: str) -> tuple[bool, str]:
        """Whether they are equal; never longer than SECONDS. An answer that breaks a limit is not, and it says why."""
        process = self._running()
        try:
            assert process.stdin
            process.stdin.write(json.dumps([gold, answer]).encode() + b"\n")
            process.stdin.flush()
            line, why = _reply(process, SECONDS)
        except OSError:
            line, why = b"", ""
        if not line:
            why = why or _how_it_ended(process, self._seconds)
            self.close()
            return False, f"could not be compared: {why}"
        if _resident(process.pid) > RENEW_BYTES:
            self.close()
        return json.loads(line)["equal"], ""

    def close(self) -> None:
        if self._process:
            _end(self._process)
        self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process and self._process.poll() is None:
            return self._process
        self.close()
        self._process = _start(self._seconds)
        line, why = _reply(self._process, START_SECONDS)
        if not line:
            self.close()
            raise MachineError(
                f"answers cannot be compared here ({why or 'math-verify does not load'}): "
                f"try `{sys.executable} {equivalence.__file__}`, or install mlx-distill again"
            )
        return self._process


def _start(seconds: int) -> subprocess.Popen[bytes]:
    """With an environment of its own: no key is in it, and sets have the same order in every run."""
    return subprocess.Popen(
        [sys.executable, "-s", "-P", "-X", "utf8", str(Path(equivalence.__file__).resolve()), str(seconds)],
        env={"PYTHONHASHSEED": "0"},
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _reply(process: subprocess.Popen[bytes], seconds: float) -> tuple[bytes, str]:
    """(a line, "") or (b"", which limit was broken). The memory is looked at here too: macOS refuses that limit."""
    assert process.stdout
    output, until = process.stdout.fileno(), time.monotonic() + seconds
    line = b""
    while not line.endswith(b"\n"):
        if wait([output], LOOK_SECONDS):
            read = os.read(output, 4096)
            if not read:
                return b"", ""
            line += read
        elif time.monotonic() > until:
            return b"", f"more than {seconds:g} s"
        elif _resident(process.pid) > equivalence.MEMORY_BYTES:
            return b"", f"more than {equivalence.MEMORY_BYTES >> 20} MiB of memory"
    return line, ""


def _resident(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _how_it_ended(process: subprocess.Popen[bytes], seconds: int) -> str:
    try:
        code = process.wait(1)
    except subprocess.TimeoutExpired:
        return "no reply"
    if code == -signal.SIGXCPU:
        return f"more than {seconds} s of processor time"
    return "the comparison broke down"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):  # what was not written to it yet
            if pipe:
                pipe.close()
