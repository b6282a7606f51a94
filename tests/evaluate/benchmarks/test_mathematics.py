"""The gold answers pass, wrong ones do not, and no answer can hang, fill or take over what compares it."""

import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import pytest

from mlx_distill.evaluate.benchmarks import aime, equivalence, mathematics
from mlx_distill.evaluate.benchmarks.aime import AIME24, AIME25
from mlx_distill.evaluate.benchmarks.benchmark import Benchmark, Item, Mark, Scoring
from mlx_distill.evaluate.benchmarks.gsm8k import GSM8K
from mlx_distill.evaluate.benchmarks.math500 import MATH500
from mlx_distill.evaluate.benchmarks.mathematics import Pool, Worker
from mlx_distill.evaluate.benchmarks.reading import quantity, signs
from mlx_distill.evaluate.benchmarks.reading.final import boxed, final, last
from mlx_distill.run.errors import DataError, MachineError
from mlx_distill.run.records import FORMAT

Row = dict[str, Any]
TWO = Scoring(workers=2)


def rows(shared: Path, name: str) -> list[Row]:
    lines = (shared / "benchmarks" / name).read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def shared_pool(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets `score` use it and leave it: to start a process takes a second."""
    monkeypatch.setattr(pool, "close", lambda: None)
    monkeypatch.setattr(mathematics, "Pool", lambda: pool)


def item(gold: str, benchmark: str = "math-500") -> Item:
    return Item(benchmark, "1", "?", data={"answer": gold})


def marks(gold: str, *texts: str, workers: int = 1) -> list[Mark]:
    return list(mathematics.score([(item(gold), text) for text in texts], Scoring(workers)))


# Marking


def test_no_box_is_told_apart_from_a_wrong_answer() -> None:
    texts = (r"\boxed{18}", r"\boxed{19}", r"\boxed{18", "Thus she has $18.", "")
    right, wrong, cut, prose, none = marks("18", *texts)
    assert right == Mark(True, "18", "", {FORMAT: True})
    assert wrong == Mark(False, "19", "19 is not 18", {FORMAT: True})
    assert prose == Mark(True, "$18", "", {FORMAT: False})
    assert cut == none == Mark(False, None, "no answer extracted", {FORMAT: False})


def test_marks_come_in_order(shared_pool: None) -> None:
    texts = [rf"\boxed{{x + {n}}}" for n in range(8)]
    found = mathematics.score([(item("x + 3"), text) for text in texts], TWO)
    assert [mark.passed for mark in found] == [text == r"\boxed{x + 3}" for text in texts]


def test_plain_numbers_need_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mathematics, "Worker", None)
    assert [mark.passed for mark in marks("73", r"\boxed{073}", r"\boxed{74}")] == [True, False]


def test_the_version_that_scores_is_the_one_that_the_result_names() -> None:
    assert mathematics.SCORER.startswith(f"math-verify {version('math-verify')}, ")


# Attacks

ATTACKS = {
    "powers": "9^{9^{9^{9}}}",
    "factorial": "(10^9)!",
    "factorials": "((10^9)!)!",
    "binomial": r"\binom{10^{9}}{5\cdot 10^8}",
    "greatest divisor": r"\gcd(10^{10^{8}},3)",
    "digits of pi": r"\lfloor 10^{10^{10}} \pi \rfloor",
    "expansion": "(x+y+z+w+1)^{300}",
    "product": r"\prod_{n=1}^{1000000} (x+n)",
    "sum": r"\sum_{n=1}^{10^{12}} \frac{1}{n^2+1}",
    "integral": r"\int_0^1 e^{x^{x^{x}}}\sin(x^x) dx",
    "limit": r"\lim_{x\to 0} \frac{\sin(\sin(\sin(x^9)))}{x^{9^9}}",
    "identity": r"\operatorname{eye}(100000)",
    "zeros": r"\operatorname{zeros}(100000,100000)",
    "fractions": r"\frac{1}{" * 150 + "2" + "}" * 150,
    "parentheses": "(" * 400 + "1" + ")" * 400,
    "braces": "{" * 10**6 + "}" * 10**6,
    "long": "1+" * 100_000 + "1",
    "matrix": r"\begin{pmatrix}" + r" \\ ".join(["1 & 2 & 3 & 4"] * 25_000) + r"\end{pmatrix}",
    "exponent": "1E999999999",
    "surrogate": "\ud800",
    "code in text": r"\text{__import__('os').system('touch x')}",
    "code": "__import__('os').system('touch x')",
    "code in a sum": r"\sum_{n=1}^{\infty} (f(2))^n",
}
QUICK = ["powers", "braces", "long", "matrix", "exponent", "surrogate", "code in text", "code"]


def test_no_answer_hangs_or_breaks_the_scorer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mathematics, "Pool", lambda: Pool(cpu_seconds=1))
    texts = [rf"\boxed{{{ATTACKS[name]}}}" for name in QUICK]
    started = time.monotonic()
    found = marks(r"\frac{14}{3}", *texts, r"\boxed{14/3}")
    assert [mark.passed for mark in found] == [False] * len(texts) + [True]
    assert found[0].detail == "could not be compared: more than 1 s of processor time"
    assert found[QUICK.index("long")].detail == "an answer of more than 1000 characters"
    assert all(len(mark.found or "") <= mathematics.LONGEST for mark in found)
    assert list(tmp_path.iterdir()) == []
    assert time.monotonic() - started < 60


@pytest.mark.long
@pytest.mark.parametrize("name", ATTACKS)
def test_a_process_survives_or_is_replaced_whatever_it_is_told(name: str, tmp_path: Path) -> None:
    """Past the limit on an answer's length."""
    worker = Worker(cpu_seconds=1)
    started = time.monotonic()
    try:
        for gold in (r"\frac{14}{3}", "(2,4)"):
            assert not worker.compare(gold, ATTACKS[name])[0]
        assert worker.compare("x + 1", "1 + x") == (True, "")
        assert worker._process
        assert psutil.Process(worker._process.pid).memory_info().rss < equivalence.MEMORY_BYTES
    finally:
        worker.close()
    assert time.monotonic() - started < 100
    assert not Path("/x").exists()


def test_reading_takes_linear_time() -> None:
    started = time.monotonic()
    for text in (r"\boxed{" * 10**5, "\\boxed" + " " * 10**6, "{" * 10**6, "#" * 10**6, "1," * 10**6, "$ " * 10**6):
        boxed(text)
        final(text)
        last(text)
    assert time.monotonic() - started < 10


def test_an_answer_pays_only_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends a process, the next comparison has another one."""
    worker = Worker()
    assert worker.compare("1+x", "x+1") == (True, "")
    if process := worker._process:  # None where it has used up its processor time on a busy machine
        process.kill()
        process.wait()
    assert worker.compare("1+x", "x+1") == (True, "")
    with monkeypatch.context() as patched:
        patched.setattr(equivalence, "MEMORY_BYTES", 1)  # which the parent looks at where the kernel does not
        assert worker.compare("7", "9^{9^{9^{9}}}") == (False, "could not be compared: more than 0 MiB of memory")
    assert worker.compare("1+x", "x+1") == (True, "")
    with monkeypatch.context() as patched:
        patched.setattr(mathematics, "SECONDS", 0.1)
        assert worker.compare("7", "9^{9^{9^{9}}}") == (False, "could not be compared: more than 0.1 s")
    assert worker._process is None


def test_what_the_parent_holds_is_not_the_process_s() -> None:
    """The peak that Linux reports for a child starts at its parent's: a large parent made each process end at once."""
    ballast, worker = bytearray(b"1") * (600 << 20), Worker()
    try:
        assert worker.compare("1+x", "x+1") == (True, "")
        first = worker._process
        assert worker.compare("1+x", "x+1") == (True, "")
        assert first
        assert worker._process is first
    finally:
        worker.close()
    del ballast


def test_a_process_that_still_holds_much_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mathematics, "RENEW_BYTES", 1)
    worker = Worker()
    assert worker.compare("1+x", "x+1") == (True, "")
    assert worker._process is None


def test_a_process_has_no_key_and_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-secret")
    others = psutil.Process().children()
    found = mathematics.score([(item("x+1"), r"\boxed{1+x}")] * 200, Scoring(workers=1))
    assert next(found).passed
    (child,) = (child for child in psutil.Process().children() if child not in others)
    assert "ANTHROPIC_API_KEY" not in child.environ()
    assert os.getsid(child.pid) == child.pid
    found.close()  # type: ignore[attr-defined]
    assert not child.is_running()


def test_what_cannot_compare_is_the_machine_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(MachineError, match="install mlx-distill again"):
        marks("x", r"\boxed{y}")


@pytest.mark.parametrize(
    "attempt",
    [
        "import sympy; sympy.sympify('__import__(\"os\").getcwd()')",
        "import sympy; sympy.sympify('1+1')",
        "import sympy; sympy.Number('exit()')",
        "import sympy; sympy.sympify('x.y')",
        "import sympy; sympy.lambdify(sympy.Symbol('x'), sympy.Symbol('x') + 1)",
        "import os; os.system('true')",
        "import os; os.fork()",
        "import os; os.execv('/bin/true', ['true'])",
        "import subprocess; subprocess.Popen(['true'])",
        "import socket; socket.socket()",
        "import ctypes; ctypes.CDLL(None)",
        "open('x', 'w')",
        "import os; os.open('x', os.O_CREAT | os.O_WRONLY)",
        "import os; os.remove('x')",
        "import os; os.rename('x', 'y')",
        "import os; os.mkdir('x')",
    ],
)
def test_the_doors_are_closed(attempt: str, doors: Mapping[str, str]) -> None:
    assert doors[attempt] in ("SympifyError", "NotImplementedError", "PermissionError")


@pytest.fixture(scope="module")
def doors(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What becomes of each attempt in a process whose doors are closed."""
    marked = test_the_doors_are_closed.pytestmark[0].args[1]  # type: ignore[attr-defined]
    program = (
        "import json, socket, subprocess, ctypes\n"
        "from mlx_distill.evaluate.benchmarks import equivalence\n"
        "import sympy\n"
        "equivalence.equal('1', 'x')\n"
        "equivalence.close_doors()\n"
        "found = {}\n"
        f"for attempt in {marked!r}:\n"
        "    try: exec(attempt)\n"
        "    except Exception as error: found[attempt] = type(error).__name__\n"
        "    else: found[attempt] = 'open'\n"
        "print(json.dumps(found))\n"
    )
    folder = tmp_path_factory.mktemp("doors")
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=folder)
    assert list(folder.iterdir()) == []
    found: dict[str, str] = json.loads(ran.stdout)
    return found


# The published files


def passes(benchmark: Benchmark, items: Sequence[Item], texts: Sequence[str]) -> list[bool | None]:
    return [mark.passed for mark in benchmark.score(list(zip(items, texts, strict=True)), TWO)]


def test_math500(shared: Path) -> None:
    published = rows(shared, "math-500/test.jsonl")
    items = MATH500.read(published)
    assert len(items) == MATH500.size == len({item.id for item in items})
    assert items[0].id == "test/precalculus/807.json"
    assert (items[0].category, items[0].difficulty) == ("Precalculus", "level 2")
    assert items[0].prompt.startswith("Convert the point")
    assert items[0].prompt.endswith("\n\n" + mathematics.REQUEST)
    assert passes(MATH500, items, [row["solution"] for row in published]) == [True] * 500


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.long)])
def test_every_gold_answer_is_equal_to_itself_for_math_verify(shared: Path, pool: Pool, every: int) -> None:
    """The reference solutions end in the very characters of the gold answers, so that they need no comparison."""
    golds = sorted({row["answer"] for row in rows(shared, "math-500/test.jsonl")})[::every]
    assert [gold for gold in golds if pool.compare(gold, rf"\displaystyle {gold}") != (True, "")] == []


def test_gsm8k(shared: Path) -> None:
    published = rows(shared, "gsm8k/test.jsonl")
    items = GSM8K.read(published)
    assert len(items) == GSM8K.size
    assert items[0].id == "gsm8k-0"
    counts = {"1-2 steps": 440, "3 steps": 364, "4+ steps": 515}
    assert {steps: sum(item.difficulty == steps for item in items) for steps in counts} == counts
    golds = [item.data["answer"] for item in items]
    assert passes(GSM8K, items, [row["answer"] for row in published]) == [True] * 1319
    for form in (r"\boxed{%s}", r"\boxed{\$%s.00}", r"\boxed{%s \text{ dollars}}"):
        assert passes(GSM8K, items, [form % gold for gold in golds]) == [True] * 1319
    values = [Decimal(gold) for gold in golds]
    for factor, term in ((1, 1), (1, -1), (-1, 0), (10, 0), (Decimal("0.01"), 0)):
        texts = [rf"\boxed{{{value * factor + term}}}" for value in values]
        assert passes(GSM8K, items, texts) == [False] * 1319


@pytest.mark.parametrize(("benchmark", "name"), [(AIME24, "aime24"), (AIME25, "aime25")])
def test_aime(shared: Path, benchmark: Benchmark, name: str) -> None:
    items = benchmark.read(rows(shared, f"aime/{name}.jsonl"))
    assert len(items) == benchmark.size
    assert [item.id for item in items] == [f"{name}-{n}" for n in range(30)]
    golds = [int(item.data["answer"]) for item in items]
    assert passes(benchmark, items, [rf"\boxed{{{gold:03}}}" for gold in golds]) == [True] * 30
    for wrong in (1, -1, 1000):
        assert passes(benchmark, items, [rf"\boxed{{{gold + wrong}}}" for gold in golds]) == [False] * 30


def test_the_years_of_aime_are_told_apart(shared: Path) -> None:
    """By what the rows say, and where they say nothing by the answers."""
    files = {year: rows(shared, f"aime/aime{year}.jsonl") for year in ("24", "25")}
    hub = [{"problem": row["problem"], "answer": row["expected_answer"], "id": "7"} for row in files["25"]]
    with pytest.raises(DataError, match="of AIME 2025, not of 2024: name the benchmark aime25"):
        AIME24.read(files["25"])
    with pytest.raises(DataError, match="of AIME 2024, not of 2025"):
        AIME25.read(files["24"][:3])
    with pytest.raises(DataError, match="of AIME 2025, not of 2024"):
        AIME24.read(hub)
    assert [item.id for item in AIME25.read(hub)][:2] == ["aime25-0", "aime25-1"]
    dated = {"problem": "?", "answer": "025", "solution": "", "id": 60, "year": "2024"}
    dated["url"] = "https://artofproblemsolving.com/wiki/index.php/2024_AIME_II_Problems/Problem_4"
    assert AIME24.read([dated])[0].data == {"answer": "25"}
    with pytest.raises(DataError):
        AIME25.read([dated])


def test_a_file_without_answers_is_refused() -> None:
    with pytest.raises(DataError, match=r"row 1 of GSM8K has no number after ####"):
        GSM8K.read([{"question": "?", "answer": "about 5"}])
    with pytest.raises(DataError, match="row 1 of AIME has no integer"):
        aime.read("24", [{"problem": "?", "answer": "1/2"}])


FILES = {
    MATH500: "math-500/test.jsonl",
    GSM8K: "gsm8k/test.jsonl",
    AIME24: "aime/aime24.jsonl",
    AIME25: "aime/aime25.jsonl",
}


@pytest.mark.parametrize("benchmark", FILES, ids=lambda benchmark: benchmark.name)
def test_a_published_file_is_known_by_its_columns(benchmark: Benchmark, shared: Path) -> None:
    columns = set(rows(shared, FILES[benchmark])[0])
    assert any(known <= columns for known in benchmark.columns)
    assert re.fullmatch("[0-9a-f]{40}", benchmark.source.revision)


# Wrong answers to the published problems

AS_GOOD_AS_EQUAL = {
    ("x=5", "5"),
    ("5", "x=5"),
    ("1,-2", "-2,1"),
    ("-2,1", "1,-2"),
    ("1,-2", "(-2,1)"),
    ("-2,1", "(-2,1)"),
    ("(-2,1)", "-2,1"),
    (r"\frac{1}{4}", r"\frac14"),
    (r"\frac14", r"\frac{1}{4}"),
    (r"2 \sqrt{5}", r"2\sqrt{5}"),
    (r"2\sqrt{5}", r"2 \sqrt{5}"),
    ("40_9", "40"),
    ("0", "5x - 7y + 11z + 4 = 0"),
}
"""Of all pairs of different gold answers, beside equal numbers, those that pass: the last two are lenient."""


def perturbed(gold: str, others: Sequence[str]) -> list[str]:
    """Answers that differ from a gold answer in value."""
    body = re.sub(r"\\(?:mbox|text)\{.*", "", gold)  # units are not compared
    found = [gold[: n.start()] + str(int(n[0]) + 1) + gold[n.end() :] for n in re.finditer("[0-9]+", body)]
    if gold != "0":
        found.append(gold[1:] if gold.startswith("-") else f"-({gold})")
    found.append(f"{body} + 1")
    bare = re.sub(r"\\left|\\right", "", gold)
    if pair := re.fullmatch(r"([(\[])([^,]*),([^,]*)([)\]])", bare):
        left, first, second, right = pair.groups()
        found += [f"({second},{first})", f"({first},{first})"]
        if "infty" not in gold:
            other = {"(": "[", "[": "(", ")": "]", "]": ")"}
            found += [f"{other[left]}{first},{second}{right}", f"{left}{first},{second}{other[right]}"]
    return [wrong for wrong in found + list(others) if not as_good_as_equal(gold, wrong)]


def as_good_as_equal(gold: str, other: str) -> bool:
    value, another = (quantity.read(signs.plain(text)) for text in (gold, other))
    equal = value is not None and another is not None and value.value == another.value
    return gold == other or equal or (gold, other) in AS_GOOD_AS_EQUAL


def wrong_answers_that_pass(shared: Path, every: int) -> list[tuple[str, str]]:
    chance = random.Random(0)
    items = MATH500.read(rows(shared, "math-500/test.jsonl"))
    golds = [item.data["answer"] for item in items]
    latex = sorted({gold for gold in golds if not re.fullmatch("[0-9]+", gold)})
    cases = [
        (item, rf"\boxed{{{wrong}}}")
        for item in sorted(items, key=lambda item: (item.category, item.difficulty))[::every]
        for wrong in perturbed(item.data["answer"], chance.sample(latex, 3) + chance.sample(golds, 2))
    ]
    assert len(cases) > 5 * 500 / every
    found = zip(cases, MATH500.score(cases, TWO), strict=True)
    return [(item.data["answer"], text) for (item, text), mark in found if mark.passed is not False]


@pytest.mark.parametrize("every", [50, pytest.param(1, marks=pytest.mark.long)])
def test_wrong_answers_fail(shared: Path, every: int, shared_pool: None) -> None:
    """In the order of subject and level, so that each is among the sampled problems."""
    assert wrong_answers_that_pass(shared, every) == []
