import asyncio
import multiprocessing
import resource
import signal
import sqlite3
from pathlib import Path

import pytest
from asking import MODEL, requests

from mlx_distill.models.asking.ledger import Ledger
from mlx_distill.models.teachers import Reply, Request
from mlx_distill.run.errors import DataError, UsageError


def reply(text: str = "answer", stop_reason: str = "end_turn", usd: float = 0.25) -> Reply:
    return Reply(text, stop_reason, MODEL, input_tokens=10, output_tokens=20, usd=usd)


async def keep(ledger: Ledger, request: Request, answer: Reply, worst: float = 1.0) -> int:
    attempt = await ledger.sent(request, worst)
    await ledger.answered(attempt, request, answer)
    return attempt


def test_an_attempt_is_an_amount_at_risk_until_its_outcome_is_known(tmp_path: Path) -> None:
    first, second, third = requests(3)

    async def work(ledger: Ledger) -> None:
        attempts = [await ledger.sent(request, 1.0) for request in (first, second, third)]
        assert (ledger.spent_usd(), ledger.uncertain_usd()) == (0, 3)
        await ledger.answered(attempts[0], first, reply())
        assert (ledger.spent_usd(), ledger.uncertain_usd()) == (0.25, 2)
        await ledger.unanswered(attempts[1], "HTTP 500", charged=False)
        await ledger.unanswered(attempts[2], "no answer", charged=True)
        assert (ledger.spent_usd(), ledger.uncertain_usd()) == (0.25, 1)

    with Ledger(tmp_path / "ledger") as ledger:
        asyncio.run(work(ledger))
    with Ledger(tmp_path / "ledger") as ledger:
        assert (ledger.spent_usd(), ledger.uncertain_usd()) == (0.25, 1)
        assert ledger.get(first) == reply()
        assert ledger.get(second) is ledger.get(third) is None
        rows = list(ledger.rows("SELECT state, reason FROM attempts ORDER BY id"))
        assert rows == [("answered", None), ("failed", "HTTP 500"), ("sent", "no answer")]


def test_an_outcome_counts_once(tmp_path: Path) -> None:
    (request,) = requests(1)

    async def work(ledger: Ledger) -> None:
        attempt = await keep(ledger, request, reply())
        await ledger.answered(attempt, request, reply("again"))
        await ledger.unanswered(attempt, "late", charged=False)

    with Ledger(tmp_path / "ledger") as ledger:
        asyncio.run(work(ledger))
        assert (ledger.spent_usd(), ledger.uncertain_usd()) == (0.25, 0)
        assert ledger.get(request) == reply()


def test_a_cut_answer_does_not_answer_a_larger_cap(tmp_path: Path) -> None:
    def asking(cap: int) -> Request:
        return Request(MODEL, "q", "s", cap)

    async def work(ledger: Ledger) -> None:
        await keep(ledger, asking(100), reply("half", "max_tokens"))
        assert [ledger.get(asking(cap)) is not None for cap in (50, 100, 101)] == [True, True, False]
        await keep(ledger, asking(200), reply("whole"))
        assert ledger.get(asking(10_000)) == ledger.get(asking(50)) == reply("whole")

    with Ledger(tmp_path / "ledger") as ledger:
        asyncio.run(work(ledger))


def test_writes_that_come_together_share_commits(tmp_path: Path) -> None:
    """64 under way, each with two durable writes: far fewer commits than writes, and each waits for the one under way
    and its own."""
    commits, waited = 0, []

    async def work(ledger: Ledger) -> None:
        async def one(request: Request) -> None:
            before = commits
            await keep(ledger, request, reply())
            waited.append(commits - before)

        for start in range(0, 640, 64):
            await asyncio.gather(*(one(request) for request in requests(640)[start : start + 64]))

    with Ledger(tmp_path / "ledger") as ledger:
        whole = ledger._commit

        def counted(*arguments: object) -> None:
            nonlocal commits
            commits += 1
            whole(*arguments)  # type: ignore[arg-type]

        ledger._commit = counted  # type: ignore[method-assign]
        asyncio.run(work(ledger))
        assert sum(ledger.get(request) is not None for request in requests(640)) == 640
    assert commits < 1280 / 4
    assert max(waited) <= 4


def _hold(path: Path, ready: object, done: object) -> None:
    with Ledger(path):
        ready.set()  # type: ignore[attr-defined]
        done.wait(30)  # type: ignore[attr-defined]


def test_a_second_process_is_told_that_the_ledger_is_in_use(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path / "ledger", ready, done))
    process.start()
    assert ready.wait(30)
    with pytest.raises(UsageError, match="in use by another process"):
        Ledger(tmp_path / "ledger")
    done.set()
    process.join()
    Ledger(tmp_path / "ledger").__exit__(None, None, None)


def test_what_is_no_ledger_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"this is not a database" * 100)
    with pytest.raises(DataError, match="cannot be used"):
        Ledger(tmp_path / "text")
    with sqlite3.connect(tmp_path / "other") as database:
        database.execute("CREATE TABLE answers (key TEXT)")
    with pytest.raises(DataError, match="another version"):
        Ledger(tmp_path / "other")
    with pytest.raises(DataError, match="cannot be opened"):
        Ledger(Path("/proc/nowhere/ledger"))


def test_a_torn_ledger_is_a_clear_error_and_the_rest_of_it_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger"

    async def fill(ledger: Ledger) -> None:
        for request in requests(200):
            await keep(ledger, request, reply("x" * 500))

    with Ledger(path) as ledger:
        asyncio.run(fill(ledger))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])

    def look_up_all() -> None:
        with Ledger(path) as ledger:
            for request in requests(200):
                ledger.get(request)

    with pytest.raises(DataError, match="cannot be used"):
        look_up_all()
    assert path.stat().st_size == len(content) // 2


def test_a_full_disk_is_a_clear_error_and_what_was_kept_stays(tmp_path: Path) -> None:
    """The limit on a file's size stands for the disk's."""
    kept = []

    async def fill(ledger: Ledger) -> None:
        for request in requests(5000):
            await keep(ledger, request, reply("x" * 1000))
            kept.append(request)

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000_000, before[1]))
    try:
        with pytest.raises(DataError, match="make room"), Ledger(tmp_path / "ledger") as ledger:
            asyncio.run(fill(ledger))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(kept) > 100
    with Ledger(tmp_path / "ledger") as ledger:
        assert all(ledger.get(request) for request in kept)
        assert next(ledger.rows("PRAGMA integrity_check")) == ("ok",)


def test_progress_is_kept_by_stream(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        asyncio.run(ledger.note_progress("one", 10, 2))
        asyncio.run(ledger.note_progress("one", 20, 3))
        assert ledger.done("one") == (20, 3)
        assert ledger.done("two") == (0, 0)


def test_whatever_goes_wrong_within_a_commit_is_told_to_whoever_waits(tmp_path: Path) -> None:
    async def work(ledger: Ledger) -> None:
        attempt = await ledger.sent(requests(1)[0], 1.0)
        await ledger.unanswered(attempt, "half a character \ud83d", charged=False)
        with pytest.raises(DataError, match="cannot be used"):
            await ledger.write(lambda database: 1 / 0)
        await keep(ledger, requests(1)[0], reply())

    ledger = Ledger(tmp_path / "ledger")
    with ledger:
        asyncio.run(asyncio.wait_for(work(ledger), 10))
    with pytest.raises(DataError, match="is closed"):
        asyncio.run(asyncio.wait_for(ledger.note_progress("x", 1, 0), 10))


def test_a_late_cut_answer_does_not_take_a_whole_ones_place(tmp_path: Path) -> None:
    (request,) = requests(1)

    async def work(ledger: Ledger) -> None:
        await keep(ledger, request, reply("whole"))
        await keep(ledger, request, reply("part", "max_tokens"))

    with Ledger(tmp_path / "ledger") as ledger:
        asyncio.run(work(ledger))
        assert ledger.get(request) == reply("whole")
        assert ledger.spent_usd() == 0.5
