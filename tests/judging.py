"""Judges for tests: the real client against a server on loopback, or nobody, to see what would be asked.

`program` is a judge that is a programme: it reads what stands inside the tags, counts documented functions, and takes
no notice of words.
"""

import ast
import asyncio
import json
import random
import re
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path
from typing import Any

from messages_api import message

from mlx_distill.evaluate.judges import MEASURED
from mlx_distill.machine.checks.code import code_of
from mlx_distill.models.asking.ask import ask_all
from mlx_distill.models.asking.budget import Budget
from mlx_distill.models.asking.ledger import Ledger
from mlx_distill.models.asking.rate import rate_of
from mlx_distill.models.teachers import Ask, Reply, Request, open_teacher
from mlx_distill.models.teachers.recorded import recording
from mlx_distill.run.config import ComparisonConfig
from mlx_distill.run.patience import Patience
from mlx_distill.run.prompts import data_folder
from mlx_distill.run.records import Generation, Prompt, Role
from mlx_distill.run.rubric import read_rubric

MODEL = "claude-opus-4-6"
PROMPT = Prompt("p", "Write add.")
RUBRIC = read_rubric(data_folder() / "rubric.md")
CONFIG = ComparisonConfig()
USD = (10 * 5 + 20 * 25) / 1e6
"""What `message` costs with this model."""

Judging = Callable[[str, Ask], AsyncGenerator[Any, None]]


def said(path: Path, judging: Judging, spec: str = MODEL, rows: list[dict[str, Any]] | None = None) -> list[Any]:
    """What a judge says, asked through a ledger by the real client; `rows` gets what a recorded one replays."""

    async def work() -> list[Any]:
        teacher = open_teacher(spec)
        with Ledger(path) as ledger:

            def ask(requests: Iterable[Request]) -> AsyncGenerator[tuple[Request, Reply], None]:
                patience = Patience(random=random.Random(0))
                rate = rate_of(patience, 2, paced=True)
                return ask_all(requests, teacher, ledger, budget=Budget(None), patience=patience, rate=rate)

            try:
                asking = ask if rows is None else recording(ask, rows.append)
                return [verdict async for verdict in judging(teacher.model, asking)]
            finally:
                await teacher.close()

    return asyncio.run(work())


def questions(judging: Judging) -> list[Request]:
    """What would be asked first, of a judge who refuses everything."""
    rounds: list[list[Request]] = []

    async def ask(requests: Iterable[Request]) -> AsyncGenerator[tuple[Request, Reply], None]:
        rounds.append(list(requests))
        for request in rounds[-1]:
            yield request, Reply("", "refusal", MODEL)

    async def work() -> None:
        async for _ in judging(MODEL, ask):
            pass

    asyncio.run(work())
    return rounds[0] if rounds else []


def answer(role: Role, text: str, sample: int = 0, prompt: str = "p") -> Generation:
    return Generation(prompt, role, text, 1, 1.0, "stop", sample)


def scores(score: Any = 7) -> str:
    return json.dumps({name: {"reason": f"seen {name}", "score": score} for name in MEASURED})


def program(sent: dict[str, Any]) -> Any:
    """Answers either kind of question, going by its last line and its schema."""
    text = sent["messages"][0]["content"]
    found = [_documented(inside(text, tag)) for tag in tags(text)]
    if len(found) == 1:
        return message(scores(min(10, found[0])))
    labels = [tag.split("-")[1] for tag in tags(text)]
    better = "tie" if found[0] == found[1] else labels[found.index(max(found))]
    return message(json.dumps({"reason": f"{better} documents more", "better": better}))


def tags(text: str) -> list[str]:
    return re.findall(r"<(answer-[^>]+)>", text.splitlines()[-1])


def inside(text: str, tag: str) -> str:
    return text.split(f"<{tag}>\n", 1)[1].split(f"\n</{tag}>", 1)[0]


def _documented(text: str) -> int:
    try:
        tree = ast.parse(code_of(text, "python").code or "")
    except SyntaxError:  # a cut answer
        return 0
    return sum(isinstance(node, ast.FunctionDef) and bool(ast.get_docstring(node)) for node in ast.walk(tree))
