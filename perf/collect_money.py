"""What collecting costs: the cap against the true bill, the forecast against the end, the ledger against the server."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from collect_asking import SYSTEM, answers, ask, requests, teacher_at
from collect_plan import MODEL, Plan
from collect_run import at_rest
from messages_api import ServerProcess
from table import Row

from mlx_distill.models.asking.batches import ask_in_batches
from mlx_distill.models.asking.budget import Budget, Forecast
from mlx_distill.models.asking.ledger import Ledger
from mlx_distill.models.teachers import Options, Request, Teacher
from mlx_distill.models.teachers.batches import ClaudeBatches
from mlx_distill.models.teachers.claude import ClaudeTeacher
from mlx_distill.run.errors import BudgetError
from mlx_distill.run.patience import Patience
from mlx_distill.run.prices import CACHE_WRITE, CACHE_WRITE_HOUR, PRICES
from mlx_distill.run.records import Estimate

PRICE = PRICES[MODEL]
TABLE = {MODEL: [PRICE.input, PRICE.output, CACHE_WRITE, PRICE.cache_read, CACHE_WRITE_HOUR]}
"""The server's prices are ours."""

LOSSES = {"reset": 0.03, "cut": 0.03, "invalid_json": 0.03, "html": 0.02, "late": 0.003, "stall": 0.002}
TROUBLE = {"529": 0.05, "500": 0.03, "rate_limited_bare": 0.05, "null_usage": 0.05, "refusal": 0.05, "empty": 0.03}
DEADLINE = 0.4
QUICK = Patience(base_seconds=0.005, cap_seconds=0.02)

# ---------------------------------------------------------------- the cap

RUNS_OF_A_SERVER = 100
PROMPTS = 30


def budget(plan: Plan) -> Iterator[Row]:
    """Runs with random caps, lengths, faults, concurrency; a third of them is started again with the same cap."""
    runs = plan.size(1000, 40)
    found = [each for first in range(0, runs, RUNS_OF_A_SERVER) for each in asyncio.run(_capped(plan, first, runs))]
    over = [(bill, cap) for bill, cap, _ in found if bill > cap]
    worst = max(bill / cap for bill, cap, _ in found)
    stopped = sum(stopped for *_, stopped in found)
    measured = f"{len(over)} (highest bill {worst:.1%} of its cap; {stopped:,} runs stopped by theirs)"
    yield Row(f"true bill above --max-cost, {len(found):,} seeded runs", "0", measured, not over and len(found) == runs)


async def _capped(plan: Plan, first: int, runs: int) -> list[tuple[float, float, bool]]:
    """(bill, cap, whether the cap stopped it) of each run against one server."""
    found, before = [], 0.0
    with plan.folder() as folder, ServerProcess(prices=TABLE, remember=False) as server:
        async with teacher_at(server.url, Options(attempt_seconds=DEADLINE)) as teacher:
            for number in range(first, min(runs, first + RUNS_OF_A_SERVER)):
                chance = plan.random(f"budget {number}")
                server.set(faults=_faults(chance, number))
                cap, stopped = await _one(chance, teacher, folder / str(number), number)
                bill = at_rest(server)["nano_usd"] / 1e9
                found.append((bill - before, cap, stopped))
                before = bill
    return found


def _faults(chance: random.Random, number: int) -> dict[str, Any]:
    shares = LOSSES | TROUBLE | {"truncated": chance.uniform(0, 0.5)}
    return {"seed": number, "shares": shares, "late_seconds": 2 * DEADLINE}


async def _one(chance: random.Random, teacher: Teacher, path: Path, number: int) -> tuple[float, bool]:
    """(cap, whether it stopped the run)."""
    max_tokens = chance.choice((50, 200, 1000))
    wanted = [Request(MODEL, _text(chance, f"{number}.{i}", 0.8, 60), SYSTEM, max_tokens) for i in range(PROMPTS)]
    cap = chance.uniform(0.02, 1.0) * sum(map(teacher.worst_usd, wanted))
    at_once, stopped = chance.randint(1, 16), False
    for _ in range(chance.choice((1, 1, 2))):
        _, error = await answers(wanted, teacher, path, cap=cap, at_once=at_once, patience=QUICK)
        stopped |= isinstance(error, BudgetError)
    return cap, stopped


def _text(chance: random.Random, name: str, spread: float, tokens: float) -> str:
    """A prompt whose echo, and so whose answer, has lognormally many tokens: `tokens` is the median."""
    letters = int(4 * min(20 * tokens, tokens * chance.lognormvariate(0, spread)))
    return f"{name} {'word ' * (letters // 5)}".strip()


# ---------------------------------------------------------------- the forecast

SEEN = 200
WITHIN = 0.10
SPREADS = {0.5: "skewed", 0.8: "very skewed"}
"""σ of the logarithm of the lengths; a standard deviation of 53 % and 95 % of the mean."""


def forecast(plan: Plan) -> Iterator[Row]:
    """The bill as foretold after 200 of 2,000 answers, beside the bill."""
    seeds = plan.size(20, 3)
    for spread, word in SPREADS.items():
        found = asyncio.run(_foretold(plan, spread, seeds))
        off = sorted(abs(estimate.mean / bill - 1) for estimate, bill in found)
        inside = sum((estimate.low or 0) <= bill <= (estimate.high or 0) for estimate, bill in found)
        near = sum(error <= WITHIN for error in off)
        measured = (
            f"{near} of {seeds} within 10 % (median {off[seeds // 2]:.1%}, worst {off[-1]:.1%}); "
            f"{inside} inside the interval shown"
        )
        what = f"forecast after {SEEN} {word} answers (σ {spread})"
        yield Row(what, f"≤ {WITHIN:.0%} off", measured, near >= 0.95 * seeds if spread == 0.5 else None)


async def _foretold(plan: Plan, spread: float, seeds: int) -> list[tuple[Estimate, float]]:
    """(the estimate after 200 answers, the final bill) for each seed."""
    count, found = plan.size(2000, 600), []
    with plan.folder() as folder, ServerProcess(prices=TABLE, remember=False) as server:
        async with teacher_at(server.url) as teacher:
            for seed in range(seeds):
                chance = plan.random(f"forecast {spread} {seed}")
                texts = [_text(chance, f"{spread}.{seed}.{i}", spread, 100) for i in range(count)]
                wanted = [Request(MODEL, text, SYSTEM, 3072) for text in texts]
                found.append(await _after_some(ask(wanted, teacher, folder / str(seed)), count))
    return found


async def _after_some(replies: AsyncIterator[Any], count: int) -> tuple[Estimate, float]:
    told = Forecast(count)
    async for reply in replies:
        told.add(reply.usd)
        if told.count == SEEN:
            early = told.estimate()
    return early, told.mean * told.count


# ---------------------------------------------------------------- the ledger

CENT = 0.01
KINDS = {"refusal": 0.1, "truncated": 0.1, "empty": 0.05}
LONG = f"{SYSTEM} " + "Answer with correct, complete code and a short explanation. " * 160
"""A system prompt that is long enough to be cached."""


def billing(plan: Plan) -> Iterator[Row]:
    for what, options, in_batches in (
        ("online", Options(), False),
        ("online, prompt cache", Options(cached=True), False),
        ("batches", Options(), True),
        ("batches, prompt cache", Options(cached=True), True),
    ):
        yield asyncio.run(_billed(plan, what, options, in_batches))


async def _billed(plan: Plan, what: str, options: Options, in_batches: bool) -> Row:
    count = plan.size(2000, 200)
    faults = {"seed": plan.seed, "shares": KINDS}
    passing = {"expired": 0.02, "api_error": 0.02}
    setting = {"faults": faults, "batch": {"items": faults | {"shares": KINDS | passing, "at_most": 2}}}
    more: dict[str, Any] = {"prices": TABLE, "cache_minimum": PRICE.cache_minimum, "output_tokens": 700}
    with plan.folder() as folder, ServerProcess(**setting, **more, delay=0.01, remember=False) as server:
        async with teacher_at(server.url, options) as teacher:
            system = LONG if options.cached else SYSTEM
            wanted = [dataclasses.replace(request, system=system) for request in requests(plan, count)]
            asked = (
                _in_batches(wanted, teacher, folder / "ledger")
                if in_batches
                else ask(wanted, teacher, folder / "ledger")
            )
            replies = [reply async for reply in asked]
        bill = at_rest(server)["nano_usd"] / 1e9
        with Ledger(folder / "ledger") as ledger:
            spent, uncertain = ledger.spent_usd(), ledger.uncertain_usd()
    read = sum(reply.cache_read_tokens for reply in replies)
    tokens = f"; {read:,} tokens from the cache" if options.cached else ""
    measured = f"${spent:.6f} and ${bill:.6f}, ${uncertain:.2f} uncertain{tokens}"
    good = abs(spent - bill) < CENT / 2 and uncertain < 1e-9 and len(replies) == count and bool(read) == options.cached
    return Row(f"ledger and server's bill, {count:,} {what}", "equal to the cent", measured, good)


async def _in_batches(wanted: list[Request], teacher: Teacher, path: Path) -> AsyncIterator[Any]:
    assert isinstance(teacher, ClaudeTeacher)
    patience = Patience(poll_seconds=0.2, unheard_seconds=0.5)
    with Ledger(path) as ledger:
        asking = ask_in_batches(
            wanted,
            ClaudeBatches(teacher),
            ledger,
            budget=Budget(None),
            patience=patience,
            note=lambda text: None,
        )
        async for _, reply in asking:
            yield reply
