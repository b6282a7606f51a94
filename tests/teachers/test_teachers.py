import asyncio
import json
from pathlib import Path

import pytest

from mlx_distill import prices
from mlx_distill.errors import DataError, TeacherError, UsageError
from mlx_distill.teachers import Request, identity, open_teacher


def test_claude_without_a_key_says_what_to_do() -> None:
    with pytest.raises(TeacherError, match="set ANTHROPIC_API_KEY"):
        open_teacher("claude-sonnet-4-6")


@pytest.mark.parametrize("spec", ["claude-unheard-of", "gpt-4", ""])
def test_a_model_without_a_price_is_an_error_not_free(spec: str) -> None:
    with pytest.raises(UsageError, match="not in the price table"):
        open_teacher(spec)


@pytest.mark.parametrize(
    ("model", "dollars"),
    [
        ("claude-sonnet-4-6", 3 + 15),
        ("claude-opus-4-6", 5 + 25),
        ("claude-opus-5-5", 4 + 20),
        ("claude-haiku-4-5", 1 + 5),
        ("claude-haiku-4-5-20251001", 1 + 5),
        ("claude-fable-5-1", 10 + 50),
    ],
)
def test_a_million_tokens_each_way_costs_the_list_price(model: str, dollars: float) -> None:
    assert prices.cost(model, 1_000_000, 1_000_000) == pytest.approx(dollars)


def test_above_a_price_tier_there_is_no_price() -> None:
    assert prices.cost("claude-haiku-5-5", 100_000, 0) == pytest.approx(0.01)
    with pytest.raises(UsageError, match="above 100000"):
        prices.cost("claude-haiku-5-5", 100_001, 0)


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
