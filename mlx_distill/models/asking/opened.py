"""A teacher, opened for a stage: asked through the run's ledger, within its budget, watched while it answers.

In: a Job and a teacher's spec. Out: what collecting and judging both need to ask many questions.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mlx_distill.models.asking.ask import ask_all
from mlx_distill.models.asking.budget import Budget, Forecast
from mlx_distill.models.asking.ledger import Ledger
from mlx_distill.models.asking.rate import Rate, rate_of
from mlx_distill.models.teachers import Options, Reply, Request, Teacher, open_teacher
from mlx_distill.models.teachers.traits import traits_of
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.folder import LEDGER
from mlx_distill.run.job import Job

TICK_SECONDS = 1.0
LEAST_USD = 5e-5


@dataclass
class Asking:
    job: Job
    teacher: Teacher
    ledger: Ledger
    budget: Budget
    rate: Rate
    with_server: int = 0

    def ask(self, requests: Iterable[Request]) -> AsyncGenerator[tuple[Request, Reply], None]:
        budget, patience = self.budget, self.job.patience
        if self.job.config.collect.batch and traits_of(self.teacher.model).batches:
            return self._ask_in_batches(requests)
        return ask_all(requests, self.teacher, self.ledger, budget=budget, patience=patience, rate=self.rate)

    def _ask_in_batches(self, requests: Iterable[Request]) -> AsyncGenerator[tuple[Request, Reply], None]:
        from mlx_distill.models.asking.batches import ask_in_batches
        from mlx_distill.models.teachers.batches import ClaudeBatches
        from mlx_distill.models.teachers.claude import ClaudeTeacher

        assert isinstance(self.teacher, ClaudeTeacher)

        def waiting(prompts: int) -> None:
            self.with_server = prompts

        return ask_in_batches(
            requests,
            ClaudeBatches(self.teacher),
            self.ledger,
            budget=self.budget,
            patience=self.job.patience,
            note=self.job.view.note,
            waiting=waiting,
        )

    def money(self, forecast: Forecast) -> str:
        """Spent, of what cap, and what the whole is likely to cost."""
        if not traits_of(self.teacher.model).paid:
            return ""
        text = f"${self.budget.spent:.2f}"
        if self.budget.cap is not None:
            text += f" of ${self.budget.cap:.2f}"
        whole = forecast.estimate()
        if whole.low is not None and whole.high is not None:
            text += f" (all: ${whole.low:.2f}-{whole.high:.2f})"
        return text

    def limit(self) -> str:
        """What holds the asking back now."""
        if self.with_server:
            return f"{self.with_server:,} with the server; you may stop and come back"
        return self.rate.in_force() if self.rate.paced and not self.job.config.collect.batch else ""


@contextlib.asynccontextmanager
async def asking(job: Job, spec: str) -> AsyncIterator[Asking]:
    """Raises UsageError when prompts are in message batches and would be asked again one by one."""
    config = job.config.collect
    teacher = open_teacher(spec, Options(config.price, config.cache_prompt))
    try:
        with Ledger(ledger_path(job)) as ledger:
            if (out := ledger.with_server(teacher.model)) and not config.batch:
                raise UsageError(
                    f"{out:,} prompts are in message batches and paid for: add --batch to fetch their answers."
                )
            budget = Budget(config.max_cost, spent=ledger.spent_usd() + ledger.uncertain_usd())
            rate = rate_of(job.patience, config.concurrency, paced=teacher.limits is not None)
            try:
                yield Asking(job, teacher, ledger, budget, rate)
            finally:
                _tell_uncertain(job, ledger)
    finally:
        await teacher.close()


def _tell_uncertain(job: Job, ledger: Ledger) -> None:
    with contextlib.suppress(DataError):
        if (uncertain := ledger.uncertain_usd()) >= LEAST_USD:
            job.view.note(
                f"Up to ${uncertain:.4f} may have been charged for what was sent and has no answer yet; "
                "it counts towards --max-cost."
            )


def ledger_path(job: Job) -> Path:
    return Path(job.config.collect.ledger) if job.config.collect.ledger else job.run / LEDGER


@contextlib.asynccontextmanager
async def ticking(show: Callable[[], None]) -> AsyncIterator[None]:
    """Shows how things are every second, also while nothing arrives."""

    async def tick() -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            show()

    task = asyncio.create_task(tick())
    try:
        yield
    finally:
        task.cancel()
        show()
