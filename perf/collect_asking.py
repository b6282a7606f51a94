"""Asking in this process: the real client, the real ledger, and a teacher that is timed from outside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from collect_plan import AT_ONCE, MODEL, Plan

from mlx_distill.models.asking.ask import ask_all
from mlx_distill.models.asking.budget import Budget
from mlx_distill.models.asking.ledger import Ledger
from mlx_distill.models.asking.rate import rate_of
from mlx_distill.models.teachers import Busy, Limits, Options, Reply, Request, Teacher, open_teacher
from mlx_distill.run.errors import DistillError
from mlx_distill.run.patience import Patience

SYSTEM = "You are a careful senior engineer."
HASTE = Patience(base_seconds=0.02, cap_seconds=0.2)
"""The usual patience, with short pauses."""


def requests(plan: Plan, count: int, first: int = 0, max_tokens: int = 1024) -> list[Request]:
    return [Request(MODEL, plan.question(first + i), SYSTEM, max_tokens) for i in range(count)]


@contextlib.asynccontextmanager
async def teacher_at(url: str, options: Options = Options()) -> AsyncIterator[Teacher]:  # noqa: B008
    os.environ |= {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "none"}
    teacher = open_teacher(MODEL, options)
    try:
        yield teacher
    finally:
        await teacher.close()


async def ask(
    wanted: Iterable[Request],
    teacher: Teacher,
    path: Path,
    *,
    cap: float | None = None,
    at_once: int = AT_ONCE,
    patience: Patience = HASTE,
) -> AsyncGenerator[Reply, None]:
    """As the collecting stage does it, through a ledger at `path`."""
    with Ledger(path) as ledger:
        budget = Budget(cap, spent=ledger.spent_usd() + ledger.uncertain_usd())
        rate = rate_of(patience, at_once, paced=True)
        asking = ask_all(wanted, teacher, ledger, budget=budget, patience=patience, rate=rate)
        async with contextlib.aclosing(asking) as answers:
            async for _, reply in answers:
                yield reply


async def answers(*given: object, **more: object) -> tuple[int, DistillError | None]:
    """How many came, and what ended the asking."""
    count = 0
    try:
        async for _ in ask(*given, **more):  # type: ignore[arg-type]
            count += 1
    except DistillError as error:
        return count, error
    return count, None


@dataclass
class Timed:
    """A teacher that keeps the longest attempt, and any exception that the policy does not know."""

    teacher: Teacher
    longest: float = 0.0
    foreign: list[str] = field(default_factory=list)

    @property
    def model(self) -> str:
        return self.teacher.model

    @property
    def limits(self) -> Limits | None:
        return self.teacher.limits

    async def answer(self, request: Request) -> Reply:
        started = time.monotonic()
        try:
            return await self.teacher.answer(request)
        except (Busy, DistillError, asyncio.CancelledError):
            raise
        except BaseException as error:
            self.foreign.append(repr(error))
            raise
        finally:
            self.longest = max(self.longest, time.monotonic() - started)

    def worst_usd(self, request: Request) -> float:
        return self.teacher.worst_usd(request)

    async def close(self) -> None:
        await self.teacher.close()
