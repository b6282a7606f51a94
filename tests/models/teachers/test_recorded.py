import asyncio
import json
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import Any

import pytest

from mlx_distill.models.teachers import Reply, Request
from mlx_distill.models.teachers.recorded import RecordedTeacher, recording
from mlx_distill.run.errors import DataError, TeacherError


def replay(path: Path, prompt: str, sample: int) -> Reply:
    return asyncio.run(RecordedTeacher(str(path)).answer(Request("m", prompt, "", 10, sample=sample)))


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_a_judges_answers_are_recorded_and_replayed_repeat_by_repeat(tmp_path: Path) -> None:
    async def ask(requests: Iterable[Request]) -> AsyncGenerator[tuple[Request, Reply], None]:
        for request in requests:
            yield (
                request,
                Reply(
                    f"said {request.sample}",
                    "refusal" if request.sample else "end_turn",
                    "claude",
                    input_tokens=3,
                    output_tokens=4,
                ),
            )

    kept: list[dict[str, Any]] = []

    async def work() -> list[tuple[Request, Reply]]:
        asked = [Request("m", "q", "rubric", 10, "{}", sample=sample) for sample in (0, 1)]
        return [pair async for pair in recording(ask, kept.append)(asked)]

    heard = asyncio.run(work())
    path = write(tmp_path / "judge_data.jsonl", *kept)
    for request, reply in heard:
        again = replay(path, "q", request.sample)
        assert (again.text, again.stop_reason, again.model) == (reply.text, reply.stop_reason, "claude")
        assert (again.input_tokens, again.output_tokens, again.usd) == (3, 4, None)


def test_one_answer_does_not_pass_for_several_repeats(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", {"prompt": "q", "completion": "a", "sample": 0})
    assert replay(path, "q", 0).text == "a"
    with pytest.raises(TeacherError, match=r"no answer to 'q' \(repeat 2\): choose"):
        replay(path, "q", 2)


def test_a_row_without_a_sample_answers_any_that_has_no_row_of_its_own(tmp_path: Path) -> None:
    rows = {"prompt": "q", "completion": "any"}, {"prompt": "q", "completion": "second", "sample": 1}
    path = write(tmp_path / "x.jsonl", *rows)
    assert [replay(path, "q", sample).text for sample in (0, 1, 2)] == ["any", "second", "any"]


def test_two_judges_in_one_file_are_not_mixed(tmp_path: Path) -> None:
    rows = [{"prompt": "q", "completion": model, "sample": 0, "model": model} for model in ("one", "two")]
    with pytest.raises(DataError, match="answers of one and two to 'q': keep one model's"):
        RecordedTeacher(str(write(tmp_path / "x.jsonl", *rows)))
