"""LiveCodeBench: contest problems with the dates at which they were published (Jain et al. 2024, arXiv 2403.07974).

In: rows of livecodebench/code_generation_lite. Out: Items, those of a window of dates, and marks. An answer is a
program that reads and prints, or a class with a method; all of its tests run in one sandbox, and what it printed is
compared outside. The private tests are published as a pickle: its text is read without unpickling.
"""

from __future__ import annotations

import base64
import binascii
import json
import pickletools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from mlx_distill.evaluate.benchmarks import execution
from mlx_distill.evaluate.benchmarks.benchmark import Benchmark, Case, Item, Mark, Scoring, Source
from mlx_distill.evaluate.benchmarks.execution import Allowed, Calls, Ran
from mlx_distill.evaluate.benchmarks.outputs import printed_right, right
from mlx_distill.machine import sandbox
from mlx_distill.machine.checks.code import Extracted, defines, ended, extract, script
from mlx_distill.machine.checks.values import encoded, whole
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.records import FORMAT

NAME = "livecodebench"
PUBLIC = "public tests"

INSTRUCTION = (
    "Solve this programming problem in Python. {how} Answer with the whole program in one fenced code block.\n\n"
    "{question}"
)
READS = "Read the input from standard input and print the answer to standard output."
COMPLETES = "Complete the given class."

MODULES = (
    *("string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics"),
    *("itertools", "functools", "operator", "io", "sys", "json", "builtins", "typing"),
)
SETUP = "".join(f"from {name} import *\n" for name in MODULES) + f"import {', '.join(MODULES)}\n"
SETUP += "sys.setrecursionlimit(50_000)\n"
"""What stands before every answer, as published: contest sites have it imported."""

EACH_SECONDS, ALL_SECONDS = 6.0, 180.0
MOST_BYTES = 256 << 20
"""Of a problem's private tests, unpacked."""

TEXTS = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"})
AROUND_TEXT = frozenset({"PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT", "STOP"})


# ---------------------------------------------------------------- reading


def read(rows: Sequence[Mapping[str, Any]]) -> list[Item]:
    """All problems, of any date. Raises DataError for a row that is not as published."""
    return [_item(row) for row in rows]


def within(items: Sequence[Item], first: str, last: str) -> list[Item]:
    """The problems published between two dates (YYYY-MM-DD), both included. Raises UsageError for what is no date,
    DataError where there are none."""
    try:
        since, until = date.fromisoformat(first).isoformat(), date.fromisoformat(last).isoformat()
    except ValueError as error:
        raise UsageError(f"{error}: write dates as 2024-08-01.") from None
    recent = [item for item in items if since <= item.data["date"] <= until]
    if not recent:
        raise DataError(f"LiveCodeBench has no problem from {first} to {last}: choose an earlier window.")
    return recent


def _item(row: Mapping[str, Any]) -> Item:
    try:
        starter = row["starter_code"].strip("\n")
        question = row["question_content"].strip()
        data = {
            "date": date.fromisoformat(str(row["contest_date"])[:10]).isoformat(),
            "method": json.loads(row["metadata"] or "{}").get("func_name") or "",
            "public": row["public_test_cases"],
            "private": row["private_test_cases"],
        }
        return Item(NAME, str(row["question_id"]), _prompt(question, starter), row["platform"], row["difficulty"], data)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        name = row.get("question_id", "a row")
        raise DataError(f"LiveCodeBench's {name} is not as published ({error!r}): download it again.") from error


def _prompt(question: str, starter: str) -> str:
    if not starter.strip():
        return INSTRUCTION.format(how=READS, question=question)
    return INSTRUCTION.format(how=COMPLETES, question=f"{question}\n\n```python\n{starter}\n```")


def unpacked(text: str) -> list[dict[str, str]]:
    """Published tests: a JSON list, or its text as a pickle, deflated, in base64. Raises ValueError for all else."""
    try:
        tests = json.loads(text)
    except ValueError:
        tests = json.loads(_pickled_text(_inflated(text)))
    if not all(isinstance(test[name], str) for test in tests for name in ("input", "output")):
        raise ValueError("a test's input or output is no text")
    return list(tests)


def _inflated(text: str) -> bytes:
    try:
        unpacking = zlib.decompressobj()
        data = unpacking.decompress(base64.b64decode(text, validate=True), MOST_BYTES)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(str(error)) from None
    if unpacking.unconsumed_tail:
        raise ValueError(f"more than {MOST_BYTES >> 20} MiB of tests")
    return data


def _pickled_text(data: bytes) -> str:
    """The one text that a pickle holds. Its operations are read, never carried out; any but a text's are refused."""
    texts: list[str] = []
    for operation, argument, _ in pickletools.genops(data):
        if operation.name in TEXTS:
            texts.append(str(argument))
        elif operation.name not in AROUND_TEXT:
            raise ValueError(f"the pickle is no text: it has {operation.name}")
    if len(texts) != 1:
        raise ValueError(f"the pickle holds {len(texts)} texts")
    return texts[0]


# ---------------------------------------------------------------- scoring


def score(cases: Sequence[Case], scoring: Scoring) -> Iterator[Mark]:
    return execution.in_order(cases, lambda case: mark(*case, scoring), scoring.workers)


def mark(item: Item, text: str, scoring: Scoring) -> Mark:
    read = _read(text, item.data["method"], text in scoring.cut)
    code = read.code
    if reason := execution.reason_not_to_run(scoring):
        return Mark(None, code, reason)
    if code is None:
        return Mark(False, None, "no answer extracted", {PUBLIC: False, FORMAT: False}, sandbox.level())
    try:
        public, private = unpacked(item.data["public"]), unpacked(item.data["private"])
        calls, expected = _tests(item.data["method"], code, [*public, *private])
    except (ValueError, TypeError, LookupError, RecursionError, MemoryError) as error:
        return Mark(None, code, f"its tests cannot be read: {error}"[:200])
    ran = execution.run(code, calls, _allowed(expected), scoring)
    return execution.described(_compared(code, ran, calls, expected, len(public)), read, scoring)


def _read(text: str, method: str, cut: bool) -> Extracted:
    text = ended(text) if cut else text
    if not method:
        return script(text, cut=cut)
    extracted = extract(text, ["Solution"], cut=cut)
    return extracted if extracted.code is not None else extract(text, [method], cut=cut)


def _tests(method: str, code: str, tests: Sequence[Mapping[str, str]]) -> tuple[Calls, list[str]]:
    """How the answer is run, and what is expected: texts that are printed, or encoded values."""
    if not method:
        return Calls(tuple(test["input"] for test in tests), setup=SETUP, script=True), [t["output"] for t in tests]
    inputs = tuple(whole([json.loads(line) for line in test["input"].split("\n")]) for test in tests)
    calls = Calls(inputs, "Solution", method, SETUP, "list")
    if not defines(code, "Solution"):
        calls = Calls(inputs, method, "", SETUP, "list")
    return calls, [encoded(json.loads(test["output"])) for test in tests]


def _allowed(expected: Sequence[str]) -> Allowed:
    seconds = min((EACH_SECONDS + 1) * len(expected) + 5, ALL_SECONDS)
    return Allowed((EACH_SECONDS,) * len(expected), seconds, execution.output_bytes(expected))


def _compared(code: str, ran: Ran, calls: Calls, expected: Sequence[str], public: int) -> Mark:
    if not ran.ran:
        return Mark(None, code, ran.why)
    good = 0
    for output, wanted in zip(ran.outputs, expected, strict=False):
        if not (printed_right(output, wanted) if calls.script else right(output, wanted, None)):
            break
        good += 1
    if good == len(expected):
        return Mark(True, code, "", {PUBLIC: True}, ran.level)
    why = ran.why if good == len(ran.outputs) else "the output is not what is expected"
    return Mark(False, code, f"test {good + 1} of {len(expected)}: {why}"[:200], {PUBLIC: good >= public}, ran.level)


LIVECODEBENCH = Benchmark(
    name=NAME,
    title="LiveCodeBench",
    capability="code",
    source=Source(
        "livecodebench/code_generation_lite",
        "0fe84c3912ea0c4d4a78037083943e8f0c4dd505",
        files=("test3.jsonl", "test4.jsonl", "test5.jsonl", "test6.jsonl"),
    ),
    columns=(
        frozenset(
            {
                *("question_id", "question_content", "contest_date", "starter_code", "difficulty", "platform"),
                *("public_test_cases", "private_test_cases", "metadata"),
            }
        ),
    ),
    size=454,
    max_tokens=4096,
    scorer="livecodebench 3",
    read=read,
    score=score,
    deviations=(
        "One greedy answer is asked for as a chat with an instruction of our own; published are ten answers at "
        "temperature 0.2.",
        "The last block that reads the input, or that defines the class, is taken, however it was set, with what it "
        "needs of other blocks; published is the text between the last two fences.",
        "A program that reads and prints runs as a script in a process of its own for each test, without any package.",
        f"All tests of an answer have {ALL_SECONDS:.0f} s together (each {EACH_SECONDS:.0f} s as published, but of the "
        "processor's time), and 4 GiB of memory.",
    ),
    default=False,
    floor=0.05,
)
