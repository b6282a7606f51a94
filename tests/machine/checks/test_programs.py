"""Right programs pass, whatever they do beside: what answers usually do, in the sandbox of this machine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import missing
from tables import every

from mlx_distill.evaluate.benchmarks import evalplus
from mlx_distill.evaluate.benchmarks.benchmark import Scoring
from mlx_distill.machine import sandbox
from mlx_distill.machine.checks import checking, lacking, run_checks, wanted
from mlx_distill.machine.sandbox import Limits
from mlx_distill.run.records import Check, Prompt, Score

pytestmark = pytest.mark.real

F = "def f():\n    return 1\n"

PROGRAMS: dict[str, tuple[str, str]] = {
    "exit at the end": (f"import sys\n{F}print(f())\nsys.exit(0)", "f()"),
    "exit with an error": (f"{F}raise SystemExit('done')", "f()"),
    "exit()": (f"{F}exit()", "f()"),
    "quit()": (f"{F}quit()", "f()"),
    "tests at the end": (f"import unittest\n{F}unittest.main()", "f()"),
    "a test class": (
        f"import unittest\n{F}class T(unittest.TestCase):\n    def test(self): assert f() > 1\nunittest.main()",
        "f()",
    ),
    "doctest": (f"import doctest\n{F}doctest.testmod()", "f()"),
    "asks at the end": (f"{F}n = int(input('n? '))\nprint(f(n))", "f()"),
    "asks before": (f"name = input()\n{F}", "f()"),
    "an example that is wrong": (f"{F}assert f() == 2", "f()"),
    "an example that raises": (f"{F}print(f(1, 2))  # TypeError", "f()"),
    "an example in between": (f"def g():\n    return 1\nprint(h())\n{F.replace('1', 'g()')}", "f()"),
    "pytest": (f"import pytest\n{F}@pytest.fixture\ndef a(): return f()\ndef test(a): assert a == 1", "f()"),
    "a package that it does not need": (f"import requests\nfrom typing_extensions import Self\n{F}", "f()"),
    "main is called": (f"def main():\n    print(f())\n{F}main()", "f()"),
    "a server at the end": (
        f"import threading\n{F}threading.Event().wait()",
        "f()",
    ),
    "its file": ("import os\nHERE = os.path.dirname(os.path.abspath(__file__))\ndef f(): return HERE > ''", "int(f())"),
    "its source": ("import inspect\ndef g(): pass\ndef f(): return 'def g' in inspect.getsource(g)", "int(f())"),
    "from __main__": (
        "import timeit\ndef g(): return 1\ndef f():\n"
        "    return timeit.timeit('g()', setup='from __main__ import g', number=1) > 0",
        "int(f())",
    ),
    "import __main__": ("import __main__\ndef f(): return __main__.g()\ndef g(): return 1", "f()"),
    "arguments": (
        "import argparse\ndef f():\n    p = argparse.ArgumentParser()\n    p.add_argument('--n', type=int, default=1)\n"
        "    return p.parse_args().n",
        "f()",
    ),
    "a mark of byte order": (f"\ufeff{F}", "f()"),
    "pickles": (
        "import pickle\nclass A:\n    x = 1\ndef f(): return pickle.loads(pickle.dumps(A())).x",
        "f()",
    ),
    "future annotations": (
        "from __future__ import annotations\nimport typing\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n"
        "    x: int = 1\ndef f() -> Undefined: return len(typing.get_type_hints(A))",
        "f()",
    ),
    "a name of the helper's": ("def raised(): return 1", "raised()"),
    "the helper": ("def f(): raise KeyError", "['KeyError'].index(raised(f)) + 1"),
    "a name that checks have": ("def encoded(value): return 1\nload = answer = value = None", "encoded(2)"),
    "new interpreters": (
        "import multiprocessing as m\ndef sq(x): return x * x\ndef f():\n"
        "    with m.get_context('spawn').Pool(2) as p: return p.map(sq, [1, 2])[0]",
        "f()",
    ),
    "a pool": (
        "from concurrent.futures import ProcessPoolExecutor\ndef sq(x): return x * x\ndef f():\n"
        "    with ProcessPoolExecutor(2) as p: return list(p.map(sq, [1, 2]))[0]",
        "f()",
    ),
    "16 threads": (
        "from concurrent.futures import ThreadPoolExecutor\nimport time\ndef f():\n"
        "    with ThreadPoolExecutor(16) as p: return len(list(p.map(lambda x: time.sleep(0.1), range(16)))) - 15",
        "f()",
    ),
    "a long text": ("def f(): return ['x' * 1500000][0]", "len(f()) - 1499999"),
    "a file of 2 MB": ("import os\ndef f():\n    open('a', 'wb').write(b'x' * 2000000)\n    return 1", "f()"),
    "much on both streams": (
        "import sys\ndef f():\n    for _ in range(30000):\n        print('x' * 99)\n"
        "        print('x' * 99, file=sys.stderr)\n    return 1",
        "f()",
    ),
    "an alarm": (
        "import signal, time\ndef g(*_): raise TimeoutError\ndef f():\n    try:\n"
        "        signal.signal(signal.SIGALRM, g)\n        signal.setitimer(signal.ITIMER_REAL, 0.1)\n"
        "        time.sleep(3)\n    except TimeoutError: return 1",
        "f()",
    ),
}  # fmt: skip

USAGE = {
    "imports it": "from solution import f\nprint(f())",
    "asks": "print(f(input()))",
    "at the prompt": ">>> f()\n1",
    "tests": "import pytest\ndef test(): assert f() == 1",
}


@pytest.fixture(autouse=True)
def sandboxed() -> None:
    if sandbox.level() == "none":
        missing("this machine offers no sandbox")


def asking(*checks: tuple[str, str]) -> Prompt:
    return Prompt("p", "Write it.", checks=tuple(Check(expected, run) for run, expected in checks))


def checked(prompt: Prompt, code: str, **options: Any) -> Score:
    score = run_checks(prompt, "base", f"```python\n{code}\n```\n", **options)
    assert score is not None
    return score


def failing(score: Score) -> str:
    return "" if score.passed else f"{score.passed} {score.detail}"


def test_right_programs_pass() -> None:
    with ThreadPoolExecutor(2) as pool:
        scores = pool.map(lambda row: checked(asking((row[1], "1")), row[0]), PROGRAMS.values())
        failed = {name: why for name, score in zip(PROGRAMS, scores, strict=True) if (why := failing(score))}
    assert failed == {}


@every("use", USAGE)
def test_usage_in_a_block_of_its_own_takes_nothing_down(use: str) -> None:
    score = checked(asking(("f()", "1")), f"{F}\n```\nUsage:\n```python\n{USAGE[use]}")
    assert failing(score) == ""


def test_a_name_that_is_missing_fails_only_the_checks_that_use_it() -> None:
    score = checked(asking(("f()", "1"), ("g()", "1")), F)
    assert (score.checks_passed, score.detail) == (1, "NameError: name 'g' is not defined")


def test_benchmarks_say_the_same() -> None:
    item = evalplus.item("t", "t/1", "", reference=F, entry_point="f", inputs=([[]], []), tolerance=0.0)
    codes = [code for code, check in PROGRAMS.values() if check == "f()" and "open('a'" not in code]
    found = list(evalplus.score([(item, f"```python\n{code}\n```") for code in codes], Scoring()))
    assert {code: mark.detail for code, mark in zip(codes, found, strict=True) if not mark.passed} == {}


# ---------------------------------------------------------------- wrong ones stay wrong


@every(
    "code, detail",
    [
        ("import sys\nsys.exit(0)\n" + F, "SystemExit: 0"),
        ("raise ValueError('no')\n" + F, "ValueError: no"),
        ("def f():\n    return 2\nimport sys\nsys.exit(0)", "f() is not 1"),
        ("import numpy as np\ndef f(): return np.int64(1)", "ModuleNotFoundError: No module named 'numpy'"),
        ("n = int(input())\ndef f(): return n", "EOFError: EOF when reading a line"),
        ("def f(): return g()\nprint(g())", "NameError: name 'g' is not defined"),
        ("def g(): return 1", "NameError: name 'f' is not defined"),
        ("def f(:\n    return 1", "SyntaxError: invalid syntax (answer.py, line 1)"),
    ],
)
def test_what_fails_is_said(code: str, detail: str) -> None:
    score = checked(asking(("f()", "1")), code)
    assert (score.passed, score.detail) == (False, detail)


def test_packages_are_named_and_can_be_shown() -> None:
    numpy = "import numpy as np\ndef f(): return np.array([1, 2]).sum()"
    without, shown = (checked(asking(("f()", "3")), numpy, packages=packages) for packages in ((), ("numpy",)))
    assert (without.passed, without.packages) == (False, ("numpy",))
    assert (shown.passed, shown.packages) == (True, ())
    assert checked(asking(("f()", "1")), f"import os, requests.adapters\nimport answer\n{F}").packages == ("requests",)


# ---------------------------------------------------------------- time

BUSY = (
    "import time\ndef f(n):\n    t = time.process_time()\n    while time.process_time() - t < n: pass\n    return 1\n"
)
SLOW = "import time\ndef f(n):\n    while n == 2: pass\n    return 1\n"


def test_each_check_has_seconds_of_its_own() -> None:
    """Together they take twice what one may."""
    prompt = asking(*[("f(0.5)", "1")] * 4)
    assert failing(checked(prompt, BUSY, limits=Limits(seconds=1))) == ""


@every(
    "code",
    [
        SLOW,
        SLOW.replace("while n == 2: pass", "n == 2 and time.sleep(600)"),
        SLOW.replace("while n == 2: pass", "if n == 2: import os; os._exit(0)"),
        SLOW.replace("while n == 2: pass", "if n == 2: return bytearray(10 << 30)"),
    ],
)
def test_what_had_passed_stays_passed(code: str) -> None:
    prompt = asking(("f(1)", "1"), ("f(2)", "1"))
    score = checked(prompt, code, limits=Limits(seconds=1))
    assert (score.passed, score.checks, score.checks_passed) == (False, 2, 1)
    assert score.detail


def test_a_family_that_is_ended_leaves_what_had_passed() -> None:
    forks = "import os, time\ndef f(n):\n    while n == 2:\n        if not os.fork(): time.sleep(60)\n    return 1\n"
    score = checked(asking(("f(1)", "1"), ("f(2)", "1")), forks, limits=Limits(seconds=2, processes=8))
    assert (score.passed, score.checks_passed) == (False, 1)


def test_after_two_that_are_too_slow_no_more_are_tried() -> None:
    prompt = asking(*[("f(2)", "1")] * 9)
    score = checked(prompt, SLOW, limits=Limits(seconds=1))
    assert (score.checks_passed, score.detail) == (0, checking.TOO_SLOW)


# ---------------------------------------------------------------- what a level does not have


def test_what_the_sandbox_lacks_is_not_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lacking, "_refused", lambda _: frozenset({"network of its own"}))
    serving = "import socket\ndef f():\n    socket.create_connection(('127.0.0.1', 9))\n    return 1"
    score = checked(asking(("f()", "1")), serving)
    assert (score.passed, score.sandbox) == (None, sandbox.level())
    assert score.detail == "could not be run: this sandbox has no network of its own"
    assert checked(asking(("f()", "1")), "def f(): return 2").passed is False
    assert checked(asking(("f()", "1")), f"import socket\n{F}").passed is True


def test_names_that_checks_use_are_those_of_the_answer() -> None:
    checks = (Check("1", "import math\nx = f(math.pi)\nx + len([g])"), Check("'A'", "raised(lambda: h())"))
    assert wanted(checks) == ("f", "g", "h")
    assert wanted((Check("1", "raised()"),)) == ("raised",)
    assert wanted((Check("1", "sum([1])"),)) == ("sum",)
    assert wanted((Check("1", "no python"),)) == ()
