"""Message batches: many requests in one submission, answered within a day at half the price.

In: Requests. Out: the server's name of the batch, whether it has ended, and its results one at a time. An item's
custom id is its request's key, so a result always finds its request, whatever the order and whoever submitted it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anthropic

from mlx_distill.models.teachers import Busy, Reply, Request, Unreachable
from mlx_distill.models.teachers.claude import ClaudeTeacher, reason, translated
from mlx_distill.run.errors import TeacherError

PASSING = ("api_error", "overloaded_error", "rate_limit_error", "timeout_error")
"""Error types of an item that may go well another time."""


@dataclass(frozen=True)
class Listed:
    """A batch as the server lists it. `at` is when it was created, in the server's Unix seconds."""

    name: str
    at: float
    items: int
    ended: bool


class ClaudeBatches:
    def __init__(self, teacher: ClaudeTeacher) -> None:
        self.model = teacher.model
        self._teacher = teacher
        self._batches = teacher.client.messages.batches

    def item(self, request: Request) -> dict[str, Any]:
        return {"custom_id": request.key, "params": self._teacher.parameters(request)}

    def worst_usd(self, request: Request) -> float:
        return self._teacher.worst_usd(request, batch=True)

    async def create(self, requests: Sequence[Request]) -> str:
        """Submits. Raises Busy("lost") when it may have been created all the same."""
        items: Any = [self.item(request) for request in requests]
        with translated():
            async with self._teacher.deadline():
                batch = await self._batches.create(requests=items)
                return str(batch.id)

    async def ended(self, name: str) -> bool | None:
        """Whether the results can be read; None when the server does not know the batch, or not yet."""
        try:
            with translated():
                async with self._teacher.deadline():
                    batch = await self._batches.retrieve(name)
        except Unreachable:
            raise
        except Busy:
            return False
        except TeacherError as error:
            if isinstance(error.__context__, anthropic.NotFoundError):
                return None
            raise
        return batch.processing_status == "ended" and batch.results_url is not None

    async def since(self, at: float) -> list[Listed]:
        """The batches created from then on, those that have ended first."""
        batches = []
        with translated():
            async with self._teacher.deadline():
                async for batch in self._batches.list(limit=100):
                    created = batch.created_at.timestamp()
                    if created < at:
                        break
                    items = sum(vars(batch.request_counts).values())
                    ended = batch.processing_status == "ended" and batch.results_url is not None
                    batches.append(Listed(batch.id, created, items, ended))
        return sorted(batches, key=lambda batch: not batch.ended)

    async def results(
        self, name: str, requests: Mapping[str, Request]
    ) -> AsyncIterator[tuple[str, Reply | Busy | TeacherError]]:
        """(key, what became of it) for every item, as the server streams them.

        Raises Busy when the stream breaks off: what was yielded holds, and it can be read again.
        """
        with translated():
            try:
                lines = await self._batches.results(name)
            except anthropic.NotFoundError:
                raise Busy("fault", "they are not there yet") from None
            async with self._teacher.deadline() as deadline:
                async for line in lines:
                    deadline.reschedule(None)  # whoever takes a result may take his time
                    yield line.custom_id, self._outcome(line.result, requests.get(line.custom_id))
                    deadline.reschedule(asyncio.get_running_loop().time() + self._teacher.attempt_seconds)

    def _outcome(self, result: Any, request: Request | None) -> Reply | Busy | TeacherError:
        if request is None:
            return TeacherError("an item that was not asked for")
        if result.type == "succeeded":
            try:
                with translated():
                    return self._teacher.reply(result.message, request, 0.0, "", batch=True)
            except Busy as busy:
                return busy
        if result.type != "errored":
            return Busy("fault", "expired") if result.type == "expired" else TeacherError(result.type)
        error = getattr(result.error, "error", None)
        kind = getattr(error, "type", "unknown error")
        if kind in PASSING:
            return Busy("fault", kind)
        return TeacherError(f"{reason(str(kind))}, {reason(getattr(error, 'message', None))}")

    async def first_key(self, name: str) -> str | None:
        """The custom id of one result, which tells whose batch it is."""
        async for key, _ in self.results(name, {}):
            return key
        return None
