"""A local model as the teacher: the same text as alone, many at once, and nothing that hangs."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from mlx_distill.models.students import Student
from mlx_distill.models.teachers import Reply, Request
from mlx_distill.models.teachers.local import PROBED, LocalTeacher
from mlx_distill.run.errors import DataError, TeacherError, UsageError

pytestmark = pytest.mark.real

ENDLESS = 4000


def ask(prompt: str, limit: int, **options: Any) -> Request:
    return Request("mlx:smollm2-135m", prompt, options.pop("system", ""), limit, **options)


@pytest.fixture
def student(smollm: Student) -> Student:
    """Loaded in this thread and used in the teacher's: what MLX has not computed yet cannot change threads."""
    import mlx.core as mx

    mx.eval(smollm.model.parameters())
    return smollm


def using(load: Callable[[str], Student], work: Callable[[LocalTeacher], Awaitable[Any]]) -> Any:
    """Runs `work` with a teacher; neither it nor the closing may hang."""

    async def main() -> Any:
        teacher = LocalTeacher("smollm2-135m", load)
        try:
            return await asyncio.wait_for(work(teacher), 60)
        finally:
            await asyncio.wait_for(teacher.close(), 60)

    return asyncio.run(main())


def answers(student: Student, *requests: Request) -> list[Reply]:
    async def work(teacher: LocalTeacher) -> list[Reply]:
        return await asyncio.gather(*map(teacher.answer, requests))

    replies: list[Reply] = using(lambda spec: student, work)
    return replies


def test_answers_written_together_are_those_written_alone(student: Student) -> None:
    from mlx_lm import generate

    requests = [
        ask("Write a Python function that reverses a list.", 24),
        ask("What is the capital of France?", 24, system="Answer in one word."),
        ask("Name three colours and say in a sentence what each of them reminds a painter of.", 5),
    ]
    replies = answers(student, *requests)
    for request, reply in zip(requests, replies, strict=True):
        system = [{"role": "system", "content": request.system}] if request.system else []
        prompt = student.tokens([*system, {"role": "user", "content": request.prompt}])
        assert reply.text == generate(student.model, student.tokenizer, prompt, max_tokens=request.max_tokens)
        assert reply.input_tokens == len(prompt)
        assert reply.seconds > 0
        assert reply.usd is None
    assert [reply.stop_reason for reply in replies] == ["max_tokens", "end_turn", "max_tokens"]
    assert [reply.output_tokens for reply in replies if reply.stop_reason == "max_tokens"] == [24, 5]


def test_a_short_answer_waits_for_no_long_one_and_its_place_is_taken(student: Student) -> None:
    async def work(teacher: LocalTeacher) -> list[bool]:
        long = asyncio.create_task(teacher.answer(ask("Tell a long story.", ENDLESS)))
        await teacher.answer(ask("Name a colour.", 2))
        await teacher.answer(ask("Name a tree.", 2))
        unfinished = not long.done()
        long.cancel()
        return [unfinished, (await teacher.answer(ask("Name a bird.", 2))).output_tokens == 2]

    assert using(lambda spec: student, work) == [True, True]


def test_closing_tells_whoever_waits(student: Student) -> None:
    async def work(teacher: LocalTeacher) -> None:
        waiting = [asyncio.create_task(teacher.answer(ask(f"Tell story {n}.", ENDLESS))) for n in range(3)]
        await teacher.answer(ask("Name a colour.", 1))
        await teacher.close()
        for task in waiting:
            with pytest.raises(TeacherError, match="was closed before it answered: run the same command again"):
                await task
        with pytest.raises(TeacherError, match="was closed"):
            await teacher.answer(ask("Name a colour.", 1))

    using(lambda spec: student, work)


def test_a_teacher_that_was_never_asked_loads_nothing() -> None:
    async def work(teacher: LocalTeacher) -> float:
        return teacher.worst_usd(ask("q", 10))

    assert using(lambda spec: pytest.fail("loaded"), work) == 0.0


def test_repeats_are_drawn_from_their_own_seed(student: Student) -> None:
    requests = [ask("Tell me about trees.", 12, sample=n) for n in (0, 1, 2)]
    greedy, first, second = (reply.text for reply in answers(student, *requests))
    assert len({greedy, first, second}) == 3
    assert [reply.text for reply in answers(student, requests[1])] == [first]


class Breaking:
    """A model that fails once three answers are being written together."""

    def __init__(self, model: Any) -> None:
        self.model, self.layers = model, model.layers

    def __call__(self, tokens: Any, *args: Any, **options: Any) -> Any:
        if len(tokens) == 3:
            raise RuntimeError("no memory left\nand more")
        return self.model(tokens, *args, **options)


def test_a_failing_step_is_one_line_and_the_next_question_starts_afresh(student: Student) -> None:
    broken = dataclasses.replace(student, model=Breaking(student.model), alone={PROBED: ""})
    loads = iter([broken, student])

    async def work(teacher: LocalTeacher) -> Reply:
        asked = (teacher.answer(ask(f"Tell story {n}.", 50)) for n in range(3))
        for error in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(error, TeacherError)
            assert str(error).startswith(
                "mlx:smollm2-135m failed (RuntimeError: no memory left and more): if memory is short,"
            )
            assert "\n" not in str(error)
        return await teacher.answer(ask("Name a colour.", 2))

    assert using(lambda spec: next(loads), work).output_tokens == 2


def test_a_model_that_cannot_be_loaded_says_so() -> None:
    def load(spec: str) -> Student:
        raise DataError("no such weights: download them.")

    async def work(teacher: LocalTeacher) -> None:
        with pytest.raises(DataError, match="no such weights"):
            await teacher.answer(ask("Name a colour.", 2))

    using(load, work)


def test_the_models_context_bounds_prompt_and_answer(student: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(student.model.args, "max_position_embeddings", 40)

    async def work(teacher: LocalTeacher) -> list[Any]:
        requests = ask("Tell a story. " * 20, 5), ask("Tell a story.", 500)
        return await asyncio.gather(*map(teacher.answer, requests), return_exceptions=True)

    error, reply = using(lambda spec: student, work)
    assert isinstance(error, TeacherError)
    assert "fills the 40 of smollm2-135m's context: shorten it" in str(error)
    assert (reply.input_tokens + reply.output_tokens, reply.stop_reason) == (40, "max_tokens")


class Thinker(Student):
    """A student whose template opens the reasoning, as those of reasoning models do."""

    def tokens(self, messages: Any) -> list[int]:
        opened: list[int] = self.tokenizer.encode("<think>\n", add_special_tokens=False)
        return super().tokens(messages) + opened


def test_reasoning_that_the_template_opened_and_the_cap_cut_is_no_answer(student: Student) -> None:
    thinker = Thinker(**{field.name: getattr(student, field.name) for field in dataclasses.fields(student)})
    (reply,) = answers(thinker, ask("Why is the sky blue?", 5))
    assert (reply.text, reply.stop_reason) == ("", "max_tokens")
    assert reply.reasoning


def folder(path: Path, weights: bytes) -> str:
    path.mkdir()
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(weights)
    return str(path)


def test_the_name_tells_the_weights(tmp_path: Path) -> None:
    here = folder(tmp_path / "a-model", b"one")
    before = LocalTeacher(here).model
    assert before.startswith("mlx:a-model@")
    assert LocalTeacher(here).model == before
    assert LocalTeacher(folder(tmp_path / "other", b"more")).model.partition("@")[2] != before.partition("@")[2]
    (tmp_path / "a-model" / "model.safetensors").write_bytes(b"changed")
    assert LocalTeacher(here).model != before
    file = tmp_path / "a.gguf"
    file.write_bytes(b"one")
    named = LocalTeacher(str(file)).model
    file.write_bytes(b"two")
    assert LocalTeacher(str(file)).model != named
    assert LocalTeacher("mlx-community/SmolLM2-135M-Instruct").model == "mlx:mlx-community/SmolLM2-135M-Instruct"


def test_what_names_no_model_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="names no model"):
        LocalTeacher("")
    with pytest.raises(DataError, match="There is no student 'unheard-of'"):
        LocalTeacher("unheard-of")
