"""Answers read from a JSON-lines file of `prompt` and `completion`: no key, no network, no cost.

The bundled file holds reference answers written for this project (they are not API output). An earlier run's
`teacher_data.jsonl` is such a file too; what it says of truncation and refusal is kept.
"""

from __future__ import annotations

from pathlib import Path

from mlx_distill.errors import DataError, TeacherError
from mlx_distill.promptset import data_folder, shorten
from mlx_distill.records import read_rows
from mlx_distill.rundir import file_hash
from mlx_distill.teachers import Reply, Request

BUNDLED_MODEL = "reference answers written for this project"


class RecordedTeacher:
    limits = None

    def __init__(self, file: str = "") -> None:
        self.path = Path(file) if file else data_folder() / "recorded.jsonl"
        self.model = f"recorded:{self.path.name}@{file_hash(self.path)[:12]}"
        self._replies = {}
        for row in read_rows(self.path):
            if not isinstance(row.get("prompt"), str) or not isinstance(row.get("completion"), str):
                raise DataError(f"{self.path} has a line without 'prompt' and 'completion': add them.")
            self._replies[row["prompt"]] = Reply(
                text=row["completion"],
                stop_reason=row.get("stop_reason", "end_turn"),
                model=row.get("model", self.model),
                input_tokens=row.get("input_tokens", 0),
                output_tokens=row.get("output_tokens", 0),
                refusal_category=row.get("refusal_category"),
            )

    async def answer(self, request: Request) -> Reply:
        reply = self._replies.get(request.prompt)
        if reply is None:
            raise TeacherError(
                f"{self.path.name} has no answer to {shorten(request.prompt)!r}: "
                "choose prompts that it answers, or another --teacher."
            )
        return reply

    def worst_usd(self, request: Request) -> float:
        return 0.0

    async def close(self) -> None:
        pass
