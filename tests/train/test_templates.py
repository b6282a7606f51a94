"""Chat templates that people's students have: what is learnt stands after what the student is asked with, as it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mlx_lm.tokenizer_utils import TokenizerWrapper
from tables import every
from transformers import AutoTokenizer

from mlx_distill.models.students import Student
from mlx_distill.run.errors import DataError
from mlx_distill.run.records import Conversation
from mlx_distill.train.encode import Encoded, encode_all

TURN = "<|im_start|>{{ m.role }}\n{{ c }}<|im_end|>\n{% endfor %}"
OPEN = "{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
OPEN_THOUGHT = "{%- if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
EACH = "{%- for m in messages %}{%- set c = m.content %}"
SPOKEN = "{%- for m in messages if m.role != 'system' %}{%- set c = m.content %}"


def changed(content: str, where: str) -> str:
    """A template's words that change a content."""
    return f"{{%- if {where} %}}{{%- set c = {content} %}}{{%- endif %}}"


def refused(where: str) -> str:
    return f"{{%- if {where} %}}{{{{ raise_exception('not like this') }}}}{{%- endif %}}"


THOUGHTFUL = "m.role == 'assistant' and '</think>' in c"
LAST = "loop.last and m.role == "
ANSWERED = "c.split('</think>')[-1].strip()"

TEMPLATES = {
    "usual": EACH + TURN + OPEN,
    "trims": EACH + changed("c | trim", "true") + TURN + OPEN,
    "drops thoughts": EACH + changed(ANSWERED, THOUGHTFUL) + TURN + OPEN,
    "drops earlier thoughts": EACH + changed(ANSWERED, f"{THOUGHTFUL} and not loop.last") + TURN + OPEN,
    "opens a thought": EACH + changed(ANSWERED, THOUGHTFUL) + TURN + OPEN_THOUGHT,
    "an empty thought in the last answer": EACH
    + changed("'<think>\n\n</think>\n\n' + c", f"{LAST}'assistant' and '</think>' not in c")
    + TURN
    + OPEN,
    "no system": EACH + refused("m.role == 'system'") + TURN + OPEN,
    "ignores system": SPOKEN + TURN + OPEN,
    "alternating": EACH + refused("(m.role == 'assistant') != (loop.index0 % 2 == 1)") + TURN + OPEN,
    "system with the last question": SPOKEN
    + changed("messages[0].content + ' ' + c", f"{LAST}'user' and messages[0].role == 'system'")
    + TURN
    + OPEN,
    "system with the last question, a space before answers": SPOKEN
    + changed("messages[0].content + ' ' + c", f"{LAST}'user' and messages[0].role == 'system'")
    + "{% if m.role == 'user' %}[Q] {{ c }} [/Q]{% else %} {{ c }}<|im_end|>{% endif %}{%- endfor %}",
}

Made = Callable[[str], Student]


@pytest.fixture(scope="module")
def made(smollm: Student) -> Made:
    def student(template: str) -> Student:
        tokenizer = AutoTokenizer.from_pretrained(smollm.folder)
        tokenizer.chat_template = template
        return Student(template[:20], smollm.folder, smollm.model, TokenizerWrapper(tokenizer))

    return student


def talk(*texts: str, system: str = "", unscored: tuple[int, ...] = ()) -> Conversation:
    turns = [
        {"role": role, "content": text} for role, text in zip(("user", "assistant") * len(texts), texts, strict=False)
    ]
    before = [{"role": "system", "content": system}] if system else []
    return Conversation("x", (*before, *turns), unscored=unscored, where="chat.jsonl, line 1")


def learnt(found: Encoded, student: Student) -> list[str]:
    return [student.tokenizer.decode(list(e.tokens[start:stop])) for e in found.examples for start, stop in e.scored]


@pytest.mark.parametrize("name", TEMPLATES)
def test_an_answer_follows_what_the_student_is_asked_with(made: Made, name: str) -> None:
    student = made(TEMPLATES[name])
    for system in ("", "Be brief."):
        found = encode_all([talk("Why?", "Because.")], student, system, 4096)
        (example,) = found.examples
        ((start, stop),) = example.scored
        asked = student.tokens(student.under(system, [{"role": "user", "content": "Why?"}]))
        assert list(example.tokens[:start]) == asked
        said = student.tokenizer.decode(list(example.tokens[start:stop]))
        assert said.endswith("Because.<|im_end|>")
        assert said.removesuffix("Because.<|im_end|>").strip() in ("", "</think>", "<think>\n\n</think>")
        assert (system in student.tokenizer.decode(asked)) is True


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_thought_is_learnt_with_its_answer(made: Made, name: str) -> None:
    student = made(TEMPLATES[name])
    found = encode_all([talk("Why?", "<think>\nHm.\n</think>\n\nBecause.")], student, "Be brief.", 4096)
    (said,) = learnt(found, student)
    opened = "" if name == "opens a thought" else "<think>\n"
    assert said.lstrip(" ") == f"{opened}Hm.\n</think>\n\nBecause.<|im_end|>"


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_turn_is_learnt(made: Made, name: str) -> None:
    student = made(TEMPLATES[name])
    found = encode_all(
        [talk("Why?", "One.", "And?", "Two.", "So?", "Three.", unscored=(3,))], student, "Be brief.", 4096
    )
    said = [text.rpartition("</think>")[2].strip() for text in learnt(found, student)]
    assert said == ["One.<|im_end|>", "Three.<|im_end|>"]
    rewrites = name in ("opens a thought", "an empty thought in the last answer") or "system with" in name
    assert (len(found.examples), found.divided) == ((2, 1) if rewrites else (1, 0))
    if not rewrites:
        assert "Two." in student.tokenizer.decode(list(found.examples[0].tokens))


def test_thoughts_of_earlier_turns_that_are_dropped_divide_the_turns(made: Made) -> None:
    student = made(TEMPLATES["drops earlier thoughts"])
    thoughtful = [f"<think>\nt{n}\n</think>\n\n{n}" for n in "12"]
    found = encode_all([talk("Why?", thoughtful[0], "And?", thoughtful[1])], student, "", 4096)
    assert learnt(found, student) == [f"{text}<|im_end|>" for text in thoughtful]
    assert "t1" not in student.tokenizer.decode(list(found.examples[1].tokens))


@every("name, taken", [("usual", True), ("no system", False), ("ignores system", False), ("alternating", False)])
def test_a_system_prompt_opens_the_question_where_no_system_message_is_taken(
    made: Made, name: str, taken: bool
) -> None:
    student = made(TEMPLATES[name])
    question = [{"role": "user", "content": "Why?"}]
    assert student.takes_system is taken
    assert student.under("", question) == question
    roles = [message["role"] for message in student.under("Be brief.", question)]
    assert roles == (["system", "user"] if taken else ["user"])
    own = [{"role": "system", "content": "Mine."}, *question]
    text = student.render(student.under("Be brief.", own), generate=True)
    assert ("Mine." in text, "Be brief." in text) == (True, False)


def test_a_conversation_that_a_template_refuses_is_left_out_unless_all_are(made: Made) -> None:
    student = made(TEMPLATES["alternating"])
    twice = Conversation("y", (*talk("Why?", "a").messages, {"role": "assistant", "content": "b"}), where="line 2")
    found = encode_all([talk("Why?", "Because."), twice], student, "", 4096)
    assert (len(found.examples), found.left_out) == (1, [("refused by the chat template", "line 2")])
    with pytest.raises(DataError, match=r"refuses these messages \(not like this\)"):
        encode_all([twice], student, "", 4096)


@every(
    "template, complaint",
    [
        ("{%- for m in messages %}{{ m.nothing.at.all }}{% endfor %}", "refuses these messages"),
        ("{%- for m in messages %}{{ m.content }", "refuses these messages"),
        (
            "{%- for m in messages %}### {{m.content}}\n{% endfor %}",
            "closes no answer with an end-of-turn token",
        ),
        (OPEN + EACH + TURN, "writes an answer in another place than it opens one"),
    ],
)
def test_a_template_that_cannot_be_trained_with_says_why(made: Made, template: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        encode_all([talk("Why?", "Because.")], made(template), "", 4096)


def test_control_tokens_in_a_text_are_words_and_counted(made: Made) -> None:
    student = made(TEMPLATES["opens a thought"])
    found = encode_all([talk("Why?", "say <|im_end|> now"), talk("What?", "x")], student, "", 4096)
    assert found.with_control_tokens == 1
    end = student.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert [e.tokens[slice(*e.scored[0])].count(end) for e in found.examples] == [1, 1]
