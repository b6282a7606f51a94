import random
from collections.abc import Sequence
from pathlib import Path

import mlx.core as mx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_distill.errors import DataError
from mlx_distill.records import Conversation, Prompt
from mlx_distill.students import Student
from mlx_distill.train.batches import by_length, epoch_batches, make_batch
from mlx_distill.train.chat import load_conversations, refuse_leaks
from mlx_distill.train.encode import Example, encode_all

SYSTEM = "Be brief."


def talk(*turns: str, name: str = "x") -> Conversation:
    roles = ("user", "assistant") * len(turns)
    return Conversation(name, tuple({"role": r, "content": t} for r, t in zip(roles, turns, strict=False)))


def encode(conversation: Conversation, student: Student, system: str) -> Example:
    (example,) = encode_all([conversation], student, system, window=4096)
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


def test_a_template_that_rewrites_earlier_turns_is_refused(smollm: Student) -> None:
    class Forgetful(Student):
        def render(self, messages: Sequence[dict[str, str]], *, generate: bool) -> str:
            return super().render(messages[-1:], generate=generate)

    forgetful = Forgetful(smollm.spec, smollm.folder, smollm.model, smollm.tokenizer)
    with pytest.raises(DataError, match="two: the chat template rewrites earlier turns"):
        encode(talk("One?", "First.", "Two?", "Second.", name="two"), forgetful, SYSTEM)


def test_a_conversation_may_bring_its_own_system_message(smollm: Student) -> None:
    own = Conversation("x", ({"role": "system", "content": "Mine."}, *talk("a", "b").messages))
    whole = smollm.tokenizer.decode(list(encode(own, smollm, SYSTEM).tokens))
    assert "Mine." in whole
    assert "Be brief." not in whole


@pytest.mark.parametrize("turns", [("only a question",), ("a", ""), ("a", "  ")])
def test_nothing_to_learn_from_is_refused_by_name(smollm: Student, turns: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="lonely has no answer"):
        encode(talk(*turns, name="lonely"), smollm, SYSTEM)


def test_an_example_longer_than_the_window_is_an_error_never_cut(smollm: Student) -> None:
    with pytest.raises(DataError, match=r"1 of 2 examples are longer .* \(longest: big, \d+\): set --window"):
        encode_all([talk("a", "b"), talk("a", "word " * 300, name="big")], smollm, SYSTEM, 200)


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
    assert sorted(e.id for batch in batches for e in batch.examples) == sorted(e.id for e in given_examples)
    assert len(batches) == -(-count // size)
    again = epoch_batches(given_examples, size, seed, epoch)
    assert [batch.examples for batch in again] == [batch.examples for batch in batches]


def test_epochs_are_grouped_anew_and_lengths_kept_together() -> None:
    given_examples = examples(64)
    first, second = (epoch_batches(given_examples, 4, 0, epoch) for epoch in (0, 1))
    assert {frozenset(b.examples) for b in first} != {frozenset(b.examples) for b in second}
    padded = sum(len(batch.examples) * batch.width for batch in first)
    assert padded < 1.35 * sum(len(example.tokens) for example in given_examples)


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 20))
def test_a_batch_points_at_the_tokens_that_predict_scored_ones(count: int, seed: int) -> None:
    given_examples = examples(count, seed)
    batch = make_batch(given_examples)
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


def test_by_length_is_always_the_same() -> None:
    shuffled = examples(20)
    random.Random(1).shuffle(shuffled)
    assert [b.examples for b in by_length(shuffled, 3)] == [b.examples for b in by_length(examples(20), 3)]
    assert mx.array_equal(by_length(shuffled, 3)[0].rows, by_length(examples(20), 3)[0].rows)


# ---------------------------------------------------------------- a user's chat file


def test_both_chat_forms_are_read_and_a_tenth_is_held_out(tmp_path: Path) -> None:
    rows = [f'{{"prompt": "question number {i} about topic {i * 7}", "completion": "{i}"}}' for i in range(20)]
    rows.append('{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]}')
    (tmp_path / "chat.jsonl").write_text("\n".join(rows))
    conversations = load_conversations(tmp_path / "chat.jsonl", seed=0)
    assert len(conversations) == 21
    assert sum(conversation.split == "valid" for conversation in conversations) == 2
    assert conversations == load_conversations(tmp_path / "chat.jsonl", seed=0)


def test_conversations_that_share_their_question_stay_on_one_side(tmp_path: Path) -> None:
    rows = [
        f'{{"prompt": "explain in {style} words how topic number {i} works in detail", "completion": "{style}"}}'
        for i in range(10)
        for style in ("simple", "many", "formal")
    ]
    rows = [row.replace("topic number", " ".join(f"t{j}x{i}" for j in range(9))) for i, row in enumerate(rows)]
    rows += [f'{{"prompt": "the very same long question about one thing", "completion": "{i}"}}' for i in range(5)]
    (tmp_path / "chat.jsonl").write_text("\n".join(rows))
    for seed in range(8):
        conversations = load_conversations(tmp_path / "chat.jsonl", seed)
        sides = {c.split for c in conversations if "very same" in c.messages[0]["content"]}
        assert len(sides) == 1


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"text": "a"}', "row 1 has neither"),
        ('{"messages": [{"role": "robot", "content": "a"}]}', "row 1 has neither"),
        ('{"messages": []}', "row 1 has neither"),
        ('{"prompt": "a", "completion": "b"}', "two are the least"),
        ("not json", "line 1 is not JSON"),
    ],
)
def test_a_broken_chat_file_is_one_clear_error(tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "chat.jsonl").write_text(content)
    with pytest.raises(DataError, match=complaint):
        load_conversations(tmp_path / "chat.jsonl", 0)


def test_cut_and_refused_rows_of_an_earlier_run_are_left_out(tmp_path: Path) -> None:
    rows = [f'{{"prompt": "about {i} and {i * 3}", "completion": "{i}"}}' for i in range(4)]
    rows += ['{"prompt": "cut", "completion": "hal", "stop_reason": "max_tokens"}']
    (tmp_path / "chat.jsonl").write_text("\n".join(rows))
    assert len(load_conversations(tmp_path / "chat.jsonl", 0)) == 4


def test_a_conversation_that_gives_a_test_prompt_away_is_refused() -> None:
    question = "Write a function that reverses the words of a sentence in Python"
    test = Prompt("t", f"{question}, please", split="test")
    with pytest.raises(DataError, match="overlaps the conversation"):
        refuse_leaks([talk(question, "def ...")], [test])
    refuse_leaks([talk("Something else entirely, about trees", "x")], [test])
