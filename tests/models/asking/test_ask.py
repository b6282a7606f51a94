import asyncio
import itertools
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from asking import MODEL, Serve, ask, patience, requests, spent
from messages_api import Faults, error, message

from mlx_distill.models.asking.ask import ask_all
from mlx_distill.models.asking.budget import Budget
from mlx_distill.models.asking.ledger import Ledger
from mlx_distill.models.asking.rate import rate_of
from mlx_distill.models.teachers import Options, open_teacher
from mlx_distill.run.errors import BudgetError, TeacherError
from mlx_distill.run.patience import Patience
from mlx_distill.run.prices import list_cost


def texts(count: int) -> set[str]:
    return {f"answer to question {i}" for i in range(count)}


# ---------------------------------------------------------------- everything once


def test_every_question_is_answered_and_none_is_asked_twice(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    first = ask(tmp_path / "ledger", requests(20))
    again = ask(tmp_path / "ledger", requests(21))
    assert {reply.text for reply in first} == texts(20)
    assert len(again) == 21
    assert len(server.asked) == 21


def test_identical_questions_are_asked_once_and_each_gets_the_answer(serve: Serve, tmp_path: Path) -> None:
    server = serve(delay=0.02)
    replies = ask(tmp_path / "ledger", requests(3) * 5, concurrency=8)
    assert Counter(reply.text for reply in replies) == dict.fromkeys(texts(3), 5)
    assert len(server.asked) == 3


def test_no_more_requests_are_under_way_than_allowed(serve: Serve, tmp_path: Path) -> None:
    server = serve(delay=0.02)
    ask(tmp_path / "ledger", requests(24), concurrency=3)
    assert server.most_at_once == 3


def test_the_stream_of_questions_is_read_only_as_far_as_needed(serve: Serve, tmp_path: Path) -> None:
    server = serve(delay=0.02)
    ahead = []

    def lazily() -> Any:
        for request in requests(40):
            ahead.append(len(ahead) - len(server.asked))
            yield request

    ask(tmp_path / "ledger", lazily(), concurrency=4)
    assert max(ahead) <= 8


# ---------------------------------------------------------------- trouble

PASSING = ("rate_limited", "rate_limited_bare", "529", "500", "504", "reset", "cut", "invalid_json", "html")
ODD = ("empty", "null_usage", "unknown_stop", "refusal", "truncated")


@pytest.mark.parametrize("kind", PASSING)
def test_what_passes_is_asked_again(serve: Serve, tmp_path: Path, kind: str) -> None:
    server = serve(faults=Faults(1, {kind: 1.0}, at_most=1, retry_after=0))
    replies = ask(tmp_path / "ledger", requests(6))
    assert {reply.text for reply in replies} == texts(6)
    assert {reply.attempt for reply in replies} == {2}
    assert len(server.asked) == 12


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_answer_is_paid_for_kept_and_not_asked_again(serve: Serve, tmp_path: Path, kind: str) -> None:
    server = serve(faults=Faults(1, {kind: 1.0}))
    replies = ask(tmp_path / "ledger", requests(6)) + ask(tmp_path / "ledger", requests(6))
    assert len(replies) == 12
    assert len(server.asked) == 6
    assert all((reply.usd or 0) > 0 for reply in replies)
    if kind == "refusal":
        assert {reply.refusal_category for reply in replies} == {"cyber"}


@pytest.mark.parametrize("kind", ["late", "drip", "stall"])
def test_an_answer_that_does_not_come_in_time_is_noted_as_perhaps_charged(
    serve: Serve, tmp_path: Path, kind: str
) -> None:
    serve(faults=Faults(1, {kind: 1.0}, at_most=1, late_seconds=60.0))
    replies = ask(tmp_path / "ledger", requests(2), options=Options(attempt_seconds=1.0))
    assert {reply.text for reply in replies} == texts(2)
    charged, perhaps = spent(tmp_path / "ledger")
    worst = list_cost(MODEL, len("systemquestion 0") + 512, 100)
    assert charged == pytest.approx(sum(reply.usd or 0 for reply in replies))
    assert perhaps == pytest.approx(2 * worst)


def test_what_was_lost_twice_is_given_up_and_the_rest_goes_on(serve: Serve, tmp_path: Path) -> None:
    def answer(request: dict[str, Any]) -> Any:
        text = request["messages"][0]["content"]
        return (200, {}, b"<html>") if text == "question 2" else message(f"answer to {text}")

    server = serve(answer)
    with pytest.raises(TeacherError, match=r"1 prompt was not answered .* run the same command again"):
        ask(tmp_path / "ledger", requests(10))
    assert len(server.asked) == 11
    server.answer = lambda request: message("now")
    assert len(ask(tmp_path / "ledger", requests(10))) == 10
    assert len(server.asked) == 12


def test_prompts_given_up_here_and_there_do_not_stop_the_rest(serve: Serve, tmp_path: Path) -> None:
    def answer(request: dict[str, Any]) -> Any:
        text = request["messages"][0]["content"]
        return (200, {}, b"<html>") if text.endswith(("3", "6")) else message("fine")

    serve(answer)
    with pytest.raises(TeacherError, match="20 prompts were not answered"):
        ask(tmp_path / "ledger", requests(100), concurrency=1)
    with Ledger(tmp_path / "ledger") as ledger:
        assert sum(ledger.get(request) is not None for request in requests(100)) == 80


def test_a_teacher_that_stays_busy_is_given_up(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda _: error(500, "api_error"))
    with pytest.raises(TeacherError, match=r"5 prompts were not answered .*HTTP 500: 5"):
        ask(tmp_path / "ledger", requests(100), concurrency=1)
    assert len(server.asked) == 5 * 20


class Clock:
    """Time that passes when somebody sleeps."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.now += seconds


def test_nothing_is_sent_past_the_total_deadline_of_a_prompt(serve: Serve, tmp_path: Path) -> None:
    clock, sent_at = Clock(), []

    def answer(request: dict[str, Any]) -> Any:
        sent_at.append(clock.now)
        return error(429, "rate_limit_error")

    serve(answer)
    waits = Patience(prompt_seconds=100, clock=clock, sleep=clock.sleep, random=random.Random(0))
    with pytest.raises(TeacherError, match="1 prompt was not answered"):
        ask(tmp_path / "ledger", requests(1), waits=waits)
    assert 50 < max(sent_at) < 100


def test_an_attempt_gets_no_more_time_than_is_left_of_its_prompts(serve: Serve, tmp_path: Path) -> None:
    serve(faults=Faults(1, {"stall": 1.0}))
    with pytest.raises(TeacherError, match="within the prompt's deadline"):
        ask(tmp_path / "ledger", requests(1), waits=patience(prompt_seconds=0.5))


def test_a_long_retry_after_is_capped_and_holds_everybody_back(serve: Serve, tmp_path: Path) -> None:
    waited = []

    class Noting(Clock):
        async def sleep(self, seconds: float) -> None:
            waited.append(seconds)
            await super().sleep(seconds)

    clock = Noting()
    first = itertools.count()
    serve(
        lambda r: error(429, "rate_limit_error", headers={"retry-after": "3600"}) if not next(first) else message("x")
    )
    waits = Patience(sleep=clock.sleep, clock=clock, random=random.Random(0))
    assert len(ask(tmp_path / "ledger", requests(8), waits=waits)) == 8
    assert 60 <= max(waited) <= 66


# ---------------------------------------------------------------- what does not pass

FATAL = [
    ("spend_cap", "spend limit"),
    ("own_limit", "own limits"),
    ("401", "check ANTHROPIC_API_KEY"),
    ("402", "billing"),
    ("403", "no access"),
    ("404", "no such model"),
    ("413", "too large"),
]


@pytest.mark.parametrize(("kind", "advice"), FATAL)
def test_a_fatal_error_stops_with_advice_keeps_what_came_and_can_be_resumed(
    serve: Serve, tmp_path: Path, kind: str, advice: str
) -> None:
    server = serve()
    ask(tmp_path / "ledger", requests(5))
    server.faults = Faults(1, {kind: 1.0})
    with pytest.raises(TeacherError, match=advice):
        ask(tmp_path / "ledger", requests(50))
    assert len(server.asked) <= 5 + 4 + 4
    server.faults = Faults(1, {})
    before = len(server.asked)
    assert len(ask(tmp_path / "ledger", requests(50))) == 50
    assert len(server.asked) == before + 45


def test_once_the_asking_stops_nothing_more_is_sent(serve: Serve, tmp_path: Path) -> None:
    """Some wait for a busy server when another meets a fatal error: they do not use up their attempts."""

    def answer(request: dict[str, Any]) -> Any:
        text = request["messages"][0]["content"]
        if text == "question 0":
            return message("so that the window opens")
        return error(401, "authentication_error") if text == "question 6" else error(529, "overloaded_error")

    server = serve(answer)
    with pytest.raises(TeacherError, match="check ANTHROPIC_API_KEY"):
        ask(tmp_path / "ledger", requests(7), waits=patience(0.3), concurrency=8)
    seen = len(server.asked)
    time.sleep(0.5)
    assert len(server.asked) == seen


# ---------------------------------------------------------------- money


def test_the_bill_never_passes_the_cap_and_a_higher_cap_goes_on(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda _: message("x", tokens=(500, 100)), delay=0.002)
    each = list_cost(MODEL, 500, 100)
    with pytest.raises(BudgetError, match="raise --max-cost"):
        ask(tmp_path / "ledger", requests(50), cap=20 * each)
    assert 17 <= len(server.asked) <= 20
    assert len(ask(tmp_path / "ledger", requests(50), cap=60 * each)) == 50
    assert len(server.asked) == 50


def test_what_was_perhaps_charged_counts_towards_the_cap(serve: Serve, tmp_path: Path) -> None:
    server = serve(faults=Faults(1, {"invalid_json": 1.0}))
    worst = list_cost(MODEL, len("systemquestion 0") + 512, 100)
    with pytest.raises(BudgetError):
        ask(tmp_path / "ledger", requests(50), cap=3.5 * worst)
    assert len(server.asked) == 3


def test_the_ledger_agrees_with_the_servers_bill(serve: Serve, tmp_path: Path) -> None:
    server = serve(faults=Faults(3, {"rate_limited_bare": 0.1, "529": 0.05, "refusal": 0.1, "truncated": 0.2}))
    ask(tmp_path / "ledger", requests(60))
    charged, perhaps = spent(tmp_path / "ledger")
    assert charged == pytest.approx(float(server.billing.total_usd), abs=1e-9)
    assert perhaps == pytest.approx(0, abs=1e-12)


# ---------------------------------------------------------------- cut answers


def test_a_cut_answer_is_asked_again_only_with_a_larger_cap(serve: Serve, tmp_path: Path) -> None:
    def answer(request: dict[str, Any]) -> Any:
        long = request["messages"][0]["content"] == "question 1" and request["max_tokens"] < 200
        return message("part", stop_reason="max_tokens") if long else message("whole")

    server = serve(answer)
    ask(tmp_path / "ledger", requests(5))
    ask(tmp_path / "ledger", requests(5))
    ask(tmp_path / "ledger", requests(5, max_tokens=50))
    assert len(server.asked) == 5
    assert [reply.text for reply in ask(tmp_path / "ledger", requests(5, max_tokens=200))].count("whole") == 5
    assert len(server.asked) == 6


# ---------------------------------------------------------------- stopping


def test_what_is_under_way_when_the_asking_stops_is_kept(serve: Serve, tmp_path: Path) -> None:
    server = serve(delay=0.1)

    async def stop_early() -> int:
        teacher, waits = open_teacher(MODEL), patience()
        with Ledger(tmp_path / "ledger") as ledger:
            rate = rate_of(waits, 4, paced=False)
            asking = ask_all(requests(40), teacher, ledger, budget=Budget(None), patience=waits, rate=rate)
            async for _ in asking:
                break
            await asking.aclose()
            await teacher.close()
            return sum(ledger.get(request) is not None for request in requests(40))

    kept = asyncio.run(stop_early())
    assert kept == len(server.asked) >= 4


def test_what_does_not_come_while_draining_is_noted_as_perhaps_charged(serve: Serve, tmp_path: Path) -> None:
    serve(lambda r: message("x"), faults=Faults(1, {"stall": 0.5}))

    async def stop_early() -> None:
        teacher, waits = open_teacher(MODEL), patience(drain_seconds=0.3)
        with Ledger(tmp_path / "ledger") as ledger:
            rate = rate_of(waits, 8, paced=False)
            asking = ask_all(requests(40), teacher, ledger, budget=Budget(None), patience=waits, rate=rate)
            async for _ in asking:
                await asyncio.sleep(0.2)
                break
            await asking.aclose()
        await teacher.close()

    asyncio.run(stop_early())
    assert spent(tmp_path / "ledger")[1] > 0


def test_backoff_is_jittered_capped_and_heeds_retry_after() -> None:
    p = patience()
    assert all(0 <= p.pause(attempt, None) <= min(60, 2**attempt) for attempt in range(20))
    assert len({p.pause(5, None) for _ in range(10)}) == 10
    assert 5 <= p.pause(0, 5) <= 6
    assert p.pause(0, 3600) <= 66
