"""Answers held to a JSON schema: whatever the model, whole and valid, and nothing allowed or forbidden wrongly."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mlx_distill.models.students import Student
from mlx_distill.models.teachers import Reply, Request
from mlx_distill.models.teachers.local import LocalTeacher
from mlx_distill.models.teachers.structured import Mask, Schemas
from mlx_distill.run.errors import TeacherError
from tests.tiny import tiny

pytestmark = pytest.mark.real

WIDTH = 49152
PROMPT = 7
"""A token that stands for the whole prompt: a mask reads only what comes after it."""

SCORES = {
    "type": "object",
    "additionalProperties": False,
    "required": ["reason", "score"],
    "properties": {
        "reason": {"type": "string", "maxLength": 40},
        "score": {"type": "integer", "enum": list(range(11))},
    },
}
VOTE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["reason", "better"],
    "properties": {"reason": {"type": "string", "maxLength": 60}, "better": {"enum": ["J7", "Q2", "tie"]}},
}
NESTED = {
    "type": "object",
    "additionalProperties": False,
    "required": ["style", "correct", "marks"],
    "properties": {
        "style": SCORES,
        "correct": {"type": "boolean"},
        "marks": {"type": "array", "maxItems": 3, "items": {"type": "integer", "minimum": -5, "maximum": 120}},
    },
}


def is_valid(value: Any, schema: dict[str, Any]) -> bool:
    """What the schemas above ask for, read naively; the order of keys too."""
    if "enum" in schema:
        return value in schema["enum"] and not isinstance(value, bool)
    match schema["type"]:
        case "object":
            parts = schema["properties"]
            return list(value) == list(parts) and all(is_valid(value[name], parts[name]) for name in parts)
        case "array":
            return len(value) <= schema["maxItems"] and all(is_valid(item, schema["items"]) for item in value)
        case "string":
            return isinstance(value, str) and len(value) <= schema["maxLength"]
        case "integer":
            return type(value) is int and schema["minimum"] <= value <= schema["maximum"]
        case "boolean":
            return isinstance(value, bool)
    raise AssertionError(schema)


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def ask(prompt: str, schema: dict[str, Any] | None, limit: int = 400, **options: Any) -> Request:
    return Request("mlx:tiny", prompt, "", limit, json.dumps(schema) if schema else None, **options)


def answers(student: Student, requests: Sequence[Request]) -> list[Any]:
    """Replies or errors, of all requests asked at once."""
    mx.eval(student.model.parameters())

    async def main() -> list[Any]:
        teacher = LocalTeacher("smollm2-135m", lambda spec: student)
        try:
            asked = asyncio.gather(*map(teacher.answer, requests), return_exceptions=True)
            return list(await asyncio.wait_for(asked, 90))
        finally:
            await teacher.close()

    return asyncio.run(main())


@pytest.fixture(scope="module")
def schemas(smollm: Student) -> Schemas:
    return Schemas(smollm.tokenizer, "mlx:tiny")


class Writing:
    """An answer being written by hand under a mask."""

    def __init__(self, mask: Mask) -> None:
        self.mask, self.tokens = mask, [PROMPT]

    def allowed(self) -> set[int]:
        """The tokens that may come next, by what the mask leaves of equal logits. To be asked once a token."""
        left = np.array(self.mask(mx.array(self.tokens), mx.zeros((1, WIDTH))))[0]
        return set(np.nonzero(left == 0)[0].tolist())

    def starts(self, tokenizer: Any) -> set[str]:
        return {tokenizer.decode([token])[0] for token in self.allowed()}

    def write(self, tokenizer: Any, text: str) -> None:
        for token in tokenizer.encode(text, add_special_tokens=False):
            assert token in self.allowed()
            self.tokens.append(token)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_model_of_noise_answers_in_valid_json(smollm: Student, seed: int) -> None:
    shapes = [SCORES, VOTE, NESTED]
    requests = [ask(f"Judge {n}.", shape, sample=sample) for n, shape in enumerate(shapes) for sample in range(4)]
    replies = answers(tiny(smollm, seed=seed), requests)
    for request, reply in zip(requests, replies, strict=True):
        assert isinstance(reply, Reply), reply
        assert reply.stop_reason == "end_turn"
        value = json.loads(reply.text)
        assert is_valid(value, json.loads(request.schema or ""))
        assert len(reply.text) <= 2 * len(compact(value))
        assert str(value).encode()  # no half of a surrogate pair, which no file could hold
    assert len({reply.text for reply in replies}) > len(shapes)


def test_an_answer_cut_at_the_cap_says_so_and_keeps_its_beginning(smollm: Student) -> None:
    whole, cut = answers(tiny(smollm), [ask("Judge.", SCORES), ask("Judge.", SCORES, 6)])
    assert (whole.stop_reason, cut.stop_reason, cut.output_tokens) == ("end_turn", "max_tokens", 6)
    assert cut.text.startswith('{"reason":')
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(cut.text)


def test_a_free_question_is_answered_beside_a_held_one_as_it_is_alone(smollm: Student) -> None:
    free = ask("What is the capital of France?", None, 24)
    held = [ask("Is Paris in France? Say why in five words.", VOTE), ask("Rate this answer: 'Paris.'", SCORES)]
    (alone,) = answers(smollm, [free])
    first, beside, last = answers(smollm, [held[0], free, held[1]])
    assert beside.text == alone.text
    assert "Paris" in alone.text
    assert is_valid(json.loads(first.text), VOTE)
    assert is_valid(json.loads(last.text), SCORES)


@pytest.mark.parametrize("seed", range(4))
def test_the_mask_allows_what_can_still_become_a_document_and_nothing_else(
    schemas: Schemas, smollm: Student, seed: int
) -> None:
    """Where the next character is the same in all documents, it may insist on the usual tokens for it."""
    reasons, scores = ["no", "nob", 'so "so"'], [1, 10, 7]
    shape = {**SCORES, "properties": {"reason": {"enum": reasons}, "score": {"enum": scores}}}
    documents = [compact({"reason": reason, "score": score}) for reason in reasons for score in scores]
    texts = smollm.tokenizer.batch_decode([[token] for token in range(WIDTH)])
    ends = smollm.tokenizer.eos_token_ids
    writing, pick, written = Writing(schemas.mask(json.dumps(shape))), np.random.default_rng(seed), ""
    while not ends & set(writing.tokens):
        left = [document.removeprefix(written) for document in documents if document.startswith(written)]
        oracle = {token for token, text in enumerate(texts) if text and any(rest.startswith(text) for rest in left)}
        oracle |= ends if "" in left else set()
        now = writing.allowed()
        assert now == oracle if len({rest[:1] for rest in left}) > 1 else now and now <= oracle
        writing.tokens.append(int(pick.choice(sorted(now))))
        written += "" if writing.tokens[-1] in ends else texts[writing.tokens[-1]]
    assert written in documents
    writing.allowed()
    assert writing.mask.complete


text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)


@settings(max_examples=60, deadline=None)
@given(reason=text, score=st.integers(0, 10), marks=st.lists(st.integers(-5, 120), max_size=3), right=st.booleans())
def test_every_document_of_the_shape_can_be_written(
    schemas: Schemas, smollm: Student, reason: str, score: int, marks: list[int], right: bool
) -> None:
    document = compact({"style": {"reason": reason, "score": score}, "correct": right, "marks": marks})
    tokens = smollm.tokenizer.encode(document, add_special_tokens=False)
    assume(smollm.tokenizer.decode(tokens) == document)  # it lacks some of the 256 bytes
    writing = Writing(schemas.mask(json.dumps(NESTED)))
    writing.write(smollm.tokenizer, document)
    assert writing.allowed() == smollm.tokenizer.eos_token_ids
    assert writing.mask.complete


def test_a_string_ends_where_the_schema_bounds_it(schemas: Schemas, smollm: Student) -> None:
    writing = Writing(schemas.mask(json.dumps(SCORES)))
    writing.write(smollm.tokenizer, '{"reason":"' + "x" * 40)
    assert writing.starts(smollm.tokenizer) == {'"'}


def test_half_of_a_surrogate_pair_cannot_be_spelled(schemas: Schemas, smollm: Student) -> None:
    writing = Writing(schemas.mask(json.dumps(SCORES)))
    writing.write(smollm.tokenizer, '{"reason":"\\')
    assert writing.starts(smollm.tokenizer) == set('nrbtf\\"')


def test_a_schema_is_compiled_once_and_each_answer_is_at_its_own_place(
    smollm: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    schemas = Schemas(smollm.tokenizer, "mlx:tiny")
    compiled, original = [], schemas._compile

    def counted(schema: str) -> Any:
        compiled.append(schema)
        return original(schema)

    monkeypatch.setattr(schemas, "_compile", counted)
    Writing(schemas.mask(json.dumps(VOTE))).write(smollm.tokenizer, '{"reason":"so')
    assert Writing(schemas.mask(json.dumps(VOTE))).starts(smollm.tokenizer) == {"{"}
    assert compiled == [json.dumps(VOTE)]


class Opened(Student):
    """A student whose template opens the reasoning, as those of reasoning models do."""

    def tokens(self, messages: Any) -> list[int]:
        opened: list[int] = self.tokenizer.encode("<think>\n", add_special_tokens=False)
        return super().tokens(messages) + opened


def test_reasoning_that_the_template_opened_is_free_and_the_answer_after_it_is_held(
    schemas: Schemas, smollm: Student
) -> None:
    writing = Writing(schemas.mask(json.dumps(VOTE), after="</think>"))
    for token in smollm.tokenizer.encode("Hm, {}.\n</think>", add_special_tokens=False):
        assert len(writing.allowed()) == WIDTH
        writing.tokens.append(token)
    assert writing.starts(smollm.tokenizer) == {"{"}
    assert not writing.mask.complete


def test_reasoning_that_did_not_end_is_no_answer(smollm: Student) -> None:
    opened = Opened("tiny", smollm.folder, smollm.model, smollm.tokenizer)
    (reply,) = answers(opened, [ask("Hi.", VOTE, 60)])
    assert reply.text == ""
    assert reply.stop_reason in ("max_tokens", "unfinished")


BROKEN = [
    '{"not":{"type":"string"}}',
    '{"type":"nonsense"}',
    "{bad",
    "[]",
    '{"type":"string","minLength":5,"maxLength":2}',
]


@pytest.mark.parametrize("schema", BROKEN)
def test_a_schema_that_cannot_be_held_to_fails_alone(smollm: Student, schema: str) -> None:
    broken = Request("mlx:tiny", "Judge.", "", 50, schema)
    error, reply = answers(tiny(smollm), [broken, ask("Judge.", VOTE)])
    assert isinstance(error, TeacherError)
    assert str(error).startswith("mlx:smollm2-135m cannot be held to this JSON schema (")
    assert str(error).endswith("ask for a simpler shape.")
    assert "\n" not in str(error)
    assert reply.stop_reason == "end_turn"


def test_a_tokenizer_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(TeacherError, match=r"mlx:old has no tokenizer\.json"):
        Schemas(object(), "mlx:old")


def test_a_token_against_the_schema_ends_the_answer(schemas: Schemas, smollm: Student) -> None:
    writing = Writing(schemas.mask(json.dumps(VOTE)))
    writing.allowed()
    writing.tokens += smollm.tokenizer.encode("x", add_special_tokens=False)
    assert writing.allowed() == smollm.tokenizer.eos_token_ids
    assert not writing.mask.complete
