"""The static judge on answers of known quality."""

import warnings
from unittest import mock

import pytest
from conftest import missing
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_distill.evaluate.judges import MEASURED, STATIC_JUDGE, static_judge
from mlx_distill.machine import sandbox
from mlx_distill.run.prompts import data_folder
from mlx_distill.run.records import Generation, Judgment, Prompt
from mlx_distill.run.rubric import read_rubric

PORT = Prompt("port", "Write a Python function parse_port(text) that returns a port number and raises ValueError.")
STACK = Prompt("stack", "Write a Python class Stack with push(item) and pop(), which raises IndexError when empty.")
PRIMES = Prompt("primes", "Write Python code that lists the primes below a limit.")
AVERAGE = Prompt("average", "Given a table staff(name, department, salary), write SQL for averages.", language="sql")
ABOVE = Prompt("above", "Given a table staff(name, department, salary), write SQL for the rich.", language="sql")

PROSE = "Here is the code that was asked for, with a word on what it does.\n\n"

TRIPLES = {
    PORT: (
        """
def parse_port(text):
    # TODO check the range
    return int(text)

for text in ("80", "x"):
    parse_port(text)
parse_port("y")
""",
        '''
def parse_port(text):
    """Return the port."""
    try:
        port = int(text)
    except Exception:
        raise Exception("not a number")
    return port

ports = 0
ports += 1
''',
        '''
def parse_port(text: str) -> int:
    """Return the port.

    >>> parse_port("80")
    80
    """
    if not text.isdecimal():
        raise ValueError(f"{text!r} is not a number")
    return int(text)


if __name__ == "__main__":
    assert parse_port("80") == 80
''',
    ),
    STACK: (
        """
items = []

class Stack:
    def push(self, item):
        global items
        items.append(item)
    def pop(self):
        ...

print(items[0])
print(items[1])
""",
        '''
items = 0
items += 1

class Stack:
    """A stack."""
    def __init__(self):
        self.items = []
    def push(self, item: int) -> None:
        """Add an item."""
        self.items.append(item)
    def pop(self):
        if not self.items:
            raise IndexError
        return self.items.pop()
''',
        '''
class Stack:
    """A stack.

    >>> stack = Stack()
    >>> stack.push(1)
    >>> stack.pop()
    1
    """

    def __init__(self) -> None:
        self.items: list[int] = []

    def push(self, item: int) -> None:
        """Add an item."""
        self.items.append(item)

    def pop(self) -> int:
        """Remove the last."""
        if not self.items:
            raise IndexError("the stack is empty")
        return self.items.pop()


def test_stack() -> None:
    """Last in, first out."""
    stack = Stack()
    stack.push(1)
    assert stack.pop() == 1
''',
    ),
    PRIMES: (
        """
def Primes(limit):
    found = []
    for n in range(limit):
        if n > 1:
            for d in found:
                while n:
                    if n % d:
                        pass
    # TODO

print(Primes(m))
""",
        '''
def primes(limit):
    """The primes below a limit."""
    return [n for n in range(2, limit) if all(n % d for d in range(2, n))]

limit = 10
limit += 10
''',
        '''
def primes(limit: int) -> list[int]:
    """The primes below a limit.

    >>> primes(6)
    [2, 3, 5]
    """
    return [n for n in range(2, limit) if all(n % d for d in range(2, n))]


if __name__ == "__main__":
    assert primes(6) == [2, 3, 5]
''',
    ),
    AVERAGE: (
        "SELECT * from staff group BY department WHERE ...",
        "SELECT department, AVG(salary) FROM staff GROUP BY department",
        "SELECT department,\n       AVG(salary) AS average\nFROM staff\nGROUP BY department;",
    ),
    ABOVE: (
        "select * FROM staff where salary > (select AVG(salary) FROM staff) -- TODO order",
        "SELECT name FROM staff WHERE salary > (SELECT AVG(salary) FROM staff)",
        "WITH average AS (\n    SELECT AVG(salary) AS salary\n    FROM staff\n)\nSELECT name\nFROM staff, average\n"
        "WHERE staff.salary > average.salary\nORDER BY name;",
    ),
}

PADDING = [
    'def extra{n}(a: int) -> int:\n    """Return a."""\n    return a',
    'def checked{n}(a: int) -> int:\n    """Return a."""\n    raise ValueError("a is negative")',
    'class Extra{n}:\n    """Words."""\n\n    def same(self, a) -> int:\n        """Return a."""\n        return a',
    "LIMIT{n} = {n}",
    "# A comment with many words, that explains at length what need not be explained.",
    "if __name__ == '__main__':\n    assert {n} == {n}",
    'def test_{n}() -> None:\n    """An example."""\n    assert True',
    "import math",
    "",
]
SQL_PADDING = ["-- A comment with words AS many as one wants.", "/* SELECT\nFROM\n*/", "", "-- ;"]
DOCSTRING = '    """Return the port.\n\n    >>> parse_port("80")\n    80\n    """\n'
EXAMPLE = '\n\n    >>> parse_port("80")\n    80\n    '
USAGE = 'if __name__ == "__main__":\n    assert parse_port("80") == 80'
WORDS = "And more words, that say again what has been said, and promise that all of it is right. "


def block(code: str, language: str) -> str:
    return f"```{language}\n{code}\n```\n"


def judged(prompt: Prompt, text: str, finish_reason: str = "stop") -> Judgment:
    return static_judge(prompt, Generation(prompt.id, "distilled", text, 10, 1.0, finish_reason, sample=2))


def scores(prompt: Prompt, text: str, finish_reason: str = "stop") -> dict[str, float]:
    found = judged(prompt, text, finish_reason).scores
    assert found is not None
    return found


def bad(prompt: Prompt) -> str:
    return block(TRIPLES[prompt][0], prompt.language)


def middling(prompt: Prompt) -> str:
    return PROSE + block(TRIPLES[prompt][1], prompt.language)


def good(prompt: Prompt) -> str:
    return PROSE + block(TRIPLES[prompt][2], prompt.language)


def padded(prompt: Prompt, before: list[str], after: list[str], words: int) -> str:
    pieces = [*before, TRIPLES[prompt][0], *after]
    code = "\n\n".join(piece.replace("{n}", str(n)) for n, piece in enumerate(pieces))
    return WORDS * words + "\n\n" + block(code, prompt.language) + "\n" + WORDS * words


@pytest.fixture
def sandboxed() -> None:
    if sandbox.level() == "none":
        missing("this machine offers no sandbox")


# ---------------------------------------------------------------- answers of known quality


@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize("prompt", TRIPLES, ids=lambda prompt: prompt.id)
def test_bad_middling_and_good_answers_rank_so_in_each_dimension(prompt: Prompt) -> None:
    worst, middle, best = scores(prompt, bad(prompt)), scores(prompt, middling(prompt)), scores(prompt, good(prompt))
    assert set(best.values()) == {10}
    for dimension in best:
        assert worst[dimension] < best[dimension], dimension
        if dimension == "Code Correctness":  # it runs, or it does not
            assert middle[dimension] == 10
        else:
            assert worst[dimension] < middle[dimension] < best[dimension], dimension


@settings(deadline=None)
@given(st.sampled_from(list(TRIPLES)), st.data())
def test_padding_never_lifts_a_worse_answer_over_a_better_one(prompt: Prompt, data: st.DataObject) -> None:
    pieces = st.lists(st.sampled_from(SQL_PADDING if prompt.language == "sql" else PADDING), max_size=12)
    before, after, words = data.draw(pieces), data.draw(pieces), data.draw(st.integers(0, 20))
    with mock.patch.object(sandbox, "level", return_value="none"):  # whether it runs is tested below
        longer = scores(prompt, padded(prompt, before, after, words))
        middle, best = scores(prompt, middling(prompt)), scores(prompt, good(prompt))
    for dimension in best:
        assert longer[dimension] <= middle[dimension], dimension
        assert longer[dimension] < best[dimension], dimension


@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize("prompt", [PORT, STACK, PRIMES], ids=lambda prompt: prompt.id)
def test_padding_does_not_make_a_broken_answer_run(prompt: Prompt) -> None:
    longer = scores(prompt, padded(prompt, PADDING, PADDING, 3))
    assert longer["Code Correctness"] == scores(prompt, bad(prompt))["Code Correctness"] < 10


@pytest.mark.parametrize(
    ("dimension", "right", "wrong"),
    [
        ("Code Correctness", "== 80", "== 81"),
        ("Code Correctness", "int:\n", "int\n"),
        ("Structure & Design", "if __name__", "found = 1\nfor found in ():\n    pass\nif __name__"),
        ("Structure & Design", "parse_port", "ParsePort"),
        ("Structure & Design", "    return", "    global state\n    return"),
        ("Structure & Design", "    return", "\n" * 45 + "    return"),
        ("Documentation", DOCSTRING, ""),
        ("Documentation", EXAMPLE, ""),
        ("Documentation", "    80\n", "    81\n"),
        ("Documentation", ": str) -> int", ")"),
        ("Documentation", PROSE, ""),
        ("Error Handling", "raise ValueError(", "raise Exception("),
        ("Error Handling", 'ValueError(f"{text!r} is not a number")', "ValueError"),
        ("Error Handling", 'raise ValueError(f"{text!r} is not a number")', "return None"),
        ("Completeness", "return int(text)", "pass  # TODO"),
        ("Completeness", "        raise", "        ...  # your code here\n        raise"),
        ("Completeness", "parse_port", "parse"),
    ],
)
@pytest.mark.usefixtures("sandboxed")
def test_one_fault_lowers_its_dimension(dimension: str, right: str, wrong: str) -> None:
    assert right in good(PORT)
    assert scores(PORT, good(PORT).replace(right, wrong))[dimension] < 10


def test_an_answer_that_was_cut_off_is_less_complete() -> None:
    assert scores(PORT, good(PORT), "length")["Completeness"] < 10


@pytest.mark.parametrize(("depth", "shallow"), [(4, True), (5, False)])
def test_nesting_is_counted_in_blocks_and_an_elif_is_not_deeper(depth: int, shallow: bool) -> None:
    blocks = "".join("    " * n + "while text:\n" for n in range(1, depth + 1)) + "    " * (depth + 1) + "break\n"
    branches = "    if text == 0:\n        return 0\n" + "".join(
        f"    elif text == {n}:\n        return {n}\n" for n in range(1, 9)
    )
    code = f"def parse_port(text):\n{blocks}{branches}"
    assert ("shallow nesting 100%" in judged(PORT, block(code, "python")).reason) is shallow


@pytest.mark.usefixtures("sandboxed")
def test_a_true_docstring_example_is_worth_more_than_none_and_a_false_one_no_more_than_no_docstring() -> None:
    code = good(PORT).replace(USAGE, "")
    changed = code, code.replace(EXAMPLE, ""), code.replace("    80\n", "    81\n"), code.replace(DOCSTRING, "")
    true, none, false, undocumented = (scores(PORT, text) for text in changed)
    assert true["Documentation"] > none["Documentation"] > false["Documentation"] == undocumented["Documentation"]
    assert true["Completeness"] > none["Completeness"] == false["Completeness"] == undocumented["Completeness"]
    assert scores(PORT, none_of(EXAMPLE))["Completeness"] == true["Completeness"], "an assertion is an example too"


def none_of(part: str) -> str:
    return good(PORT).replace(part, "")


@pytest.mark.usefixtures("sandboxed")
def test_examples_are_no_measure_where_nothing_can_be_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "level", lambda: "none")
    assert scores(PORT, good(PORT))["Documentation"] == scores(PORT, none_of(EXAMPLE))["Documentation"] == 10


# ---------------------------------------------------------------- what is not measured


def test_an_answer_without_code_has_only_zeros() -> None:
    assert set(scores(PORT, "I would write a function.").values()) == {0}
    assert set(scores(AVERAGE, "I would write a query.").values()) == {0}


def test_code_that_does_not_parse_has_zeros_but_for_what_is_there() -> None:
    broken = scores(PORT, block("def parse_port(text:\n  return", "python"))
    assert [name for name, value in broken.items() if value] == ["Completeness"]


@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize(
    ("prompt", "unscored"),
    [
        (PORT, set()),
        (PRIMES, {"Error Handling"}),
        (Prompt("x", "Write Python code that rejects invalid ports."), {"Error Handling"}),
        (AVERAGE, {"Code Correctness", "Error Handling"}),
    ],
    ids=["all", "not asked for", "of no function in particular", "SQL"],
)
def test_what_cannot_be_measured_is_unscored_whatever_the_answer(prompt: Prompt, unscored: set[str]) -> None:
    for text in ("no code", block("x = 1", prompt.language), good(PORT), good(AVERAGE)):
        assert set(MEASURED) - set(scores(prompt, text)) == unscored


def test_correctness_is_unscored_without_a_sandbox_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "level", lambda: "none")
    generation = Generation("port", "base", good(PORT), 10, 1.0, "stop")
    refused, told = (static_judge(PORT, generation, unsandboxed=told).scores or {} for told in (False, True))
    assert "Code Correctness" not in refused
    assert told["Code Correctness"] == 10


def test_error_handling_of_other_functions_does_not_count() -> None:
    code = TRIPLES[PORT][0] + '\ndef other(a):\n    raise ValueError("a is negative")'
    assert scores(PORT, block(code, "python"))["Error Handling"] == 0


def test_it_says_what_it_is_and_what_it_measured() -> None:
    judgment = judged(PORT, good(PORT))
    assert (judgment.judge, judgment.sample) == (STATIC_JUDGE, 2)
    assert "not an LLM" in STATIC_JUDGE
    assert "docstrings 100%" in judgment.reason
    assert tuple(MEASURED) == read_rubric(data_folder() / "rubric.md").dimensions


@pytest.mark.parametrize(
    "code",
    [
        "def parse_port(text):\n    return " + "+".join(["1"] * 3000),
        "def parse_port(text):\n    if text: pass\n" + "".join("    elif text: pass\n" for _ in range(900)),
        "def parse_port(text):\n    return " + "(" * 500 + ")" * 500,
        "def parse_port(text):\n    return " + "-" * 5000 + "1",
        "x = '\\0'\nx = \0",
        "x" * 100_000,
    ],
    ids=["long sum", "many branches", "deep parentheses", "many signs", "a zero byte", "a long name"],
)
def test_no_answer_breaks_the_judge(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "level", lambda: "none")
    assert scores(PORT, block(code, "python"))


def test_a_warning_of_the_answers_code_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "level", lambda: "none")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert scores(PORT, block("def parse_port(text):\n    return '\\d' is 1", "python"))["Structure & Design"] == 10
