"""Many prompts, many keys: what collecting keeps in memory and on disk, and how long it takes to go on.

    python perf/collect_size.py LEDGER

is what one measurement starts: it looks up every request of a ledger that has attempts. Peaks are read from /proc,
so these measurements need Linux.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from collect_plan import MODEL, Plan
from collect_run import Run, wait_for
from messages_api import ServerProcess
from table import Row

from mlx_distill.cli.terminal import Terminal
from mlx_distill.collect import request_of
from mlx_distill.collect import stage as collecting
from mlx_distill.models.asking.ledger import Ledger, insert_attempt, settle
from mlx_distill.models.teachers import Reply, Request
from mlx_distill.run import config as configuration
from mlx_distill.run.config import TeacherConfig
from mlx_distill.run.folder import RunDir
from mlx_distill.run.job import Job
from mlx_distill.run.records import Prompt

MIB = 1 << 20


def peak_bytes(pid: int | str) -> int:
    """The most that a process has been resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("a process that has ended has no peak")


# ---------------------------------------------------------------- a million prompts

MOST_SECONDS, MOST_RESIDENT, MOST_BYTES = 3.0, 200 * MIB, 20.0
IN_A_WRITE = 20_000
STARTS = 5


@dataclass(frozen=True)
class Grown:
    """Of one run: peak bytes from scratch and when it went on, seconds from each of its starts to the first POST."""

    prompts: int
    scratch: int
    resumed: int
    seconds: tuple[float, ...]
    scratch_seconds: float


def million(plan: Plan) -> Iterator[Row]:
    """A run that is killed, filled up to nearly all answers, and started again; beside one of fewer prompts."""
    small = _grown(plan, plan.size(10_000, 4000))
    large = _grown(plan, plan.size(1_000_000, 50_000))
    more = large.prompts - small.prompts
    what = f"{large.prompts:,} prompts"
    yield Row(
        f"{what}, from scratch: peak resident",
        f"≤ {MOST_RESIDENT / MIB:.0f} MiB",
        f"{large.scratch / MIB:.0f} MiB ({large.scratch_seconds:.0f} s to the first POST)",
        large.scratch <= MOST_RESIDENT,
    )
    seconds, fewer = (statistics.median(grown.seconds) for grown in (large, small))
    yield Row(
        "… nearly all answered: start to first POST",
        f"≤ {MOST_SECONDS:.0f} s",
        f"{seconds:.2f} s (median of {STARTS}, worst {large.seconds[-1]:.2f}; {small.prompts:,} prompts: {fewer:.2f})",
        seconds <= MOST_SECONDS,
    )
    measured = f"{large.resumed / MIB:.0f} MiB"
    yield Row("… peak resident then", f"≤ {MOST_RESIDENT / MIB:.0f} MiB", measured, large.resumed <= MOST_RESIDENT)
    scratch, resumed = (large.scratch - small.scratch) / more, (large.resumed - small.resumed) / more
    measured = f"{scratch:.1f} from scratch, {resumed:.1f} going on"
    yield Row(
        "… resident bytes for each prompt more", f"≤ {MOST_BYTES:.0f}", measured, max(scratch, resumed) <= MOST_BYTES
    )


def _grown(plan: Plan, count: int) -> Grown:
    left = min(10_000, count // 2)
    with plan.folder() as folder:
        with ServerProcess(delay=0.2, remember=False) as server:
            run = Run(folder, server, plan, count)
            scratch_seconds, scratch = _sending(run, server, plan.size(30, 5))
        _fill(run, count - left)
        with ServerProcess(delay=0.2, remember=False) as server:
            run.serve_from(server)
            seconds = tuple(sorted(_sending(run, server, 0.0)[0] for _ in range(STARTS)))
            resumed = _sending(run, server, plan.size(10, 3))[1]
    return Grown(count, scratch, resumed, seconds, scratch_seconds)


def _sending(run: Run, server: ServerProcess, seconds: float) -> tuple[float, int]:
    """(seconds from the start to the first POST, peak bytes after it has sent for `seconds`); then it is killed."""
    before, started = server.state()["posts"], time.monotonic()
    with run.started() as process:
        wait_for(server, process, lambda state: state["posts"] > before, every=0.005)
        first = time.monotonic() - started
        time.sleep(seconds)
        if process.poll() is not None:
            raise RuntimeError(f"it ended while it was measured: {run.last_error()}")
        return first, peak_bytes(process.pid)


def _fill(run: Run, answered: int) -> None:
    """The ledger as it is when the first so many prompts are answered and the run is killed just before a note."""
    for part in run.path.glob(f"{run.ledger.name}*"):
        part.unlink()
    job = Job(RunDir(run.path), configuration.load(run.path / "config.toml"), Terminal())
    model, config = job.config.teacher.spec, job.config.teacher
    prompts = itertools.islice(job.run.stream("prompts.jsonl", Prompt), answered)

    async def fill() -> None:
        with Ledger(run.ledger) as ledger:
            while part := [request_of(prompt, model, config) for prompt in itertools.islice(prompts, IN_A_WRITE)]:
                await ledger.write(lambda database, part=part: _answer(database, part))
            noted = answered - collecting.PROGRESS_EVERY + 1
            await ledger.note_progress(collecting._stream(job, model), max(0, noted), 0)

    asyncio.run(fill())


def _answer(database: sqlite3.Connection, requests: list[Request]) -> None:
    """As an answer to each of them would be kept."""
    for request in requests:
        attempt = insert_attempt(database, request, 0.05, time.time())
        reply = Reply(
            f"answer to {request.prompt}", "end_turn", MODEL, 40, 30, usd=0.0006, message_id=f"msg_{attempt:024x}"
        )
        settle(database, attempt, request, reply)


# ---------------------------------------------------------------- millions of keys

KEY_BYTES = 16
KEYS_IN_A_COMMIT = 20_000
LOOKED_UP = 10_000
MOST_DISK = 600_000_000


def keys(plan: Plan) -> Iterator[Row]:
    """Random keys as the ledger keeps them, and some whole answers among them, which another process looks up."""
    count = plan.size(16_000_000, 200_000)
    with plan.folder() as folder:
        path = folder / "ledger.sqlite"
        started = time.monotonic()
        asyncio.run(_insert(path, plan, count))
        seconds, size = time.monotonic() - started, path.stat().st_size
        shown = subprocess.run([sys.executable, __file__, str(path)], capture_output=True, text=True, check=True)
    found = json.loads(shown.stdout)
    measured = f"{size / 1e6:.0f} MB ({size / count:.1f} bytes a key; made in {seconds:.0f} s)"
    yield Row(f"{count:,} keys: file", f"< {MOST_DISK / 1e6:.0f} MB", measured, size < MOST_DISK)
    good = found["peak"] < MOST_RESIDENT and found["answered"] == LOOKED_UP
    measured = f"{found['peak'] / MIB:.0f} MiB ({found['answered']:,} found)"
    yield Row(f"… resident after {LOOKED_UP:,} look-ups", f"< {MOST_RESIDENT / MIB:.0f} MiB", measured, good)
    yield Row("… look-ups a second", "", f"{found['per_second']:,.0f}")


async def _insert(path: Path, plan: Plan, count: int) -> None:
    chance, config = plan.random("keys"), TeacherConfig()
    whole = [request_of(Prompt("", plan.question(i)), MODEL, config) for i in range(LOOKED_UP)]
    with Ledger(path) as ledger:
        for first in range(0, count - LOOKED_UP, KEYS_IN_A_COMMIT):
            if first == count // 2 // KEYS_IN_A_COMMIT * KEYS_IN_A_COMMIT:
                await ledger.write(lambda database: _answer(database, whole))
            some = min(KEYS_IN_A_COMMIT, count - LOOKED_UP - first)
            rows = [(chance.randbytes(KEY_BYTES), first + place) for place in range(some)]
            await ledger.write(lambda database, rows=rows: _keep(database, rows))


def _keep(database: sqlite3.Connection, rows: list[tuple[bytes, int]]) -> None:
    database.executemany("INSERT INTO answers VALUES (?, ?)", rows)


def look_up(path: Path) -> None:
    with Ledger(path) as ledger:
        requests = [Request(**json.loads(row[0])) for row in ledger.rows("SELECT request FROM attempts")]
        random.Random(0).shuffle(requests)
        started = time.perf_counter()
        answered = sum(ledger.get(request) is not None for request in requests)
        per_second = len(requests) / (time.perf_counter() - started)
    print(json.dumps({"answered": answered, "per_second": per_second, "peak": peak_bytes(os.getpid())}))


if __name__ == "__main__":
    look_up(Path(sys.argv[1]))
