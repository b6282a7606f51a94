import asyncio
import contextlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from asking import MODEL, Serve, patience, requests, spent
from messages_api import BatchRules, Faults, MessagesServer, message

from mlx_distill.models.asking import batches
from mlx_distill.models.asking.budget import Budget
from mlx_distill.models.asking.ledger import Ledger
from mlx_distill.models.teachers import Busy, Options, Reply, Unreachable, open_teacher
from mlx_distill.models.teachers.batches import ClaudeBatches
from mlx_distill.models.teachers.claude import ClaudeTeacher
from mlx_distill.run.errors import BudgetError, TeacherError
from mlx_distill.run.patience import Patience

QUICK = {"poll_seconds": 0.02, "unheard_seconds": 0.1}


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_ITEMS", 10)
    monkeypatch.setattr(batches, "RESULTS_IN_A_COMMIT", 3)


def ask(
    path: Path,
    wanted: list[Any],
    cap: float | None = None,
    waits: Patience | None = None,
    stop_after: int | None = None,
    options: Options = Options(),  # noqa: B008
    notes: list[str] | None = None,
    api_kind: type[ClaudeBatches] = ClaudeBatches,
) -> list[Reply]:
    """The replies; `stop_after` so many noted submissions the process is gone, as by kill -9."""
    waits = waits or patience(0.05, **QUICK)
    said: list[str] = [] if notes is None else notes

    class Killed(Exception):
        pass

    async def work() -> list[Reply]:
        teacher = open_teacher(MODEL, options)
        assert isinstance(teacher, ClaudeTeacher)
        api = api_kind(teacher)
        create, created = api.create, 0

        async def counted(each: Any) -> str:
            nonlocal created
            created += 1
            name = await create(each)
            if created == stop_after:
                raise Killed
            return name

        api.create = counted  # type: ignore[method-assign]
        replies = []
        try:
            with contextlib.suppress(Killed), Ledger(path) as ledger:
                budget = Budget(cap, spent=ledger.spent_usd() + ledger.uncertain_usd())
                asking = batches.ask_in_batches(wanted, api, ledger, budget=budget, patience=waits, note=said.append)
                async with contextlib.aclosing(asking) as answered:
                    async for _, reply in answered:
                        replies.append(reply)
        finally:
            await teacher.close()
        return replies

    return asyncio.run(work())


def submitted(server: MessagesServer) -> Counter[str]:
    return Counter(name for batch in server.batches for name in batch.custom_ids)


def test_every_prompt_is_answered_at_half_the_price_in_whatever_order(serve: Serve, tmp_path: Path) -> None:
    server = serve(batch=BatchRules(seconds=0.1, results_after=0.05, hidden_seconds=0.05))
    wanted = requests(35)
    replies = ask(tmp_path / "ledger", wanted + wanted[:5])
    assert Counter(reply.text for reply in replies).total() == 40
    assert {reply.text for reply in replies} == {f"answer to question {i}" for i in range(35)}
    assert [len(batch.custom_ids) for batch in server.batches] == [10, 10, 10, 5]
    assert set(submitted(server)) == {request.key for request in wanted}
    assert max(submitted(server).values()) == 1
    charged, perhaps = spent(tmp_path / "ledger")
    assert charged == pytest.approx(float(server.billing.total_usd), abs=1e-9)
    assert perhaps == pytest.approx(0, abs=1e-12)
    assert len(ask(tmp_path / "ledger", wanted)) == 35
    assert len(server.batches) == 4


def test_a_batch_is_cut_by_bytes_too(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_BYTES", 1000)
    server = serve()
    ask(tmp_path / "ledger", requests(8))
    sizes = [sum(len(json.dumps(item)) for item in batch.requests) for batch in server.batches]
    assert len(sizes) > 1
    assert max(sizes) <= 1000
    assert set(submitted(server).values()) == {1}


def test_only_what_expired_or_failed_in_passing_is_submitted_again(serve: Serve, tmp_path: Path) -> None:
    server = serve(batch=BatchRules(items=Faults(5, {"expired": 0.2, "api_error": 0.2}, at_most=1)))
    replies = ask(tmp_path / "ledger", requests(40))
    assert len(replies) == 40
    times = submitted(server)
    assert 5 < sum(count > 1 for count in times.values()) < 30
    assert max(times.values()) == 2
    assert spent(tmp_path / "ledger")[0] == pytest.approx(float(server.billing.total_usd), abs=1e-9)


def test_what_cannot_be_answered_is_told_at_the_end_and_the_rest_is_kept(serve: Serve, tmp_path: Path) -> None:
    server = serve(batch=BatchRules(items=Faults(5, {"invalid_request": 0.2})))
    with pytest.raises(
        TeacherError, match=r"prompts were not answered \(invalid_request_error, .*: \d+\).*mend or remove"
    ):
        ask(tmp_path / "ledger", requests(20))
    assert max(submitted(server).values()) == 1
    with Ledger(tmp_path / "ledger") as ledger:
        assert 10 <= sum(ledger.get(request) is not None for request in requests(20)) < 20


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_batch_that_was_created_and_not_noted_is_found_again(serve: Serve, tmp_path: Path, after: int) -> None:
    server = serve(batch=BatchRules(seconds=0.2))
    ask(tmp_path / "ledger", requests(30), stop_after=after)
    assert len(server.batches) == after
    notes: list[str] = []
    replies = ask(tmp_path / "ledger", requests(30), notes=notes)
    assert len(replies) == 30
    assert max(submitted(server).values()) == 1
    assert sum("submitted without being noted" in note for note in notes) == 1
    charged, perhaps = spent(tmp_path / "ledger")
    assert charged == pytest.approx(float(server.billing.total_usd), abs=1e-9)
    assert perhaps == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("kind", ["reset", "cut", "invalid_json", "late"])
def test_a_create_whose_answer_is_lost_is_found_and_not_repeated(serve: Serve, tmp_path: Path, kind: str) -> None:
    server = serve(batch=BatchRules(creating=Faults(2, {kind: 1.0}, at_most=1, late_seconds=1.0)))
    assert len(ask(tmp_path / "ledger", requests(10), options=Options(attempt_seconds=0.3))) == 10
    assert max(submitted(server).values()) == 1


@pytest.mark.parametrize("kind", ["rate_limited", "500", "529"])
def test_a_create_that_was_refused_is_repeated(serve: Serve, tmp_path: Path, kind: str) -> None:
    server = serve(batch=BatchRules(creating=Faults(2, {kind: 1.0}, at_most=2)))
    assert len(ask(tmp_path / "ledger", requests(10))) == 10
    assert len(server.batches) == 1


def test_a_foreign_batch_of_the_same_size_is_not_taken_for_ours(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    ask(tmp_path / "ledger", requests(20)[10:], stop_after=1)
    ask(tmp_path / "other", requests(10))
    assert [batch.created for batch in server.batches] == sorted(batch.created for batch in server.batches)
    replies = ask(tmp_path / "ledger", requests(20)[10:])
    assert {reply.text for reply in replies} == {f"answer to question {i}" for i in range(10, 20)}
    assert max(submitted(server).values()) == 1


def test_our_batch_is_found_whatever_this_clock_says(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    ask(tmp_path / "ledger", requests(10), stop_after=1)
    with Ledger(tmp_path / "ledger") as ledger:
        asyncio.run(ledger.write(lambda database: database.execute("UPDATE batches SET at = at + 7200")))
    assert len(ask(tmp_path / "ledger", requests(10))) == 10
    assert max(submitted(server).values()) == 1


def test_a_listing_that_fails_leaves_the_batch_to_the_next_run(serve: Serve, tmp_path: Path) -> None:
    server = serve(batch=BatchRules(creating=Faults(2, {"reset": 1.0}, at_most=1), reading=Faults(1, {"500": 1.0})))
    with pytest.raises(TeacherError, match="does not say what batches it has"):
        ask(tmp_path / "ledger", requests(10))
    assert len(server.batches) == 1
    server.batch = BatchRules()
    assert len(ask(tmp_path / "ledger", requests(10))) == 10
    assert max(submitted(server).values()) == 1
    assert spent(tmp_path / "ledger")[0] == pytest.approx(float(server.billing.total_usd), abs=1e-9)


def test_results_that_cannot_be_read_for_long_are_not_paid_for_again(serve: Serve, tmp_path: Path) -> None:
    """The download fails twenty times; the state of the batch can be read."""
    server = serve(batch=BatchRules())
    failing = [True] * 20

    class Flaky(ClaudeBatches):
        async def results(self, name: str, wanted: Any) -> Any:
            if failing:
                failing.pop()
                raise Busy("lost", "broken off")
            async for each in super().results(name, wanted):
                yield each

    notes: list[str] = []
    assert len(ask(tmp_path / "ledger", requests(10), api_kind=Flaky, notes=notes)) == 10
    assert len(server.batches) == 1
    assert sum("cannot be read now (broken off)" in note for note in notes) == 20


def test_a_batch_that_the_server_does_not_know_is_told(serve: Serve, tmp_path: Path) -> None:
    server = serve(batch=BatchRules(seconds=60))
    ask(tmp_path / "ledger", requests(10), stop_after=1)
    with Ledger(tmp_path / "ledger") as ledger:
        asyncio.run(
            ledger.write(lambda database: database.execute("UPDATE batches SET at = at - 1000, name = 'msgbatch_gone'"))
        )
    with pytest.raises(TeacherError, match=r"does not know the batch msgbatch_gone .*another --ledger"):
        ask(tmp_path / "ledger", requests(10))
    assert len(server.batches) == 1


def test_a_batch_whose_results_are_gone_is_counted_and_its_prompts_asked_again(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    ask(tmp_path / "ledger", requests(10), stop_after=1)
    with Ledger(tmp_path / "ledger") as ledger:
        asyncio.run(ledger.write(lambda database: database.execute("UPDATE batches SET at = at - 30 * 86400")))
    notes: list[str] = []
    assert len(ask(tmp_path / "ledger", requests(10), notes=notes)) == 10
    assert "The results of a batch of 10 prompts are gone: it is 30 days old." in notes
    assert len(server.batches) == 2
    assert spent(tmp_path / "ledger")[1] > 0


def test_what_fails_in_passing_is_submitted_three_times_at_most(serve: Serve, tmp_path: Path) -> None:
    server = serve(batch=BatchRules(items=Faults(5, {"expired": 1.0})))
    with pytest.raises(TeacherError, match=r"10 prompts were not answered \(expired: 10\)"):
        ask(tmp_path / "ledger", requests(10))
    assert set(submitted(server).values()) == {3}
    assert spent(tmp_path / "ledger") == (0, pytest.approx(0, abs=1e-12))


def test_what_nobody_wants_any_more_is_not_submitted_again(serve: Serve, tmp_path: Path) -> None:
    server = serve(batch=BatchRules(items=Faults(5, {"expired": 1.0}, at_most=1)))
    ask(tmp_path / "ledger", requests(10), stop_after=1)
    assert len(ask(tmp_path / "ledger", requests(20)[10:])) == 10
    wanted = {request.key for request in requests(20)[10:]}
    assert {key for key, times in submitted(server).items() if times > 1} == wanted


def test_a_larger_cap_asks_again_what_a_batch_on_the_way_brings_cut(serve: Serve, tmp_path: Path) -> None:
    def answer(request: dict[str, Any]) -> Any:
        return message("part", stop_reason="max_tokens") if request["max_tokens"] < 200 else message("whole")

    server = serve(answer)
    ask(tmp_path / "ledger", requests(10), stop_after=1)
    replies = ask(tmp_path / "ledger", requests(10, max_tokens=200))
    assert [reply.text for reply in replies] == ["whole"] * 10
    assert set(submitted(server).values()) == {2}
    assert {reply.attempt for reply in replies} == {1}
    assert all(reply.answered_at > 0 and reply.batch for reply in replies)


def test_an_earlier_runs_batch_counts_once_towards_the_cap(serve: Serve, tmp_path: Path) -> None:
    """Ten are with the server, or were never submitted: either way their bound is free again when they are answered."""
    one = 0.5 * ((len("systemquestion 0") + 512) * 3 + 100 * 15) / 1e6
    for name, seconds in (("submitted", 0.2), ("never", 0.0)):
        server = serve(batch=BatchRules(seconds=seconds), output_tokens=lambda request, text: 100)
        ask(tmp_path / name, requests(10), stop_after=1)
        if name == "never":
            server.batches.clear()
        assert len(ask(tmp_path / name, requests(30), cap=20.01 * one)) == 30


def test_results_that_break_off_are_read_again(serve: Serve, tmp_path: Path) -> None:
    server = serve(batch=BatchRules(reading=Faults(4, {"cut": 0.3, "invalid_json": 0.2, "500": 0.2}, at_most=2)))
    assert len(ask(tmp_path / "ledger", requests(20))) == 20
    assert max(submitted(server).values()) == 1
    assert spent(tmp_path / "ledger")[0] == pytest.approx(float(server.billing.total_usd), abs=1e-9)


def test_the_budget_holds_for_batches(serve: Serve, tmp_path: Path) -> None:
    server = serve(output_tokens=lambda request, text: 100)
    one = 0.5 * ((len("systemquestion 0") + 512) * 3 + 100 * 15) / 1e6
    with pytest.raises(BudgetError, match="raise --max-cost"):
        ask(tmp_path / "ledger", requests(50), cap=12.5 * one)
    assert float(server.billing.total_usd) <= 12.5 * one
    assert sum(submitted(server).values()) >= 12
    assert len(ask(tmp_path / "ledger", requests(50), cap=1.0)) == 50
    assert max(submitted(server).values()) == 1


def test_a_fatal_error_leaves_nothing_open(serve: Serve, tmp_path: Path) -> None:
    server = serve(batch=BatchRules(creating=Faults(2, {"401": 1.0})))
    with pytest.raises(TeacherError, match="check ANTHROPIC_API_KEY"):
        ask(tmp_path / "ledger", requests(10))
    assert spent(tmp_path / "ledger") == (0, 0)
    server.batch = BatchRules()
    assert len(ask(tmp_path / "ledger", requests(10))) == 10


def test_an_old_batch_is_warned_about(serve: Serve, tmp_path: Path) -> None:
    serve(batch=BatchRules(seconds=0.1))
    ask(tmp_path / "ledger", requests(10), stop_after=1)
    with Ledger(tmp_path / "ledger") as ledger:
        asyncio.run(ledger.write(lambda database: database.execute("UPDATE batches SET at = at - 26 * 86400")))
    notes: list[str] = []
    ask(tmp_path / "ledger", requests(10), notes=notes)
    assert "A batch is 26 days old; its results are kept for 29 days only." in notes


def test_the_server_is_asked_for_a_batchs_state_no_more_often_than_every_so_often(serve: Serve, tmp_path: Path) -> None:
    waited = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await asyncio.sleep(0.05)

    serve(batch=BatchRules(seconds=0.3))
    ask(tmp_path / "ledger", requests(10), waits=Patience(sleep=sleep))
    assert len(waited) >= 3
    assert set(waited) == {60.0}


def test_nobody_to_submit_to_is_said_soon_and_nothing_is_owed(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    server.close()
    with pytest.raises(TeacherError, match=f"{server.url} cannot be reached: it refuses the connection"):
        ask(tmp_path / "ledger", requests(15))
    assert spent(tmp_path / "ledger") == (0.0, 0.0)


def test_a_server_that_is_gone_for_a_while_is_said_and_looked_at_again(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve()
    ended, looks, notes = ClaudeBatches.ended, 0, list[str]()

    async def gone_at_first(self: ClaudeBatches, name: str) -> bool | None:
        nonlocal looks
        looks += 1
        if looks < 3:
            raise Unreachable("https://api.example.com cannot be reached", certain=True)
        return await ended(self, name)

    monkeypatch.setattr(ClaudeBatches, "ended", gone_at_first)
    assert len(ask(tmp_path / "ledger", requests(5), notes=notes)) == 5
    assert sum("cannot be looked at now: https://api.example.com" in note for note in notes) == 2
