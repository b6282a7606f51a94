"""Answers to mathematical problems: asked for in a box, read out of it, and compared with the gold answer.

In: a text, or cases. Out: the answer that the text gives, or Marks in order. Two numbers are compared here, exactly and
at once; all else goes to comparing processes (`equivalence`), which are ended and replaced when an answer takes them
too long, because what a model writes can be arbitrarily expensive to understand.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal, InvalidOperation
from multiprocessing.connection import wait
from pathlib import Path

import psutil

from mlx_distill.bench import equivalence
from mlx_distill.bench.benchmark import Case, Mark, Scoring
from mlx_distill.errors import MachineError

SCORER = "math-verify 0.9.0, rules 1"

REQUEST = r"Please reason step by step, and put your final answer within \boxed{}."
"""The request under which MATH results are usually published, e.g. those of the Qwen2.5-Math report (2409.12122)."""

SOMEWHERE = "answer somewhere"
"""The part of a Mark that says: the right answer is there, in a box, or without one at the end of the text."""

LONGEST = 1000
"""Characters of an answer that is read; the longest gold answer has 53."""

SECONDS = 30
"""How long a pair may take by the clock. What ends it first, unless it waits for a processor, is `CPU_SECONDS`."""

START_SECONDS = 120
RENEW_BYTES = 512 << 20
"""A process that still holds so much after a pair is replaced, so that what one answer left costs no other one."""

LOOK_SECONDS = 0.05

Compare = Callable[[str, str], tuple[bool, str]]
"""(gold, answer) → whether they are equal, and why that could not be found out, if it could not."""


def ask(problem: str) -> str:
    return f"{problem.strip()}\n\n{REQUEST}"


BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


def boxed(text: str) -> str | None:
    r"""What the last \boxed or \fbox contains. None where there is no box, or where the last one is not closed."""
    boxes = list(BOX.finditer(text))
    if not boxes:
        return None
    start, depth = boxes[-1].end(), 1
    for brace in BRACE.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if not depth:
            return text[start : brace.start()].strip()
    return None


WRAPPED = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
SIGNS = re.compile(r"\\!\s*|\\?[$%]|\^\s*\{?\\circ\s*\}?|\\cent(?![a-z])|[°¢€£]|\*\*")
THOUSANDS = re.compile(r"(?<=[0-9])(?:\{,\}|\\,\s*)(?=[0-9]{3})")
NUMBER = re.compile(
    r"([-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)?(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?)\.?"
    r"(?:\s+(?!hundred|thousand|million|billion|trillion|dozen|factorial|squared|cubed)[A-Za-z]{3}[A-Za-z .]*)?"
)


def number(text: str) -> Decimal | None:
    """The number that a text is, with its currency, degree or percent sign or its unit in words left out; else None.

    A word of one or two letters is no unit: it may be a variable, or pi.
    """
    if len(text) > LONGEST:
        return None
    bare = SIGNS.sub("", WRAPPED.sub(r" \1 ", THOUSANDS.sub(",", text))).replace("\N{MINUS SIGN}", "-").strip()
    found = NUMBER.fullmatch(bare)
    try:
        return Decimal(found[1].replace(",", "")) if found else None
    except InvalidOperation:
        return None


def score(cases: Sequence[Case], scoring: Scoring, read: Callable[[str], str | None] = boxed) -> Iterator[Mark]:
    """Marks in the order of the cases; `read` finds the answer in a text, and an item's `data` has the gold "answer".

    Raises MachineError where no comparing process can be started.
    """
    processes = Pool()
    threads = ThreadPoolExecutor(max(1, scoring.workers))
    try:
        yield from threads.map(lambda case: _mark(case, read(case[1]), processes.compare), cases)
    finally:
        threads.shutdown(cancel_futures=True)
        processes.close()


def _mark(case: Case, found: str | None, compare: Compare) -> Mark:
    item, text = case
    gold = str(item.data["answer"])
    if found is None:
        return Mark(False, None, "no answer extracted", {SOMEWHERE: ends_with(text, gold)})
    right, why = _same(gold, found, compare)
    shown = found[:LONGEST]
    return Mark(right, shown, "" if right else why or f"{shown[:80]} is not {gold}", {SOMEWHERE: right})


def _same(gold: str, answer: str, compare: Compare) -> tuple[bool, str]:
    if len(answer) > LONGEST:
        return False, f"an answer of more than {LONGEST} characters"
    if _plain(gold) == _plain(answer):
        return True, ""
    wanted, found = number(gold), number(answer)
    if wanted is not None and found is not None and (wanted == found or "%" not in answer):  # 20% is 20, and 0.2
        return wanted == found, ""
    return compare(gold, answer)


def _plain(text: str) -> str:
    """Without what only changes how an answer looks."""
    return " ".join(re.sub(r"\\(?:left|right)(?![a-zA-Z])|\\[!,;]|\$", "", text).replace(r"\dfrac", r"\frac").split())


TOKEN = re.compile(r"\\[A-Za-z]+|\S")
NUMBERS = re.compile(r"(?:(?<![\w.])[-+])?(?:(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)")


def ends_with(text: str, gold: str) -> bool:
    """Whether the last line of a text has the gold answer: as its last number, or else in the very characters."""
    end = text.strip().rpartition("\n")[2][-LONGEST:]
    wanted = number(gold)
    if wanted is not None:
        numbers = NUMBERS.findall(SIGNS.sub("", THOUSANDS.sub(",", end)))
        return bool(numbers) and number(numbers[-1]) == wanted
    parts = r"\s*".join(map(re.escape, TOKEN.findall(_plain(gold))))
    return bool(re.search(rf"(?<![A-Za-z0-9\\]){parts}(?![A-Za-z0-9])", _plain(end)))


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
