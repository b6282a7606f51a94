"""Collecting from a server that fails in every way that it knows: what is answered, when it stops, what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from collect_asking import Timed, answers, requests, teacher_at
from collect_plan import AT_ONCE, Plan
from collect_run import LONGEST, Run, at_rest, wait_for
from messages_api import LOST, ServerProcess
from table import Row

from mlx_distill.models.teachers import Options

ERRORS = {"rate_limited": 0.05, "rate_limited_bare": 0.05, "529": 0.05, "500": 0.015, "504": 0.015}
ODD = ("empty", "null_usage", "unknown_stop", "refusal", "truncated")
UNHEARD = sorted({*LOST, "reset"})
"""Kinds after which the client cannot know whether it was charged."""

MIX = ERRORS | dict.fromkeys([*UNHEARD, *ODD], 0.02)
DEADLINE = 1.5
GRACE = 2.0
DRIPPING = {"late_seconds": 3 * DEADLINE, "drip_seconds": 0.5, "retry_after": 1}

FATAL = {"spend_cap": 429, "own_limit": 400, "401": 401, "402": 402, "403": 403, "404": 404, "413": 413}
"""Kind → HTTP status."""


def mix(plan: Plan) -> Iterator[Row]:
    """First each prompt loses at most one answer, which is as many as the policy asks again for; then any number."""
    yield from asyncio.run(_answerable(plan))
    yield from asyncio.run(_any(plan))


async def _answerable(plan: Plan) -> list[Row]:
    count = plan.size(2000, 200)
    faults = {"seed": plan.seed, "shares": MIX, "uncertain": UNHEARD, "uncertain_at_most": 1} | DRIPPING
    with plan.folder() as folder, ServerProcess(delay=0.02, remember=False, faults=faults) as server:
        async with teacher_at(server.url, Options(attempt_seconds=DEADLINE)) as teacher:
            timed = Timed(teacher)
            came, error = await answers(requests(plan, count), timed, folder / "ledger")
        state = server.state()
    share = 1 - state["statuses"]["200"] / state["posts"]
    what = f"{sum(MIX.values()):.0%} of attempts fail, at most 1 lost a prompt ({count:,})"
    measured = f"{count - came} ({state['posts']:,} POSTs, {share:.0%} errors and resets{_said(error)})"
    longest = f"{timed.longest:.2f}"
    return [
        Row(f"{what}: not answered", "0", measured, came == count and error is None),
        Row("… exceptions that the policy does not know", "0", _listed(timed.foreign), not timed.foreign),
        Row("… longest attempt, seconds", f"≤ {DEADLINE + GRACE}", longest, timed.longest <= DEADLINE + GRACE),
    ]


async def _any(plan: Plan) -> list[Row]:
    count, left = plan.size(2000, 200), []
    faults = {"seed": plan.seed + 1, "shares": MIX} | DRIPPING
    with plan.folder() as folder, ServerProcess(delay=0.02, remember=False, faults=faults) as server:
        async with teacher_at(server.url, Options(attempt_seconds=DEADLINE)) as teacher:
            while len(left) < 10 and (not left or left[-1]):
                came, _ = await answers(requests(plan, count), teacher, folder / "ledger")
                left.append(count - came)
    measured = " → ".join(map(str, left))
    return [
        Row("the same, lost any number of times: left after each run", "→ 0", measured, left[-1] == 0 < len(left) < 10)
    ]


def truncated(plan: Plan) -> Iterator[Row]:
    yield from asyncio.run(_truncated(plan))


async def _truncated(plan: Plan) -> list[Row]:
    count = plan.size(1000, 100)
    faults = {"seed": plan.seed, "shares": {"truncated": 1.0}}
    with plan.folder() as folder, ServerProcess(remember=False, faults=faults) as server:
        async with teacher_at(server.url) as teacher:
            runs = [await answers(requests(plan, count), teacher, folder / "ledger") for _ in range(2)]
        posts = server.state()["posts"]
    good = posts == count and runs == [(count, None)] * 2
    return [Row(f"all of {count:,} answers cut, two runs: POSTs", f"{count:,}", f"{posts:,}", good)]


def fatal(plan: Plan) -> Iterator[Row]:
    """Each kind is switched on in the middle of a run, and off for the next."""
    stopped = {kind: _stopped(plan, kind) for kind in FATAL}
    most = max(posts for posts, *_ in stopped.values())
    codes = sorted({code for _, code, *_ in stopped.values()})
    messages = {message for *_, message, _ in stopped.values()}
    resumed = sum(good for *_, good in stopped.values())
    yield Row(f"fatal errors at {AT_ONCE} at once: POSTs that met one", f"≤ {AT_ONCE}", str(most), most <= AT_ONCE)
    yield Row("… exit codes", "4", ", ".join(map(str, codes)), codes == [4])
    yield Row("… different messages", str(len(FATAL)), str(len(messages)), len(messages) == len(FATAL))
    yield Row("… completed by the next run, nothing paid twice", str(len(FATAL)), str(resumed), resumed == len(FATAL))


def _stopped(plan: Plan, kind: str) -> tuple[int, int, str, bool]:
    """(POSTs that got the error, exit code, message, whether a second run completes what is missing).

    Those after the first fatal answer are among the POSTs that got one.
    """
    count = plan.size(1000, 400)
    with plan.folder() as folder, ServerProcess(delay=0.1, remember=False) as server:
        run = Run(folder, server, plan, count)
        with run.started() as process:
            full = wait_for(server, process, lambda state: state["under_way"] == AT_ONCE and state["billed"] > 100)
            assert full["under_way"] == AT_ONCE, run.last_error()
            server.set(faults={"seed": plan.seed, "shares": {kind: 1.0}})
            code = process.wait(LONGEST)
        met, message = at_rest(server)["statuses"][str(FATAL[kind])], run.last_error()
        server.set(faults=None)
        good = run.finish() == 0 and run.unanswered() == 0 and at_rest(server)["billed"] == count
    return met, code, message, good


def _said(error: object) -> str:
    return f"; {error}" if error else ""


def _listed(found: list[str]) -> str:
    return "; ".join([str(len(found)), *sorted(set(found))[:3]])
