"""Message batches: many requests in one submission, answered within a day at half the price.

In: Requests. Out: the server's name of the batch, whether it has ended, and its results one at a time. An item's
custom id is its request's key, so a result always finds its request, whatever the order and whoever submitted it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anthropic

from mlx_distill.errors import TeacherError
from mlx_distill.teachers import Busy, Reply, Request
from mlx_distill.teachers.claude import ClaudeTeacher, translated

PASSING = ("api_error", "overloaded_error", "rate_limit_error", "timeout_error")
"""Error types of an item that may go well another time."""


@dataclass(frozen=True)
class Listed:
    """A batch as the server lists it. `at` is when it was created, in Unix seconds."""

    name: str
    at: float
    items: int


class ClaudeBatches:
    def __init__(self, teacher: ClaudeTeacher) -> None:
        self._teacher = teacher
        self._batches = teacher.client.messages.batches

    def item(self, request: Request) -> dict[str, Any]:
        return {"custom_id": request.key, "params": self._teacher.parameters(request)}

    async def create(self, requests: Sequence[Request]) -> str:
        """Submits. Raises Busy("lost") when it may have been created all the same."""
        items: Any = [self.item(request) for request in requests]
        with translated(self._teacher.model):
            batch = await self._batches.create(requests=items)
            return str(batch.id)

    async def ended(self, name: str) -> bool:
        """Whether the results can be read. A batch that is not visible yet has not ended."""
        try:
            with translated(self._teacher.model):
                return await self._ended(name)
        except Busy:
            return False

    async def _ended(self, name: str) -> bool:
        try:
            batch = await self._batches.retrieve(name)
        except anthropic.NotFoundError:
            return False
        return batch.processing_status == "ended" and batch.results_url is not None

    async def since(self, at: float) -> list[Listed]:
        """The batches created from then on, newest first."""
        found = []
        with translated(self._teacher.model):
            async for batch in self._batches.list(limit=100):
                created = batch.created_at.timestamp()
                if created < at:
                    break
                found.append(Listed(batch.id, created, sum(vars(batch.request_counts).values())))
        return found

    async def results(
        self, name: str, requests: Mapping[str, Request]
    ) -> AsyncIterator[tuple[str, Reply | Busy | TeacherError]]:
        """(key, what became of it) for every item whose key is in `requests`, as the server streams them.

        Raises Busy when the stream breaks off: what was yielded holds, and it can be read again.
        """
        with translated(self._teacher.model):
            try:
                lines = await self._batches.results(name)
            except anthropic.NotFoundError:
                raise Busy("fault", "the batch's results are not there yet") from None
            async for line in lines:
                if request := requests.get(line.custom_id):
                    yield line.custom_id, self._outcome(line.result, request)
                else:
                    yield line.custom_id, TeacherError("an item that was not asked for")

    def _outcome(self, result: Any, request: Request) -> Reply | Busy | TeacherError:
        if result.type == "succeeded":
            return self._teacher.reply(result.message, request, 0.0, "", batch=True)
        if result.type != "errored":
            return Busy("fault", result.type)
        kind = getattr(getattr(result.error, "error", None), "type", "unknown")
        return Busy("fault", kind) if kind in PASSING else TeacherError(kind)

    async def first_key(self, name: str) -> str | None:
        """The custom id of one result, which tells whose batch it is."""
        async for key, _ in self.results(name, {}):
            return key
        return None
