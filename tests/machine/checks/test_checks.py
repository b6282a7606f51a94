"""Checks against real answers and real attacks: only right behaviour passes."""

import dataclasses
import textwrap
from typing import Any

import pytest
from conftest import missing

from mlx_distill.machine import sandbox
from mlx_distill.machine.checks import run_checks, runs
from mlx_distill.machine.sandbox import Limits
from mlx_distill.run.records import Check, Prompt, Score

ADD = Prompt(
    "p",
    "Write a Python function add(a, b) that adds and raises TypeError.",
    checks=(Check("3", "add(1, 2)"), Check("'TypeError'", "raised(lambda: add(1, 'a'))")),
)
SHORT = Limits(seconds=2)
RIGHT = "def add(a, b):\n    return a + b"
FORGED = '[[3], ["TypeError"]]'


def block(code: str, language: str = "python") -> str:
    return f"```{language}\n{code}\n```\n"


def checked(prompt: Prompt, code: str, **options: Any) -> Score:
    score = run_checks(prompt, "distilled", block(code, prompt.language), **options)
    assert score is not None
    return score


def asking(*checks: tuple[str, str]) -> Prompt:
    return dataclasses.replace(ADD, checks=tuple(Check(expected, run) for expected, run in checks))


@pytest.fixture
def sandboxed() -> None:
    if sandbox.level() == "none":
        missing("this machine offers no sandbox")


# ---------------------------------------------------------------- what is right and what is wrong


@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize(
    ("code", "passed"),
    [
        (RIGHT, 2),
        ("import sys, warnings\nwarnings.warn('old')\nprint('noise', file=sys.stderr)\nprint(3)\n" + RIGHT, 2),
        ("def add(a, b):\n    return 3", 1),
        ("def add(a, b):\n    return a - b", 1),
        ("def add(a, b)\n", 0),
        ("def plus(a, b): return a + b", 0),
        ("raise ValueError('never loads')\n" + RIGHT, 0),
    ],
)
def test_only_right_behaviour_passes(code: str, passed: int) -> None:
    score = checked(ADD, code)
    assert (score.checks, score.checks_passed, score.passed) == (2, passed, passed == 2)
    assert score.sandbox == sandbox.level()
    assert bool(score.detail) == (passed < 2)


@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize(
    ("value", "expected", "passed"),
    [
        ("[1, (2, {'a': None})]", "[1, (2, {'a': None})]", True),
        ("(1, 2)", "[1, 2]", False),
        ("{1, (2, 3)}", "{(2, 3), 1}", True),
        ("b'\\xff'", "b'\\xff'", True),
        ("0.1 + 0.2", "0.30000000000000004", True),
        ("10 ** 40", "10 ** 40", False),  # no literal is expected: an author's mistake passes nobody
        ("'\\ud800'", "'\\ud800'", True),
        ("float('nan')", "None", False),
        ("object()", "None", False),
        ("10 ** 5000", "0", False),
    ],
)
def test_values_are_compared_as_literals(value: str, expected: str, passed: bool) -> None:
    assert checked(asking((expected, "find()")), f"def find(): return {value}").passed is passed


@pytest.mark.usefixtures("sandboxed")
def test_half_a_line_does_not_pass_by_luck() -> None:
    """`return a`, of what was to be `return a + b`."""
    prompt, half = asking(("1", "add(1, 0)")), "```python\ndef add(a, b):\n    return a"
    for text, cut, passed in ((half, True, False), (half, False, True), (f"{half}\n\nprint(add(1,", True, True)):
        score = run_checks(prompt, "base", text, cut=cut)
        assert score
        assert score.passed is passed


@pytest.mark.usefixtures("sandboxed")
def test_each_check_meets_the_answer_as_it_was_loaded() -> None:
    counting = asking(("1", "import math\nmath.pi = 3\nadd()"), ("(1, True)", "import math\n(add(), math.pi > 3.1)"))
    assert checked(counting, "calls = []\ndef add():\n    calls.append(1)\n    return len(calls)").passed


@pytest.mark.usefixtures("sandboxed")
def test_what_answers_usually_use_works() -> None:
    code = (
        "from __future__ import annotations\nimport asyncio, dataclasses, threading\nfrom collections import Counter\n"
        "@dataclasses.dataclass\nclass Point:\n    x: int = 1\n"
        "async def one(): return Point().x\n"
        "def add():\n    thread = threading.Thread(target=print)\n    thread.start()\n    thread.join()\n"
        "    return asyncio.run(one()) + Counter('ab')['a']\n"
        "if __name__ == '__main__':\n    raise SystemExit('an example is not run')"
    )
    assert checked(asking(("2", "add()")), code).passed


# ---------------------------------------------------------------- attacks


EVERYWHERE = "import os\nfor fd in range(64):\n    try: os.write(fd, {data!r})\n    except OSError: pass\n"
PATCHED = """
import ast, builtins, json, marshal, os, sys, types
def forged(*_, **__): return 3
for module, names in ((builtins, "repr eval exec compile type isinstance list tuple str any zip print open"),
                      (json, "dump dumps loads"), (marshal, "loads dumps"), (ast, "parse literal_eval"),
                      (types, "ModuleType"), (os, "_exit read write pipe fork")):
    for name in names.split():
        setattr(module, name, forged)
"""
FRAMES = """
import sys
frame = sys._getframe()
while frame:
    for name in ("checked", "value", "tagged", "question", "load", "literal", "LITERAL", "results", "printed"):
        frame.f_globals[name] = lambda *_: [3]
    frame = frame.f_back
"""
META = "class Meta(type):\n    def __eq__(cls, other): return True\n    def __hash__(cls): return 1\n"

ATTACKS = {
    "exit before there is anything to check": "import sys\nsys.exit(0)\n" + RIGHT,
    "end the process at once": "import os\n" + RIGHT + "\nos._exit(0)",
    "exit in the call": "import sys\ndef add(a, b): sys.exit(0)",
    "end the process in the call": "import os\ndef add(a, b): os._exit(0)",
    "write a result file": f"open('result.json', 'w').write('{FORGED}')\nopen('output', 'w').write('{FORGED}')\n"
    "import os\nos._exit(0)",
    "print the expected result": f"print('{FORGED}')\nimport os\nos._exit(0)",
    "write the result to each descriptor": EVERYWHERE.format(data=FORGED.encode()) + "os._exit(0)",
    "reply before the question": EVERYWHERE.format(data=b"loaded\n3\n") + "os._exit(0)",
    "reply without the nonce": "def add(a, b):\n"
    + textwrap.indent(EVERYWHERE.format(data=b"3\n"), "    ")
    + "    os._exit(0)",
    "say to be equal": "class Always:\n    def __eq__(self, other): return True\ndef add(a, b): return Always()",
    "say to be equal, as an integer": "class Always(int):\n    def __eq__(self, other): return True\n"
    "    __hash__ = int.__hash__\ndef add(a, b): return Always(7)",
    "lie in repr": "class R:\n    def __repr__(self): return '3'\ndef add(a, b): return R()",
    "lie in repr, as a text": "class R(str):\n    def __repr__(self): return '3'\ndef add(a, b): return R('x')",
    "lie in repr, as a list": "class R(list):\n    def __repr__(self): return '3'\ndef add(a, b): return [R()][0]",
    "a class whose class says it is a list": META
    + "class R(metaclass=Meta):\n    def __init__(self, items=()): pass\n    def __iter__(self): return iter(())\n"
    "    def __repr__(self): return '3'\ndef add(a, b): return R()",
    "patch what the checker uses": PATCHED + "def add(a, b): return 4",
    "patch the checker in its frames": FRAMES + "def add(a, b): return 4",
    "patch the checker as a module": "import sys\nfor module in list(sys.modules.values()):\n"
    "    for name in ('checked', 'value', 'tagged', 'results'):\n        setattr(module, name, lambda *_: [3])\n"
    "def add(a, b): return 4",
    "kill the checker": "import os, signal\ndef add(a, b): os.kill(os.getppid(), signal.SIGKILL)",
    "kill everybody": "import os, signal\ntry: os.kill(-1, signal.SIGKILL)\nfinally:\n    raise SystemExit\n" + RIGHT,
    "never answer": "def add(a, b):\n    while True: pass",
    "sleep for ever": "import time\ntime.sleep(1e9)",
    "sleep for ever deaf": "import signal, time\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\ntime.sleep(1e9)",
    "print for ever": "import os\nwhile True:\n    for fd in range(64):\n        try: os.write(fd, b'x' * 9999)\n"
    "        except OSError: pass",
    "reply for ever": "import sys\ndef add(a, b):\n    reply = sys._getframe(2).f_locals['replies']\n    import os\n"
    "    while True: os.write(reply, b'x' * 9999)",
    "reply nested too deeply": "def add(a, b):\n    found = []\n"
    "    for _ in range(100_000): found = [found]\n    return found",
    "ten gigabytes": "def add(a, b): return bytearray(10 << 30)",
    "raise what says to be another": "class Wrong(BaseException): pass\ndef add(a, b): raise Wrong",
}


@pytest.mark.real
@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_passes_a_check(attack: str) -> None:
    score = checked(ADD, ATTACKS[attack], limits=SHORT)
    assert (score.passed, score.checks_passed) == (False, 0), score


@pytest.mark.usefixtures("sandboxed")
def test_a_check_has_builtins_of_its_own() -> None:
    answer = "import builtins\nbuiltins.sum = lambda _: 2\ndef add(): return []"
    assert checked(asking(("2", "sum(add())")), answer).passed is False


NEEDLE = "'needle-in-haystack'"
HAYSTACK = """
import gc, glob, os, sys
def seen():
    found, frame = [repr(dict(os.environ)), repr(sys.argv), repr(sys.orig_argv)], sys._getframe()
    while frame:
        found += [repr(frame.f_locals), repr(frame.f_globals), repr(frame.f_code.co_consts)]
        frame = frame.f_back
    found += [repr(thing) for thing in gc.get_objects() if type(thing) in (dict, list, tuple)]
    for path in glob.glob('/work/**', recursive=True) + glob.glob('/proc/*/environ') + glob.glob('/proc/*/cmdline'):
        try: found.append(open(path, errors='replace').read())
        except OSError: pass
    for fd in range(64):
        try:
            os.set_blocking(fd, False)
            found.append(os.read(fd, 1 << 20).decode(errors='replace'))
            os.lseek(fd, 0, 0)
        except OSError: pass
        try: os.set_blocking(fd, True)
        except OSError: pass
    return ''.join(found)
loaded = seen()
def find():
    everything = loaded + seen()
    needle = '-in-'.join(('needle', 'haystack'))
    return needle if needle in everything else len(everything) > 1000
"""


@pytest.mark.usefixtures("sandboxed")
def test_what_is_expected_is_nowhere_to_be_found() -> None:
    assert checked(asking((NEEDLE, "find()")), HAYSTACK).passed is False
    assert checked(asking(("True", "find()")), HAYSTACK).passed  # it did look


@pytest.mark.usefixtures("sandboxed")
def test_an_answer_cannot_read_what_other_checks_will_ask_nor_ask_them_anew() -> None:
    """A check's own line may be seen once it was told; the others never."""
    prompt = asking(("False", "''.join(('ze', 'bra')) in everything()"), ("'zebra'", "'zebra'"))
    assert checked(prompt, HAYSTACK + "def everything(): return loaded + seen()").passed


# ---------------------------------------------------------------- SQL

SETUP = "CREATE TABLE t(name TEXT); INSERT INTO t VALUES ('b'), ('a');"
SQL = Prompt("p", "x", language="sql", setup=SETUP, checks=(Check("[['a'], ['b']]"),))
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n;"


@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize(
    ("code", "passed"),
    [
        ("SELECT name FROM t ORDER BY name;", True),
        ("WITH x AS (SELECT name FROM t) SELECT name FROM x ORDER BY name", True),
        ("SELECT ';' ; SELECT name FROM t ORDER BY name;", True),
        ("SELECT name FROM t ORDER BY name DESC;", False),
        ("SELEC name", False),
        ("DROP TABLE t;", False),
        ('SELECT \'[["a"], ["b"]]\';', False),
        ("ATTACH DATABASE '/etc/passwd' AS p; SELECT name FROM p.t ORDER BY name;", False),
        ("SELECT name FROM t ORDER BY name; EXPLAIN QUERY PLAN SELECT name FROM t;", True),
        ("CREATE TABLE t(name TEXT); INSERT INTO t VALUES ('c'); SELECT name FROM t ORDER BY name;", True),
        ("SELECT name FROM t ORDER BY name; SELECT DISTINCT ON (name) name FROM t;", True),
        ("SELECT load_extension('evil');", False),
        (ENDLESS, False),
    ],
)
def test_sql_is_checked_by_its_rows(code: str, passed: bool) -> None:
    assert checked(SQL, code, limits=None if passed else SHORT).passed is passed


# ---------------------------------------------------------------- without a sandbox


def test_without_a_sandbox_checks_are_not_run_which_is_not_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "level", lambda: "none")
    score = checked(ADD, RIGHT, sample=4)
    assert (score.passed, score.checks_passed, score.sandbox, score.sample) == (None, 0, "", 4)
    assert "--unsandboxed" in score.detail
    assert runs("x = 1").ended == "not run"


def test_in_the_open_only_where_told_and_the_score_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "level", lambda: "none")
    score = checked(ADD, RIGHT, unsandboxed=True)
    assert (score.passed, score.sandbox) == (True, "none")
    assert runs("x = 1", unsandboxed=True).ended == "ok"


def test_a_prompt_without_checks_has_no_score() -> None:
    assert run_checks(asking(), "base", "x") is None


def test_an_answer_without_code_fails_only_where_one_with_code_could_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "run", None)
    for level, passed in (("namespaces", False), ("none", None)):
        monkeypatch.setattr(sandbox, "level", lambda level=level: level)
        if passed is None:
            monkeypatch.setattr(sandbox, "run", lambda *_, **__: sandbox.Outcome("not run", "no sandbox"))
        score = run_checks(ADD, "base", "I would write a function.")
        assert score is not None
        assert (score.passed, score.detail) == (passed, "no sandbox" if passed is None else "no code in the answer")


@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize(("code", "ended"), [("print(1)", "ok"), ("1 / 0", "failed"), ("def f(:", "failed")])
def test_a_program_runs_as_a_script(code: str, ended: str) -> None:
    assert runs(f"{code}\nassert __name__ == '__main__'").ended == ended
