import itertools
import operator
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_distill.models.students import Student
from mlx_distill.models.students.layout import WIDTH_STEP
from mlx_distill.run.data.own import refuse_leaks
from mlx_distill.run.errors import DataError
from mlx_distill.run.records import Conversation, Prompt
from mlx_distill.train.batches import choose_widths, epoch_batches, in_parts, make_batch
from mlx_distill.train.encode import Example, encode_all

SYSTEM = "Be brief."


def talk(*turns: str, name: str = "x") -> Conversation:
    roles = ("user", "assistant") * len(turns)
    return Conversation(name, tuple({"role": r, "content": t} for r, t in zip(roles, turns, strict=False)))


def encode(conversation: Conversation, student: Student, system: str) -> Example:
    (example,) = encode_all([conversation], student, system, window=4096).examples
    return example


def scored_text(example: Example, student: Student) -> list[str]:
    return [student.tokenizer.decode(list(example.tokens[start:stop])) for start, stop in example.scored]


def test_the_answer_and_its_end_of_turn_are_scored_and_nothing_else(smollm: Student) -> None:
    example = encode(talk("What is 2 + 2?", "It is 4."), smollm, SYSTEM)
    assert scored_text(example, smollm) == ["It is 4.<|im_end|>"]
    whole = smollm.tokenizer.decode(list(example.tokens))
    assert whole == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n"
        "<|im_start|>assistant\nIt is 4.<|im_end|>"
    )


def test_every_assistant_turn_is_scored(smollm: Student) -> None:
    example = encode(talk("One?", "First.", "Two?", "Second."), smollm, SYSTEM)
    assert scored_text(example, smollm) == ["First.<|im_end|>", "Second.<|im_end|>"]


@pytest.mark.parametrize("answer", ["\n\nIt is 4.", "  It is 4.\n", "<|im_end|>", "# 4"])
def test_an_answer_follows_the_tokens_that_the_student_is_asked_with(smollm: Student, answer: str) -> None:
    """Line breaks at its start would merge with the template's own if both were tokenised at once."""
    conversation = talk("What is 2 + 2?", answer)
    example = encode(conversation, smollm, SYSTEM)
    asked = smollm.tokens([{"role": "system", "content": SYSTEM}, *conversation.messages[:1]])
    ((start, stop),) = example.scored
    assert example.tokens[:start] == tuple(asked)
    assert smollm.tokenizer.decode(list(example.tokens[start:stop])) == f"{answer}<|im_end|>"


def test_a_conversation_may_bring_its_own_system_message(smollm: Student) -> None:
    own = Conversation("x", ({"role": "system", "content": "Mine."}, *talk("a", "b").messages))
    whole = smollm.tokenizer.decode(list(encode(own, smollm, SYSTEM).tokens))
    assert "Mine." in whole
    assert "Be brief." not in whole


@pytest.mark.parametrize("turns", [("only a question",), ("a", ""), ("a", "  ")])
def test_nothing_to_learn_from_is_refused_by_name(smollm: Student, turns: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="lonely has no answer"):
        encode(talk(*turns, name="lonely"), smollm, SYSTEM)


def test_an_example_longer_than_the_window_is_left_out_and_never_cut(smollm: Student) -> None:
    found = encode_all([talk("a", "b"), talk("a", "word " * 300, name="big")], smollm, SYSTEM, 200)
    assert [example.id for example in found.examples] == ["x"]
    assert found.left_out == [("too long", "big")]


def examples(count: int, seed: int = 0) -> list[Example]:
    draw = random.Random(seed)
    found = []
    for i in range(count):
        length = draw.randint(3, 120)
        start = draw.randint(1, length - 1)
        found.append(Example(str(i), tuple(draw.randint(0, 99) for _ in range(length)), ((start, length),)))
    return found


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 3), st.integers(0, 5))
def test_every_example_is_seen_once_an_epoch(count: int, size: int, seed: int, epoch: int) -> None:
    given_examples = examples(count)
    batches = epoch_batches(given_examples, size, seed, epoch)
    assert sorted(e.id for batch in batches for e in batch) == sorted(e.id for e in given_examples)
    assert len(batches) == -(-count // size)
    assert epoch_batches(given_examples, size, seed, epoch) == batches


def test_epochs_are_grouped_anew_and_lengths_kept_together() -> None:
    given_examples = examples(64)
    first, second = (epoch_batches(given_examples, 4, 0, epoch) for epoch in (0, 1))
    assert {frozenset(batch) for batch in first} != {frozenset(batch) for batch in second}
    longest = [max(len(e.tokens) for e in batch) for batch in first]
    assert sum(map(operator.mul, longest, map(len, first))) < 1.3 * sum(len(e.tokens) for e in given_examples)


def padded(lengths: Sequence[int], widths: Sequence[int]) -> int:
    return sum(min(width for width in widths if width >= length) for length in lengths)


@settings(deadline=None)
@given(st.lists(st.integers(2, 160), min_size=1, max_size=12), st.integers(1, 4))
def test_widths_pad_as_little_as_any_choice_of_so_many(lengths: list[int], most: int) -> None:
    """Against trying every choice."""
    chosen = choose_widths([Example(str(i), (0,) * (n + 1), ((1, n + 1),)) for i, n in enumerate(lengths)], most)
    assert len(chosen) <= most
    assert all(width % WIDTH_STEP == 0 for width in chosen)
    rounded = sorted({-(-length // WIDTH_STEP) * WIDTH_STEP for length in lengths})
    choices = [c for k in range(1, most + 1) for c in itertools.combinations(rounded, k) if max(lengths) <= c[-1]]
    assert padded(lengths, chosen) == min(padded(lengths, choice) for choice in choices)


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(0, 20), st.integers(1, 3), st.integers(1, 600))
def test_parts_hold_every_example_once_and_keep_to_the_token_budget(
    count: int, seed: int, lanes: int, tokens: int
) -> None:
    given_examples = examples(count, seed)
    widths = choose_widths(given_examples)
    rounds = in_parts(given_examples, lanes, tokens, widths)
    batches = [batch for part in rounds for batch in part]
    assert sorted(e.id for batch in batches for e in batch.examples) == sorted(e.id for e in given_examples)
    assert all(1 <= len(part) <= lanes for part in rounds)
    assert {batch.width for batch in batches} <= set(widths)
    for batch in batches:
        assert len(batch.examples) == 1 or len(batch.examples) * batch.width <= tokens // lanes


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 20))
def test_a_batch_points_at_the_tokens_that_predict_scored_ones(count: int, seed: int) -> None:
    given_examples = examples(count, seed)
    batch = make_batch(given_examples, ())
    inputs = batch.inputs().tolist()
    expected = [
        (index, position - 1, example.tokens[position])
        for index, example in enumerate(given_examples)
        for start, stop in example.scored
        for position in range(start, stop)
    ]
    found = [
        (row // batch.width, row % batch.width, target)
        for row, target in zip(batch.rows.tolist(), batch.targets.tolist(), strict=True)
    ]
    assert found == expected
    assert list(batch.owners) == [index for index, _, _ in expected]
    for example, row in zip(given_examples, inputs, strict=True):
        assert tuple(row[: len(example.tokens) - 1]) == example.tokens[:-1]
        assert not any(row[len(example.tokens) - 1 :])


# ---------------------------------------------------------------- leaks


def test_a_conversation_that_gives_a_test_prompt_away_is_refused() -> None:
    question = "Write a function that reverses the words of a sentence in Python"
    test = Prompt("t", f"{question}, please", split="test")
    with pytest.raises(DataError, match="overlaps the conversation"):
        refuse_leaks([talk(question, "def ...")], [test])
    refuse_leaks([talk("Something else entirely, about trees", "x")], [test])
