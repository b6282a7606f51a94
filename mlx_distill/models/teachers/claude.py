"""Claude over the Messages API: one request, one reply, errors sorted by what can be done about them.

In: a Request. Out: a Reply with tokens and dollars. The SDK's own retries are off, because each of them may be
billed without being seen; the caller decides. Errors are told apart by type and code, never by their words. No
sampling parameters are sent: newer models refuse them. The key is read from the environment by the SDK and
appears in no error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import anthropic
import httpx2

from mlx_distill.models.teachers import (
    BASE_URL,
    Busy,
    Limits,
    Options,
    Reply,
    Request,
    require_address,
    require_key,
    secrets,
)
from mlx_distill.models.teachers.address import address, not_sent
from mlx_distill.run.errors import TeacherError, UsageError
from mlx_distill.run.prices import DATED, FRAME_TOKENS, Price, Usage, bound, cost
from mlx_distill.run.prompts import shorten

FAULTS = (anthropic.InternalServerError, anthropic.RequestTimeoutError)
"""Asking again may help: every 5xx and 408. The API charges nothing for an error."""

SPEND_LIMITS = (
    "enforced_spend_limit_reached",
    "contract_spend_limit_reached",
    "linked_organization_spend_limit_reached",
)
"""Codes of 429s that do not pass: somebody's own cap."""

CONNECT_SECONDS = 20.0
"""Of an attempt, until there is a connection: a server that answers at all takes it up at once."""

ADVICE = {
    400: "the request was refused; check the model, its settings and the account's own limits",
    401: "check ANTHROPIC_API_KEY",
    402: "check the billing of the account",
    403: "the key has no access to this model",
    404: "there is no such model; check its id",
    413: "the prompt is too large; shorten it",
}

MOST_SAID = 2000
"""Characters of a server's words that are looked at."""

RATE_LIMIT = "anthropic-ratelimit-"
ABOUT_THE_PROMPT = (400, 413)


class ClaudeTeacher:
    def __init__(self, model: str, price: Price, options: Options) -> None:
        self.model = model
        self.price = price
        self.limits: Limits | None = Limits()
        self.attempt_seconds = options.attempt_seconds
        self._cached = options.cached
        require_key(model)
        require_address()
        patience = httpx2.Timeout(options.attempt_seconds, connect=min(CONNECT_SECONDS, options.attempt_seconds))
        self.client = anthropic.AsyncAnthropic(
            max_retries=0, timeout=patience, http_client=anthropic.DefaultAioHttpClient()
        )

    async def answer(self, request: Request) -> Reply:
        started = time.monotonic()
        with translated(request):
            async with self.deadline():
                response = await self._post(request)
                message = await response.parse()
            seconds = time.monotonic() - started
            return self.reply(message, request, seconds, response.headers.get("request-id", ""))

    def deadline(self) -> asyncio.Timeout:
        """Of one attempt in all; the SDK's own starts anew with every byte."""
        return asyncio.timeout(self.attempt_seconds)

    async def _post(self, request: Request) -> Any:
        """Takes the limits that the answer's headers name, also from a refusal."""
        try:
            response = await self.client.messages.with_raw_response.create(**self.parameters(request))
        except anthropic.APIStatusError as error:
            self.limits = _limits(error.response.headers)
            raise
        self.limits = _limits(response.headers)
        return response

    def worst_usd(self, request: Request, *, batch: bool = False) -> float:
        """As `prices.bound`. Raises UsageError for a prompt that may be longer than the model's price goes."""
        size = len(f"{request.system}{request.prompt}{request.schema or ''}".encode())
        if self.price.tier is not None and size + FRAME_TOKENS > self.price.tier:
            raise UsageError(
                f"{self.model} has no price here above {self.price.tier} prompt tokens, and {_named(request)} has "
                f"{size} bytes: shorten it, or choose another model."
            )
        return bound(self.price, size, request.max_tokens, cached=self._cached, batch=batch)

    def parameters(self, request: Request) -> dict[str, Any]:
        """The body of the request, as the SDK takes it."""
        parameters: dict[str, Any] = {
            "model": request.model,
            "max_tokens": request.max_tokens,
            "messages": [{"role": "user", "content": request.prompt}],
        }
        if request.system:
            parameters["system"] = self._prefix(request.system)
        if request.schema:
            parameters["output_config"] = {"format": {"type": "json_schema", "schema": json.loads(request.schema)}}
        if request.thinking:
            parameters["thinking"] = {"type": "adaptive", "display": "summarized"}
        return parameters

    def _prefix(self, system: str) -> Any:
        if not self._cached:
            return system
        return [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]

    def reply(self, message: Any, request: Request, seconds: float, request_id: str, *, batch: bool = False) -> Reply:
        """Raises Busy for what is no message. One without token counts is charged at its bound."""
        if not isinstance(getattr(message, "content", None), list):
            raise Busy("lost", "an answer that is no message")
        details = getattr(message, "stop_details", None)
        tokens = _usage(message)
        return Reply(
            text=_joined(message, "text", "text"),
            reasoning=_joined(message, "thinking", "thinking"),
            stop_reason=_name(message.stop_reason) or "unknown",
            refusal_category=_name(getattr(details, "category", None)),
            model=_name(message.model) or request.model,
            input_tokens=tokens.input if tokens else 0,
            output_tokens=tokens.output if tokens else 0,
            cache_write_tokens=tokens.cache_write + tokens.cache_write_hour if tokens else 0,
            cache_read_tokens=tokens.cache_read if tokens else 0,
            seconds=seconds,
            usd=cost(self.price, tokens, batch=batch) if tokens else self.worst_usd(request, batch=batch),
            batch=batch,
            message_id=_name(message.id) or "",
            request_id=_name(request_id) or "",
            sdk=f"anthropic {anthropic.__version__}",
            prices_dated=DATED,
        )

    def different_answers(self, prompt: str) -> None:
        """Each is drawn anew."""

    async def close(self) -> None:
        await self.client.close()


@contextlib.contextmanager
def translated(request: Request | None = None) -> Iterator[None]:
    """The SDK's exceptions, and those of an answer that is not as it should be, as Busy or TeacherError."""
    try:
        yield
    except anthropic.APIStatusError as error:
        raise _sorted(error, request) from None
    except anthropic.APIConnectionError as error:
        unreachable = not_sent(error.__cause__.__cause__ if error.__cause__ else None)
        raise unreachable or Busy("lost", f"no answer from the API ({type(error).__name__})") from None
    except TimeoutError:
        raise Busy("lost", "no whole answer within the deadline") from None
    except (anthropic.APIError, httpx2.HTTPError, ValueError, TypeError, AttributeError) as error:
        raise Busy("lost", f"an unreadable answer from the API ({type(error).__name__})") from None


def _joined(message: Any, kind: str, field: str) -> str:
    """The text of the blocks of a kind; half characters, which no file can hold, are replaced."""
    texts = (getattr(block, field, None) or "" for block in message.content if getattr(block, "type", "") == kind)
    return secrets.of_answer("".join(texts).encode("utf-8", "replace").decode())


def _name(given: Any) -> str | None:
    """A short name that a server gives."""
    return secrets.of_error(given[:MOST_SAID]) if isinstance(given, str) else None


def _usage(message: Any) -> Usage | None:
    usage = getattr(message, "usage", None)
    written = getattr(usage, "cache_creation_input_tokens", None) or 0
    hour = getattr(getattr(usage, "cache_creation", None), "ephemeral_1h_input_tokens", None) or 0
    read = getattr(usage, "cache_read_input_tokens", None) or 0
    asked, answered = getattr(usage, "input_tokens", None), getattr(usage, "output_tokens", None)
    counts: list[Any] = [asked, answered, written - hour, hour, read]
    return Usage(*counts) if all(type(count) is int and count >= 0 for count in counts) else None


def _sorted(error: anthropic.APIStatusError, request: Request | None) -> Exception:
    if isinstance(error, anthropic.RateLimitError) and error.error_code not in SPEND_LIMITS:
        return Busy("throttled", f"HTTP {error.status_code}", _retry_after(error))
    if isinstance(error, anthropic.OverloadedError):
        return Busy("overloaded", f"HTTP {error.status_code}", _retry_after(error))
    if isinstance(error, FAULTS):
        return Busy("fault", f"HTTP {error.status_code}", _retry_after(error))
    advice = ADVICE.get(error.status_code, "see the message")
    if error.error_code in SPEND_LIMITS:
        advice = "the organisation's spend limit is reached; raise it in the console"
    if error.status_code == 404 and os.environ.get(BASE_URL):
        advice += f", and that {address()} ({BASE_URL}) is a Messages API"
    if request and error.status_code in ABOUT_THE_PROMPT:
        advice += f" (it was {_named(request)})"
    who = request.model if request else "The API"
    return TeacherError(
        f"{who} answered HTTP {error.status_code} ({reason(error.api_message)}): {advice}. What was answered is kept."
    )


def reason(text: str | None) -> str:
    """What the server says, in a line, without a key that it may repeat."""
    line = " ".join((text or "no reason given")[:MOST_SAID].split())
    return shorten(secrets.of_error(line), 200)


def _named(request: Request) -> str:
    return f"the prompt {shorten(request.prompt)!r}"


def _retry_after(error: anthropic.APIStatusError) -> float | None:
    return _number(error.response.headers.get("retry-after", ""))


def _limits(headers: Mapping[str, str]) -> Limits:
    named = {name: _number(value) for name, value in headers.items() if name.startswith(RATE_LIMIT)}

    def both(name: str) -> tuple[float, float] | None:
        limit, remaining = (named.get(f"{RATE_LIMIT}{name}-{what}") for what in ("limit", "remaining"))
        return None if not limit or remaining is None else (limit, remaining)

    return Limits(both("requests"), both("input-tokens"), both("output-tokens"))


def _number(text: str) -> float | None:
    try:
        return max(0.0, float(text))
    except ValueError:
        return None
