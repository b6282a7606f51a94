import dataclasses

import pytest

from mlx_distill import sandbox
from mlx_distill.compare import run_checks, static_judge
from mlx_distill.compare.code import code_of, parts
from mlx_distill.records import Check, Generation, Prompt

needs_sandbox = pytest.mark.skipif(sandbox.level() == "none", reason="this machine offers no sandbox")

ADD = Prompt(
    "p",
    "Write a Python function add(a, b) that adds and raises TypeError.",
    checks=(Check("3", "add(1, 2)"), Check("'TypeError'", "raised(lambda: add(1, 'a'))")),
)


def block(code: str, language: str = "python") -> str:
    return f"Here is the code that was asked for, with a word on what it does.\n\n```{language}\n{code}\n```\n"


# ---------------------------------------------------------------- finding code


def test_code_is_found_by_language_and_an_unclosed_block_counts() -> None:
    text = "a\n```python\nx = 1\n```\nb\n```sql\nSELECT 1\n```\n```\ny = 2\n"
    assert code_of(text, "python") == "x = 1\n"
    assert code_of(text, "sql") == "SELECT 1\n"
    assert code_of("```\ny = 2", "python") == "y = 2"
    assert parts(text).prose == "a\nb"
    assert code_of("no code", "python") == ""


# ---------------------------------------------------------------- executed checks


@needs_sandbox
@pytest.mark.parametrize(
    ("code", "passed"),
    [
        ("def add(a, b):\n    return a + b", 2),
        ("def add(a, b):\n    return 3", 1),
        ("def add(a, b):\n    return a - b", 1),
        ("def add(a, b)\n", 0),
        ("import sys\ndef add(a, b): return a + b\nsys.exit(0)", 0),
        ("class Always(int):\n    def __eq__(self, other): return True\ndef add(a, b): return Always(7)", 0),
        ("class R:\n    def __repr__(self): return '3'\ndef add(a, b): return R()", 0),
        ("import os\ndef add(a, b): os._exit(0)", 0),
        ("open('result.json', 'w').write('[\"3\", \"True\"]')\nimport os\nos._exit(0)", 1),
        ("def add(a, b):\n    while True: pass", 0),
        ("print('3')", 0),
    ],
)
def test_only_right_behaviour_passes(code: str, passed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "TIMEOUT_SECONDS", 3)
    score = run_checks(ADD, "distilled", block(code))
    assert score is not None
    assert (score.checks_passed, score.passed) == (passed, passed == 2)


@needs_sandbox
def test_expected_values_never_enter_the_sandbox() -> None:
    prompt = dataclasses.replace(ADD, checks=(Check("'needle-in-haystack'", "find()"),))
    code = (
        "import os\nfound = ''.join(open(os.path.join(d, f), errors='replace').read() for d in ('/work', '/tmp')"
        " for f in os.listdir(d) if os.path.isfile(os.path.join(d, f)))\n"
        "def find(): return 'needle-in-' + 'haystack' if 'needle-in-' + 'haystack' in found else 'nothing'"
    )
    score = run_checks(prompt, "base", block(code))
    assert score is not None
    assert not score.passed


@needs_sandbox
@pytest.mark.parametrize(
    ("code", "passed"),
    [
        ("SELECT name FROM t ORDER BY name;", True),
        ("WITH x AS (SELECT name FROM t) SELECT name FROM x ORDER BY name", True),
        ("SELECT name FROM t ORDER BY name DESC;", False),
        ("SELECT ';' ; SELECT name FROM t ORDER BY name;", True),
        ("SELEC name", False),
        ("DROP TABLE t;", False),
    ],
)
def test_sql_is_checked_by_its_rows(code: str, passed: bool) -> None:
    setup = "CREATE TABLE t(name TEXT); INSERT INTO t VALUES ('b'), ('a');"
    prompt = Prompt("p", "x", language="sql", setup=setup, checks=(Check("[['a'], ['b']]"),))
    score = run_checks(prompt, "base", block(code, "sql"))
    assert score is not None
    assert score.passed is passed


def test_without_a_sandbox_checks_are_not_run_which_is_not_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "level", lambda: "none")
    score = run_checks(ADD, "base", block("def add(a, b): return a + b"))
    assert score is not None
    assert score.passed is None
    judgment = static_judge(ADD, answer(block("def add(a, b): return a + b")), score)
    assert judgment.scores is not None
    assert "Code Correctness" not in judgment.scores


def test_a_prompt_without_checks_has_no_score() -> None:
    assert run_checks(dataclasses.replace(ADD, checks=()), "base", "x") is None


# ---------------------------------------------------------------- the static judge


def answer(text: str, finish_reason: str = "stop") -> Generation:
    return Generation("p", "distilled", text, 10, 1.0, finish_reason)


GOOD = '''
def add(a: int, b: int) -> int:
    """Return the sum of two integers."""
    if not isinstance(a, int):
        raise TypeError("a must be an int")
    return a + b


if __name__ == "__main__":
    assert add(1, 2) == 3
'''


def scores(text: str, finish_reason: str = "stop") -> dict[str, float]:
    found = static_judge(ADD, answer(text, finish_reason), run_checks(ADD, "distilled", text)).scores
    assert found is not None
    return found


@needs_sandbox
@pytest.mark.parametrize(
    ("dimension", "worse"),
    [
        ("Code Correctness", GOOD.replace("a + b", "a - b")),
        ("Code Correctness", GOOD + "\nadd('x', 1)"),
        ("Structure & Design", GOOD + "\nglobal_state = []\nfor i in range(3):\n    global_state.append(i)"),
        ("Structure & Design", GOOD.replace("def add", "def AddThem").replace("add(1", "AddThem(1")),
        ("Documentation", GOOD.replace('    """Return the sum of two integers."""\n', "")),
        ("Documentation", GOOD.replace(": int", "").replace(" -> int", "")),
        ("Error Handling", GOOD.replace("raise TypeError(", "raise Exception(")),
        ("Error Handling", GOOD.replace('TypeError("a must be an int")', "TypeError")),
        ("Completeness", GOOD.replace("return a + b", "pass  # TODO")),
        ("Completeness", GOOD.replace("def add", "def plus").replace("assert add", "assert plus")),
    ],
)
def test_a_worse_answer_scores_lower_on_what_is_worse_and_both_ways(dimension: str, worse: str) -> None:
    good, bad = scores(block(GOOD)), scores(block(worse))
    assert bad[dimension] < good[dimension] <= 10


@needs_sandbox
def test_a_longer_answer_is_not_a_better_one() -> None:
    padding = "\n\n".join(f'def extra_{i}(a: int) -> int:\n    """Return a."""\n    return a' for i in range(30))
    short, long = scores(block(GOOD)), scores(block(GOOD + "\n\n" + padding) + "And more words. " * 50)
    assert all(long[name] <= short[name] for name in short)


@needs_sandbox
def test_an_answer_without_code_or_that_does_not_parse_scores_near_zero() -> None:
    assert set(scores("I would write a function.").values()) == {0.0}
    broken = scores(block("def add(a, b:\n  return"))
    assert all(value == 0 for name, value in broken.items() if name != "Completeness")


@needs_sandbox
def test_an_answer_that_was_cut_off_is_less_complete() -> None:
    assert scores(block(GOOD), "length")["Completeness"] < scores(block(GOOD))["Completeness"]


@needs_sandbox
def test_error_handling_is_not_scored_in_sql() -> None:
    prompt = Prompt("p", "x", language="sql", checks=(Check("[[1]]"),))
    generation = answer(block("SELECT 1 AS one;", "sql"))
    found = static_judge(prompt, generation, run_checks(prompt, "base", generation.text)).scores
    assert found is not None
    assert "Error Handling" not in found
    assert found["Code Correctness"] == 10
