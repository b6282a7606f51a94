"""Which code is read out of an answer: what a careful person would read, in whatever format it stands."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import every

from mlx_distill.machine.checks.blocks import language
from mlx_distill.machine.checks.code import code_of, defines, ended, everything, extract, prose_of, query, script
from mlx_distill.machine.checks.mending import mended, parsed, salvaged

CODE = "def f(n):\n    return n\n"


def fenced(code: str, tag: str = "python", marks: str = "```") -> str:
    return f"{marks}{tag}\n{code}{marks}\n"


def indented(text: str, by: str) -> str:
    return "".join(f"{by}{line}\n" if line else "\n" for line in text.rstrip("\n").split("\n"))


def entities(code: str) -> str:
    return code.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def at_the_prompt(code: str) -> str:
    lines = code.rstrip("\n").split("\n")
    return "".join(f"{'... ' if line[:1] in ('', ' ') else '>>> '}{line}\n" for line in lines)


def numbered(code: str, mark: str) -> str:
    return "".join(f"{n}{mark}{line}\n" for n, line in enumerate(code.rstrip("\n").split("\n"), 1))


DRAFT = fenced("def f(n):\n    return None\n")

FORMATS: dict[str, Callable[[str], str]] = {
    "a fence": fenced,
    "a fence between words": lambda code: f"Sure, here it is:\n\n{fenced(code)}\nIt returns what it was given.",
    "a bare fence": lambda code: fenced(code, ""),
    "the language on the line below": lambda code: fenced(f"python\n{code}", ""),
    "the language below, in capitals": lambda code: fenced(f"PYTHON\n{code}", ""),
    "the language below, with its version": lambda code: fenced(f"\nPython 3\n{code}", ""),
    "the language twice": lambda code: fenced(f"python3\n{code}"),
    "the caption of a button": lambda code: fenced(f"python\nCopy code\n{code}", ""),
    "a tag with a version": lambda code: fenced(code, "Python 3"),
    "a short tag": lambda code: fenced(code, "PY"),
    "a tag with attributes": lambda code: fenced(code, 'python title="a.py" linenums="1"'),
    "a tag in braces": lambda code: fenced(code, "{.python .numberLines}"),
    "a tag of a class": lambda code: fenced(code, "language-python"),
    "a file's name as the tag": lambda code: fenced(code, "solution.py"),
    "a tag with a colon": lambda code: fenced(code, "python:solution.py"),
    "a wrong tag": lambda code: fenced(code, "text"),
    "tildes": lambda code: fenced(code, "", "~~~~"),
    "four marks": lambda code: fenced(code, "python", "````"),
    "line ends of Windows": lambda code: fenced(code).replace("\n", "\r\n"),
    "no last line end": lambda code: fenced(code).rstrip(),
    "the fence after words": lambda code: f"Here is the code:```python\n{code}```\n",
    "the bare fence after words": lambda code: f"Here is the code: ```\n{code}```\n",
    "the closing fence glued": lambda code: f"```python\n{code.rstrip()}```\n",
    "words after the closing fence": lambda code: f"```python\n{code}``` It returns what it was given.\n",
    "a fence that is not closed": lambda code: f"```python\n{code}",
    "not closed, and words behind": lambda code: f"```python\n{code}\nThis function returns what it was given.\n",
    "in a list": lambda code: "1. First, the code:\n\n" + indented(fenced(code), "   "),
    "deep in a list": lambda code: "1. First\n\n" + indented(fenced(code), "      "),
    "on a list's own line": lambda code: "- " + indented(fenced(code), "  ").lstrip(),
    "in a quote": lambda code: "He wrote:\n\n" + indented(fenced(code), "> ").replace("\n\n", "\n>\n"),
    "with a margin": lambda code: fenced(indented(code, "    ")),
    "with a margin of tabs": lambda code: fenced(indented(code, "\t")),
    "<pre><code>": lambda code: f'<pre><code class="language-python">{entities(code)}</code></pre>\n<p>So.</p>',
    "<code>": lambda code: f"Try this:\n<code>\n{entities(code)}</code>\n",
    "<pre>, not closed": lambda code: f"Try this:\n<pre>\n{entities(code)}",
    "entities in a fence": lambda code: fenced(entities(code)),
    "without a fence": lambda code: code,
    "without a fence, after words": lambda code: f"Here it is:\n\n{code}",
    "without a fence, between words": lambda code: f"Here it is:\n\n{code}\nThis returns what it was given.\nEnjoy\n",
    "indented as Markdown's code": lambda code: f"Here it is:\n\n{indented(code, '    ')}\nThat is all.",
    "named, without a fence": lambda code: f"python\n{code}",
    "a mark of byte order": lambda code: f"\ufeff{fenced(code)}",
    "a mark of byte order in the fence": lambda code: fenced(f"\ufeff{code}"),
    "an end token": lambda code: f"{fenced(code)}<|im_end|>",
    "an end token in a fence that is not closed": lambda code: f"```python\n{code}<|endoftext|>",
    "at the interpreter's prompt": lambda code: fenced(at_the_prompt(code)),
    "with line numbers": lambda code: fenced(numbered(code, " ")),
    "with line numbers, without a fence": lambda code: numbered(code, " "),
    "the closing fence too far in": lambda code: f"```python\n{code}    ```\n",
    "with line numbers and bars": lambda code: fenced(numbered(code, " | ")),
    "spaces that do not break": lambda code: fenced(code.replace("    ", "\u00a0\u00a0\u00a0\u00a0")),
    "reasoning with a draft": lambda code: f"<think>\n{DRAFT}</think>\n{fenced(code)}",
    "reasoning opened by the template": lambda code: f"{DRAFT}\n</think>\n\n{fenced(code)}",
    "three quotes for a fence": lambda code: f"Here it is:\n\n'''python\n{code}'''\nThat is it.",
    "[PYTHON]": lambda code: f"[PYTHON]\n{code}[/PYTHON]\nThat is it.",
    "tags around it": lambda code: f"<answer>\n{code}</answer>\nThat is it.",
    "lines that a diff adds": lambda code: fenced("".join(f"+{line}\n" for line in code.rstrip().split("\n")), "diff"),
    "fences glued together": lambda code: f"```python\nimport math\n``````python\n{code}```\n",
    "usage behind": lambda code: fenced(code) + "For example:\n" + fenced("print(f(1))\n"),
    "usage that shows an error": lambda code: fenced(code) + "For example:\n" + fenced("print(f())  # TypeError\n"),
    "usage at the prompt": lambda code: fenced(code) + "Usage:\n\n" + fenced(">>> f(1)\n1\n>>> f(2)\n2\n"),
    "usage at the prompt, bare": lambda code: fenced(code) + "Usage:\n\n" + fenced(">>> f(1)\n1\n", ""),
    "usage that asks": lambda code: fenced(code) + fenced("print(f(int(input('n: '))))\n"),
    "usage that imports it": lambda code: fenced(code, "") + fenced("from solution import f\nprint(f(1))\n"),
    "a test beside": lambda code: fenced(code) + fenced("import pytest\n\ndef test_f():\n    assert f(1) == 1\n"),
    "usage with a name of its own": lambda code: fenced(code) + fenced("n = f(1)\nf_result = n\n"),
    "its output": lambda code: fenced(code) + "Output:\n" + fenced("1\n", ""),
    "a command": lambda code: fenced("pip install f\n", "bash") + fenced(code) + fenced("python f.py\n", "sh"),
    "an example in JSON": lambda code: fenced('{"f": 1}\n', "json") + fenced(code),
    "a sketch before": lambda code: fenced("for each number:\n    return it\n") + fenced(code),
    "a sketch without a tag": lambda code: fenced("f(n) = n\n", "") + fenced(code),
    "the signature before": lambda code: fenced("def f(n: int) -> int: ...\n") + fenced(code),
    "the signature behind": lambda code: fenced(code) + "Its signature:\n" + fenced("def f(n: int) -> int: ...\n"),
    "what is to be filled in behind": lambda code: fenced(code) + fenced("def f(n):\n    # your code\n    pass\n"),
    "a draft before": lambda code: fenced("def f(n):\n    return None\n") + "This is wrong. Rather:\n" + fenced(code),
    "a broken draft behind": lambda code: fenced(code) + fenced("def f(n):\n    return (None\n"),
    "broken usage in the block": lambda code: fenced(f"{code}\nprint f(1)\n"),
    "words in the block": lambda code: fenced(f"{code}\nThis prints what it was given:\n\nprint(f(1))\n"),
    "unfenced, and usage in a fence": lambda code: f"The function:\n\n{code}\nUsage:\n\n" + fenced("print(f(1))\n"),
    "a fence left open before another": lambda code: f"```python\nimport math\n```python\n{code}```\n",
}  # fmt: skip

RIGHT = {
    "a function": "def f(n):\n    return n\n",
    "with types and a text": 'def f(n: int) -> int:\n    """Gives it back.\n\n    More of it.\n    """\n    return n\n',
    "with an example": 'def f(n):\n    """Gives it back.\n\n    >>> f(1)\n    1\n    """\n    return n\n',
    "an import": "import math\n\ndef f(n):\n    return math.floor(n)\n",
    "a helper": "def g(n):\n    return [n]\n\n\ndef f(n):\n    if g(n)[0] >= n <= n:\n        return n\n",
    "an alias": "def g(n):\n    return n\n\nf = g\n",
    "a lambda": "f = lambda n: n\n",
    "decorated": "from functools import cache\n\n@cache\ndef f(n):\n    return n\n",
    "in try": "try:\n    def f(n):\n        return n\nfinally:\n    pass\n",
    "in if": "if True:\n    def f(n):\n        return n\nelse:\n    f = None\n",
    "brackets and texts": "TABLE = {\n    'a': \"b < c & d\",\n}\n\ndef f(n):\n    return n + len(TABLE) - 1\n",
    "a text of many lines": 'HELP = """\n    f gives it back\n"""\n\ndef f(n):\n    return n\n',
}  # fmt: skip


def outcome(text: str, *inputs: int, cut: bool = False) -> list[Any]:
    """What the function does that is read out of an answer; names and exits are not looked at here."""
    code = extract(text, ["f"], cut=cut).code
    names: dict[str, Any] = {}
    exec(compile(code or "", "answer", "exec"), names)
    return [names["f"](each) for each in inputs]


@every("form", FORMATS)
def test_no_format_changes_what_an_answer_does(form: str) -> None:
    for right in RIGHT.values():
        assert outcome(FORMATS[form](right), 7, -1) == [7, -1], right
        assert outcome(FORMATS[form](right.replace("return n\n", "return n + 1\n")), 7) != [None]
    assert outcome(FORMATS[form]("def f(n):\n    return n + 1\n"), 7) == [8]


WORDS = st.text(st.sampled_from("abc ,.'\"#:()"), max_size=40).filter(lambda text: "=" not in text)


@given(st.sampled_from(sorted(FORMATS)), st.sampled_from(sorted(RIGHT)), st.integers(), WORDS, WORDS, st.integers(0, 3))
def test_wrapping_changes_no_mark(form: str, right: str, fault: int, before: str, after: str, lines: int) -> None:
    """`fault` is what a wrong answer is off by: it stays so."""
    code = RIGHT[right] + f"\n\nright = f\n\ndef f(n):\n    return right(n) + {fault}\n"
    text = FORMATS[form](code)
    if "fence" not in form.split(" ")[0:1] and text.startswith(("```", "~~~")):
        text = f"{before}\n{text}"
    assert outcome(text, 7) == [7 + fault]
    if text.rstrip().endswith("```") and not text.startswith("\ufeff"):
        assert outcome(text + "\n" * lines + after, 7) == [7 + fault]


@every(
    "text",
    [
        "",
        "I cannot do that.",
        fenced("def g(n):\n    return n\n"),
        fenced('"""\ndef f(n):\n    return n\n"""\n'),
        fenced("# def f(n): return n\n"),
        fenced("from solution import f\nprint(f(1))\n"),
        fenced("f\n", ""),
        fenced("print(f(1))\n"),
        "Use def f(n): return n.",
        "<think>" + fenced(CODE),
    ],
)
def test_an_answer_without_code_has_none(text: str) -> None:
    assert extract(text, ["f"]).code is None


@every(
    "text, code",
    [
        (fenced("import math\n") + fenced("def f(n): return math.pi\n"), "import math\n\ndef f(n): return math.pi\n"),
        (
            fenced("def f(n):\n    return g(n)\n") + "The helper:\n" + fenced("X = 1\ndef g(n):\n    return n + X\n"),
            "X = 1\n\ndef g(n):\n    return n + X\n\ndef f(n):\n    return g(n)\n",
        ),
        (
            fenced("n = int(input())\ndef g(n): return n\n") + fenced("def f(n):\n    return g(n)\n"),
            "def g(n): return n\n\ndef f(n):\n    return g(n)\n",
        ),
        (
            fenced("def g(n): return 0\n") + fenced("def g(n): return n\n") + fenced("def f(n): return g(n)\n"),
            "def g(n): return n\n\ndef f(n): return g(n)\n",
        ),
        (
            fenced("import re\n") + fenced("from __future__ import annotations\ndef f(n: N): return re\n"),
            "from __future__ import annotations\n\nimport re\n\ndef f(n: N): return re\n",
        ),
        (fenced("from math import gcd as f\n"), "from math import gcd as f\n"),
    ],
)  # fmt: skip
def test_what_it_needs_of_other_blocks_stands_before_it_and_no_more(text: str, code: str) -> None:
    assert extract(text, ["f"]).code == code


def test_a_method_stands_for_a_function_where_there_is_none() -> None:
    method = "class Solution:\n    def f(self, n):\n        return n\n"
    assert outcome(fenced(method), 7) == [7]
    assert outcome(fenced("class A:\n    @staticmethod\n    def f(n):\n        return n\n"), 7) == [7]
    assert outcome(fenced(method) + fenced("def f(n):\n    return n + 1\n"), 7) == [8]
    assert extract(fenced(method), ["Solution"]).code == method


def test_markdowns_backslashes_are_none_of_pythons() -> None:
    escaped = "Here it is:\n\ndef f(my\\_number):\n    return my\\_number\n\nThat is it."
    assert outcome(escaped, 7) == outcome(escaped.split("\n\n")[1], 7) == [7]


def test_what_is_given_is_taken_from_nowhere_else() -> None:
    text = fenced("def g(n): return 0\n") + fenced(CODE.replace("return n", "return g(n)"))
    assert extract(text, ["f"], given=["g"]).code == "def f(n):\n    return g(n)\n"


def test_all_names_are_looked_for() -> None:
    text = fenced("class A:\n    x = 1\n") + fenced("def b():\n    return A\n") + fenced("print(b())\n")
    found = extract(text, ["A", "b", "c"])
    assert found.code == "class A:\n    x = 1\n\ndef b():\n    return A\n"
    assert found.others == ("print(b())\n",)


def test_half_a_definition_counts_only_where_there_is_no_whole_one() -> None:
    cut = "```python\ndef f(n):\n    return"
    assert extract(fenced(CODE) + cut, ["f"], cut=True).code == CODE
    assert extract(fenced(CODE) + cut, ["f"]).code == "def f(n):\n    return\n"
    assert extract(cut, ["f"], cut=True).code == "def f(n):\n    return\n"
    assert extract(f"```python\n{CODE}\nfor n in range(", ["f"], cut=True).code == CODE


@every(
    "text, left",
    [
        ("def f(n):\n    return a", "def f(n):\n"),
        ("def f(n):\n    return a\n", "def f(n):\n    return a\n"),
        ("def f(n): return a", ""),
        (fenced(CODE).rstrip("\n"), fenced(CODE).rstrip("\n")),
        (f"<code>\n{CODE}</code>", f"<code>\n{CODE}</code>"),
    ],
)
def test_half_a_line_is_left_out(text: str, left: str) -> None:
    assert ended(text) == left


def test_examples_in_a_docstring_do_not_take_the_place_of_a_function_before_something_broken() -> None:
    for rest in ("# A check\ndef check():\n    for n in [1,\n", "Use it:\n\nprint f(1)\n"):
        for cut in (True, False):
            assert outcome(f"```python\n{RIGHT['with an example']}\n{rest}", 7, cut=cut) == [7]


def test_code_that_is_broken_is_shown_as_it_is() -> None:
    assert extract(fenced("def f(n)\n    return n\n"), ["f"]).code == "def f(n)\n    return n\n"
    assert extract(fenced("def f(n):\n    return (n\n"), ["f"]).code == "def f(n):\n    return (n\n"
    assert (
        extract(fenced("def f(n):\n    return n\n    print n\n"), ["f"]).code
        == "def f(n):\n    return n\n    print n\n"
    )


@every(
    "text, strict",
    [
        (fenced(CODE), True),
        (fenced(CODE, ""), True),
        (fenced(CODE, "py"), True),
        (f"Like this:\n\n{fenced(CODE)}\nThat is all.", True),
        (fenced("f = lambda n: n\n"), True),
        (f"<think>{fenced(CODE)}</think>{fenced(CODE)}", True),
        (CODE, False),
        (f"```python\n{CODE}", False),
        (fenced(f"python\n{CODE}", ""), False),
        (fenced(CODE, "text"), False),
        (fenced(CODE) + fenced("print(f(1))\n"), False),
        (fenced(CODE) + fenced("$ python f.py\n", "sh"), False),
        (fenced("def f(n): ...\n"), False),
        (f"Here:```python\n{CODE}```\n", False),
        (f"```python\n{CODE.rstrip()}```\n", False),
        (fenced("def f(n):\n    return (n\n"), False),
        ("- " + indented(fenced(CODE), "  ").lstrip(), False),
        ("I cannot.", False),
    ],
)
def test_strict_is_one_fenced_block_as_it_was_asked_for(text: str, strict: bool) -> None:
    assert extract(text, ["f"]).strict is strict


@every(
    "code, name, does",
    [
        ("async def f():\n    pass\n", "f", True),
        ("class Solution:\n    pass\n", "Solution", True),
        ("f = 1\n", "f", True),
        ("f == 1\n", "f", False),
        ("def f_more(n):\n    return n\n", "f", False),
        ("def f(n):\n    return (n\n", "f", True),
        ("def g(n):\n  def f(n):\n    return (n\n", "f", False),
        ("def f(\x00):\n    pass\n", "f", True),
    ],
)
def test_a_definition_is_one_at_module_level_even_in_code_that_does_not_parse(code: str, name: str, does: bool) -> None:
    assert defines(code, name) is does


@every(
    "text",
    [
        'def f(n):\n    """\n    ```\n    f(1)\n    ```\n    """\n    return n\n',
        '"""\nUsage:\n\n```python\nf(1)\n```\n"""\n\ndef f(n):\n    return n\n',
        'def f(n):\n    """\n```\nf(1)\n```\n    """\n    return n\n',
        "def f(n):\n    return 'a\u2028b'\n\x0c\n",
        "def f(n):\n    return '<code>' + n + '</code>'\n",
        "def f(n):\n    return '`' + n + '```'\n",
    ],
)
def test_marks_within_the_code_end_nothing(text: str) -> None:
    assert extract(fenced(text), ["f"]).code == text
    assert extract(text, ["f"]).code == text


@every(
    "info, name",
    [
        *((info, "python") for info in ("python", "Py", "python3.11", "ipython", "pycon", "{.python}", "{python}")),
        *((info, "python") for info in (" py ", "python,ignore", "language-python", "main.py", "python {1,3}")),
        *((info, "sql") for info in ("sql", "SQLite3", "postgresql", "mysql", "{.sql}")),
        *(("", ""), ("javascript", "javascript"), ("C++", "c++"), ("pytest", "pytest"), ("pyramid", "pyramid")),
    ],
)  # fmt: skip
def test_a_fence_says_its_language_in_many_ways(info: str, name: str) -> None:
    assert language(info) == name


@given(st.text(st.sampled_from("fn =():\n\t\u00a0\ufeff`>.12'\"&lt;#"), max_size=60))
def test_nothing_that_parses_is_changed_and_nothing_breaks(text: str) -> None:
    if parsed(text) and not text.lstrip("\n").startswith(("\ufeff", "copy")):
        assert mended(text) == text
    salvaged(text)
    for read in (lambda text: extract(text, ["f"]), script, everything, query, prose_of):
        read(text)


# ---------------------------------------------------------------- programs, SQL, all of it


@every(
    "text, code",
    [
        (fenced("print(1)\n") + fenced("print(2)\n") + fenced("3 4\n", "text"), "print(2)\n"),
        (fenced("print(1)\n") + fenced("\n\n", ""), "print(1)\n"),
        (fenced("print(int(input()))\n") + "Output:\n" + fenced("3\n", ""), "print(int(input()))\n"),
        (fenced("print(int(input()))\n") + "Test:\n" + fenced("print(2)\n"), "print(int(input()))\n"),
        (
            fenced("def solve(n):\n    return n\n") + fenced("print(solve(input()))\n"),
            "def solve(n):\n    return n\n\nprint(solve(input()))\n",
        ),
        (fenced("python\nprint(1)\n", ""), "print(1)\n"),
        ("print(int(input()) + 1)", "print(int(input()) + 1)"),
        ("```python\nprint(1)\n", "print(1)\n"),
        ("Here it is:\n\nprint(int(input()))\n\nThat is all.", "print(int(input()))\n"),
        ("Here is how one does it.", None),
        ("No.", None),
        ("Impossible", None),
    ],
)
def test_a_script_is_the_block_that_reads_its_input_else_the_last(text: str, code: str | None) -> None:
    assert script(text).code == code


@every(
    "text, code",
    [
        (fenced("SELECT 1;\n", "sql"), "SELECT 1;\n"),
        (fenced("sql\nSELECT 1;\n", ""), "SELECT 1;\n"),
        (fenced("SELECT 1;\n", "") + fenced("| 1 |\n", ""), "SELECT 1;\n"),
        (fenced("x = 1\n") + fenced("SELECT 1;\n", "sqlite"), "SELECT 1;\n"),
        ("Here it is:\n\nSELECT name\nFROM t;\n\nThat is all.", "SELECT name\nFROM t;"),
        ("Select what you like.", "Select what you like."),
        ("I cannot.", None),
    ],
)
def test_sql_is_read_alike(text: str, code: str | None) -> None:
    assert query(text) == code
    assert code_of(text, "sql").code == code


def test_without_names_it_is_all_that_is_python() -> None:
    text = fenced("x = 1\n") + fenced("for each:\n  do\n") + fenced(">>> x\n1\n") + fenced("def f(:\n") + "\nWords."
    assert code_of(text, "python").code == everything(text) == "x = 1\n\nx\n\ndef f(:\n"
    assert everything("Words, and\n\nx = f(1)\n\nmore.") == "x = f(1)\n\n"
    assert everything("Words.") is None


def test_prose_is_what_stands_outside_of_the_code() -> None:
    assert prose_of(f"a\n{fenced(CODE)}b\n<code>\nx = 1\n</code>\n").split() == ["a", "b"]
    assert prose_of(f"Here it is:\n\n{CODE}\nThat is all.").split() == ["Here", "it", "is:", "That", "is", "all."]


# ---------------------------------------------------------------- time

MEGABYTE = 1_000_000

UNITS = (
    *("```\n", "```\n~~~\n", "`", "``` `\n", "> ```\n- ", "```\nif 1:\n def f():0\n```\n", "def f(", "def f():\n"),
    *("```\n" + "(" * 500 + "\ndef f(\n```\n", "-", '"""def f():', "<code>f = 1</code> ", "<pre>\nf\n</pre>", "f=(\n"),
    *("@f\n", "`f = 1` ", "    f\n\n", "```python\n'''\n```\n", "f```\n", ">>> f\n", "1 f\n", "\u00a0f\n", " ", "\n"),
    *("```python\n>>> f(\n```\n", "SELECT ", "<br>", "`` ` "),
)


@pytest.mark.long
def test_no_long_text_takes_long() -> None:
    """Linear: each of these is a fifth of a megabyte, and would take minutes otherwise."""
    for unit in UNITS:
        text, started = unit * (MEGABYTE // 5 // len(unit)), time.process_time()
        extract(text, ["f"])
        script(f"```\ndef f():\n{text}\n```\n")
        query(text)
        assert time.process_time() - started < 10, unit
