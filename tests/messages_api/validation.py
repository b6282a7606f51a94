"""What the API of version 2026-10-21 refuses: a request's JSON in; nothing or Refused out."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from messages_api.answers import JSON, Refused

CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
SAMPLING = ("temperature", "top_p", "top_k")
BATCH_REQUESTS = 100_000
BATCH_BYTES = 256_000_000
MESSAGE_BYTES = 32_000_000


def check_key(headers: dict[str, str]) -> None:
    if not headers.get("x-api-key") and not headers.get("authorization"):
        raise Refused(401, "authentication_error", "x-api-key header is required")


def check_size(size: int, largest: int) -> None:
    if size > largest:
        raise Refused(413, "request_too_large", "Request exceeds the maximum size")


def check_message(body: Any, models: Collection[str] | None, *, counting: bool = False) -> None:
    """One request for a message, or for its token count, which needs no max_tokens."""
    if not isinstance(body, dict):
        raise _invalid("the body is not an object")
    for name in SAMPLING:
        if name in body:
            raise _invalid(f"{name}: Extra inputs are not permitted")
    if not counting and not _is_positive(body.get("max_tokens")):
        raise _invalid("max_tokens: an integer of at least 1 is required")
    if body.get("stream"):
        raise _invalid("stream: this server answers in one piece only")
    _check_turns(body.get("messages"))
    if not isinstance(body.get("model"), str):
        raise _invalid("model: Field required")
    if models is not None and body["model"] not in models:
        raise Refused(404, "not_found_error", f"model: {body['model']}")


def check_batch(body: Any) -> list[JSON]:
    """The requests of a batch. Their parameters are checked when they are processed, as the API does."""
    requests = body.get("requests") if isinstance(body, dict) else None
    if not isinstance(requests, list) or not requests:
        raise _invalid("requests: a list of at least one request is required")
    if len(requests) > BATCH_REQUESTS:
        raise _invalid(f"requests: a batch holds at most {BATCH_REQUESTS:,} requests")
    seen: set[str] = set()
    for place, request in enumerate(requests):
        _check_item(place, request, seen)
    return requests


def _check_item(place: int, request: Any, seen: set[str]) -> None:
    if not isinstance(request, dict) or not isinstance(request.get("params"), dict):
        raise _invalid(f"requests.{place}.params: Field required")
    name = request.get("custom_id")
    if not isinstance(name, str) or not CUSTOM_ID.fullmatch(name):
        raise _invalid(f"requests.{place}.custom_id: String should match pattern '^{CUSTOM_ID.pattern}$'")
    if name in seen:
        raise _invalid(f"requests.{place}.custom_id: {name} is there twice")
    seen.add(name)


def _check_turns(turns: Any) -> None:
    if not isinstance(turns, list) or not turns:
        raise _invalid("messages: at least one message is required")
    for place, turn in enumerate(turns):
        if not isinstance(turn, dict) or turn.get("role") not in ("user", "assistant"):
            raise _invalid(f"messages.{place}.role: user or assistant is required")
        if not isinstance(turn.get("content"), str | list) or not turn["content"]:
            raise _invalid(f"messages.{place}: all messages must have non-empty content")


def _is_positive(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1


def _invalid(text: str) -> Refused:
    return Refused(400, "invalid_request_error", text)
