"""The scorer against what is known to be right and wrong: published solutions, and those with one fault each."""

from __future__ import annotations

import ast
import copy
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import missing

from mlx_distill.evaluate.benchmarks import evalplus, execution, humaneval, mbpp
from mlx_distill.evaluate.benchmarks.benchmark import Benchmark, Item, Scoring
from mlx_distill.evaluate.benchmarks.humaneval import HUMANEVAL_PLUS
from mlx_distill.evaluate.benchmarks.mbpp import MBPP_PLUS
from mlx_distill.evaluate.benchmarks.outputs import right
from mlx_distill.machine import sandbox
from mlx_distill.machine.checks.values import encoded
from mlx_distill.run.data.rows import rows_of

pytestmark = pytest.mark.long

FILES = {
    HUMANEVAL_PLUS: ("humaneval-plus/HumanEvalPlus-v0.1.10", "humaneval-plus/HumanEvalPlus-OriginFmt-v0.1.10"),
    MBPP_PLUS: ("mbpp-plus/MbppPlus-v0.2.0", "mbpp-plus/MbppPlus-OriginFmt-v0.2.0"),
}

HEAVY = humaneval.SLOW | mbpp.SLOW
"""Not mutated: their tests take seconds each."""


@pytest.fixture(params=FILES, ids=lambda benchmark: benchmark.name)
def benchmark(request: pytest.FixtureRequest) -> Benchmark:
    if sandbox.level() == "none":
        missing("this machine offers no sandbox")
    found: Benchmark = request.param
    return found


def published(shared: Path, benchmark: Benchmark, which: int) -> list[dict[str, Any]]:
    return list(rows_of(shared / "benchmarks" / f"{FILES[benchmark][which]}.jsonl.gz"))


def fenced(code: str) -> str:
    return f"Like this:\n\n```python\n{code}\n```\n"


def test_every_published_solution_passes_and_returns_what_was_published(shared: Path, benchmark: Benchmark) -> None:
    """In both formats; what is returned, of all tests whose results stand in the self-contained test programs. One
    test, since what the solutions return is found out once a process."""
    items = benchmark.read(published(shared, benchmark, 0))
    rows = published(shared, benchmark, 1)
    assert len(items) == benchmark.size
    assert benchmark.read(rows) == items  # so what is true of one is true of the other
    check_outputs(benchmark, rows, items)
    found = list(benchmark.score([(item, fenced(item.data["reference"])) for item in items], Scoring()))
    failed = {item.id: mark.detail for item, mark in zip(items, found, strict=True) if not mark.passed}
    assert failed == {}
    assert all(mark.parts["base tests"] for mark in found)


def check_outputs(benchmark: Benchmark, rows: list[dict[str, Any]], items: list[Item]) -> None:
    compared = 0
    for at in range(0, len(items), 12):
        execution.references([(item.data["reference"], evalplus.calls_of(item)) for item in items[at : at + 12]])
    for row, item in zip(rows, items, strict=True):
        results = re.search(r"^ *results = (.*)$", row["test"], re.MULTILINE)
        if not results or item.data["accept"] == "root":
            continue
        known = execution.reference(item.data["reference"], evalplus.calls_of(item))
        wanted = evalplus.literal(results[1])
        assert len(wanted) == len(known.outputs), item.id
        if item.data["shape"]:
            wanted = [set(each) if item.data["shape"] == "set" else each for each in wanted]
        wrong = [
            at for at, each in enumerate(wanted) if not right(known.outputs[at], encoded(each), item.data["tolerance"])
        ]
        assert wrong == [], (item.id, known.outputs[wrong[0]], wanted[wrong[0]])
        compared += 1
    assert compared >= benchmark.size - 10


# ---------------------------------------------------------------- one fault each

OPPOSITE: dict[type, type] = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
SWAPPED: dict[type, type] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult}


def flip(node: ast.AST) -> None:
    assert isinstance(node, ast.Compare)
    node.ops[0] = OPPOSITE[type(node.ops[0])]()


def one_more(node: ast.AST) -> None:
    assert isinstance(node, ast.Constant)
    node.value += 1  # type: ignore[operator]


def swap(node: ast.AST) -> None:
    assert isinstance(node, ast.BinOp)
    node.op = SWAPPED[type(node.op)]()


def negate(node: ast.AST) -> None:
    assert isinstance(node, ast.If | ast.IfExp)
    node.test = ast.UnaryOp(ast.Not(), node.test)


def drop_last(node: ast.AST) -> None:
    assert isinstance(node, ast.FunctionDef | ast.For)
    node.body[-1] = ast.Pass()


def faults(node: ast.AST) -> Iterator[Callable[[ast.AST], None]]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in OPPOSITE:
        yield flip
    if isinstance(node, ast.Constant) and type(node.value) is int:
        yield one_more
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPPED:
        yield swap
    if isinstance(node, ast.If | ast.IfExp):
        yield negate
    if isinstance(node, ast.FunctionDef | ast.For):
        yield drop_last


def mutants(item: Item, most: int) -> list[str]:
    """The solution with one fault, `most` times: kinds of faults that are there, then places, drawn by the item."""
    tree = ast.parse(item.data["reference"])
    body = next(n for n in reversed(tree.body) if isinstance(n, ast.FunctionDef) and n.name == item.data["entry_point"])
    places: dict[str, list[tuple[int, Callable[[ast.AST], None]]]] = {}
    for at, node in enumerate(ast.walk(body)):
        for fault in faults(node):
            places.setdefault(fault.__name__, []).append((at, fault))
    draw = random.Random(item.id)
    kinds = draw.sample(sorted(places), min(most, len(places)))
    return [_with(tree, body, *draw.choice(places[kind])) for kind in kinds]


def _with(tree: ast.Module, body: ast.FunctionDef, at: int, fault: Callable[[ast.AST], None]) -> str:
    changed = copy.deepcopy(tree)
    place = tree.body.index(body)
    fault(list(ast.walk(changed.body[place]))[at])
    return ast.unparse(ast.fix_missing_locations(changed))


def test_solutions_with_one_fault_fail(shared: Path, benchmark: Benchmark) -> None:
    """Those that pass are as good as the solution, or the published tests do not see the fault."""
    items = [item for item in benchmark.read(published(shared, benchmark, 0)) if item.id not in HEAVY]
    items = items[:: 1 if benchmark is HUMANEVAL_PLUS else 2]
    cases = [(item, fenced(code)) for item in items for code in mutants(item, 1)]
    found = list(benchmark.score(cases, Scoring()))
    passed = [(item.id, text) for (item, text), mark in zip(cases, found, strict=True) if mark.passed]
    print(f"{benchmark.title}: {len(cases) - len(passed)} of {len(cases)} faults seen")
    assert all(mark.passed is not None for mark in found)
    assert len(passed) <= 0.1 * len(cases), passed
