"""docs/data.md: every example that it shows is read, and every reason to leave a row out is in its table."""

from __future__ import annotations

import re
from pathlib import Path

from test_conversations import LEFT_OUT

from mlx_distill.models.students import Student
from mlx_distill.run.data.conversations import dialogues
from mlx_distill.run.data.dialogue import Account
from mlx_distill.run.data.own import load_conversations
from mlx_distill.run.data.rows import found_in
from mlx_distill.train.encode import Example, encode_all

PAGE = (Path(__file__).parents[2] / "docs/data.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(jsonl|json|csv)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
FORMS, MORE = BLOCKS[:-1], BLOCKS[-1]


def examples(path: Path, student: Student) -> set[tuple[int, ...]]:
    found: list[Example] = encode_all(load_conversations(path, 0).conversations, student, "Be brief.", 4096).examples
    return {example.tokens for example in found}


def test_every_form_gives_the_same_examples_token_for_token(tmp_path: Path, smollm: Student) -> None:
    made = []
    for number, (kind, content) in enumerate(FORMS):
        path = tmp_path / f"{number}.{kind}"
        path.write_text(content)
        made.append(examples(path, smollm))
    assert len(made) == 8
    assert len(made[0]) == 3
    assert all(one == made[0] for one in made)


def test_what_is_said_beside_an_exchange_is_read(tmp_path: Path) -> None:
    path, account = tmp_path / "more.jsonl", Account()
    path.write_text(MORE[1])
    system, turns, thought, weighted = (dialogue for _, dialogue in dialogues(found_in(path), {}, account))
    assert (system.turns[0].role, len(turns.turns), thought.thoughts) == ("system", 4, {1: "Two and two."})
    assert [turn.scored for turn in weighted.turns] == [True, False, True, True]
    assert (account.left_out, account.unused) == ({}, {})


def test_every_reason_is_in_the_table() -> None:
    told = set(re.findall(r"^\| ([a-z][^|]*?) \|", PAGE, re.MULTILINE)) - {"reason"}
    elsewhere = {"several turns", "too long", "refused by the chat template"}
    assert told == {reason.replace("stopped (tool_calls)", "stopped (…)") for reason in LEFT_OUT} | elsewhere
