"""Executed checks: does the answer's code do what the prompt asked?

In: an answer and its prompt's checks. Out: a Score. The sandbox evaluates the checks' expressions and hands back
literals; what was expected never goes in, and is compared here.
"""

from __future__ import annotations

import ast

from mlx_distill import sandbox
from mlx_distill.compare.code import code_of
from mlx_distill.records import Prompt, Role, Score

PYTHON_CHECKS = """
import ast, json, sys, types

def literal(value):
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(literal(item) for item in value)
    if type(value) is dict:
        return {literal(key): literal(item) for key, item in value.items()}
    if type(value) in (int, float, str, bool, type(None)):
        return value
    raise TypeError(f"{type(value).__name__} is not a literal")

def raised(call):
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return None

def evaluate(lines, names):
    tree = ast.parse(lines.strip())
    last = tree.body.pop()
    exec(compile(tree, "check", "exec"), names)
    return repr(literal(eval(compile(ast.Expression(last.value), "check", "eval"), names)))

task = json.load(open("task.json", encoding="utf-8"))
module = types.ModuleType("answer")
sys.modules["answer"] = module
exec(compile(task["code"], "answer.py", "exec"), module.__dict__)
results = []
for lines in task["runs"]:
    try:
        results.append(evaluate(lines, dict(module.__dict__, raised=raised)))
    except BaseException:
        results.append(None)
with open("result.json", "w", encoding="utf-8") as file:
    json.dump(results, file)
"""

SQL_CHECKS = """
import json, sqlite3

task = json.load(open("task.json", encoding="utf-8"))
database = sqlite3.connect(":memory:")
database.executescript(task["setup"])
rows, statement = None, ""
for part in task["code"].split(";"):
    statement += part + ";"
    if sqlite3.complete_statement(statement):
        if statement.strip(" ;\\n\\t"):
            found = database.execute(statement)
            if found.description:
                rows = [list(row) for row in found.fetchall()]
        statement = ""
with open("result.json", "w", encoding="utf-8") as file:
    json.dump([repr(rows)], file)
"""

RUN_AS_MAIN = """
import json, runpy, sys
task = json.load(open("task.json", encoding="utf-8"))
open("answer.py", "w", encoding="utf-8").write(task["code"])
sys.argv = ["answer.py"]
runpy.run_path("answer.py", run_name="__main__")
"""


def run_checks(prompt: Prompt, role: Role, text: str) -> Score | None:
    """None for a prompt without checks; `passed` is None when there is no sandbox to run them in."""
    if not prompt.checks:
        return None
    code = code_of(text, prompt.language)
    count = len(prompt.checks)
    if not code.strip():
        return Score("checks", prompt.id, role, False, count, 0, "no code in the answer")
    task = {"code": code, "setup": prompt.setup, "runs": [check.run for check in prompt.checks]}
    outcome = sandbox.run(SQL_CHECKS if prompt.language == "sql" else PYTHON_CHECKS, task)
    if outcome.ended == "not run":
        return Score("checks", prompt.id, role, None, count, 0, outcome.detail)
    results = outcome.result if isinstance(outcome.result, list) else []
    right = sum(_equal(check.expected, result) for check, result in zip(prompt.checks, results, strict=False))
    detail = outcome.detail or outcome.ended
    return Score("checks", prompt.id, role, right == count, count, right, "" if right == count else detail)


def _equal(expected: str, result: object) -> bool:
    if not isinstance(result, str):
        return False
    try:
        return bool(ast.literal_eval(result) == ast.literal_eval(expected))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False


def runs(code: str) -> sandbox.Outcome:
    """Whether a Python program ends without an error, run as a script."""
    return sandbox.run(RUN_AS_MAIN, {"code": code})
