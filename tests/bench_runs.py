"""Benchmarks that were never asked: the files of a run's `bench` folder, made up from counts, for what is computed and
drawn from them.

A Made says how many items both models passed, only one, or neither; which items those are comes from a seed. Texts
contain what must be escaped.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlx_distill.run.config import Config, replace
from mlx_distill.run.digest import content_id
from mlx_distill.run.folder import RunDir
from mlx_distill.run.records import Generation, Prompt, Role, Score

ATTACK = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
ROLES: tuple[Role, Role] = ("base", "distilled")
RULES = ("no benchmark worse", "own domain better")


@dataclass(frozen=True)
class Made:
    """What a made-up benchmark found.

    base          items of n that the base passed; the distilled model lost some of them, and gained others
    categories    given to the items in turn
    cut_off, no_answer, not_run, missing   answers of each role, of the items in order; see `bench_run`
    lengths       mean characters of an answer
    parts         names of parts that hold where an answer passed, and in every third that did not
    instructions  parts as IFEval has them, one to three an item
    """

    title: str
    capability: str
    n: int
    base: int
    gained: int
    lost: int
    categories: tuple[str, ...] = ("",)
    difficulties: tuple[str, ...] = ("",)
    cut_off: Mapping[Role, int] = field(default_factory=dict)
    no_answer: Mapping[Role, int] = field(default_factory=dict)
    not_run: Mapping[Role, int] = field(default_factory=dict)
    missing: Mapping[Role, int] = field(default_factory=dict)
    lengths: Mapping[Role, int] = field(default_factory=lambda: {"base": 400, "distilled": 500})
    samples: int | None = None
    parts: tuple[str, ...] = ()
    instructions: bool = False
    protocol: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.title.lower().replace(" ", "-")


STUDY_1 = (
    Made("HumanEval+", "code", 164, 91, 49, 3, parts=("base tests",)),
    Made("IFEval", "instruction following", 541, 344, 119, 45, parts=("prompt, loose",), instructions=True),
    Made("AIME 2024", "mathematics", 30, 21, 3, 7),
    Made("AIME 2025", "mathematics", 30, 20, 1, 8),
)
"""A student that got better at code and at following instructions, and whose mathematics is left open."""

STUDY_2 = (
    Made("MATH-500", "mathematics", 500, 403, 57, 20, ("Algebra", "Geometry", "Number Theory"), ("1", "2", "3")),
    Made("MBPP+", "code", 378, 286, 20, 90),
)
"""One that got better at mathematics and much worse at code."""

COLLAPSED = (Made("MATH-500", "mathematics", 500, 200, 0, 200),)
"""One that lost all of it."""


def settings(own: Sequence[str] = ("code",), rules: Sequence[str] = RULES) -> Config:
    """With every other setting as it is by default."""
    return replace(Config(), {"bench.own": tuple(own), "bench.rules": tuple(rules)})


def drawn(title: str, capability: str, n: int, base: float, change: float, flips: float, seed: int = 0) -> Made:
    """A share `flips` of the items changes, so that on average the share passed moves by `change`."""
    draw = random.Random(f"{title} {seed}")
    moved = [draw.random() for _ in range(n)]
    gained = sum(value < (flips + change) / 2 for value in moved)
    lost = sum((flips + change) / 2 <= value < flips for value in moved)
    passed = min(n - gained, max(lost, round(base * n)))
    return Made(title, capability, n, passed, gained, lost)


def bench_run(
    folder: Path, benchmarks: Sequence[Made] = STUDY_1, *, train: Sequence[str] = (), seed: int = 0
) -> RunDir:
    """Writes protocol, items, answers and scores, and prompts.jsonl with one training prompt for each category in
    `train`. Of each role's items the last `missing` have no answer, the `not_run` before them no verdict; the first
    `cut_off` answers end for length; of those that failed, `no_answer` hold none that could be read."""
    run, draw = RunDir(folder), random.Random(seed)
    run.path.mkdir(parents=True, exist_ok=True)
    items: list[dict[str, Any]] = []
    answers: list[Generation] = []
    scores: list[Score] = []
    for made in benchmarks:
        rows = [_item(made, number) for number in range(made.n)]
        items += rows
        outcomes = _outcomes(made, draw)
        for index, role in enumerate(ROLES):
            passed = [outcome[index] for outcome in outcomes]
            for generation, score in _answers(made, role, rows, passed, draw):
                answers.append(generation)
                scores.append(score)
    (run / "bench").mkdir(exist_ok=True)
    run.write_json("bench/protocol.json", [_protocol(made) for made in benchmarks])
    run.write_text("bench/items.jsonl", "".join(_line(item) for item in items))
    run.write_records("bench/answers.jsonl", answers)
    run.write_records("bench/scores.jsonl", scores)
    if train:
        run.write_records("prompts.jsonl", [_trained(number, category) for number, category in enumerate(train)])
    return run


def _line(row: Any) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _trained(number: int, category: str) -> Prompt:
    text = f"Train on number {number}."
    return Prompt(content_id(text), text, f"Number {number}", category, "train")


def _protocol(made: Made) -> dict[str, Any]:
    return {
        "name": made.name,
        "title": made.title,
        "capability": made.capability,
        "size": made.n,
        "items": made.n,
        "subset": None,
        "source": f"evalplus/{made.name}@d32357c",
        "items_digest": "0" * 64,
        "scorer": f"{made.name} 1",
        "max_tokens": 1024,
        "template": "1" * 64,
        "system": None,
        "samples": made.samples,
        "temperature": 0.7 if made.samples else None,
        "strength": 1.0,
        "deviations": [f"Asked as a chat, where {made.title} was published as text to go on with {ATTACK}."],
        "floor": None,
        "answers": "made here",
        "overlap": {"checked": 104, "items": []},
    } | dict(made.protocol)


def _item(made: Made, number: int) -> dict[str, Any]:
    return {
        "benchmark": made.name,
        "id": f"{made.title.replace(' ', '')}/{number}",
        "category": made.categories[number % len(made.categories)],
        "difficulty": made.difficulties[number % len(made.difficulties)],
        "prompt": f"Solve number {number} of {made.title}: how many <x> are & why {ATTACK}?",
    }


def _outcomes(made: Made, draw: random.Random) -> list[tuple[bool, bool]]:
    """(base, distilled) of every item."""
    both = made.base - made.lost
    rows = [(True, True)] * both + [(True, False)] * made.lost + [(False, True)] * made.gained
    rows += [(False, False)] * (made.n - len(rows))
    assert len(rows) == made.n
    draw.shuffle(rows)
    return rows


def _answers(
    made: Made, role: Role, items: Sequence[Mapping[str, Any]], passed: Sequence[bool], draw: random.Random
) -> list[tuple[Generation, Score]]:
    answered = made.n - made.missing.get(role, 0)
    scored = answered - made.not_run.get(role, 0)
    unread = made.no_answer.get(role, 0)
    rows = []
    for number, item in enumerate(items[:answered]):
        reads = passed[number] or number >= scored or unread <= 0
        unread -= not reads
        ended = "length" if number < made.cut_off.get(role, 0) else "stop"
        for sample in range(made.samples or 1):
            text = _text(made, role, draw)
            held = (passed[number] if sample % 4 else draw.random() < 0.5) if made.samples else passed[number]
            score = Score(
                made.name,
                item["id"],
                role,
                held if number < scored else None,
                detail="" if held else f"expected 4, found 5 {ATTACK}",
                sample=sample,
                sandbox="namespaces" if made.capability == "code" else "",
                found="5" if reads or held else None,
                parts=_parts(made, number, held),
            )
            rows.append((Generation(f"{made.name}/{item['id']}", role, text, 90, 1.5, ended, sample), score))
    return rows


def _text(made: Made, role: Role, draw: random.Random) -> str:
    length = max(len(ATTACK), round(draw.gauss(made.lengths[role], made.lengths[role] / 5)))
    return (ATTACK + "".join(f" because {number}" for number in range(length)))[:length]


def _parts(made: Made, number: int, passed: bool) -> dict[str, bool]:
    parts = dict.fromkeys(made.parts, passed or number % 3 == 0)
    for index in range(number % 3 + 1 if made.instructions else 0):
        parts[f"strict {index} length_constraints:number_words"] = passed or index > 0
        parts[f"loose {index} length_constraints:number_words"] = passed or index > 0 or number % 5 == 0
    return parts
