"""Message batches that are killed, also between a batch's creation and its note: nothing is submitted twice.

    python perf/collect_batches.py RUN [CREATES]

is what the measurement starts and kills: collecting in batches that ends itself (SIGKILL) when its CREATESth batch
has been created and not yet been noted.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from collect_plan import Plan
from collect_run import LONGEST, Run, end, look, spawn, values
from messages_api import Faults, ServerProcess
from table import Row

from mlx_distill.cli.terminal import Terminal
from mlx_distill.models.asking import batches
from mlx_distill.models.teachers import Request
from mlx_distill.models.teachers.batches import ClaudeBatches
from mlx_distill.pipeline import commands
from mlx_distill.pipeline.prepare import prepare
from mlx_distill.run import config as configuration
from mlx_distill.run.folder import RunDir
from mlx_distill.run.job import Job
from mlx_distill.run.patience import Patience

ITEMS = 50
"""Of a batch here, so that a run has many."""

SECONDS = 2.0
"""That the server takes for a batch."""

WAITS = Patience(poll_seconds=0.2, unheard_seconds=0.5, base_seconds=0.1, cap_seconds=1.0)
CREATING = {"reset": 0.1, "cut": 0.1, "invalid_json": 0.05, "500": 0.1, "529": 0.05}
"""Of the submissions: the first three create a batch whose name the client never hears."""

RESULTS = {"expired": 0.02, "api_error": 0.02}


# ---------------------------------------------------------------- what is killed


def drive(path: Path, creates: int) -> None:
    if creates:
        _die_after(creates)
    batches.BATCH_ITEMS = ITEMS
    with RunDir(path).locked() as run:
        config = configuration.load(run / "config.toml")
        commands.collect(Job(run, config, Terminal(), yes=True, patience=WAITS))


def _die_after(creates: int) -> None:
    """The server has the batch; the ledger only knows that it was meant to be submitted."""
    create, made = ClaudeBatches.create, itertools.count(1)

    async def create_and_die(self: ClaudeBatches, requests: Sequence[Request]) -> str:
        name = await create(self, requests)
        if next(made) == creates:
            os.kill(os.getpid(), signal.SIGKILL)
        return name

    ClaudeBatches.create = create_and_die  # type: ignore[method-assign]


# ---------------------------------------------------------------- the measurement


def in_batches(plan: Plan) -> Iterator[Row]:
    """Every other kill is exactly between creation and note, the others come whenever they come."""
    count, times = plan.size(2000, 600), plan.size(25, 4)
    with plan.folder() as folder, ServerProcess(batch=_rules(plan)) as server:
        run = Run(folder, server, plan, count)
        _prepare(run, folder)
        killed = _kill(plan, run, server, times)
        left = 5  # what fails three times in passing is left to the next run
        while (code := _start(run, server, 0, LONGEST)) == 4 and left:
            left -= 1
        state, lost, book = server.state(), run.unanswered(), look(run.ledger)
        names = values(run.ledger, "SELECT name FROM batches WHERE name NOT NULL")
    what = f"{count:,} prompts by {ITEMS}, {killed.total()} x kill -9 ({killed['noting']} between create and note)"
    excused = sum(batch["counts"].get(kind, 0) for batch in state["batches"] for kind in ("expired", "errored"))
    again = sum(len(batch["custom_ids"]) for batch in state["batches"]) - count
    yield Row(f"{what}: prompts lost", "0", f"{lost} (exit code {code})", lost == code == 0 and killed.total() == times)
    measured = f"{again - excused} (of {excused} that expired or failed: {excused} again)"
    yield Row("… submitted more than once", "0", measured, again == excused and book.twice == 0)
    orphans = {batch["id"] for batch in state["batches"]} - set(names)
    unheard, twice = sum(_is_unheard(plan, batch["sha256"]) for batch in state["batches"]), len(names) - len(set(names))
    measured = (
        f"{len(orphans)} of {len(state['batches'])} batches ({killed['noting']} killed before the note, "
        f"{unheard} with a lost answer); {twice} adopted twice"
    )
    yield Row("… batches never adopted", "0", measured, not orphans and not twice)


def _creating(plan: Plan) -> dict[str, Any]:
    return {"seed": plan.seed, "shares": CREATING, "at_most": 2}


def _rules(plan: Plan) -> dict[str, Any]:
    return {"seconds": SECONDS, "creating": _creating(plan), "items": {"seed": plan.seed, "shares": RESULTS}}


def _is_unheard(plan: Plan, digest: str) -> bool:
    """Whether the submission that created this batch was one whose answer was lost on the way."""
    met = (Faults(**_creating(plan)).kind(digest, attempt) for attempt in itertools.count())
    return next(kind for kind in met if kind not in ("500", "529")) is not None


def _prepare(run: Run, folder: Path) -> None:
    sets = {"train": run.prompts, "valid": folder / "valid.txt", "test": folder / "test.txt"}
    settings = {f"prompts.{split}": (str(path),) for split, path in sets.items()} | {"collect.batch": True}
    prepare(RunDir(run.path), configuration.resolve("standard", settings))


def _kill(plan: Plan, run: Run, server: ServerProcess, times: int) -> Counter[str]:
    """How many starts died while noting, and how many at any other time."""
    chance, killed = plan.random("batches"), Counter[str]()
    for number in range(times):
        exact = number % 2 == 0
        code = _start(run, server, 1 if exact else 0, LONGEST if exact else chance.uniform(1.8, 4.5))
        if code != -signal.SIGKILL:
            break
        killed["noting" if exact else "any"] += 1
    return killed


def _start(run: Run, server: ServerProcess, creates: int, seconds: float) -> int:
    """The exit code; after `seconds` it is killed."""
    command = [sys.executable, __file__, str(run.path), str(creates)]
    process = spawn(command, server.url, run.path.with_name("errors.txt"))
    deadline = time.monotonic() + seconds
    try:
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        end(process)
    return process.returncode


if __name__ == "__main__":
    drive(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else 0)
