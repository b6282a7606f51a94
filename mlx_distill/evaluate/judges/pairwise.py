"""Side by side: two answers to one prompt, and which of them is better.

In: prompts, generations, pairs of roles. Out: Preferences, two for every pair: judges are known to favour a place, so
each pair is asked about in both orders. The answers carry two letters, drawn anew for every question from its
content, so that neither letter nor place goes with a role. Letters come from a small set, because a model's server
compiles every new schema, and a schema holds its letters; what an answer cannot guess is the mark in its tags.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any, Literal

from mlx_distill.evaluate.judges.blind import blinded
from mlx_distill.evaluate.judges.questions import Question, Unreadable, ask_questions, first_attempt, unknown_to
from mlx_distill.models.teachers import Ask, Request
from mlx_distill.run.config import ComparisonConfig
from mlx_distill.run.prompts import data_folder
from mlx_distill.run.records import Generation, Preference, Prompt, Role

PAIRS: tuple[tuple[Role, Role], ...] = (("distilled", "base"), ("distilled", "teacher"))

LETTERS = "HKMPRV"
"""None of them a grade, a mark of truth or the beginning of an order."""

LABELS = tuple(itertools.permutations(LETTERS, 2))
TIE: Literal["tie"] = "tie"
SAME = "The two answers are the same, so nobody was asked."

Pair = tuple[Role, Role]
Texts = Mapping[tuple[Role, int], str]
"""Of one prompt, what the judge sees, by role and sample."""


async def judge_pairs(
    prompts: Sequence[Prompt],
    generations: Sequence[Generation],
    pairs: Sequence[Pair],
    model: str,
    config: ComparisonConfig,
    ask: Ask,
) -> AsyncGenerator[Preference, None]:
    """A Preference for every pair of answers, order and repeat, in the order in which they arrive.

    Answers of one sample are a pair; a teacher's only answer goes with every sample. Equal answers are a tie that
    costs nothing.
    """
    questions: list[Question[Preference]] = []
    for prompt in prompts:
        texts = {
            (g.role, g.sample): blinded(g.answer_text, prompt.language) for g in generations if g.prompt_id == prompt.id
        }
        for roles, sample, repeat in itertools.product(_orders(pairs), _samples(texts), range(config.repeats)):
            shown = [_answer(texts, role, sample) for role in roles]
            unscored = Preference(prompt.id, *roles, model, None, sample=sample, repeat=repeat)
            if shown[0] is None or shown[1] is None:
                continue
            if shown[0] == shown[1]:
                yield dataclasses.replace(unscored, better=TIE, reason=SAME)
            else:
                questions.append(_question(prompt.text, shown[0], shown[1], unscored, config))
    async with contextlib.aclosing(ask_questions(questions, ask)) as verdicts:
        async for verdict in verdicts:
            yield verdict


def _orders(pairs: Sequence[Pair]) -> Iterator[Pair]:
    for first, second in pairs:
        yield first, second
        yield second, first


def _samples(texts: Texts) -> list[int]:
    return sorted({sample for _, sample in texts})


def _answer(texts: Texts, role: Role, sample: int) -> str | None:
    return texts.get((role, 0 if role == "teacher" else sample))


def _question(
    task: str, first: str, second: str, unscored: Preference, config: ComparisonConfig
) -> Question[Preference]:
    mark = unknown_to(task, first, second)
    labels = LABELS[int(mark, 16) % len(LABELS)]
    roles: dict[str, Role] = dict(zip(labels, (unscored.first, unscored.second), strict=True))
    request = Request(
        unscored.judge,
        _text(task, dict(zip(labels, (first, second), strict=True)), mark),
        _instructions(),
        config.judge_max_tokens,
        _schema(labels),
        sample=first_attempt(unscored.repeat),
    )
    return Question(request, unscored, functools.partial(_preference, roles))


def _text(task: str, answers: Mapping[str, str], mark: str) -> str:
    """The answers by their labels, each in a tag of its own."""
    shown = "\n\n".join(f"<answer-{label}-{mark}>\n{text}\n</answer-{label}-{mark}>" for label, text in answers.items())
    which = " and ".join(f"{label}, which stands inside <answer-{label}-{mark}>" for label in answers)
    return f"<task-{mark}>\n{task}\n</task-{mark}>\n\n{shown}\n\nCompare the two answers {which}."


def _schema(labels: tuple[str, str]) -> str:
    """The letters in the alphabet's order: the schema does not know which one is shown first."""
    return json.dumps(
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["reason", "better"],
            "properties": {
                "reason": {"type": "string"},
                "better": {"type": "string", "enum": [*sorted(labels), TIE]},
            },
        }
    )


@functools.cache
def _instructions() -> str:
    return (data_folder() / "pairwise.md").read_text(encoding="utf-8")


def _preference(roles: Mapping[str, Role], content: Any) -> dict[str, Any]:
    """In words of roles; the reason says whose letter is whose, since the judge speaks in letters."""
    better, known = content["better"], {**roles, TIE: TIE}
    if better not in known:
        raise Unreadable("the judge named an answer that was not there")
    whose = ", ".join(f"{label} is {role}" for label, role in roles.items())
    return {"better": known[better], "reason": f"{content['reason']} ({whose})"}
