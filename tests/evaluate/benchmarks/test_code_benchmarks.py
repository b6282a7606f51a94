"""HumanEval+, MBPP+ and LiveCodeBench: what is read, what is right, and that no answer gets past by a trick."""

from __future__ import annotations

import base64
import json
import pickle
import time
import zlib
from collections import Counter, OrderedDict, defaultdict, namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from conftest import missing
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_distill.evaluate.benchmarks import evalplus, execution, livecodebench, mbpp, outputs
from mlx_distill.evaluate.benchmarks.benchmark import Item, Mark, Scoring
from mlx_distill.evaluate.benchmarks.humaneval import HUMANEVAL_PLUS
from mlx_distill.evaluate.benchmarks.livecodebench import LIVECODEBENCH, unpacked, within
from mlx_distill.evaluate.benchmarks.mbpp import MBPP_PLUS
from mlx_distill.evaluate.benchmarks.outputs import printed_right, right
from mlx_distill.machine import sandbox
from mlx_distill.machine.checks import values
from mlx_distill.machine.checks.values import encoded, untagged
from mlx_distill.machine.sandbox import watch
from mlx_distill.run.config import BenchConfig
from mlx_distill.run.data.rows import rows_of
from mlx_distill.run.errors import DataError, UsageError

SECRET = "def f(n):\n    return n * 7919 + 13\n"


def item(reference: str = SECRET, base: Any = ((1,), (2,)), plus: Any = ((3,), (40,)), **more: Any) -> Item:
    inputs = ([list(arguments) for arguments in base], [list(arguments) for arguments in plus])
    return evalplus.item("t", "t/1", "", reference=reference, entry_point="f", inputs=inputs, tolerance=0.0, **more)


def marks(*codes: str, asked: Item | None = None, workers: int = 2) -> list[Mark]:
    asked = asked or item()
    return list(evalplus.score([(asked, f"```python\n{code}\n```") for code in codes], Scoring(workers)))


def cut_off(text: str, asked: Item) -> Mark:
    (found,) = evalplus.score([(asked, text)], Scoring(cut=frozenset({text})))
    return found


def mark(code: str, asked: Item | None = None) -> Mark:
    (found,) = marks(code, asked=asked)
    return found


@pytest.fixture
def boxed() -> None:
    if sandbox.level() == "none":
        missing("this machine offers no sandbox")


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "SHORTEST", 0.2)
    monkeypatch.setattr(execution, "START_SECONDS", 1)
    monkeypatch.setattr(execution, "MEMORY", 1 << 28)


# ---------------------------------------------------------------- values across the border

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**5000, max_value=10**5001)
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text(st.characters(codec=None))
    | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.frozensets(st.integers() | st.text())
        | st.sets(st.tuples(st.integers(), st.booleans()))
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.text()), inner)
    ),
)


def there_and_back(value: Any) -> Any:
    text = values.dumps({"result": encoded(value)}).encode("utf-8", "surrogatepass")
    return untagged(json.loads(json.loads(text)["result"]))


@settings(deadline=None)
@given(VALUES)
def test_a_value_comes_back_with_its_types(value: Any) -> None:
    assert repr_of(there_and_back(value)) == repr_of(value)


def repr_of(value: Any) -> Any:
    """With the types of all that is in it; whole numbers as they are, because some have too many digits."""
    if isinstance(value, list | tuple):
        return type(value).__name__, [repr_of(each) for each in value]
    if isinstance(value, dict):
        return "dict", [(repr_of(key), repr_of(each)) for key, each in value.items()]
    return type(value).__name__, value


def test_infinities_and_halves_of_characters_come_back() -> None:
    for value in (float("inf"), [float("-inf"), 1], "\ud83d\ude00", ["😀", "\udfff"]):
        assert there_and_back(value) == value
    assert there_and_back([float("nan")])[0] != 0
    assert encoded("\ud83d\ude00") != encoded("😀")


Point = namedtuple("Point", "x y")


class Liar(list[int]):
    def __iter__(self) -> Iterator[int]:
        return iter([1, 2, 3])

    def __len__(self) -> int:
        return 3

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class One(int):
    def __eq__(self, other: object) -> bool:
        return True

    def __int__(self) -> int:
        return 1

    __hash__ = int.__hash__


@pytest.mark.parametrize(
    ("value", "base"),
    [
        (Counter("aab"), {"a": 2, "b": 1}),
        (defaultdict(list, {1: [2]}), {1: [2]}),
        (OrderedDict(a=1), {"a": 1}),
        (Point(1, [2]), (1, [2])),
        (Liar([9]), [9]),
        (One(0), 0),
        ([One(0)], [0]),
        (True, True),
    ],
)
def test_a_derived_value_is_read_as_its_base_type_whatever_it_says(value: Any, base: Any) -> None:
    assert encoded(value) == encoded(base)


def test_an_object_is_equal_to_nothing() -> None:
    assert there_and_back(object()) not in ([], None, 0, object())
    assert not right(encoded(object()), encoded(object()))  # each is another
    assert not right(encoded(iter([1])), encoded([1]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([12] * 9000, [12.0] * 9000),
        ([0.0, 25] * 9000, [-0.0, 25.0] * 9000),
        ([True, 5] * 9000, [1, 5] * 9000),
        ([2**60, 1] * 9000, [2.0**60, 1] * 9000),
        ([("a", "b")] * 9000, [("a", "b")] * 9000),
        ([("a", 1)] * 9000, [("a", True)] * 9000),
        ((1, [2.0]) * 9000, (1.0, [2]) * 9000),
        ("x" * 20_000, "x" * 20_000),
    ],
)
def test_long_values_have_a_digest_in_common_where_they_are_equal(
    one: Any, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(values, "MANY", 100)
    monkeypatch.setattr(values, "LARGE", 10_000)
    assert len(encoded(one)) < 100
    assert right(encoded(one), encoded(other))
    changed = one[:-1] + ("y" if isinstance(one, str) else type(one)([7]))
    assert not right(encoded(changed), encoded(other))


def test_a_long_list_below_the_limit_is_sent_whole() -> None:
    value = [n % 7 for n in range(30_001)]
    assert untagged(json.loads(encoded(value))) == value


# ---------------------------------------------------------------- what is right


@pytest.mark.parametrize(
    ("found", "expected", "tolerance", "is_right"),
    [
        (1, 1, 0, True),
        (True, 1, 0, True),
        (1.0, 1, 0, True),
        (2, 1, 0, False),
        ("1", 1, 0, False),
        ([1], (1,), 0, False),
        ([1], [1], 0, True),
        ({1: 2, 3: 4}, {3: 4, 1: 2}, 0, True),
        ({1, 2}, {2, 1}, 0, True),
        (None, [], 0, False),
        (0.1 + 0.2, 0.3, 0, True),
        (0.3 + 9e-7, 0.3, 0, True),
        (0.3 + 2e-6, 0.3, 0, False),
        ([0.3 + 9e-7, 1.0], [0.3, 1.0], 0, True),
        ([0.3 + 9e-7, 1], [0.3, 1], 0, False),
        ((0.1 + 0.2,), [0.3], 0, False),
        ([0.3 + 9e-7], [0.3, 0.3], 0, False),
        (3, 3.0000001, 0, False),
        (100.00009, 100.0, 1e-4, True),
        (float("inf"), float("inf"), 0, True),
        (float("-inf"), float("inf"), 0, False),
        (1e300, float("inf"), 0, False),
        (float("nan"), float("nan"), 0, False),
        (10**400, 1.0, 0, False),
        ("a", 0.5, 0, False),
        (0.3 + 9e-7, 0.3, None, False),
    ],
)
def test_right_is_what_the_published_rules_say(found: Any, expected: Any, tolerance: Any, is_right: bool) -> None:
    assert right(encoded(found), encoded(expected), tolerance) is is_right


@settings(deadline=None)
@given(st.floats(), st.floats(), st.sampled_from([1e-6, 1e-4]))
def test_close_is_what_numpy_says(found: float, expected: float, tolerance: float) -> None:
    said = bool(np.allclose(found, expected, rtol=1e-7, atol=tolerance))
    assert outputs._close(found, expected, tolerance) is said
    assert outputs._close([1.0, found], [1.0, expected], tolerance) is said


@pytest.mark.parametrize(
    ("value", "accept", "arguments", "is_right"),
    [
        (-0.5, "root", [[1, 2]], True),
        (0.5, "root", [[1, 2]], False),
        (float("nan"), "root", [[1, 2]], False),
        (None, "root", [[1, 2]], False),
        (10**400, "root", [[1, 2]], False),
        (0, "zero", [8, 9], True),
        (3, "zero", [8, 9], False),
        (17, "anything", [], True),
        (9, "digits", [1, 10], False),
        (2, "digits", [1, 10], True),
        (33, "pyramid", [3, 4], False),
        (35, "pyramid", [3, 4], True),
    ],
)
def test_tasks_with_several_right_answers(value: Any, accept: str, arguments: Any, is_right: bool) -> None:
    assert right(encoded(value), encoded("another"), 1e-4, accept, encoded(arguments)) is is_right


@pytest.mark.parametrize(
    "found",
    [
        "",
        "nonsense",
        "[" * 100_000,
        '{"int":' * 50_000,
        '{"dict":[[[],1]]}',
        '{"set":[{"set":[1]}]}',
        '{"set":[' + ",".join(str(n * (2**61 - 1)) for n in range(50_000)) + "]}",
        '{"list":[]}',
        '{"int":"zz"}',
        '{"int":["1"]}',
        '{"complex":["1","2"]}',
        '{"bytes":"0"}',
        '{"tuple":3}',
        "{}",
        '{"tuple":[1],"set":[1]}',
        "9" * 10_000,
        '{"digest":"00"}',
    ],
)
def test_what_an_answer_sends_cannot_hurt(found: str) -> None:
    started = time.process_time()
    for expected in (encoded({1, 2}), encoded([1.5]), encoded((1,))):
        assert not right(found, expected)
        assert not right(found, expected, 1e-6, "root", "[[1,2]]")
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("found", "expected", "is_right"),
    [
        ("1\n2\n", "1\n2", True),
        ("  1  \n 2", "1\n2\n\n", True),
        ("1 2", "1\n2", False),
        ("1\n\n2", "1\n2", False),
        ("0.50 1e1", "0.5 10", True),
        ("0.500001", "0.5", False),
        ("50000000000000001", "50000000000000000", False),
        ("YES", "Yes", False),
        ("a b", "a  b", False),
        ("nan", "nan", True),
        ("nan 1", "nan  1", False),
        ("sNaN 1", "1 1", False),
        ("", "", True),
        ("1", "", False),
        ("1e999999999 0", "1 0", False),
        ("1" * 100_000 + " 0", "2" * 100_000 + " 0", False),
    ],
)
def test_what_programs_print_is_compared_by_lines_and_decimals(found: str, expected: str, is_right: bool) -> None:
    assert printed_right(found, expected) is is_right


# ---------------------------------------------------------------- published files

FILES = {
    HUMANEVAL_PLUS: ("humaneval-plus/HumanEvalPlus-v0.1.10", "humaneval-plus/HumanEvalPlus-OriginFmt-v0.1.10"),
    MBPP_PLUS: ("mbpp-plus/MbppPlus-v0.2.0", "mbpp-plus/MbppPlus-OriginFmt-v0.2.0"),
}
EXTRA = {HUMANEVAL_PLUS: (32, 50), MBPP_PLUS: (36, 59)}
"""Places of tasks with something of their own: find_zero and a given function; 124 (complex) and 252."""


def published(shared: Path, benchmark: Any, which: int, every: int = 1) -> list[dict[str, Any]]:
    rows = list(rows_of(shared / "benchmarks" / f"{FILES[benchmark][which]}.jsonl.gz"))
    assert len(rows) == benchmark.size
    return [row for at, row in enumerate(rows) if at % every == 0 or (every > 1 and at in EXTRA[benchmark])]


@pytest.mark.parametrize("benchmark", FILES, ids=lambda benchmark: benchmark.name)
def test_both_published_formats_make_the_same_items(shared: Path, benchmark: Any) -> None:
    release, programs = (published(shared, benchmark, which, every=9) for which in (0, 1))
    items = benchmark.read(release)
    assert items == benchmark.read(programs)
    for rows, columns in ((release, benchmark.columns[0]), (programs, benchmark.columns[1])):
        assert columns <= rows[0].keys()
    json.dumps([dict(item.data) for item in items])


def test_what_is_asked(shared: Path) -> None:
    human = HUMANEVAL_PLUS.read(published(shared, HUMANEVAL_PLUS, 1, every=41))
    assert human[0].prompt.startswith("Complete this Python function.")
    assert human[0].prompt.endswith('    True\n    """\n```')
    assert "\n\n```python\nfrom typing import List\n\n\ndef has_close_elements(" in human[0].prompt
    assert human[0].data["setup"] == "from typing import List\n\n\n"
    assert len(human[0].data["base"]) == 7
    assert "def encode_shift" in {item.id: item for item in human}["HumanEval/50"].data["setup"]
    first = MBPP_PLUS.read(published(shared, MBPP_PLUS, 1, every=200))[0]
    assert first.prompt.endswith(
        '```python\n"""\nWrite a function to find the shared elements from the given two lists.\n'
        'assert set(similar_elements((3, 4, 5, 6),(5, 7, 4, 10))) == set((4, 5))\n"""\n```'
    )
    assert first.data["shape"] == "set"


@pytest.mark.parametrize("benchmark", FILES, ids=lambda benchmark: benchmark.name)
def test_other_files_are_refused(benchmark: Any) -> None:
    row = {"task_id": "HumanEval/0", "prompt": "def f():\n", "canonical_solution": "    pass\n", "entry_point": "f"}
    row |= {"code": "def f(): pass", "test_list": ["assert f()"]}
    for test in ("def check(candidate):\n    assert candidate(1) == 2\n", "    inputs = [[open('x')]]\n", None):
        row["task_id"] = "HumanEval/0" if benchmark is HUMANEVAL_PLUS else 2
        with pytest.raises(DataError, match="EvalPlus"):
            benchmark.read([row | {"test": test}])
    with pytest.raises(DataError, match="EvalPlus"):
        benchmark.read([{"task_id": row["task_id"], "prompt": "def f():\n"}])


def test_nothing_of_a_test_program_is_executed(tmp_path: Path) -> None:
    made = tmp_path / "made"
    for text in (f"[[open({str(made)!r}, 'w')]]", "[[__import__('os').abort()]]", "[[1 for _ in iter(int, 1)]]"):
        with pytest.raises(DataError):
            evalplus.literal_inputs(f"inputs = {text}\n")
    assert not made.exists()
    assert evalplus.literal_inputs("  inputs = [[inf, -inf], [(1, -2j)], [{'a': \"it's\"}]]\n") == [
        [float("inf"), float("-inf")],
        [(1, -2j)],
        [{"a": "it's"}],
    ]


@pytest.mark.usefixtures("boxed")
@pytest.mark.parametrize("benchmark", FILES, ids=lambda benchmark: benchmark.name)
def test_a_dozen_references_pass_and_empty_functions_fail(shared: Path, benchmark: Any) -> None:
    items = benchmark.read(published(shared, benchmark, 0, every=17 if benchmark is HUMANEVAL_PLUS else 34))
    items = [item for item in items if item.id not in mbpp.SLOW]
    assert len(items) >= 12
    good = [(item, f"```python\n{item.data['reference']}\n```") for item in items]
    bad = [(item, f"```\ndef {item.data['entry_point']}(*_):\n    return None\n```") for item in items]
    found = list(benchmark.score([*good, *bad], Scoring()))
    assert [each.detail for each in found[: len(items)]] == [""] * len(items)
    assert all(each.passed and each.parts["base tests"] and each.found for each in found[: len(items)])
    assert not any(each.passed for each in found[len(items) :])


# ---------------------------------------------------------------- answers

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.usefixtures("boxed")
class TestAnswers:
    def test_a_right_answer_passes_whatever_else_it_does(self) -> None:
        found = marks(
            SECRET,
            "print('1')\n" + SECRET,
            "import sys\nsys.setrecursionlimit(9000)\nsys.set_int_max_str_digits(0)\n" + SECRET,
            "from __future__ import annotations\n" + SECRET,
            "import sys\nsys.set_int_max_str_digits(0)\ndef f(n):\n    return n * 7919 + 13 + 0 * len(str(10**5000))",
            "def f(n):\n    print('x' * 10**7)\n    return n * 7919 + 13",
            "import sys\nsys.stdout.close()\nsys.stderr = sys.stdin = None\n" + SECRET,
            "def len(x):\n    return 0\nlist = dict = type = str = None\n" + SECRET,
            "if __name__ == '__main__':\n    raise SystemExit(1)\n" + SECRET,
            "import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int = 13\n"
            "def f(n):\n    return n * 7919 + A().x",
            "from functools import cache\n@cache\ndef f(n):\n    return n * 7919 + 13",
            "import threading\nthreading.Thread(target=__import__('time').sleep, args=(60,)).start()\n" + SECRET,
            "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\n" + SECRET,
        )
        assert [each.detail for each in found] == [""] * len(found)
        assert all(each.passed and each.sandbox == sandbox.level() for each in found)

    def test_an_answer_is_asked_with_what_the_prompt_gives(self) -> None:
        asked = replace(item(), data={**item().data, "setup": "import math\ndef g(n):\n    return n * 7919\n"})
        assert mark("from __future__ import annotations\ndef f(n):\n    return g(n) + math.floor(13.5)", asked).passed
        assert not mark("def f(n):\n    return g(n) + math.floor(13.5)").passed

    def test_each_call_has_inputs_of_its_own(self) -> None:
        asked = item("def f(a):\n    return sum(a)\n", base=[[[1, 2]]], plus=[[[1, 2, 3]], [[1]]])
        assert mark("def f(a, kept=[]):\n    kept.append(a)\n    s = 0\n    while a:\n        s += a.pop()\n"
                    "    return s", asked).passed  # fmt: skip

    def test_why_an_answer_fails(self) -> None:
        found = marks(
            "def f(n):\n    return 7932",
            "def f(n):\n    return 1 / 0",
            "def f(n):\n    return n * 7919 + 13 if n < 3 else None",
            "def f(n)\n    return 7932",
            "import numpy\ndef f(n):\n    return numpy.int64(n) * 7919 + 13",
            "def f(n):\n    return f(n)",
            "import os\ndef f(n):\n    if n > 2: os.abort()\n    return n * 7919 + 13",
        )
        assert [each.detail for each in found] == [
            "f(2) is 7932, not 15851",
            "f(1): ZeroDivisionError: division by zero",
            "f(3) is None, not 23770",
            "f(1): SyntaxError: expected ':' (answer.py, line 1)",
            "f(1): ModuleNotFoundError: No module named 'numpy'",
            "f(1): RecursionError: maximum recursion depth exceeded",
            "it ended without a result",
        ]
        assert [each.parts["base tests"] for each in found] == [False, False, True, False, False, False, True]
        assert [each.passed for each in found] == [False] * 7

    @pytest.mark.usefixtures("hurried")
    def test_what_only_waits_is_too_slow_and_keeps_what_was_right(self) -> None:
        found = mark("import time\ndef f(n):\n    n < 3 or time.sleep(600)\n    return n * 7919 + 13")
        assert (found.passed, found.parts["base tests"], found.detail) == (False, True, "f(3): too slow")

    def test_half_a_line_does_not_pass_by_luck(self) -> None:
        """`return n`, of what was to be `return n + 1`; what stands behind the function takes nothing from it."""
        same, half = item("def f(n):\n    return n\n"), "```python\ndef f(n):\n    return n"
        assert [cut_off(text, same).passed for text in (half, f"{half}\n\nprint(f(")] == [False, True]

    def test_a_text_without_code_fails_and_says_so(self) -> None:
        (found,) = evalplus.score([(item(), "I would rather not.")], Scoring())
        assert (found.passed, found.found, found.detail) == (False, None, "no answer extracted")
        assert found.parts == {"base tests": False, "format": False}

    def test_marks_come_in_order_whatever_takes_longer(self) -> None:
        slow = "import time\ntime.sleep(0.5)\n" + SECRET
        found = marks(slow, "def f(n):\n    return 0", SECRET, slow, workers=4)
        assert [each.passed for each in found] == [True, False, True, True]

    def test_a_reference_runs_once_for_all_answers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ran: list[str] = []
        run = sandbox.run
        monkeypatch.setattr(sandbox, "run", lambda *a, **k: ran.append(json.dumps(a[1])) or run(*a, **k))
        asked = item("def f(n):\n    return n * 7919 + 13 + 0\n")
        marks(SECRET, SECRET, SECRET, SECRET, asked=asked, workers=4)
        marks(SECRET, asked=asked)
        assert len(ran) == 6
        assert sum("13 + 0" in task for task in ran) == 1

    def test_slow_items_come_first_and_no_mark_is_lost(self) -> None:
        asked = [replace(item(f"def f(n):\n    return n + {n}\n"), id=f"t/{n}") for n in range(15)]
        cases = [(each, f"```\ndef f(n):\n    return n + {n}\n```") for n, each in enumerate(asked)]
        cases += [(asked[7], "```\ndef f(n):\n    return n\n```"), (asked[3], cases[3][1]), (asked[7], cases[7][1])]
        found = list(evalplus.score(cases, Scoring(), frozenset({"t/7", "t/10"})))
        assert [each.passed for each in found] == [True] * 15 + [False, True, True]
        assert execution._in_turns(cases, lambda item: item.id in ("t/7", "t/10")) == [7, 10, 15, 17]

    def test_a_reference_that_does_not_run_is_no_failure_of_the_answer(self) -> None:
        found = mark(SECRET, item("def f(n):\n    return 1 / (n - 3)\n"))
        assert (found.passed, found.parts) == (None, {})
        assert found.detail == "the reference could not be run: ZeroDivisionError: division by zero"

    def test_sets_and_anything_given(self) -> None:
        asked = item("def f(a):\n    return tuple(sorted(set(a)))\n", base=[[[1, 2]]], plus=[[[]]], shape="set")
        found = marks(
            "def f(a):\n    return [*a, *a][::-1]",
            "def f(a):\n    return (n for n in a)",
            "def f(a):\n    return len(a)",
            "def f(a):\n    while True:\n        yield 1",
            asked=asked,
        )
        assert [each.passed for each in found] == [True, True, False, False]
        asked = item("import re\ndef f(s):\n    return re.match('a', s)\n", base=[["ab"]], plus=[["b"]], shape="given")
        found = marks(
            "import re\ndef f(s):\n    return re.search('^a', s)",
            "def f(s):\n    return s[0] == 'a'",
            "def f(s):\n    return 'yes' if s[0] == 'a' else 'no'",
            asked=asked,
        )
        assert [each.passed for each in found] == [True, True, False]


def test_without_a_sandbox_nothing_is_run_and_nothing_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "level", lambda: "none")
    found = marks(SECRET, "nonsense")
    assert [each.passed for each in found] == [None, None]
    assert {each.detail for each in found} == {sandbox.NOT_RUN}
    assert [each.found for each in found] == [SECRET, None]
    (problem,) = livecodebench.read([row()])
    (unrun,) = LIVECODEBENCH.score([(problem, "```\nprint(1)\n```")], Scoring())
    assert (unrun.passed, unrun.detail) == (None, sandbox.NOT_RUN)
    asked = item()
    (open_air,) = evalplus.score([(asked, f"```\n{SECRET}```")], Scoring(unsandboxed=True))
    assert (open_air.passed, open_air.sandbox) == (True, "none")


# ---------------------------------------------------------------- attacks

FRAMES = """
import gc, sys, os
def f(n):
    wanted, found = n * 7919, []
    frame = sys._getframe()
    while frame:
        found += [*frame.f_locals.values(), *frame.f_globals.values()]
        frame = frame.f_back
    found += gc.get_objects()
    for module in list(sys.modules.values()):
        found += vars(module).values()
    for path, _, names in os.walk("/work"):
        found += [open(os.path.join(path, name)).read() for name in names]
    todo = [found]
    for _ in range(4):
        todo = [each for one in todo for each in (one.values() if isinstance(one, dict) else one)
                if isinstance(each, (int, str, list, tuple, dict))][:300000]
        for each in todo:
            if isinstance(each, int) and each == wanted + 13: return each
            if isinstance(each, str) and str(wanted + 13) in each: return wanted + 13
"""

ATTACKS = {
    "prints what is expected": "def f(n):\n    print(7932, 15851, 23770, 316773)",
    "exits": "import sys\nsys.exit(0)\n" + SECRET,
    "exits when called": "import sys\ndef f(n):\n    sys.exit(0)",
    "leaves": "import os\nos._exit(0)\n" + SECRET,
    "leaves when called": "import os\ndef f(n):\n    os._exit(0)",
    "leaves before the last": "import os\ndef f(n):\n    n < 40 or os._exit(0)\n    return n * 7919 + 13",
    "equals all": "class E:\n    def __eq__(self, other): return True\n    __hash__ = None\ndef f(n):\n    return E()",
    "equals all, a number": "class E(int):\n    def __eq__(self, other): return True\n"
    "    def __int__(self): return 7932\n    __index__ = __hash__ = __float__ = __int__\ndef f(n):\n    return E(0)",
    "equals all, by its class": "class M(type):\n    def __eq__(self, other): return True\n"
    "    def __hash__(self): return 1\n"
    "class E(metaclass=M):\n    __class__ = int\ndef f(n):\n    return E()",
    "patches json": "import json\njson.JSONEncoder.encode = json.dumps = lambda *a, **k: '[]'\n"
    "json.loads = lambda *a: []\ndef f(n):\n    return 0",
    "patches builtins": "import builtins\nfor name in ('isinstance', 'issubclass', 'type', 'len', 'list', 'repr'):\n"
    "    setattr(builtins, name, lambda *a, **k: True)\ndef f(n):\n    return 0",
    "patches os": "import os\nos.write = os._exit = os.dup2 = print\ndef f(n):\n    return 0",
    "patches the runner": "import sys, __main__\n__main__.encoded = __main__.dumps = lambda value: '1'\n"
    "__main__.call = __main__.tagged = lambda *a: None\ndef f(n):\n    return 0",
    "looks for what is expected": FRAMES,
    "writes a result itself": "import os\nfor fd in range(3, 20):\n    try:\n        os.write(fd, b'{\"outputs\": "
    "[\"7932\", \"15851\", \"0\", \"0\"], \"seconds\": [], \"why\": \"\"}')\n    except OSError: pass\n"
    "os._exit(0)\n" + SECRET,
    "writes a part itself": "import os\nfor fd in range(3, 20):\n    try:\n        os.write(fd, b'{\"outputs\": [')\n"
    "    except OSError: pass\ndef f(n):\n    return 0",
    "sends nonsense": "import os\nfor fd in range(3, 20):\n    try:\n        os.write(fd, b'['*10**6)\n"
    "    except OSError: pass\nos._exit(0)\n" + SECRET,
    "never ends": "def f(n):\n    while True: pass",
    "never ends a generator": "def f(n):\n    while True: yield 1",
    "catches all": "def f(n):\n    while True:\n        try:\n            while True: pass\n"
    "        except BaseException: pass",
    "sleeps": "import time\ndef f(n):\n    time.sleep(3600)",
    "counts too far": "def f(n):\n    return 10 ** 10 ** 10",
    "prints for ever": "def f(n):\n    while True: print('x' * 100000)",
    "prints for ever to all": "import os\ndef f(n):\n    while True:\n        for fd in range(3, 10):\n"
    "            try:\n                os.write(fd, b'x' * 100000)\n            except OSError: pass",
    "forks": "import os\ndef f(n):\n    while True:\n        try: os.fork()\n        except OSError: pass",
    "starts what stays": "import os, time\ndef f(n):\n    if not os.fork():\n        os.setsid()\n"
    "        time.sleep(600)\n    return 0",
    "takes 10 GB": "def f(n):\n    return bytearray(10**10)",
    "takes more and more": "def f(n):\n    a = []\n    while True: a.append('x' * 10**6)",
    "returns too much": "def f(n):\n    return ['x' * 10**5] * 10**5",
    "returns itself": "def f(n):\n    a = []\n    a.append(a)\n    return a",
    "returns a bomb": "def f(n):\n    a = []\n    for _ in range(200): a = [a, a]\n    return a",
    "raises what cannot be said": "class E(Exception):\n    def __str__(self): raise SystemExit(0)\n"
    "def f(n):\n    raise E",
    "nests": "def f(n):\n    return " + "[" * 90 + "]" * 90 + "\n",
    "is huge": "def f(n):\n    return (" + "1 + " * 100_000 + "0)\n",
}  # fmt: skip


@pytest.mark.usefixtures("boxed", "hurried")
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_trick_passes_and_nothing_stays(attack: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(watch, "MARK", f"MLX_DISTILL_SANDBOX_{tmp_path.name.upper()}")
    started = time.monotonic()
    found = mark(ATTACKS[attack], item(base=[[1], [2], [3], [40]], plus=[]))
    assert found.passed is False, found
    assert 0 < len(found.detail) <= 200
    assert time.monotonic() - started < 30
    assert list(tmp_path.iterdir()) == []
    assert not any(map(watched, psutil.process_iter()))


def watched(process: psutil.Process) -> bool:
    try:
        return watch.MARK in process.environ()
    except (psutil.Error, OSError):
        return False


@pytest.mark.parametrize(
    "result",
    [
        None,
        3,
        [],
        {},
        {"outputs": [1], "seconds": [], "why": ""},
        {"outputs": ["1"] * 99, "seconds": [], "why": ""},
        {"outputs": [], "seconds": ["x"], "why": ""},
        {"outputs": None, "seconds": [], "why": ""},
    ],
)
def test_a_result_that_is_none_is_read_as_none(result: Any) -> None:
    assert not execution._read(result, sandbox.Outcome("ok", "", result, "namespaces"), 4).whole


def test_limits_follow_the_reference() -> None:
    known = execution.Ran(outputs=("1" * 300_000,) * 2, seconds=(0.01, 2.0))
    assert execution.allowed_beside(known) == execution.Allowed((1.0, 8.0), 9.0 + 1, 3 << 20)
    slow = execution.Ran(outputs=("1",) * 40, seconds=(1.0,) * 40)
    assert execution.allowed_beside(slow).total == 2 * 40 + 1
    assert execution.allowed_beside(slow).output_bytes == 1 << 20


def test_all_inputs_together_have_a_limit_of_the_processors_time() -> None:
    spin = "from time import process_time as t\ndef f(seconds):\n    end = t() + seconds\n    while t() < end: pass"
    calls = execution.Calls(tuple(encoded([0.3]) for _ in range(5)), "f")
    ran = execution.run(spin, calls, execution.Allowed((1.0,) * 5, 0.7, 1 << 20), Scoring())
    assert ran.why == "too slow"
    assert len(ran.outputs) == 2


# ---------------------------------------------------------------- LiveCodeBench

ADDS = [
    {"input": "1 2\n", "output": "3\n", "testtype": "stdin"},
    {"input": "5 6\n", "output": "11\n", "testtype": "stdin"},
]
TWICE = [{"input": "[1, 2]\n3", "output": "[3, 6]", "testtype": "functional"}]


def row(public: Any = ADDS[:1], private: Any = ADDS[1:], **more: Any) -> dict[str, Any]:
    """As published: a JSON text, and a pickled JSON text, deflated, in base64."""
    packed = base64.b64encode(zlib.compress(pickle.dumps(json.dumps(private)))).decode()
    return {
        "question_title": "A + B",
        "question_content": "Print the sum of two numbers.",
        "platform": "atcoder",
        "question_id": "abc000_a",
        "contest_id": "abc000",
        "contest_date": "2024-09-07T00:00:00",
        "starter_code": "",
        "difficulty": "easy",
        "public_test_cases": json.dumps(public),
        "private_test_cases": packed,
        "metadata": "{}",
        **more,
    }


METHOD = {
    "question_content": "Multiply all numbers.",
    "starter_code": "class Solution:\n    def twice(self, nums: List[int], by: int) -> List[int]:\n        ",
    "metadata": json.dumps({"func_name": "twice"}),
    "platform": "leetcode",
}


def contest(problem: dict[str, Any], *codes: str) -> list[Mark]:
    (read,) = livecodebench.read([problem])
    return list(LIVECODEBENCH.score([(read, f"```python\n{code}\n```") for code in codes], Scoring()))


def test_a_problem_is_read_and_asked() -> None:
    problem, method = livecodebench.read([row(), row(TWICE, [], **METHOD)])
    assert LIVECODEBENCH.columns[0] <= row().keys()
    assert (problem.id, problem.category, problem.difficulty) == ("abc000_a", "atcoder", "easy")
    assert "standard input" in problem.prompt
    assert problem.prompt.endswith("\n\nPrint the sum of two numbers.")
    assert method.prompt.endswith("-> List[int]:\n        \n```")
    assert method.data["method"] == "twice"
    with pytest.raises(DataError, match="abc000_a"):
        livecodebench.read([row(contest_date="soon")])


def test_a_window_of_dates() -> None:
    items = livecodebench.read([row(question_id=day, contest_date=f"{day}T00:00:00") for day in
                                ("2024-07-31", "2024-08-01", "2025-05-01", "2025-05-02")])  # fmt: skip
    window = BenchConfig()
    found = within(items, window.since, window.until)
    assert [item.id for item in found] == ["2024-08-01", "2025-05-01"]
    with pytest.raises(UsageError, match="2024-08-01"):
        within(items, "August", "2025-05-01")
    with pytest.raises(DataError, match="2026-01-01"):
        within(items, "2026-01-01", "2026-02-01")


def test_private_tests_are_read_without_unpickling(tmp_path: Path) -> None:
    for protocol in range(2, 6):
        packed = base64.b64encode(zlib.compress(pickle.dumps(json.dumps(ADDS), protocol))).decode()
        assert unpacked(packed) == ADDS
    long = [{"input": "é" * 100_000, "output": "1", "testtype": "stdin"}]
    assert unpacked(base64.b64encode(zlib.compress(pickle.dumps(json.dumps(long)))).decode()) == long
    assert unpacked(json.dumps(ADDS)) == ADDS


class Opens:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


def test_a_pickle_that_is_more_than_a_text_is_refused(tmp_path: Path) -> None:
    made = str(tmp_path / "made")
    bad = [pickle.dumps(each) for each in (Opens(made), [json.dumps(ADDS)], ("[]", Opens(made)), 3, b"[]", None)]
    bad += [b"", b"\x80\x04.", b"X\xff\xff\xff\x7f[]", b"\x80\x04\x8c\x02[]\x8c\x02[].", b"r\xff\xff\xff\xff."]
    for data in bad:
        with pytest.raises(ValueError):  # noqa: PT011  of many kinds
            unpacked(base64.b64encode(zlib.compress(data)).decode())
    for text in ("", "nonsense", "é", base64.b64encode(b"x").decode(), '[{"input": 1, "output": "2"}]'):
        with pytest.raises((ValueError, KeyError)):
            unpacked(text)
    assert not Path(made).exists()


def test_unpacked_tests_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(livecodebench, "MOST_BYTES", 1 << 20)
    bomb = base64.b64encode(zlib.compress(pickle.dumps("[" + " " * (1 << 21) + "]"))).decode()
    with pytest.raises(ValueError, match="1 MiB"):
        unpacked(bomb)
    (found,) = contest(row() | {"private_test_cases": bomb}, "print(sum(map(int, input().split())))")
    assert (found.passed, found.detail) == (None, "its tests cannot be read: more than 1 MiB of tests")


@pytest.mark.usefixtures("boxed")
@pytest.mark.long
class TestContests:
    def test_programs_that_read_and_print(self) -> None:
        found = contest(
            row(),
            "a, b = map(int, input().split())\nprint(a + b)",
            "import sys\nprint(sum(map(int, sys.stdin.read().split())), end='')",
            "def main():\n    print(sum(map(int, open(0).read().split())))\nif __name__ == '__main__':\n    main()",
            "print(sum(int(n) for n in stdin.readline().split()))\nexit()",
            "print(sum(map(int, input().split())) + 0.0)",
            "print(3)",
            "print(sum(map(int, input().split())))\nprint()\nprint(1)",
            "raise ValueError('no')",
            "import os\nprint(3, flush=True)\nos._exit(0)",
        )
        assert [each.passed for each in found] == [True] * 5 + [False] * 4
        assert [each.parts["public tests"] for each in found] == [True] * 6 + [False, False, True]
        assert found[5].detail == "test 2 of 2: the output is not what is expected"
        assert found[7].detail == "test 1 of 2: ValueError: no"

    def test_classes_with_a_method(self) -> None:
        found = contest(
            row(TWICE, [{"input": "[]\n1", "output": "[]"}], **METHOD),
            "class Solution:\n    def twice(self, nums: List[int], by: int) -> List[int]:\n"
            "        return [n * by for n in nums]",
            "class Solution:\n    def twice(self, nums, by):\n        return tuple(n * by for n in nums)",
            "def twice(nums, by):\n    return [float(n * by) for n in nums]",
            "class Solution:\n    def twice(self, nums, by):\n        return [n * by + 1e-9 for n in nums]",
            "class Solution:\n    def thrice(self, nums, by):\n        return nums",
        )
        assert [each.passed for each in found] == [True, True, True, False, False]

    def test_tricks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(livecodebench, "EACH_SECONDS", 0.2)
        monkeypatch.setattr(livecodebench, "ALL_SECONDS", 1)
        monkeypatch.setattr(execution, "START_SECONDS", 1)
        monkeypatch.setattr(execution, "MEMORY", 1 << 28)
        found = contest(
            row(),
            "while True: pass",
            "while True: print('x' * 10000)",
            "import time\ntime.sleep(100)",
            "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
            "import os\nos.kill(os.getppid(), 9)",
            "import os\nos.remove('output')\nos.mkfifo('output')",
            "a = []\nwhile True: a.append('x' * 10**6)",
            "import os\nfor fd in range(3, 20):\n    try: os.write(fd, b'[]')\n    except OSError: pass",
        )
        assert [each.passed for each in found] == [False] * 8
        assert found[0].detail == "test 1 of 2: too slow"
