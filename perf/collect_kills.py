"""Collecting that is killed, interrupted, and asked for a little more: what is lost, and what is paid twice."""

from __future__ import annotations

import itertools
import json
import signal
import time
from collections import Counter
from collections.abc import Iterator

from collect_plan import AT_ONCE, Plan
from collect_run import LONGEST, Process, Run, at_rest, look, look_aside, values, wait_for
from messages_api import ServerProcess
from table import Row

EXIT_SECONDS = 30.0
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
JITTER_SECONDS = 0.15
"""A kill comes up to so long after its moment, so that it is not tied to the server's."""


def kills(plan: Plan) -> Iterator[Row]:
    """kill -9 at random moments, each after the first POST of its start; then once to the end.

    In flight is what was sent and whose answer is not kept. The server sees fewer under way: those that it has
    answered and that are still on the way, or in a commit, are not under way there.
    """
    count, times, chance = plan.size(5000, 400), plan.size(25, 4), plan.random("kills")
    with plan.folder() as folder, ServerProcess(delay=0.1, remember=False) as server:
        run = Run(folder, server, plan, count)
        under_way, opened = [], [0]
        for moment in sorted(chance.sample(range(1, count), times)):
            under_way.append(_killed(run, server, moment, chance.uniform(0, JITTER_SECONDS)))
            opened.append(look_aside(run.ledger).open)
        code, billed = run.finish(), at_rest(server)["billed"]
        book, lost = look(run.ledger), run.unanswered()
    in_flight = [after - before for before, after in itertools.pairwise(opened)]
    what = f"{times} x kill -9, {count:,} prompts, {AT_ONCE} at once"
    yield Row(f"{what}: answers lost", "0", f"{lost} (exit code {code})", lost == code == 0)
    yield Row(
        "… received answers paid again",
        "0",
        f"{book.twice} ({billed:,} billed = {book.answered:,} received + {billed - book.answered:,} of {book.open:,} "
        "sent and never heard of)",
        book.twice == 0 and book.answered == count and billed <= book.answered + book.open,
    )
    again, most = billed - count, sum(in_flight)
    measured = (
        f"{again:,} of {most:,} ({max(in_flight)} at most; the server saw {sum(under_way):,} just before the kills)"
    )
    yield Row("… paid twice", "≤ in flight at the kills", measured, again <= most and max(in_flight) <= AT_ONCE)


def _killed(run: Run, server: ServerProcess, moment: int, late: float) -> int:
    """Starts, kills once the server knows `moment` prompts and has a POST of this start. How many were under way."""
    before = server.state()["posts"]
    with run.started() as process:
        wait_for(server, process, lambda state: state["hashes"] >= moment and state["posts"] > before)
        time.sleep(late)
        if process.poll() is not None:
            raise RuntimeError(f"it ended before it was killed: {run.last_error()}")
        under_way: int = server.state()["under_way"]
        process.kill()
    return under_way


def signals(plan: Plan) -> Iterator[Row]:
    """SIGINT and SIGTERM in turn, at random moments after the first POST of each start."""
    count, times, chance = plan.size(2500, 400), plan.size(10, 2), plan.random("signals")
    seconds, codes, problems = [], Counter[str](), 0
    with plan.folder() as folder, ServerProcess(delay=0.5, remember=False) as server:
        run = Run(folder, server, plan, count)
        for number in range(times):
            kind = (signal.SIGINT, signal.SIGTERM)[number % 2]
            took, code = _signalled(run, server, kind, chance.uniform(0, 3.0))
            seconds.append(took)
            codes["right" if code == CODES[kind] else f"{kind.name} with {code}"] += 1
            problems += _lines_without_ledger(run)
        code, lost = run.finish(), run.unanswered()
        billed = at_rest(server)["billed"]
    what = f"{times} x SIGINT / SIGTERM, {count:,} prompts"
    longest = f"{max(seconds):.1f} at most, {sorted(seconds)[times // 2]:.1f} median"
    yield Row(f"{what}: seconds to exit", f"≤ {EXIT_SECONDS:.0f}", longest, max(seconds) <= EXIT_SECONDS)
    told = ", ".join(f"{count} {name}" for name, count in codes.items())
    yield Row("… exit codes", "130 / 143", told, codes["right"] == times)
    yield Row("… lines not JSON or not in the ledger", "0", str(problems), problems == 0)
    yield Row(
        "… paid twice; lost at the end", "0; 0", f"{billed - count}; {lost}", billed == count and lost == code == 0
    )


def stalled(plan: Plan) -> Iterator[Row]:
    """SIGINT while half of what is under way will never be answered."""
    count = plan.size(1000, 400)
    with plan.folder() as folder, ServerProcess(delay=0.1, remember=False) as server:
        run = Run(folder, server, plan, count)
        with run.started() as process:
            wait_for(server, process, lambda state: state["billed"] > count // 4)
            server.set(faults={"seed": plan.seed, "shares": {"stall": 0.5}})
            time.sleep(1.0)
            took, code = _signal(process, signal.SIGINT)
        open_attempts = look_aside(run.ledger).open
        server.set(faults=None)
        finished, lost = run.finish(), run.unanswered()
        again = at_rest(server)["billed"] - count
    good = took <= EXIT_SECONDS and code == CODES[signal.SIGINT] and finished == lost == 0
    measured = f"{took:.1f} (exit code {code}; {open_attempts} perhaps charged, {again} were; {lost} lost at the end)"
    yield Row(
        "SIGINT while half of the answers never come: seconds to exit",
        f"≤ {EXIT_SECONDS:.0f}",
        measured,
        good and again == open_attempts,
    )


def _signalled(run: Run, server: ServerProcess, kind: signal.Signals, after: float) -> tuple[float, int]:
    """(seconds from the signal to the exit, exit code)."""
    before = server.state()["posts"]
    with run.started() as process:
        wait_for(server, process, lambda state: state["posts"] > before)
        time.sleep(after)
        return _signal(process, kind)


def _signal(process: Process, kind: signal.Signals) -> tuple[float, int]:
    sent = time.monotonic()
    process.send_signal(kind)
    code = process.wait(LONGEST)
    return time.monotonic() - sent, code


def _lines_without_ledger(run: Run) -> int:
    try:
        lines = run.data
    except ValueError:
        return 1
    known = set(values(run.ledger, "SELECT json_extract(reply, '$.message_id') FROM attempts WHERE reply NOT NULL"))
    return sum(line["message_id"] not in known for line in lines)


def again(plan: Plan) -> Iterator[Row]:
    """One prompt more, then a larger cap: only what is new is asked."""
    count = plan.size(10_000, 500)
    with plan.folder() as folder, ServerProcess(faults={"seed": plan.seed, "shares": {"truncated": 0.02}}) as server:
        run = Run(folder, server, plan, count)
        codes = [run.finish()]
        first = server.state()["posts"]
        with run.prompts.open("a") as file:
            file.write(json.dumps({"prompt": plan.question(count)}) + "\n")
        codes.append(run.finish())
        second = server.state()["posts"]
        cut = sum(line["stop_reason"] == "max_tokens" for line in run.data)
        server.set(faults=None)
        codes.append(run.finish("--teacher-max-tokens", "4096", "--update"))
        third = server.state()["posts"]
        left = sum(line["stop_reason"] == "max_tokens" for line in run.data)
    good = first == count and codes == [0, 0, 0]
    yield Row(f"one prompt added to {count:,}: POSTs", "1", str(second - first), good and second - first == 1)
    measured = f"{third - second} ({left} cut afterwards)"
    yield Row("max_tokens raised: POSTs", f"{cut} (those cut)", measured, good and third - second == cut and left == 0)
