"""What the tests of asking share: requests, a patience that does not wait long, and one asking from start to end."""

import asyncio
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from messages_api import MessagesServer

from mlx_distill.models.asking.ask import ask_all
from mlx_distill.models.asking.budget import Budget
from mlx_distill.models.asking.ledger import Ledger
from mlx_distill.models.asking.rate import rate_of
from mlx_distill.models.teachers import Options, Reply, Request, open_teacher
from mlx_distill.run.patience import Patience

MODEL = "claude-sonnet-4-6"
Serve = Callable[..., MessagesServer]


def patience(most: float = 0.0, **more: Any) -> Patience:
    """Waits as long as it should, but `most` seconds at the most."""
    return Patience(sleep=lambda seconds: asyncio.sleep(min(seconds, most)), random=random.Random(0), **more)


def requests(count: int, max_tokens: int = 100) -> list[Request]:
    return [Request(MODEL, f"question {i}", "system", max_tokens) for i in range(count)]


def ask(
    path: Path,
    wanted: Iterable[Request],
    cap: float | None = None,
    concurrency: int = 4,
    waits: Patience | None = None,
    options: Options = Options(),  # noqa: B008
) -> list[Reply]:
    """The replies, in the order in which they came."""
    waits = waits or patience()

    async def work() -> list[Reply]:
        teacher = open_teacher(MODEL, options)
        replies = []
        try:
            with Ledger(path) as ledger:
                budget = Budget(cap, spent=ledger.spent_usd() + ledger.uncertain_usd())
                rate = rate_of(waits, concurrency, paced=True)
                async for _, reply in ask_all(wanted, teacher, ledger, budget=budget, patience=waits, rate=rate):
                    replies.append(reply)
        finally:
            await teacher.close()
        return replies

    return asyncio.run(work())


def spent(path: Path) -> tuple[float, float]:
    """(charged, perhaps charged) in dollars."""
    with Ledger(path) as ledger:
        return ledger.spent_usd(), ledger.uncertain_usd()
