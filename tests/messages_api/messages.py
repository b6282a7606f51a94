"""POST /v1/messages in its two moments: a request arrives (checked, counted, let in), its answer is produced.

Between the two the server waits. What is refused on arrival costs nothing and does not count as an attempt for the
fault schedule: how often a client runs into a rate limit depends on time, which the schedule must not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from messages_api.answers import Refused, request_hash
from messages_api.billing import Billing
from messages_api.cache import PromptCache
from messages_api.faults import BODIES, DELIVERIES, ERRORS, HTML, Faults
from messages_api.http import Response
from messages_api.limits import Limits
from messages_api.model import Asked, Model
from messages_api.tokens import input_tokens
from messages_api.validation import check_message

OVER_LIMIT = "This request would exceed your organization's rate limit."


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request that was let in."""

    asked: Asked
    faults: Faults


class Messages:
    def __init__(
        self, billing: Billing, limits: Limits, cache: PromptCache, model: Model, models: Collection[str] | None
    ) -> None:
        self._billing, self._limits, self._cache, self._model, self._models = billing, limits, cache, model, models
        self._attempts: Counter[str] = Counter()

    def arrive(self, body: Any, faults: Faults) -> Ticket:
        """Raises Refused for an invalid request and for one over a limit."""
        digest = request_hash(body)
        self._billing.receive(digest)
        check_message(body, self._models)
        use = self._cache.look(body)
        tokens = input_tokens(body)
        wait = self._limits.admit(tokens - use.read)
        if wait is not None:
            raise Refused(429, "rate_limit_error", OVER_LIMIT, {"retry-after": str(wait)})
        kind = faults.kind(digest, self._attempts[digest]) if faults.shares else None
        self._attempts[digest] += 1
        return Ticket(Asked(body, digest, tokens, use, kind), faults)

    def produce(self, ticket: Ticket) -> Response:
        """Raises Refused where the schedule has an error. Everything that is produced is charged here."""
        asked, faults = ticket.asked, ticket.faults
        if asked.kind in ERRORS:
            raise faults.refusal(asked.kind)
        if asked.kind == "reset":
            return Response(0, b"", delivery="reset")
        written = self._model.write(asked)
        self._limits.take_output(written.tokens.output)
        response = Response(written.status, written.body, written.headers)
        if written.status == 200:
            response.begun = lambda: self._cache.publish(asked.use)
        return spoiled(response, asked.kind, faults)


def spoiled(response: Response, kind: str | None, faults: Faults) -> Response:
    """The same response on a bad way, or with a body that is not JSON."""
    if kind in DELIVERIES:
        response.delivery, response.seconds = kind, faults.seconds(kind)
    elif kind in BODIES:
        html = kind == "html"
        response.body = HTML if html else response.body[: len(response.body) // 2]
        response.headers = response.headers | ({"content-type": "text/html"} if html else {})
    return response
