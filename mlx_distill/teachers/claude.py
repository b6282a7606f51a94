"""Claude over the Messages API: one request, one reply, errors sorted by what can be done about them.

In: a Request. Out: a Reply with tokens and dollars. The SDK's own retries are off, because each of them may be
billed without being seen; the caller decides. No sampling parameters are sent: newer models refuse them.
The key is read from the environment by the SDK and appears in no error.
"""

from __future__ import annotations

import json
import time
from typing import Any

import anthropic

from mlx_distill.errors import TeacherError
from mlx_distill.prices import cost
from mlx_distill.teachers import Busy, Reply, Request, require_key

TIMEOUT_SECONDS = 600.0

TRANSIENT = (anthropic.RateLimitError, anthropic.InternalServerError, anthropic.RequestTimeoutError)
"""Asking again may help: 429, every 5xx (529 overloaded among them) and 408."""

SPEND_LIMIT_CODES = ("enforced_spend_limit_reached",)
"""429s that do not pass: the organisation's own cap."""

ADVICE = {
    400: "the request was refused; check the model and its settings",
    401: "check ANTHROPIC_API_KEY",
    402: "check the billing of the account",
    403: "the key has no access to this model",
    404: "there is no such model; check its id",
    413: "the prompt is too large; shorten it",
}


class ClaudeTeacher:
    def __init__(self, model: str) -> None:
        self.model = model
        require_key(model)
        self._client = anthropic.AsyncAnthropic(
            max_retries=0, timeout=TIMEOUT_SECONDS, http_client=anthropic.DefaultAioHttpClient()
        )

    async def answer(self, request: Request) -> Reply:
        started = time.monotonic()
        try:
            message = await self._client.messages.create(**_parameters(request))
        except anthropic.APIStatusError as error:
            raise _sorted_error(error, request.model) from None
        except anthropic.APIConnectionError as error:
            raise Busy(f"no answer from the API ({type(error).__name__})") from None
        except (anthropic.APIError, ValueError) as error:
            raise Busy(f"an unreadable answer from the API ({type(error).__name__})") from None
        return _reply(message, request, time.monotonic() - started)

    def worst_usd(self, request: Request) -> float:
        """An upper bound: no tokenizer makes more tokens than there are bytes."""
        sent = f"{request.system}{request.prompt}{request.schema or ''}"
        return cost(self.model, len(sent.encode()) + 512, request.max_tokens)

    async def close(self) -> None:
        await self._client.close()


def _parameters(request: Request) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "messages": [{"role": "user", "content": request.prompt}],
    }
    if request.system:
        parameters["system"] = request.system
    if request.schema:
        parameters["output_config"] = {"format": {"type": "json_schema", "schema": json.loads(request.schema)}}
    return parameters


def _reply(message: Any, request: Request, seconds: float) -> Reply:
    usage = getattr(message, "usage", None)
    if not isinstance(getattr(message, "content", None), list) or usage is None or not message.stop_reason:
        raise Busy("an incomplete answer from the API")
    details = getattr(message, "stop_details", None)
    return Reply(
        text="".join(block.text for block in message.content if block.type == "text"),
        reasoning="".join(block.thinking for block in message.content if block.type == "thinking"),
        stop_reason=message.stop_reason,
        refusal_category=getattr(details, "category", None),
        model=message.model,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        seconds=seconds,
        usd=cost(request.model, usage.input_tokens, usage.output_tokens),
        message_id=message.id,
        request_id=getattr(message, "_request_id", None) or "",
    )


def _sorted_error(error: anthropic.APIStatusError, model: str) -> Exception:
    if isinstance(error, TRANSIENT) and error.error_code not in SPEND_LIMIT_CODES:
        return Busy(f"HTTP {error.status_code}", _retry_after(error))
    advice = ADVICE.get(error.status_code, "see the message")
    if error.error_code in SPEND_LIMIT_CODES:
        advice = "the organisation's spend limit is reached; raise it in the console"
    reason = " ".join((error.api_message or "no reason given").split())[:200]
    return TeacherError(f"{model} answered HTTP {error.status_code} ({reason}): {advice}. What was answered is kept.")


def _retry_after(error: anthropic.APIStatusError) -> float | None:
    try:
        return max(0.0, float(error.response.headers.get("retry-after", "")))
    except ValueError:
        return None
