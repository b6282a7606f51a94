"""Every bundled answer is executed: none may be wrong."""

import ast
import json

import pytest
from tables import every

from mlx_distill.machine import sandbox
from mlx_distill.machine.checks import programs, run_checks, runs
from mlx_distill.machine.checks.blocks import parts
from mlx_distill.machine.checks.code import code_of, prose_of
from mlx_distill.machine.checks.examples import examples_hold
from mlx_distill.machine.checks.values import untagged
from mlx_distill.run.config import PromptConfig, resolve
from mlx_distill.run.prompts import data_folder, load_prompts
from mlx_distill.run.records import Check, Prompt

ROWS = [json.loads(line) for line in (data_folder() / "recorded.jsonl").read_text().splitlines()]
ANSWERS = {row["prompt"]: row["completion"] for row in ROWS}
CAMPAIGN = load_prompts(PromptConfig(train=("coding:base",)))
DEMO = load_prompts(resolve("demo").prompts)
BOTH = [*CAMPAIGN, *DEMO]

STAFF = """
CREATE TABLE customers(id INTEGER, name TEXT);
CREATE TABLE orders(id INTEGER, customer_id INTEGER, placed_on TEXT);
INSERT INTO customers VALUES (1, 'Ada'), (2, 'Ben');
INSERT INTO orders VALUES (1, 1, '2026-01-01'), (2, NULL, '2026-01-02');
CREATE TABLE sales(day TEXT, amount REAL);
INSERT INTO sales VALUES ('2026-01-01', 5), ('2026-01-01', 1), ('2026-01-02', 2), ('2026-02-01', 7);
CREATE TABLE staff(id INTEGER, name TEXT, manager_id INTEGER);
INSERT INTO staff VALUES (1, 'Root', NULL), (2, 'Kid', 1), (3, 'Grandkid', 2), (9, 'Other', NULL);
CREATE TABLE invoices(number INTEGER);
INSERT INTO invoices VALUES (1), (2), (5), (7), (10);
"""

SQL_EXPECTED = {
    "never placed an order": {"Ben"},
    "running total": {6.0, 8.0, 2.0, 7.0},
    "everybody below the manager": {"Kid", "Grandkid", 1, 2},
    "every gap in the numbering": {3, 4, 6, 8, 9},
}


def test_every_prompt_of_the_campaign_and_of_the_demo_has_an_answer() -> None:
    assert {prompt.text for prompt in BOTH} == set(ANSWERS)
    assert len(BOTH) == len(ROWS)
    assert [sum(prompt.split == split for prompt in DEMO) for split in ("train", "valid", "test")] == [96, 8, 40]


def test_answers_are_labelled_as_what_they_are() -> None:
    assert {row["model"] for row in ROWS} == {"reference answers written for this project"}


@every("prompt", BOTH)
def test_answer_has_one_block_of_the_right_language(prompt: Prompt) -> None:
    blocks = parts(ANSWERS[prompt.text]).blocks
    assert [block.tag for block in blocks if block.kind == "fence"] == ["sql" if prompt.category == "SQL" else "python"]


@pytest.mark.real
@every("prompt", [p for p in CAMPAIGN if p.category != "SQL"])
def test_python_answer_runs(prompt: Prompt) -> None:
    outcome = runs(code_of(ANSWERS[prompt.text], "python").code or "")
    assert (outcome.ended, outcome.detail) == ("ok", outcome.detail)


@pytest.mark.real
@every("prompt", [p for p in BOTH if p.checks])
def test_answer_passes_its_checks(prompt: Prompt) -> None:
    score = run_checks(prompt, "teacher", ANSWERS[prompt.text])
    assert score is not None
    assert score.passed, score


def function_of(answer: str) -> ast.FunctionDef:
    (function,) = ast.parse(code_of(answer, "python").code or "").body
    assert isinstance(function, ast.FunctionDef)
    return function


@every("prompt", DEMO)
def test_answer_of_the_demo_is_in_the_house_style(prompt: Prompt) -> None:
    answer = ANSWERS[prompt.text]
    function = function_of(answer)
    assert function.returns
    assert all(argument.annotation for argument in function.args.args)
    assert "raises ValueError" not in prompt.text or isinstance(function.body[1].body[0], ast.Raise)  # type: ignore[attr-defined]
    assert len(prose_of(answer).split()) >= 8
    assert prompt.checks


def test_docstring_example_of_every_answer_of_the_demo_holds() -> None:
    functions = [function_of(ANSWERS[prompt.text]) for prompt in DEMO]
    code, docstrings = "\n\n".join(map(ast.unparse, functions)), [ast.get_docstring(f) or "" for f in functions]
    assert examples_hold(code, [f.name for f in functions], docstrings) == [[True]] * len(DEMO)


@every("words", SQL_EXPECTED)
def test_sql_training_answer_returns_the_right_rows(words: str) -> None:
    prompt = next(p for p in CAMPAIGN if words in p.text)
    task = {"code": code_of(ANSWERS[prompt.text], "sql").code, "setup": STAFF, "seconds": 10}
    ((rows,),) = sandbox.run(programs.sql(), task).result
    values = {value for row in untagged(json.loads(rows)) for value in row}
    assert values >= SQL_EXPECTED[words]
    assert not values & {"Ada", "Root", "Other"}


def test_sql_design_answer_finds_articles_with_both_tags() -> None:
    prompt = next(p for p in CAMPAIGN if "articles with tags" in p.text)
    code = code_of(ANSWERS[prompt.text], "sql").code
    check = Prompt("x", "x", language="sql", checks=(Check("[]"),))
    score = run_checks(check, "teacher", f"```sql\n{code}\n```")
    assert score is not None
    assert score.passed


def test_answers_have_the_declared_length(smollm: object) -> None:
    for prompts, least, most in ((CAMPAIGN, 120, 450), (DEMO, 50, 125)):
        lengths = [len(smollm.tokenizer.encode(ANSWERS[prompt.text])) for prompt in prompts]  # type: ignore[attr-defined]
        assert least <= min(lengths)
        assert max(lengths) <= most
