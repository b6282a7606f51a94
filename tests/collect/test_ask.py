import asyncio
import contextlib
import itertools
import json
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages_server import MessagesServer, error, message

from mlx_distill.collect import Budget, Ledger, Patience, ask_all, collect, describe_dataset
from mlx_distill.collect.ledger import Ledger as LedgerClass
from mlx_distill.config import TeacherConfig
from mlx_distill.errors import BudgetError, DataError, TeacherError
from mlx_distill.prices import cost
from mlx_distill.records import Completion, Prompt, content_id
from mlx_distill.teachers import Reply, Request, open_teacher

MODEL = "claude-sonnet-4-6"
Serve = Callable[..., MessagesServer]


def patience(pause: float = 0.0) -> Patience:
    """Waits the same short time whatever it should wait."""
    return Patience(sleep=lambda _: asyncio.sleep(pause), random=random.Random(0))


def requests(count: int, max_tokens: int = 100) -> list[Request]:
    return [Request(MODEL, f"question {i}", "system", max_tokens) for i in range(count)]


def ask(
    ledger_path: Path, wanted: list[Request], cap: float | None = None, concurrency: int = 4, pause: float = 0.0
) -> list[Reply]:
    async def work() -> list[Reply]:
        teacher = open_teacher(MODEL)
        replies = []
        try:
            with Ledger(ledger_path) as ledger:
                budget = Budget(cap, spent=ledger.total_usd())
                asking = ask_all(
                    wanted, teacher, ledger, concurrency=concurrency, budget=budget, patience=patience(pause)
                )
                async for _, reply in asking:
                    replies.append(reply)
        finally:
            await teacher.close()
        return replies

    return asyncio.run(work())


def echo(request: dict) -> tuple:  # type: ignore[type-arg]
    return message("answer to " + request["messages"][0]["content"])


def test_every_question_is_answered_and_none_is_asked_twice(serve: Serve, tmp_path: Path) -> None:
    server = serve(echo)
    first = ask(tmp_path / "ledger", requests(20))
    again = ask(tmp_path / "ledger", requests(21))
    assert {reply.text for reply in first} == {f"answer to question {i}" for i in range(20)}
    assert len(again) == 21
    assert len(server.asked) == 21


def test_no_more_requests_are_under_way_than_allowed(serve: Serve, tmp_path: Path) -> None:
    server = serve(echo, delay=0.02)
    ask(tmp_path / "ledger", requests(24), concurrency=3)
    assert server.most_at_once == 3


def test_a_busy_api_is_asked_again_and_nothing_is_lost(serve: Serve, tmp_path: Path) -> None:
    draw = random.Random(1)

    def answer(request: dict) -> tuple:  # type: ignore[type-arg]
        kind = draw.random()
        if kind < 0.2:
            return error(429, "rate_limit_error", headers={"retry-after": "1"})
        if kind < 0.3:
            return error(529, "overloaded_error")
        if kind < 0.4:
            return 200, {}, b"<html>not json"
        if kind < 0.45:
            return 200, {}, json.dumps({"type": "message", "content": None}).encode()
        return echo(request)

    serve(answer)
    assert len(ask(tmp_path / "ledger", requests(30))) == 30


@pytest.mark.parametrize(
    ("status", "kind", "advice"),
    [
        (401, "authentication_error", "check ANTHROPIC_API_KEY"),
        (402, "billing_error", "billing"),
        (403, "permission_error", "no access"),
        (404, "not_found_error", "no such model"),
        (400, "invalid_request_error", "settings"),
    ],
)
def test_a_fatal_error_stops_with_advice_and_keeps_what_came(
    serve: Serve, tmp_path: Path, status: int, kind: str, advice: str
) -> None:
    answered = itertools.count(1)
    server = serve(lambda r: echo(r) if next(answered) <= 5 else error(status, kind))
    with pytest.raises(TeacherError, match=advice) as raised:
        ask(tmp_path / "ledger", requests(50))
    assert "secret" not in str(raised.value)
    assert len(server.asked) <= 5 + 4 + 4
    with Ledger(tmp_path / "ledger") as ledger:
        assert sum(ledger.get(request) is not None for request in requests(50)) == 5


def test_a_spend_limit_is_not_waited_for(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda _: error(429, "rate_limit_error", error_code="enforced_spend_limit_reached"))
    with pytest.raises(TeacherError, match="spend limit"):
        ask(tmp_path / "ledger", requests(1))
    assert len(server.asked) == 1


def test_a_teacher_that_stays_busy_is_given_up(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda _: error(529, "overloaded_error"))
    with pytest.raises(TeacherError, match="did not answer in 8 attempts"):
        ask(tmp_path / "ledger", requests(1))
    assert len(server.asked) == 8


def test_the_bill_never_passes_the_cap_and_a_higher_cap_goes_on(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda _: message("x", tokens=(500, 100)), delay=0.002)
    each = cost(MODEL, 500, 100)
    with pytest.raises(BudgetError, match="raise --max-cost"):
        ask(tmp_path / "ledger", requests(50), cap=20 * each)
    assert 10 <= len(server.asked) <= 20
    assert len(ask(tmp_path / "ledger", requests(50), cap=60 * each)) == 50
    assert len(server.asked) == 50


@settings(max_examples=200, deadline=None)
@given(
    cap=st.floats(0, 50),
    prices=st.lists(st.tuples(st.floats(0, 5), st.floats(0, 1)), max_size=30),
)
def test_budget_never_lets_reserved_and_spent_pass_the_cap(cap: float, prices: list[tuple[float, float]]) -> None:
    budget, open_reservations = Budget(cap), []
    for worst, share in prices:
        try:
            budget.reserve(worst)
        except BudgetError:
            continue
        open_reservations.append((worst, worst * share))
        if len(open_reservations) > 2:
            budget.settle(*open_reservations.pop(0))
        assert budget.spent + budget.reserved <= cap + 1e-9


def test_what_is_under_way_when_the_asking_stops_is_kept(serve: Serve, tmp_path: Path) -> None:
    serve(echo, delay=0.1)

    async def stop_early() -> None:
        teacher = open_teacher(MODEL)
        with Ledger(tmp_path / "ledger") as ledger:
            asking = ask_all(requests(40), teacher, ledger, concurrency=4, budget=Budget(None), patience=patience())
            async for _ in asking:
                break
            await asking.aclose()
            assert sum(ledger.get(request) is not None for request in requests(40)) >= 4
        await teacher.close()

    asyncio.run(stop_early())


def test_backoff_is_jittered_capped_and_heeds_retry_after() -> None:
    p = patience()
    assert all(0 <= p.pause(attempt, None) <= min(60, 2**attempt) for attempt in range(20))
    assert 5 <= p.pause(0, 5) <= 6
    assert p.pause(0, 3600) <= 61


def test_an_unusable_ledger_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_bytes(b"this is not a database" * 100)
    with pytest.raises(DataError, match="cannot be used"):
        LedgerClass(tmp_path / "ledger")


def test_completions_carry_tokens_dollars_and_stop_reasons(serve: Serve, tmp_path: Path) -> None:
    def answer(request: dict) -> tuple:  # type: ignore[type-arg]
        text = request["messages"][0]["content"]
        if text == "refused":
            return message("", stop_reason="refusal", stop_details={"type": "refusal", "category": "cyber"})
        return message("part of", stop_reason="max_tokens") if text == "long" else message("whole", tokens=(7, 9))

    server = serve(answer)
    prompts = [Prompt(content_id(text), text) for text in ("fine", "long", "refused")]

    async def work() -> list[Completion]:
        teacher = open_teacher(MODEL)
        with Ledger(tmp_path / "ledger") as ledger:

            def asking(wanted, who):  # type: ignore[no-untyped-def]
                return ask_all(wanted, who, ledger, concurrency=2, budget=Budget(None), patience=patience())

            found = [c async for c in collect(prompts, teacher, TeacherConfig(system="be brief"), asking)]
        await teacher.close()
        return found

    found = {completion.prompt: completion for completion in asyncio.run(work())}
    fine = found["fine"]
    assert (fine.completion, fine.input_tokens, fine.output_tokens) == ("whole", 7, 9)
    assert fine.usd == pytest.approx((7 * 3 + 9 * 15) / 1e6)
    assert (fine.message_id, fine.request_id) == ("msg_1", "req_1")
    assert found["refused"].refusal_category == "cyber"
    summary = describe_dataset(prompts, list(found.values()))
    assert summary["left_out"] == {"truncated": 1, "refused": 1}
    assert summary["usable"] == 1
    assert all(set(sent) == {"model", "max_tokens", "messages", "system"} for sent in server.asked)


def test_when_whoever_collects_fails_what_is_under_way_is_kept(serve: Serve, tmp_path: Path) -> None:
    serve(echo, delay=0.1)
    prompts = [Prompt(content_id(str(i)), str(i)) for i in range(12)]

    async def work() -> None:
        teacher = open_teacher(MODEL)
        try:
            with Ledger(tmp_path / "ledger") as ledger:

                def asking(wanted, who):  # type: ignore[no-untyped-def]
                    return ask_all(wanted, who, ledger, concurrency=4, budget=Budget(None), patience=patience())

                async with contextlib.aclosing(collect(prompts, teacher, TeacherConfig(), asking)) as completions:
                    async for _ in completions:
                        raise BrokenPipeError
        finally:
            await teacher.close()

    with pytest.raises(BrokenPipeError):
        asyncio.run(work())
    with sqlite3.connect(tmp_path / "ledger") as database:
        assert database.execute("SELECT count(*) FROM answers").fetchone()[0] >= 4


def test_once_the_asking_stops_nothing_more_is_sent(serve: Serve, tmp_path: Path) -> None:
    """Three wait for a busy server when the fourth meets a fatal error: they do not use up their attempts."""

    def answer(request: dict) -> tuple:  # type: ignore[type-arg]
        if request["messages"][0]["content"] == "question 3":
            return error(401, "authentication_error")
        return error(529, "overloaded_error")

    server = serve(answer)
    with pytest.raises(TeacherError, match="check ANTHROPIC_API_KEY"):
        ask(tmp_path / "ledger", requests(4), pause=0.3)
    assert len(server.asked) <= 4 + 3
