"""Answers read from a JSON-lines file of `prompt` and `completion`: no key, no network, no cost.

The bundled file holds reference answers written for this project (they are not API output). An earlier run's
`teacher_data.jsonl` is such a file too; what it says of truncation and refusal is kept. A row with a `sample` answers
that repeat alone, so that one answer cannot pass for several. Rows without one are taken in order, the last for every
further repeat.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from pathlib import Path

from mlx_distill.models.teachers import Ask, Reply, Request
from mlx_distill.run.data.rows import Row, found_in
from mlx_distill.run.errors import DataError, TeacherError
from mlx_distill.run.folder import file_hash
from mlx_distill.run.prompts import data_folder, shorten

KEPT = ("stop_reason", "model", "input_tokens", "output_tokens", "refusal_category")
"""What a row says of an answer, beside its text."""


class RecordedTeacher:
    limits = None

    def __init__(self, file: str = "") -> None:
        self.path = Path(file) if file else data_folder() / "recorded.jsonl"
        self.model = f"recorded:{self.path.name}@{file_hash(self.path)[:12]}"
        self._numbered: dict[tuple[str, int], Reply] = {}
        self._in_order: dict[str, list[Reply]] = {}
        for where, row in found_in(self.path):
            self._add(row, where)
        replies = itertools.chain(self._numbered.values(), *self._in_order.values())
        models = {reply.model for reply in replies}
        if len(models) == 1 and self.model not in models:  # whose words they are counts for what a judge says
            self.model = f"recorded:{models.pop()}@{file_hash(self.path)[:12]}"

    def _add(self, row: Row, where: str) -> None:
        prompt, completion, sample = row.get("prompt"), row.get("completion"), row.get("sample")
        if not isinstance(prompt, str) or not isinstance(completion, str):
            raise DataError(f"{where} has no texts 'prompt' and 'completion': add them.")
        details = {"stop_reason": "end_turn", "model": self.model} | {name: row[name] for name in KEPT if name in row}
        reply = Reply(text=completion, **details)
        if not isinstance(sample, int):
            known_texts = [known.text for known in self._in_order.setdefault(prompt, [])]
            if completion not in known_texts:
                self._in_order[prompt].append(reply)
            return
        known = self._numbered.get((prompt, sample))
        if known and known.model != reply.model:
            raise DataError(
                f"{self.path} has answers of {known.model} and {reply.model} to {shorten(prompt)!r}: "
                "keep one model's in a file."
            )
        self._numbered[prompt, sample] = reply

    def _reply(self, request: Request) -> Reply | None:
        in_order = self._in_order.get(request.prompt, [])
        last = in_order[min(request.sample, len(in_order) - 1)] if in_order else None
        return self._numbered.get((request.prompt, request.sample)) or last

    async def answer(self, request: Request) -> Reply:
        reply = self._reply(request)
        if reply is None:
            which = f" (repeat {request.sample})" if request.sample else ""
            raise TeacherError(
                f"{self.path.name} has no answer to {shorten(request.prompt)!r}{which}: "
                "choose what it answers, or another --teacher or --judge."
            )
        return reply

    def worst_usd(self, request: Request) -> float:
        return 0.0

    def different_answers(self, prompt: str) -> int:
        """Those that follow each other from the first on."""
        count, in_order = 0, len(self._in_order.get(prompt, []))
        while count < in_order or (prompt, count) in self._numbered:
            count += 1
        return count

    async def close(self) -> None:
        pass


def recording(ask: Ask, keep: Callable[[Mapping[str, object]], None]) -> Ask:
    """The same asking, of which every answer is also kept as a row that RecordedTeacher replays."""

    async def asking(requests: Iterable[Request]) -> AsyncGenerator[tuple[Request, Reply], None]:
        async with contextlib.aclosing(ask(requests)) as replies:
            async for request, reply in replies:
                keep(row_of(request, reply))
                yield request, reply

    return asking


def row_of(request: Request, reply: Reply) -> Mapping[str, object]:
    return {"prompt": request.prompt, "sample": request.sample, "completion": reply.text} | {
        name: getattr(reply, name) for name in KEPT
    }
