"""Base and distilled, from one model: the same batches, the same answers each time, and those of mlx_lm."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from tiny import tiny

from mlx_distill.models.students import Student
from mlx_distill.models.students.batching import why_alone
from mlx_distill.models.students.generate import Decoding, batches, generate
from mlx_distill.run.records import Generation, Role

PROMPTS = {f"p{i}": "Say " + "very " * (i * 3 % 7) + f"much, {i}." for i in range(5)}
GREEDY = Decoding("Answer.", max_tokens=6, batch_size=2)
SAMPLED = dataclasses.replace(GREEDY, samples=3, temperature=1.0, batch_size=4)


@pytest.fixture(scope="module")
def student(smollm: Student) -> Student:
    return tiny(smollm)


def answers(student: Student, decoding: Decoding, role: Role = "base", done: Any = ()) -> list[Generation]:
    return [g for batch in generate(student, role, PROMPTS, decoding, done) for g in batch]


def test_every_prompt_is_answered_in_every_sample(student: Student) -> None:
    found = answers(student, SAMPLED)
    assert sorted((g.prompt_id, g.sample) for g in found) == [(name, s) for name in PROMPTS for s in range(3)]
    assert all(0 < g.tokens <= 6 and g.seconds > 0 for g in found)
    assert {g.finish_reason for g in found if g.tokens == 6} <= {"length"}


def test_long_prompts_go_first_so_that_a_batch_is_of_one_length(student: Student) -> None:
    made = batches(student, PROMPTS, GREEDY)
    lengths = [len(tokens) for batch in made for tokens in batch.prompts]
    assert lengths == sorted(lengths, reverse=True)
    assert [len(batch.cases) for batch in made] == [2, 2, 1]


def test_a_greedy_answer_is_that_of_mlx_lm_alone(student: Student) -> None:
    import mlx_lm

    for g in answers(student, GREEDY):
        messages = [{"role": "system", "content": "Answer."}, {"role": "user", "content": PROMPTS[g.prompt_id]}]
        tokens = student.tokens(messages)
        alone = mlx_lm.generate(student.model, student.tokenizer, tokens, max_tokens=6)
        assert g.text.strip() == alone.strip()  # its detokenizer drops the first space


def test_samples_are_the_same_again_and_others_with_another_seed_or_role(student: Student) -> None:
    first = [g.text for g in answers(student, SAMPLED)]
    assert first == [g.text for g in answers(student, SAMPLED)]
    assert first != [g.text for g in answers(student, dataclasses.replace(SAMPLED, seed=1))]
    assert first != [g.text for g in answers(student, SAMPLED, role="distilled")]
    assert len(set(first)) > len(PROMPTS)


def test_what_is_done_is_not_answered_again_and_the_rest_is_the_same(student: Student) -> None:
    whole = answers(student, SAMPLED)
    done = {(g.prompt_id, g.sample) for g in whole[: SAMPLED.batch_size + 1]}
    rest = answers(student, SAMPLED, done=done)
    assert [g.text for g in rest] == [g.text for g in whole[SAMPLED.batch_size :]]


def test_a_hotter_temperature_says_more_different_things(student: Student) -> None:
    cold = answers(student, dataclasses.replace(SAMPLED, temperature=0.001))
    assert len({g.text for g in cold}) <= len(PROMPTS)


class Failing:
    """A model that takes one prompt at a time, or more of them wrongly."""

    def __init__(self, model: Any, *, wrong: bool) -> None:
        self.model, self.wrong = model, wrong

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def __call__(self, tokens: Any, *rest: Any, **options: Any) -> Any:
        if len(tokens) > 1 and not self.wrong:
            raise ValueError("[broadcast_shapes] Shapes (3,1,9,9) and (3,2,2,9,9) cannot be broadcast.")
        found = self.model(tokens, *rest, **options)
        return found[..., ::-1] if len(tokens) > 1 else found


@pytest.mark.parametrize("wrong", [True, False])
def test_a_student_that_fails_in_batches_answers_alone_and_says_so_once(student: Student, wrong: bool) -> None:
    said: list[str] = []
    failing = dataclasses.replace(student, model=Failing(student.model, wrong=wrong), alone={}, warn=said.append)
    assert why_alone(student, 2) == ""
    alone = answers(student, dataclasses.replace(GREEDY, batch_size=1))
    found = {g.prompt_id: g.text for g in answers(failing, GREEDY)}
    assert found == {g.prompt_id: g.text for g in alone}
    assert len(said) == 1
    assert "it writes one answer at a time" in said[0]
    assert [g.text for g in answers(failing, SAMPLED)] == [g.text for g in answers(failing, SAMPLED)]
