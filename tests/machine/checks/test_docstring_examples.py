"""Docstring examples: an example holds where doctest says so, whatever the code that it shows does beside."""

import doctest
from unittest import mock

import pytest
from conftest import missing
from tables import every

from mlx_distill.machine import sandbox
from mlx_distill.machine.checks.examples import examples_hold

CODE = """
import sys

class Point:
    def __init__(self, x):
        self.x = x
    def __repr__(self):
        return f"Point({self.x})"

class TooFar(Exception):
    pass

def half(number):
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number // 2

def quoted(text):
    return text + "'s"

def far():
    raise TooFar("too far")

def forever():
    while True:
        pass
"""
NAMES = ["Point", "TooFar", "half", "quoted", "far", "forever"]
TRACEBACK = "Traceback (most recent call last):\n    ...\n"


@pytest.fixture(scope="module", autouse=True)
def sandboxed() -> None:
    if sandbox.level() == "none":
        missing("this machine offers no sandbox")


def held(*docstrings: str, code: str = CODE) -> list[list[bool]]:
    return examples_hold(code, NAMES, docstrings)


AS_DOCTEST_SAYS = [
    "Without an example.",
    ">>> half(4)\n2",
    ">>> half(4)\n4",
    ">>> half(4)",
    ">>> half(4)\n2\n>>> half(6)\n2\n",
    ">>> print(half(4), half(2))\n2 1",
    ">>> x = half(4)\n>>> x + 1\n3",
    ">>> x + 1\n3",
    ">>> for n in (2, 4):\n...     print(half(n))\n1\n2",
    ">>> Point(3)\nPoint(3)",
    ">>> Point(3)\nPoint(4)",
    f">>> half(3)\n{TRACEBACK}ValueError: 3 is odd",
    f">>> half(3)\n{TRACEBACK}ValueError: odd",
    f">>> half(3)\n{TRACEBACK}TypeError: 3 is odd",
    f">>> half(4)\n{TRACEBACK}ValueError: 4 is odd",
    ">>> half(3)\n1",
    ">>> far(\n",
    ">>> None",
    ">>> sys.exit()  # doctest: +SKIP",
]
"""Examples whose writer may be trusted: doctest itself runs them here."""


def by_doctest(docstring: str) -> list[bool]:
    names: dict[str, object] = {}
    exec(CODE, names)
    test, failed = doctest.DocTestParser().get_doctest(docstring, names, "answer", None, None), set[int]()
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.report_failure = lambda out, test, example, got: failed.add(example.lineno)  # type: ignore[method-assign]
    runner.report_unexpected_exception = lambda out, test, example, info: failed.add(example.lineno)  # type: ignore
    runner.run(test, out=lambda text: None)
    return [e.lineno not in failed for e in test.examples if not e.options.get(doctest.SKIP)]


def test_an_example_holds_where_doctest_says_so() -> None:
    with mock.patch.object(sandbox, "run", wraps=sandbox.run) as run:
        found = held(*AS_DOCTEST_SAYS)
    assert dict(zip(AS_DOCTEST_SAYS, found, strict=True)) == {text: by_doctest(text) for text in AS_DOCTEST_SAYS}
    assert run.call_count == 1, "all docstrings in one start of the sandbox"


@every(
    "docstring, expected",
    [
        (">>> quoted(\"Ada\")\n'Ada\\'s'", [True]),
        (">>> 'ab'\n\"ab\"", [True]),
        (">>> [1, 'a']\n[1,\"a\"]", [True]),
        (">>> 'ab'\nab", [False]),
        (">>> half(4) == 2\n1", [False]),
        (f">>> far()\n{TRACEBACK}answer.TooFar: too far", [True]),
        (f">>> far()\n{TRACEBACK}TooFar: too far", [True]),
    ],
)
def test_a_value_may_be_written_in_another_way_than_python_writes_it(docstring: str, expected: list[bool]) -> None:
    assert held(docstring) == [expected]


@every(
    "docstring",
    [
        ">>> forever()",
        ">>> sys.exit()",
        ">>> import os; os._exit(0)",
        ">>> import os; os.kill(os.getpid(), 9)",
        ">>> '2' * 10_000_000\n2",
        ">>> half(4)\n2\n  >>> half(4)\n 2",
    ],
)
def test_what_ends_or_cannot_be_read_is_false_and_takes_no_other_docstring_down(docstring: str) -> None:
    first, second = held(docstring, ">>> half(4)\n2")
    assert (any(first[-1:]), second) == (False, [True])


FORGER = f"""{CODE}
import os

for descriptor in range(3, 64):
    try:
        os.write(descriptor, b'[["4\\\\n", null]]\\n')
    except OSError:
        pass
"""


def test_an_answer_cannot_say_that_its_examples_hold() -> None:
    assert held(">>> half(4)\n4", code=FORGER) == [[False]]


def test_examples_that_the_sandbox_lacks_something_for_count_as_if_they_were_not_there() -> None:
    assert held(">>> half(4)\n2", code=f"import numpy\n{CODE}\nhalf = numpy.abs\n") == [[True]], "it is not needed"
    needy = "import numpy\n\ndef total(numbers):\n    return numpy.sum(numbers)\n"
    assert held(">>> total([1])\n1", code=needy) == [[]]
