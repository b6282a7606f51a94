import asyncio
import json
from pathlib import Path

import pytest
from tables import every

from mlx_distill.models.teachers import Request, identity, open_teacher
from mlx_distill.models.teachers.traits import traits_of
from mlx_distill.run.errors import DataError, TeacherError, UsageError


def test_claude_without_a_key_says_what_to_do() -> None:
    with pytest.raises(TeacherError, match="set ANTHROPIC_API_KEY"):
        open_teacher("claude-sonnet-4-6")


@pytest.mark.parametrize(
    ("spec", "words"),
    [("claude-unheard-of", "not in the price table"), ("gpt-4", "There is no teacher"), ("", "There is no teacher")],
)
def test_a_model_without_a_price_is_an_error_not_free(spec: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        open_teacher(spec)


def answer(spec: str, prompt: str) -> object:
    teacher = open_teacher(spec)
    return asyncio.run(teacher.answer(Request(teacher.model, prompt, "", 10)))


def test_an_earlier_runs_teacher_data_is_a_teacher(tmp_path: Path) -> None:
    path = tmp_path / "teacher_data.jsonl"
    row = {"prompt": "q", "completion": "half an ans", "stop_reason": "max_tokens", "model": "m", "usd": 3.0}
    path.write_text(json.dumps(row))
    reply = answer(f"recorded:{path}", "q")
    assert (reply.text, reply.stop_reason, reply.usd) == ("half an ans", "max_tokens", None)  # type: ignore[attr-defined]
    with pytest.raises(TeacherError, match="has no answer to 'another'"):
        answer(f"recorded:{path}", "another")


def test_a_changed_recording_is_another_teacher(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"prompt": "q", "completion": "a"}')
    before = identity(f"recorded:{path}")
    path.write_text('{"prompt": "q", "completion": "b"}')
    assert identity(f"recorded:{path}") != before


def test_a_recording_without_completions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"prompt": "q"}')
    with pytest.raises(DataError, match="'prompt' and 'completion'"):
        open_teacher(f"recorded:{tmp_path / 'x.jsonl'}")
    with pytest.raises(DataError, match="does not exist"):
        open_teacher(f"recorded:{tmp_path / 'missing.jsonl'}")


@every(
    "spec, kind, name",
    [
        ("claude-sonnet-4-6", "claude", "claude-sonnet-4-6"),
        ("recorded", "recorded", ""),
        ("recorded:traces:x", "recorded", "traces:x"),
        ("mlx:hf/x", "mlx", "hf/x"),
        ("hf:open-r1/OpenR1-Math-220k", "traces", "open-r1/OpenR1-Math-220k"),
        ("traces:data.jsonl", "traces", "data.jsonl"),
        ("static", "static", ""),
        ("", "unknown", ""),
        ("gpt-4", "unknown", ""),
        ("claude", "unknown", ""),
        ("mlx", "unknown", ""),
    ],
)
def test_a_spec_says_its_kind_and_its_name(spec: str, kind: str, name: str) -> None:
    traits = traits_of(spec)
    assert (traits.kind, traits.name) == (kind, name)
    assert (traits.paid, traits.batches) == (kind == "claude", kind == "claude")
    assert traits.local == (kind == "mlx")


def test_only_what_claude_wrote_needs_the_acknowledgement() -> None:
    for spec in ("claude-sonnet-4-6", "hf:someone/Sonnet-answers", "traces:claude.jsonl"):
        assert traits_of(spec).needs_terms, spec
    for spec in ("recorded:claude.jsonl", "mlx:claude", "hf:open-r1/OpenR1-Math-220k", "static"):
        assert not traits_of(spec).needs_terms, spec


def test_only_answers_in_a_file_have_a_file() -> None:
    assert [traits_of(spec).file for spec in ("recorded:a", "traces:b", "recorded", "hf:c", "mlx:d", "static")] == (
        ["a", "b", None, None, None, None]
    )


@every("spec", ["gpt-4", "hf:a/b", "traces:x", "static", "", "mlx"])
def test_a_spec_that_cannot_be_asked_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match="no teacher or judge"):
        open_teacher(spec)
