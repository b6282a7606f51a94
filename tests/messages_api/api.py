"""The API without its network: Requests in, Responses out, and everything that a test wants to know of it.

Attributes may be read and assigned while it serves; each request sees what holds when it arrives.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any

from messages_api import options, state, tokens
from messages_api.answers import JSON, Refused, Script, echo
from messages_api.batch import Batch, BatchRules
from messages_api.batches import Batches
from messages_api.billing import Billing, Price
from messages_api.cache import PromptCache
from messages_api.clock import Clock
from messages_api.faults import KINDS, NO_FAULTS, Faults
from messages_api.http import Request, Response
from messages_api.limits import Limits, Rate
from messages_api.messages import Messages, Ticket
from messages_api.model import Model
from messages_api.paging import page
from messages_api.validation import BATCH_BYTES, MESSAGE_BYTES, check_key, check_message, check_size

Send = Callable[[Response], None]
RELEASED = "2026-01-01T00:00:00Z"


class Api:
    """`asked`, `headers`: every request for a message so far (not those in batches), unless `remember` is false.

    `most_at_once` of them were under way together, `under_way` are now; `statuses` counts their answers by HTTP
    status (0: a connection reset). `models` None knows every model. `delay`: seconds from a request to its answer.
    """

    def __init__(
        self,
        answer: Script = echo,
        delay: float = 0.0,
        *,
        prices: Mapping[str, Price] | None = None,
        limits: Mapping[str, Rate | None] | None = None,
        faults: Faults | None = None,
        batch: BatchRules | None = None,
        models: Collection[str] | None = None,
        cache_minimum: int = 1024,
        output_tokens: Callable[[JSON, str], int] = tokens.output_tokens,
        clock: Callable[[], float] = time.monotonic,
        remember: bool = True,
        batch_bytes: int = BATCH_BYTES,
    ) -> None:
        self.answer, self.delay, self.output_tokens, self.remember = answer, delay, output_tokens, remember
        self.asked: list[JSON] = []
        self.headers: list[dict[str, str]] = []
        self.under_way = self.most_at_once = 0
        self.statuses: Counter[int] = Counter()
        self.clock = Clock(clock)
        self.limits = Limits(limits or {}, self.clock)
        self.faults = faults or NO_FAULTS
        self._models = models
        self._listed = sorted(prices or ()) if models is None else sorted(models)
        self._batch_bytes = batch_bytes
        self._request_ids = itertools.count(1)
        self._billing = Billing(prices)
        cache = PromptCache(self.clock, cache_minimum)
        model = Model(lambda body: self.answer(body), lambda body, text: self.output_tokens(body, text), self._billing)
        self._messages = Messages(self._billing, self.limits, cache, model, models)
        self._batches = Batches(self.clock, self._billing, cache, model, models, batch or BatchRules())

    @property
    def faults(self) -> Faults:
        """Of POST /v1/messages; None takes them away."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults | None) -> None:
        if unknown := set((faults or NO_FAULTS).shares) - set(KINDS):
            raise ValueError(f"messages cannot have {', '.join(sorted(unknown))}")
        self._faults = faults or NO_FAULTS

    @property
    def batch(self) -> BatchRules:
        """For the batches created from now on."""
        return self._batches.rules

    @batch.setter
    def batch(self, rules: BatchRules) -> None:
        self._batches.rules = rules

    @property
    def billing(self) -> Billing:
        """With everything that has ended by now."""
        self._batches.settle()
        return self._billing

    @property
    def batches(self) -> list[Batch]:
        """In the order of their creation."""
        return self._batches.all

    @property
    def batch_creates(self) -> Counter[str]:
        """Content hash → how often a batch of that content was created."""
        return self._batches.creates

    # ------------------------------------------------------------ the server's side

    def receive(self, request: Request, send: Send) -> None:
        if _asks_for_message(request):
            self._ask(request, send)
        else:
            send(self._dressed(self._guarded(lambda: self._look_up(request))))

    def finished(self, request: Request) -> None:
        if _asks_for_message(request):
            self.under_way -= 1

    def largest(self, path: str) -> int:
        return self._batch_bytes if path == "/v1/messages/batches" else MESSAGE_BYTES

    def _ask(self, request: Request, send: Send) -> None:
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        self._billing.posts += 1
        try:
            ticket = self._arrive(request)
        except Exception as raised:
            self._tell(self._error(raised), send)
            return
        loop = asyncio.get_running_loop()
        if self.delay > 0:
            loop.call_later(self.delay, self._produce, ticket, send)
        else:
            loop.call_soon(self._produce, ticket, send)

    def _arrive(self, request: Request) -> Ticket:
        body = self._json(request)
        if self.remember:
            self.asked.append(body)
            self.headers.append(request.headers)
        check_key(request.headers)
        return self._messages.arrive(body, self._faults)

    def _produce(self, ticket: Ticket, send: Send) -> None:
        self._tell(self._guarded(lambda: self._messages.produce(ticket)), send)

    def _tell(self, response: Response, send: Send) -> None:
        self.statuses[response.status] += 1
        send(self._dressed(response))

    def _look_up(self, request: Request) -> Response:
        """Everything but POST /v1/messages, which alone takes time."""
        url = f"http://{request.headers.get('host', 'localhost')}"
        match request.method, *request.path.strip("/").split("/"):
            case "GET", "_state":
                return _json_response(state.describe(self))
            case "POST", "_set":
                options.change(self, self._json(request))
                return _json_response({})
        check_key(request.headers)
        match request.method, *request.path.strip("/").split("/"):
            case "GET", "v1", "models":
                return _json_response(page(self._listed, request.query, _model))
            case "POST", "v1", "messages", "count_tokens":
                return _json_response({"input_tokens": self._count(self._json(request))})
            case "POST", "v1", "messages", "batches":
                return self._batches.create(self._json(request), url)
            case "GET", "v1", "messages", "batches":
                return self._batches.listed(request.query, request.path, url)
            case "GET", "v1", "messages", "batches", name:
                return self._batches.get(name, request.path, url)
            case "GET", "v1", "messages", "batches", name, "results":
                return self._batches.results(name, request.path)
            case "POST", "v1", "messages", "batches", name, "cancel":
                return self._batches.cancel(name, url)
        raise Refused(404, "not_found_error", f"{request.method} {request.path} is not there")

    def _count(self, body: Any) -> int:
        check_message(body, self._models, counting=True)
        return tokens.input_tokens(body)

    def _json(self, request: Request) -> Any:
        check_size(request.size, self.largest(request.path))
        try:
            return json.loads(request.body)
        except ValueError:
            raise Refused(400, "invalid_request_error", "The request body is not valid JSON.") from None

    def _guarded(self, work: Callable[[], Response]) -> Response:
        try:
            return work()
        except Exception as raised:
            return self._error(raised)

    def _error(self, raised: Exception) -> Response:
        """A mistake in a script is a 500 with its traceback on stderr, not a client that waits for ever."""
        refused = raised if isinstance(raised, Refused) else Refused(500, "api_error", repr(raised))
        if refused is not raised:
            traceback.print_exception(raised)
        request_id = self._new_request_id()
        body = json.dumps(refused.body(request_id)).encode()
        return Response(refused.status, body, {"request-id": request_id} | refused.headers)

    def _dressed(self, response: Response) -> Response:
        """With the headers that every answer has; what the response brought itself wins."""
        response.headers = {"content-type": "application/json"} | self.limits.headers() | response.headers
        if "request-id" not in response.headers:
            response.headers["request-id"] = self._new_request_id()
        return response

    def _new_request_id(self) -> str:
        return f"req_{next(self._request_ids):024x}"


def _asks_for_message(request: Request) -> bool:
    return request.path == "/v1/messages" and request.method == "POST"


def _json_response(body: JSON) -> Response:
    return Response(200, json.dumps(body).encode())


def _model(name: str) -> JSON:
    return {"type": "model", "id": name, "display_name": name, "created_at": RELEASED, "lifecycle": "active"}
