"""Which code is taken from an answer, and that no text takes long."""

import time

import pytest

from mlx_distill.bench import program
from mlx_distill.bench.program import defining, script

CODE = "def f(n):\n    return n\n"


def fenced(code: str, tag: str = "python", marks: str = "```") -> str:
    return f"{marks}{tag}\n{code}{marks}\n"


@pytest.mark.parametrize(
    "text",
    [
        fenced(CODE),
        f"Sure!\n\n{fenced(CODE)}\nThat is all.",
        fenced(CODE, ""),
        fenced(CODE, "Python title=x"),
        fenced(CODE, marks="~~~~"),
        fenced(CODE).replace("\n", "\r\n"),
        fenced(CODE).rstrip(),
        "1. First\n\n" + "".join(f"      {line}\n" for line in fenced(CODE).splitlines()),
        fenced("def f(n):\n    return 0\n") + fenced(CODE),
        fenced(CODE) + "For example:\n" + fenced("print(f(1))\n") + fenced("$ python f.py\n", "bash"),
        fenced(CODE) + "And now more:\n```python\ndef f(n):\n    return",
        fenced("def g(n):\n    return n\n") + fenced(CODE),
        CODE,
    ],
)
def test_the_last_complete_block_that_defines_the_function_is_taken(text: str) -> None:
    assert defining(text, "f") == CODE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot do that.",
        "```python\n" + CODE,
        fenced("def g(n):\n    return n\n"),
        fenced("class A:\n    def f(self, n):\n        return n\n"),
        fenced("if n:\n    def f(n):\n        return n\n"),
        fenced('"""\ndef f(n):\n    return n\n"""\n'),
        fenced("# def f(n): return n\n"),
        "Use def f(n): return n.",
        "The answer:\ndef f(n):\n    return n",
        "```def f(n): return n```",
        f"````python\n{CODE}```",
        f"```python\n{CODE}``` and so on",
    ],
)
def test_an_answer_without_one_has_none(text: str) -> None:
    assert defining(text, "f") is None


@pytest.mark.parametrize(
    ("code", "name", "does"),
    [
        ("async def f():\n    pass\n", "f", True),
        ("class Solution:\n    pass\n", "Solution", True),
        ("def f_more(n):\n    return n\n", "f", False),
        ("def f(n):\n    return (n\n", "f", True),
        ("def g(n):\n  def f(n):\n    return (n\n", "f", False),
        ("def f(\x00):\n    pass\n", "f", True),
    ],
)
def test_a_definition_is_one_at_module_level_even_in_code_that_does_not_parse(code: str, name: str, does: bool) -> None:
    assert program.defines(code, name) is does


def test_a_block_is_taken_alone() -> None:
    text = fenced("import math\n") + fenced("def f(n):\n    return math.pi\n")
    assert defining(text, "f") == "def f(n):\n    return math.pi\n"


def test_a_fence_inside_a_docstring_does_not_end_the_block() -> None:
    code = 'def f(n):\n    """\n    ```\n    f(1)\n    ```\n    """\n    return n\n'
    assert defining(fenced(code), "f") == code


def test_a_text_that_is_python_is_taken_whole() -> None:
    code = 'import re\n\ndef f(n):\n    """\n```\nf(1)\n```\n    """\n    return n\n'
    assert defining(code, "f") == code
    assert script(code) == code


def test_only_line_ends_end_a_line() -> None:
    code = "def f(n):\n    return 'a\u2028b'\n\x0c\n"
    assert defining(fenced(code), "f") == code


def test_a_script_is_the_last_python_block_with_any_code() -> None:
    assert script(fenced("print(1)\n") + fenced("print(2)\n") + fenced("3 4\n", "text")) == "print(2)\n"
    assert script(fenced("print(1)\n") + fenced("\n\n", "")) == "print(1)\n"
    assert script("print(int(input()) + 1)") == "print(int(input()) + 1)"
    assert script("Here is how one does it.") is None
    assert script("```python\nprint(1)\n") is None


def test_what_stands_before_a_function() -> None:
    code = 'import math\n\ndef g():\n    return 1\n\n\ndef f(n):\n    """x"""\n    pass\n'
    assert program.before(code, "f") == "import math\n\ndef g():\n    return 1\n\n\n"
    assert program.before("x = 1\n", "f") == ""


def test_four_hundred_lines_take_milliseconds() -> None:
    """EvalPlus tries all pairs of lines: 47 seconds for as many."""
    text = "".join(f"Line {n} of prose.\n" for n in range(150)) + fenced(CODE + "x = 1\n" * 100) + "And so on.\n" * 150
    started = time.perf_counter()
    assert defining(text, "f") is not None
    assert time.perf_counter() - started < 0.1


MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "unit",
    [
        "```\n",
        "```\n~~~\n",
        "`",
        "``` `\n",
        "> ```\n- ",
        "```\nif 1:\n def f():0\n```\n",
        "```\n" + "(" * 500 + "\ndef f(\n```\n",
        "def f(",
        "def f():\n",
        "-",
        '"""def f():',
    ],
)
def test_no_megabyte_takes_long(unit: str) -> None:
    text = unit * (MEGABYTE // len(unit))
    started = time.process_time()
    defining(text, "f")
    script(f"```\ndef f():\n{text}\n```\n")
    assert time.process_time() - started < 8
