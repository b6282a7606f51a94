"""The tests' own Messages server, as the real client sees it and as its ledger remembers it."""

from __future__ import annotations

import asyncio
import gc
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, TypeVar

import anthropic
import pytest
from messages_api import (
    BATCH_ITEM_KINDS,
    KINDS,
    BatchRules,
    Faults,
    MessagesServer,
    Price,
    Rate,
    Reply,
    ServerProcess,
    error,
    message,
    request_hash,
)

MODEL = "claude-sonnet-4-6"
PRICES = {MODEL: Price(3, 15)}
LIMITS = {"requests": Rate(60, 2), "input_tokens": Rate(6000, 100), "output_tokens": Rate(600, 10)}

Client = anthropic.AsyncAnthropic
T = TypeVar("T")


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def start() -> Iterator[Callable[..., MessagesServer]]:
    running: list[MessagesServer] = []

    def start(*arguments: Any, **options: Any) -> MessagesServer:
        running.append(MessagesServer(*arguments, **options))
        return running[-1]

    yield start
    for server in running:
        server.close()


Start = Callable[..., MessagesServer]


@asynccontextmanager
async def client_of(url: str, timeout: float = 5.0) -> AsyncIterator[Client]:
    http = anthropic.DefaultAioHttpClient(verify=False)  # no certificates to load: loopback speaks plain HTTP
    async with Client(api_key="k", base_url=url, max_retries=0, timeout=timeout, http_client=http) as client:
        yield client


def use(server: MessagesServer | ServerProcess, work: Callable[[Client], Awaitable[T]], timeout: float = 5.0) -> T:
    async def run() -> T:
        async with client_of(server.url, timeout) as client:
            return await work(client)

    return asyncio.run(run())


def params(text: str = "question", **more: Any) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": text}]} | more


def ask(server: MessagesServer | ServerProcess, *texts: str, timeout: float = 5.0, **more: Any) -> list[Any]:
    """One after the other: a Message, or the exception instead of it."""

    async def work(client: Client) -> list[Any]:
        return [await attempt(client, params(text, **more), 2 * timeout) for text in texts or ("question",)]

    return use(server, work, timeout)


async def attempt(client: Client, body: dict[str, Any], seconds: float = 5.0) -> Any:
    """The client's own timeout starts anew with every byte; `seconds` is for all of them."""
    try:
        return await asyncio.wait_for(client.messages.create(**body), seconds)
    except (anthropic.APIError, ValueError, TimeoutError) as raised:
        return raised


# ---------------------------------------------------------------- answers and the bill


def test_an_answer_is_a_function_of_its_request_and_has_ids_of_its_own(start: Start) -> None:
    server = start(prices=PRICES)
    first, other, again = ask(server, "question", "another", "question", system="be brief")
    assert first.content[0].text == again.content[0].text == "answer to question"
    assert other.content[0].text == "answer to another"
    assert len({first.id, other.id, again.id}) == 3
    assert len({first._request_id, other._request_id, again._request_id}) == 3
    assert (first.usage.input_tokens, first.usage.output_tokens) == (16 // 4, 18 // 4)
    assert [sent["messages"][0]["content"] for sent in server.asked] == ["question", "another", "question"]
    assert server.headers[0]["authorization"] == "Bearer k"


def test_the_bill_counts_each_request_and_is_exact(start: Start) -> None:
    server = start(lambda _: Reply("x", output_tokens=7), prices=PRICES)
    ask(server, "once", "twice", "twice")
    once, twice = request_hash(params("once")), request_hash(params("twice"))
    billing = server.billing
    assert (billing.received(once), billing.billed(once), billing.billed(twice)) == (1, 1, 2)
    assert billing.usd(once) == Fraction(1 * 3 + 7 * 15, 1_000_000)
    assert billing.billed_more_than_once == [twice]
    assert billing.total_usd == billing.usd(once) + billing.usd(twice)
    assert billing.nano_usd == billing.total_usd * 10**9
    assert billing.posts == 3


def test_a_script_answers_as_it_likes_and_errors_cost_nothing(start: Start) -> None:
    server = start(lambda _: message("yes", tokens=(500, 100)), prices=PRICES)
    assert ask(server)[0].id == "msg_1"
    assert server.billing.total_usd == Fraction(500 * 3 + 100 * 15, 1_000_000)
    server.answer = lambda _: error(529, "overloaded_error", "wait", {"retry-after": "3"})
    (busy,) = ask(server)
    assert (busy.status_code, busy.response.headers["retry-after"]) == (529, "3")
    server.answer = lambda _: (200, {}, b"<html>")
    assert isinstance(ask(server, "page")[0], ValueError)
    assert len(server.billing.charges) == 2


def test_a_mistake_in_a_script_or_in_the_prices_is_loud(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    server = start(prices={"another-model": Price(1, 1)})
    (raised,) = ask(server)
    assert raised.status_code == 500
    assert "has no price" in str(raised)
    assert "Traceback" in capfd.readouterr().err


def test_delay_and_what_is_under_way(start: Start) -> None:
    server = start(delay=0.05)

    async def work(client: Client) -> None:
        await asyncio.gather(*(attempt(client, params(str(i))) for i in range(5)))

    use(server, work)
    assert (server.most_at_once, server.under_way) == (5, 0)


def test_what_nobody_waits_for_any_more_is_billed(start: Start) -> None:
    server = start(delay=0.3)
    assert isinstance(ask(server, timeout=0.1)[0], anthropic.APITimeoutError)
    eventually(lambda: len(server.billing.charges) == 1)
    assert server.under_way == 0


def eventually(holds: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not holds():
            await asyncio.sleep(0.005)

    asyncio.run(asyncio.wait_for(wait(), 5))


# ---------------------------------------------------------------- limits


def test_the_headers_tell_what_is_in_the_buckets(start: Start, clock: Hand) -> None:
    server = start(limits=LIMITS, clock=clock)

    async def work(client: Client) -> Any:
        return (await client.messages.with_raw_response.create(**params("x" * 160))).headers

    headers = use(server, work)
    found = {name: value for name, value in headers.items() if name.startswith("anthropic-ratelimit-")}
    remaining = {"requests": (60, 1), "input-tokens": (6000, 60), "output-tokens": (600, -32), "tokens": (6600, 28)}
    for name, (limit, left) in remaining.items():
        assert found[f"anthropic-ratelimit-{name}-limit"] == str(limit)
        assert found[f"anthropic-ratelimit-{name}-remaining"] == str(max(0, left)), name
    reset = datetime.fromisoformat(found["anthropic-ratelimit-output-tokens-reset"])
    assert timedelta(seconds=3) < reset - datetime.now(UTC) <= timedelta(seconds=6)


def test_each_bucket_refuses_until_it_is_refilled(start: Start, clock: Hand) -> None:
    server = start(lambda _: Reply("x", output_tokens=25), limits=LIMITS, clock=clock)

    def refused() -> str | None:
        (answer,) = ask(server, "x" * 240)
        return answer.response.headers["retry-after"] if isinstance(answer, anthropic.RateLimitError) else None

    server.limits.change(input_tokens=None, output_tokens=None)
    assert [refused(), refused(), refused()] == [None, None, "1"]
    clock.now += 1
    assert [refused(), refused()] == [None, "1"]
    server.limits.change(requests=None, input_tokens=Rate(600, 100))
    assert [refused(), refused()] == [None, "2"]
    server.limits.change(input_tokens=None, output_tokens=Rate(60, 10))
    assert [refused(), refused()] == [None, "15"]
    clock.now += 15.1
    assert refused() is None
    assert server.statuses == {200: 6, 429: 4}
    assert len(server.billing.charges) == 6


def test_limits_change_while_it_runs(start: Start, clock: Hand) -> None:
    server = start(limits={"requests": Rate(60, 10)}, clock=clock)
    server.limits.scale(0.5)
    answers = ask(server, *map(str, range(8)))
    assert [type(answer) for answer in answers[5:]] == [anthropic.RateLimitError] * 3
    clock.now += 2
    assert len([a for a in ask(server, "a", "b") if isinstance(a, anthropic.RateLimitError)]) == 1


# ---------------------------------------------------------------- validation


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"temperature": 0.5}, 400, "temperature"),
        ({"top_p": 0.5}, 400, "top_p"),
        ({"top_k": 5}, 400, "top_k"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"messages": []}, 400, "messages"),
        ({"messages": [{"role": "user", "content": ""}]}, 400, "non-empty"),
        ({"model": "claude-9000"}, 404, "claude-9000"),
    ],
)
def test_what_the_api_refuses(start: Start, change: dict[str, Any], status: int, words: str) -> None:
    server = start(models=[MODEL])

    async def work(client: Client) -> Any:
        with pytest.raises(anthropic.APIStatusError, match=words) as raised:
            await client.post("/v1/messages", body=params() | change, cast_to=object)
        return raised.value

    refused = use(server, work)
    assert refused.status_code == status
    assert refused.type == ("not_found_error" if status == 404 else "invalid_request_error")
    assert refused.body["request_id"] == refused.request_id
    assert server.billing.charges == []


def test_a_request_without_a_key_is_refused(start: Start) -> None:
    server = start()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{server.url}/v1/messages", data=json.dumps(params()).encode())
    assert refused.value.code == 401
    assert json.load(refused.value)["error"]["type"] == "authentication_error"


def test_models_and_token_counts(start: Start) -> None:
    server = start(models=["claude-a", "claude-b", MODEL])

    async def work(client: Client) -> Any:
        counted = await client.messages.count_tokens(model=MODEL, messages=params("x" * 400)["messages"])
        return [found.id async for found in client.models.list(limit=2)], counted.input_tokens

    assert use(server, work) == (["claude-a", "claude-b", MODEL], 100)
    assert server.billing.posts == 0


# ---------------------------------------------------------------- faults

SEEN_AS: dict[str, tuple[type[Exception], int | None]] = {
    "rate_limited": (anthropic.RateLimitError, 429),
    "rate_limited_bare": (anthropic.RateLimitError, 429),
    "spend_cap": (anthropic.RateLimitError, 429),
    "own_limit": (anthropic.BadRequestError, 400),
    "401": (anthropic.AuthenticationError, 401),
    "402": (anthropic.APIStatusError, 402),
    "403": (anthropic.PermissionDeniedError, 403),
    "404": (anthropic.NotFoundError, 404),
    "413": (anthropic.APIStatusError, 413),
    "500": (anthropic.InternalServerError, 500),
    "504": (anthropic.InternalServerError, 504),
    "529": (anthropic.InternalServerError, 529),
    "reset": (anthropic.APIConnectionError, None),
    "cut": (anthropic.APIConnectionError, None),
    "late": (anthropic.APITimeoutError, None),
    "drip": (TimeoutError, None),
    "stall": (anthropic.APITimeoutError, None),
    "invalid_json": (ValueError, None),
}


@pytest.mark.parametrize("kind", SEEN_AS)
def test_a_fault_is_seen_and_billed_as_what_it_is(start: Start, kind: str) -> None:
    faults = Faults(1, {kind: 1.0}, at_most=1, late_seconds=0.4, drip_seconds=0.2, retry_after=7)
    server = start(faults=faults)
    broken, whole = ask(server, "same", "same", timeout=0.25)  # drip: every byte is in time, the answer is not
    expected, status = SEEN_AS[kind]
    assert issubclass(type(broken), expected), repr(broken)
    assert getattr(broken, "status_code", None) == status
    assert whole.content[0].text == "answer to same"
    billed = 1 if status or kind == "reset" else 2
    assert server.billing.billed(request_hash(params("same"))) == billed
    if status == 429:
        assert broken.response.headers.get("retry-after") == ("7" if kind == "rate_limited" else None)
        assert broken.error_code == ("enforced_spend_limit_reached" if kind == "spend_cap" else None)


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("empty", lambda m: m.content == []),
        ("null_usage", lambda m: m.usage is None),
        ("unknown_stop", lambda m: m.stop_reason == "surprise"),
        ("refusal", lambda m: (m.stop_reason, m.stop_details.category) == ("refusal", "cyber")),
        ("truncated", lambda m: (m.stop_reason, m.usage.output_tokens) == ("max_tokens", 100)),
        ("html", lambda page: "Please stand by" in str(page)),
    ],
)
def test_a_fault_within_an_answer(start: Start, kind: str, seen: Callable[[Any], bool]) -> None:
    server = start(faults=Faults(1, {kind: 1.0}))
    (answer,) = ask(server)
    assert seen(answer), answer
    assert len(server.billing.charges) == 1
    server.answer = lambda _: message("of a script")
    assert seen(ask(server)[0])


def test_every_kind_of_fault_is_covered_here() -> None:
    assert set(KINDS) == {*SEEN_AS, "empty", "null_usage", "unknown_stop", "refusal", "truncated", "html"}


def test_faults_depend_on_nothing_but_seed_request_and_attempt() -> None:
    faults = Faults(5, {"529": 0.3, "cut": 0.3}, at_most=3, uncertain_at_most=1)
    drawn = {name: [faults.kind(name, attempt) for attempt in range(12)] for name in map(str, range(300))}
    assert drawn["7"] == [faults.kind("7", attempt) for attempt in range(12)]
    assert all(sum(kind is not None for kind in kinds) <= 3 for kinds in drawn.values())
    assert all(kinds.count("cut") <= 1 for kinds in drawn.values())
    assert 150 < sum(kinds[0] is not None for kinds in drawn.values()) < 210
    assert drawn != {name: [Faults(6, faults.shares).kind(name, 0)] for name in drawn}


def test_unknown_faults_and_more_than_all_are_refused(start: Start) -> None:
    with pytest.raises(ValueError, match="nonsense"):
        Faults(1, {"nonsense": 0.1})
    with pytest.raises(ValueError, match="more than 1"):
        Faults(1, {"529": 0.6, "500": 0.6})
    with pytest.raises(ValueError, match="expired"):
        start(faults=Faults(1, {"expired": 0.1}))
    with pytest.raises(ValueError, match="late"):
        BatchRules(items=Faults(1, {"late": 0.1}))


# ---------------------------------------------------------------- prompt cache

RUBRIC = [{"type": "text", "text": "r" * 4000, "cache_control": {"type": "ephemeral"}}]


def cached(answer: Any) -> tuple[int, int, int]:
    usage = answer.usage
    return usage.input_tokens, usage.cache_creation_input_tokens, usage.cache_read_input_tokens


def test_the_first_writes_and_the_others_read_for_five_minutes(start: Start, clock: Hand) -> None:
    server = start(prices=PRICES, clock=clock, cache_minimum=1000)
    assert [cached(a) for a in ask(server, "one.", "two.", system=RUBRIC)] == [(1, 1000, 0), (1, 0, 1000)]
    dollars = Fraction(2 * 3 + 2 * 3 * 15, 10**6) + Fraction(3000, 10**6) * (Fraction(5, 4) + Fraction(1, 10))
    assert server.billing.total_usd == dollars
    clock.now += 299
    assert [cached(a) for a in ask(server, "tri.", system=RUBRIC)] == [(1, 0, 1000)]
    clock.now += 301
    assert [cached(a) for a in ask(server, "four", system=RUBRIC)] == [(1, 1000, 0)]
    assert [cached(a) for a in ask(server, "five", system="r" * 4000)] == [(1001, 0, 0)]


def test_first_requests_that_are_under_way_together_all_write(start: Start) -> None:
    server = start(delay=0.05, cache_minimum=1000)

    async def work(client: Client) -> list[Any]:
        return await asyncio.gather(*(attempt(client, params(f"n° {i}", system=RUBRIC)) for i in range(3)))

    assert [cached(answer)[1:] for answer in use(server, work)] == [(1000, 0)] * 3
    assert cached(ask(server, system=RUBRIC)[0])[1:] == (0, 1000)


def test_short_prefixes_are_not_cached_and_longer_ones_build_on_each_other(start: Start) -> None:
    server = start(cache_minimum=1001)
    assert cached(ask(server, system=RUBRIC)[0]) == (1002, 0, 0)
    block = {"type": "text", "text": "m" * 400, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    turns = [{"role": "user", "content": [block]}]
    first, second = ask(server, "", "", system=RUBRIC, messages=turns)
    assert (cached(first), cached(second)) == ((0, 1100, 0), (0, 0, 1100))
    assert first.usage.cache_creation.ephemeral_1h_input_tokens == 1100
    longer = [*turns, {"role": "assistant", "content": "yes."}, {"role": "user", "content": [block]}]
    assert cached(ask(server, system=RUBRIC, messages=longer)[0]) == (0, 101, 1100)


# ---------------------------------------------------------------- batches


def items(count: int, **more: Any) -> list[Any]:
    return [{"custom_id": f"item-{i}", "params": params(f"question {i}", **more)} for i in range(count)]


async def results_of(client: Client, name: str) -> dict[str, Any]:
    return {line.custom_id: line.result async for line in await client.messages.batches.results(name)}


def test_a_batch_from_its_creation_to_its_bill(start: Start, clock: Hand) -> None:
    server = start(prices=PRICES, clock=clock, batch=BatchRules(seconds=60, results_after=5))

    async def work(client: Client) -> None:
        batches = client.messages.batches
        made = await batches.create(requests=items(20))
        assert made.processing_status == "in_progress"
        assert (made.request_counts.processing, made.results_url, made.ended_at) == (20, None, None)
        assert made.expires_at - made.created_at == timedelta(hours=24)
        clock.now += 59
        assert (await batches.retrieve(made.id)).processing_status == "in_progress"
        assert server.billing.charges == []
        clock.now += 1
        ended = await batches.retrieve(made.id)
        assert (ended.processing_status, ended.request_counts.succeeded, ended.results_url) == ("ended", 20, None)
        with pytest.raises(anthropic.NotFoundError):
            await client.get(f"/v1/messages/batches/{made.id}/results", cast_to=object)
        clock.now += 5
        results = await results_of(client, made.id)
        assert list(results) != sorted(results, key=lambda name: int(name[5:]))
        assert {name: r.message.content[0].text for name, r in results.items()} == {
            f"item-{i}": f"answer to question {i}" for i in range(20)
        }
        with pytest.raises(anthropic.BadRequestError, match="has ended"):
            await batches.cancel(made.id)

    use(server, work)
    sent = sum(len(f"question {i}") // 4 for i in range(20))
    written = sum(len(f"answer to question {i}") // 4 for i in range(20))
    assert server.billing.total_usd == Fraction(sent * 3 + written * 15, 10**6) / 2
    assert server.batches[0].custom_ids == [f"item-{i}" for i in range(20)]
    assert list(server.batch_creates.values()) == [1]


def test_items_fail_expire_and_are_billed_only_when_they_succeed(start: Start) -> None:
    shares = dict.fromkeys(BATCH_ITEM_KINDS, 0.1)
    server = start(batch=BatchRules(items=Faults(3, shares)))

    async def work(client: Client) -> Any:
        made = await client.messages.batches.create(requests=items(80))
        return (await client.messages.batches.retrieve(made.id)).request_counts, await results_of(client, made.id)

    counts, results = use(server, work)
    outcomes = [result.type for result in results.values()]
    for name in ("succeeded", "errored", "expired"):
        assert getattr(counts, name) == outcomes.count(name) > 5
    kinds = {r.error.error.type for r in results.values() if r.type == "errored"}
    assert kinds == {"invalid_request_error", "api_error"}
    stops = {r.message.stop_reason for r in results.values() if r.type == "succeeded"}
    assert stops == {"end_turn", "refusal", "max_tokens", "surprise"}
    assert len(server.billing.charges) == counts.succeeded


def test_an_item_is_validated_when_it_is_processed(start: Start) -> None:
    server = start(models=[MODEL])

    async def work(client: Client) -> Any:
        made = await client.messages.batches.create(requests=[*items(1), *bad])
        return await results_of(client, made.id)

    bad: list[Any] = [{"custom_id": "hot", "params": params(temperature=1)}]
    bad += [{"custom_id": "new", "params": params(model="claude-9000")}]
    results = use(server, work)
    assert results["item-0"].type == "succeeded"
    assert results["hot"].error.error.type == "invalid_request_error"
    assert results["new"].error.error.type == "not_found_error"


def test_a_cancelled_batch_answers_what_it_got_to_and_an_old_one_expires(start: Start, clock: Hand) -> None:
    server = start(clock=clock, batch=BatchRules(seconds=100, cancel_seconds=10))

    async def work(client: Client) -> None:
        batches = client.messages.batches
        made = await batches.create(requests=items(10))
        clock.now += 35
        assert (await batches.cancel(made.id)).processing_status == "canceling"
        clock.now += 10
        ended = await batches.retrieve(made.id)
        assert (ended.processing_status, ended.request_counts.canceled) == ("ended", 7)
        server.batch = BatchRules(seconds=48 * 3600)
        made = await batches.create(requests=items(10))
        clock.now += 24 * 3600
        assert (await batches.retrieve(made.id)).request_counts.expired == 5

    use(server, work)
    assert len(server.billing.charges) == 3 + 5


def test_the_list_is_paged_newest_first(start: Start) -> None:
    server = start()

    async def work(client: Client) -> Any:
        made = [(await client.messages.batches.create(requests=items(1))).id for _ in range(5)]
        page = await client.messages.batches.list(limit=2)
        assert ([b.id for b in page.data], page.has_more) == ([made[4], made[3]], True)
        assert (page.first_id, page.last_id) == (made[4], made[3])
        back = await client.messages.batches.list(limit=2, before_id=made[1])
        assert ([b.id for b in back.data], back.has_more) == ([made[3], made[2]], True)
        assert [b.id async for b in client.messages.batches.list(limit=2)] == made[::-1]

    use(server, work)
    assert list(server.batch_creates.values()) == [5]


@pytest.mark.parametrize("kind", ["late", "reset", "cut", "529"])
def test_a_batch_whose_creation_goes_wrong(start: Start, kind: str) -> None:
    """All but an error have created it, and the list tells."""
    server = start(batch=BatchRules(creating=Faults(1, {kind: 1.0}, at_most=1, late_seconds=0.5)))

    async def work(client: Client) -> list[str]:
        with pytest.raises(anthropic.APIError):
            await client.messages.batches.create(requests=items(2))
        return [batch.id async for batch in client.messages.batches.list()]

    assert use(server, work, timeout=0.25) == [batch.id for batch in server.batches]
    assert len(server.batches) == (0 if kind == "529" else 1)


def test_a_new_batch_can_be_hidden_and_reading_it_can_fail(start: Start, clock: Hand) -> None:
    reading = Faults(1, {"cut": 1.0}, at_most=1)
    server = start(clock=clock, batch=BatchRules(hidden_seconds=2))

    async def work(client: Client) -> None:
        made = await client.messages.batches.create(requests=items(50))
        with pytest.raises(anthropic.NotFoundError):
            await client.messages.batches.retrieve(made.id)
        clock.now += 2
        await client.messages.batches.retrieve(made.id)
        server.batch = BatchRules(reading=reading)
        with pytest.raises(anthropic.APIConnectionError):
            await client.messages.batches.list()
        with pytest.raises(Exception, match=r"payload|Connection|closed"):
            await client.get(f"/v1/messages/batches/{made.id}/results", cast_to=object)
        assert len(await results_of(client, made.id)) == 50

    use(server, work)


@pytest.mark.parametrize(
    ("requests", "words"),
    [
        ([], "at least one"),
        ([{"custom_id": "a b", "params": params()}], "custom_id"),
        ([{"custom_id": "a" * 65, "params": params()}], "custom_id"),
        ([{"custom_id": "a\n", "params": params()}], "custom_id"),
        ([{"custom_id": "a", "params": params()}] * 2, "twice"),
        ([{"custom_id": "a"}], "params"),
        ([{}] * 100_001, "100,000"),
    ],
    ids=["none", "space", "long", "newline", "twice", "no params", "too many"],
)
def test_batches_that_the_api_refuses(start: Start, requests: list[Any], words: str) -> None:
    server = start()

    async def work(client: Client) -> None:
        with pytest.raises(anthropic.BadRequestError, match=words):
            await client.messages.batches.create(requests=requests)

    use(server, work)
    assert server.batches == []


def test_a_batch_of_too_many_bytes(start: Start) -> None:
    server = start(batch_bytes=100_000)

    async def work(client: Client) -> Any:
        with pytest.raises(anthropic.APIStatusError) as raised:
            await client.messages.batches.create(requests=items(1, system="x" * 1_000_000))
        await client.messages.batches.create(requests=items(1))
        return raised.value

    assert use(server, work).status_code == 413


# ---------------------------------------------------------------- in a process


def test_a_server_of_its_own_tells_and_changes() -> None:
    options: dict[str, Any] = {"prices": {MODEL: [3, 15]}, "limits": {"requests": [60, 3]}, "output_tokens": 10}
    with ServerProcess(**options) as server:
        ask(server, "a", "a", "b", "c")
        state = server.state()
        assert (state["posts"], state["hashes"], state["billed"], state["billed_more_than_once"]) == (4, 3, 3, 1)
        assert (state["statuses"], state["rate_limited"]) == ({"200": 3, "429": 1}, 1)
        assert Fraction(state["usd"]) == Fraction(3 * (3 + 10 * 15), 10**6)
        server.set(limits={"requests": None}, faults={"seed": 1, "shares": {"529": 1.0}}, batch={"seconds": 9})
        assert ask(server)[0].status_code == 529
        use(server, lambda client: client.messages.batches.create(requests=items(2)))
        (batch,) = server.state()["batches"]
        assert (batch["status"], batch["custom_ids"]) == ("in_progress", ["item-0", "item-1"])
        with pytest.raises(urllib.error.HTTPError):
            server.set(prices={})


def test_nothing_is_left_open(start: Start) -> None:
    server = start(faults=Faults(1, {"stall": 1.0}))
    ask(server, timeout=0.1)
    server.close()
    server.close()
    gc.collect()
    assert json.loads(json.dumps(server.asked)) == [params()]
