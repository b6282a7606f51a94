import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from messages_api import Faults, MessagesServer, error, message

from mlx_distill.models.teachers import Busy, Options, Reply, Request, open_teacher
from mlx_distill.run.errors import TeacherError, UsageError

MODEL = "claude-sonnet-4-6"
Serve = Callable[..., MessagesServer]


def answer(request: Request, options: Options = Options()) -> Reply:  # noqa: B008
    async def work() -> Reply:
        teacher = open_teacher(request.model, options)
        try:
            return await teacher.answer(request)
        finally:
            await teacher.close()

    return asyncio.run(work())


def test_what_is_sent_and_what_is_kept_of_the_answer(serve: Serve) -> None:
    content = [{"type": "thinking", "thinking": "first …", "signature": "s"}, {"type": "text", "text": "then"}]
    server = serve(lambda _: message("", content=content, tokens=(100, 20)))
    reply = answer(Request(MODEL, "why?", "be brief", 64, schema='{"type": "object"}', thinking=True))
    (sent,) = server.asked
    assert set(sent) == {"model", "max_tokens", "messages", "system", "thinking", "output_config"}
    assert sent["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert sent["output_config"]["format"] == {"type": "json_schema", "schema": {"type": "object"}}
    assert (reply.text, reply.reasoning, reply.input_tokens, reply.output_tokens) == ("then", "first …", 100, 20)
    assert reply.usd == pytest.approx((100 * 3 + 20 * 15) / 1e6)
    assert reply.message_id.startswith("msg_")
    assert reply.request_id.startswith("req_")
    assert reply.sdk.startswith("anthropic ")
    assert reply.prices_dated == "2026-11-22"


def test_an_answer_without_token_counts_is_charged_at_its_bound(serve: Serve) -> None:
    serve(faults=Faults(1, {"null_usage": 1.0}))
    request = Request(MODEL, "x", "", 1000)
    assert answer(request).usd == pytest.approx((513 * 3 + 1000 * 15) / 1e6)


def test_a_cached_prefix_is_marked_written_and_read(serve: Serve) -> None:
    server = serve()
    system = "word " * 4000
    first = answer(Request(MODEL, "a", system, 10), Options(cached=True))
    second = answer(Request(MODEL, "b", system, 10), Options(cached=True))
    assert server.asked[0]["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert (first.cache_write_tokens > 4000, first.cache_read_tokens) == (True, 0)
    assert (second.cache_write_tokens, second.cache_read_tokens) == (0, first.cache_write_tokens)
    assert (first.usd or 0) + (second.usd or 0) == pytest.approx(float(server.billing.total_usd))
    assert (second.usd or 0) < (first.usd or 0) / 5


@pytest.mark.parametrize(
    ("status", "kind", "what"),
    [(429, "rate_limit_error", "throttled"), (529, "overloaded_error", "overloaded"), (503, "api_error", "fault")],
)
def test_troubles_are_told_apart_by_type(serve: Serve, status: int, kind: str, what: str) -> None:
    serve(lambda _: error(status, kind, "overloaded spend limit rate limit"))
    with pytest.raises(Busy) as raised:
        answer(Request(MODEL, "x", "", 10))
    assert raised.value.kind == what


def test_what_never_left_is_not_perhaps_charged(serve: Serve) -> None:
    serve().close()
    with pytest.raises(Busy) as raised:
        answer(Request(MODEL, "x", "", 10))
    assert raised.value.kind == "unreachable"


def test_the_limits_are_taken_from_answers_and_from_refusals(serve: Serve) -> None:
    headers = {"anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-requests-remaining": "7"}
    server = serve(lambda _: error(429, "rate_limit_error", headers=headers))

    async def work() -> None:
        teacher = open_teacher(MODEL)
        with pytest.raises(Busy):
            await teacher.answer(Request(MODEL, "x", "", 10))
        assert teacher.limits is not None
        assert teacher.limits.requests == (50, 7)
        assert teacher.limits.input_tokens is None
        await teacher.close()

    asyncio.run(work())
    assert server.asked


def test_a_prompt_that_may_pass_a_price_tier_is_refused_before_it_is_sent(serve: Serve) -> None:
    serve()
    teacher = open_teacher("claude-haiku-5-5")
    assert teacher.worst_usd(Request("claude-haiku-5-5", "x" * 99_000, "", 10)) > 0
    with pytest.raises(UsageError, match="no price here above 100000"):
        teacher.worst_usd(Request("claude-haiku-5-5", "x" * 100_000, "", 10))
    asyncio.run(teacher.close())


def test_the_key_of_a_request_is_its_content_but_not_its_cap() -> None:
    base = Request(MODEL, "a", "b", 10)
    assert base.key == Request(MODEL, "a", "b", 99).key
    others = [
        Request(MODEL, "ab", "", 10),
        Request(MODEL, "a", "b", 10, schema="{}"),
        Request(MODEL, "a", "b", 10, thinking=True),
        Request(MODEL, "a", "b", 10, sample=1),
        Request("claude-opus-5", "a", "b", 10),
    ]
    assert len({base.key, *(other.key for other in others)}) == 6


def test_a_key_appears_in_no_error_even_when_the_server_repeats_it(serve: Serve) -> None:
    serve(lambda _: error(401, "authentication_error", "invalid key sk-ant-secret given"))
    with pytest.raises(TeacherError, match="invalid key … given") as raised:
        answer(Request(MODEL, "x", "", 10))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("key", ["sk-ant\n", " sk", "sk ant", "schlüssel"])
def test_a_key_that_cannot_be_sent_is_told_before_anything_is(serve: Serve, monkeypatch: Any, key: str) -> None:
    server = serve()
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    with pytest.raises(TeacherError, match="ANTHROPIC_API_KEY holds a space or a line break"):
        open_teacher(MODEL)
    assert server.asked == []


def test_a_refused_prompt_is_named(serve: Serve) -> None:
    serve(lambda _: error(413, "request_too_large"))
    with pytest.raises(TeacherError, match="it was the prompt 'Explain everything'"):
        answer(Request(MODEL, "Explain everything", "", 10))


@pytest.mark.parametrize(
    "more",
    [
        {"content": [{"type": "text", "text": None}]},
        {"content": [{"type": "text"}]},
        {"usage": {"input_tokens": "many", "output_tokens": 3}},
        {"usage": {"input_tokens": -5, "output_tokens": 3}},
        {"usage": {"input_tokens": 5}},
        {"content": [{"type": "text", "text": "half \ud83d"}]},
        {"stop_reason": None},
    ],
)
def test_an_answer_of_an_odd_shape_is_kept_and_charged_no_less_than_its_bound(
    serve: Serve, more: dict[str, Any]
) -> None:
    body = {"id": "m", "type": "message", "role": "assistant", "model": MODEL, "stop_reason": "end_turn"}
    body |= {"content": [{"type": "text", "text": "x"}], "usage": {"input_tokens": 5, "output_tokens": 3}} | more
    server = serve()
    server.answer = lambda _: (200, {}, json.dumps(body).encode())
    reply = answer(Request(MODEL, "x", "", 100))
    assert reply.text == reply.text.encode().decode()
    assert (reply.usd or 0) >= (5 * 3 + 3 * 15) / 1e6
