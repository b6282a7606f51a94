"""Faults: a request's hash and attempt number in, what goes wrong with it out.

The draw is a pure function of (seed, hash, attempt), so a run repeats whatever order its requests come in. Error
kinds cost nothing; every other kind but `reset` is an answer that was produced and is billed, seen or not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from messages_api.answers import JSON, Refused

OWN_LIMIT = "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."

ERRORS: dict[str, tuple[int, str, str]] = {
    "rate_limited": (429, "rate_limit_error", "This request would exceed your organization's rate limit."),
    "rate_limited_bare": (429, "rate_limit_error", "This request would exceed your organization's rate limit."),
    "spend_cap": (429, "rate_limit_error", "Your organization has reached its monthly API usage threshold."),
    "own_limit": (400, "invalid_request_error", OWN_LIMIT),
    "401": (401, "authentication_error", "invalid x-api-key"),
    "402": (402, "billing_error", "Your credit balance is too low to access the Claude API."),
    "403": (403, "permission_error", "Your API key does not have permission to use the specified resource."),
    "404": (404, "not_found_error", "The requested resource could not be found."),
    "413": (413, "request_too_large", "Request exceeds the maximum size"),
    "500": (500, "api_error", "Internal server error"),
    "504": (504, "timeout_error", "Request timed out"),
    "529": (529, "overloaded_error", "Overloaded"),
}

DELIVERIES = ("late", "drip", "stall", "cut", "reset")
BODIES = ("invalid_json", "html")
HTML = b"<!doctype html><title>One moment</title><p>Please stand by."

LOST = frozenset({"late", "drip", "stall", "cut", *BODIES})
"""Billed, and the client cannot know what it paid for (with `late`: if it does not wait that long)."""

BATCH_ITEM_ERRORS: dict[str, tuple[int, str, str]] = {
    "invalid_request": (400, "invalid_request_error", "This item is not valid."),
    "api_error": (500, "api_error", "Internal server error"),
}


def _empty(message: JSON, _: JSON) -> None:
    message["content"] = []


def _null_usage(message: JSON, _: JSON) -> None:
    message["usage"] = None


def _unknown_stop(message: JSON, _: JSON) -> None:
    message["stop_reason"] = "surprise"


def _refusal(message: JSON, _: JSON) -> None:
    message |= {
        "content": [],
        "stop_reason": "refusal",
        "stop_details": {"type": "refusal", "category": "cyber", "explanation": None},
    }


def _truncated(message: JSON, request: JSON) -> None:
    message["stop_reason"] = "max_tokens"
    message["usage"]["output_tokens"] = request["max_tokens"]
    for block in message["content"]:
        block["text"] = block["text"][: len(block["text"]) // 2]


EDITS: dict[str, Callable[[JSON, JSON], None]] = {
    "empty": _empty,
    "null_usage": _null_usage,
    "unknown_stop": _unknown_stop,
    "refusal": _refusal,
    "truncated": _truncated,
}
"""Kinds that change a message (first argument, in place) that was asked for by a request (second)."""

KINDS = (*ERRORS, *DELIVERIES, *BODIES, *EDITS)
BATCH_ITEM_KINDS = (*BATCH_ITEM_ERRORS, "expired", *EDITS)


@dataclass(frozen=True)
class Faults:
    """`shares`: kind → share of attempts. One request meets at most `at_most` faults, and at most
    `uncertain_at_most` of the kinds in `uncertain`; an attempt past either is answered as it should be."""

    seed: int
    shares: Mapping[str, float]
    at_most: int | None = None
    uncertain_at_most: int | None = None
    uncertain: Collection[str] = LOST
    late_seconds: float = 1.0
    drip_seconds: float = 0.5
    retry_after: int = 1

    def __post_init__(self) -> None:
        if unknown := set(self.shares) - {*KINDS, *BATCH_ITEM_KINDS}:
            raise ValueError(f"{', '.join(sorted(unknown))}: no such fault")
        if sum(self.shares.values()) > 1 + 1e-9:
            raise ValueError("the shares of all faults are more than 1")

    def kind(self, digest: str, attempt: int) -> str | None:
        """What attempt number `attempt` (from 0) of a request meets; None: nothing."""
        met: list[str] = []
        kind = None
        for number in range(attempt + 1):
            kind = self._allowed(self._draw(digest, number), met)
            met += [kind] if kind else []
        return kind

    def _allowed(self, kind: str | None, met: list[str]) -> str | None:
        if self.at_most is not None and len(met) >= self.at_most:
            return None
        if kind in self.uncertain and self.uncertain_at_most is not None:
            return kind if sum(k in self.uncertain for k in met) < self.uncertain_at_most else None
        return kind

    def _draw(self, digest: str, attempt: int) -> str | None:
        drawn = hashlib.sha256(f"{self.seed} {digest} {attempt}".encode()).digest()
        left = int.from_bytes(drawn[:8], "big") / 2**64
        for kind, share in self.shares.items():
            left -= share
            if left < 0:
                return kind
        return None

    def refusal(self, kind: str) -> Refused:
        """The error of an error kind."""
        status, error, text = ERRORS[kind]
        headers = {"retry-after": str(self.retry_after)} if kind == "rate_limited" else {}
        details = {"error_code": "enforced_spend_limit_reached"} if kind == "spend_cap" else {}
        return Refused(status, error, text, headers, details)

    def seconds(self, kind: str | None) -> float:
        return self.drip_seconds if kind == "drip" else self.late_seconds


NO_FAULTS = Faults(0, {})
