"""All batches: what is created, listed, cancelled; requests in, results and half-price charges out.

Nothing runs between two looks: whoever looks first after the end of a batch settles it, so an hour-long batch
takes no time in a test that moves the clock. Settling charges each answer once, under a lock.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

from messages_api.answers import JSON, Refused, request_hash
from messages_api.batch import Batch, BatchRules
from messages_api.billing import Billing
from messages_api.cache import PromptCache
from messages_api.clock import Clock
from messages_api.faults import BATCH_ITEM_ERRORS, ERRORS, Faults
from messages_api.http import Response
from messages_api.messages import spoiled
from messages_api.model import Asked, Model
from messages_api.paging import page
from messages_api.tokens import input_tokens
from messages_api.validation import check_batch, check_message


class Batches:
    """`creates`: how often a batch of the same content was created. `rules` hold for batches created from now on."""

    def __init__(
        self,
        clock: Clock,
        billing: Billing,
        cache: PromptCache,
        model: Model,
        models: Collection[str] | None,
        rules: BatchRules,
    ) -> None:
        self.rules = rules
        self.creates: Counter[str] = Counter()
        self._clock, self._billing, self._cache, self._model, self._models = clock, billing, cache, model, models
        self._batches: dict[str, Batch] = {}
        self._open: list[Batch] = []
        self._attempts: Counter[str] = Counter()
        self._lock = threading.RLock()

    @property
    def all(self) -> list[Batch]:
        """In the order of their creation, settled up to now."""
        self.settle()
        return list(self._batches.values())

    # ------------------------------------------------------------ what the API offers

    def create(self, body: Any, url: str) -> Response:
        requests = check_batch(body)
        digest = request_hash(requests)
        return self._meet(self.rules.creating, digest, lambda: self._create(requests, digest).wire(self._clock, url))

    def listed(self, query: dict[str, str], path: str, url: str) -> Response:
        """Newest first."""

        def show() -> JSON:
            newest_first = [batch.id for batch in reversed(self.all)]
            return page(newest_first, query, lambda name: self._batches[name].wire(self._clock, url))

        return self._meet(self.rules.reading, path, show)

    def get(self, name: str, path: str, url: str) -> Response:
        return self._meet(self.rules.reading, path, lambda: self._find(name).wire(self._clock, url))

    def results(self, name: str, path: str) -> Response:
        def lines() -> bytes:
            batch = self._find(name)
            if batch.results is None or not batch.has_results(self._clock()):
                raise Refused(404, "not_found_error", f"{name} has no available results.")
            return batch.results

        response = self._meet(self.rules.reading, path, lines)
        response.headers = {"content-type": "application/x-jsonl"} | response.headers
        return response

    def cancel(self, name: str, url: str) -> Response:
        batch = self._find(name)
        if batch.results is not None:
            raise Refused(400, "invalid_request_error", f"{name} has ended and cannot be canceled.")
        if batch.cancelled is None:
            batch.cancelled = self._clock()
        return Response(200, json.dumps(batch.wire(self._clock, url)).encode())

    def _meet(self, faults: Faults, key: str, show: Callable[[], JSON | bytes]) -> Response:
        """What `show` gives, as its fault lets it through; with an error kind `show` is not even called."""
        kind = faults.kind(key, self._attempts[key])
        self._attempts[key] += 1
        if kind in ERRORS:
            raise faults.refusal(kind)
        shown = show()
        body = shown if isinstance(shown, bytes) else json.dumps(shown).encode()
        return spoiled(Response(200, body), kind, faults)

    def _create(self, requests: list[JSON], digest: str) -> Batch:
        name = f"msgbatch_{len(self._batches) + 1:024x}"
        batch = self._batches[name] = Batch(name, requests, digest, self._clock(), self.rules)
        self.creates[digest] += 1
        for request in requests:
            self._billing.receive(request_hash(request["params"]))
        with self._lock:
            self._open.append(batch)
        return batch

    def _find(self, name: str) -> Batch:
        self.settle()
        batch = self._batches.get(name)
        if batch is None or self._clock() < batch.created + batch.rules.hidden_seconds:
            raise Refused(404, "not_found_error", f"No such message batch: {name}")
        return batch

    # ------------------------------------------------------------ what becomes of it

    def settle(self) -> None:
        """Ends and charges every batch whose time has come; a script that looks meanwhile sees it still open."""
        with self._lock:
            for batch in [batch for batch in self._open if self._clock() >= batch.ends]:
                self._open.remove(batch)
                self._end(batch)

    def _end(self, batch: Batch) -> None:
        done, rest = batch.processed, {"type": "expired" if batch.cancelled is None else "canceled"}
        lines = []
        counts: Counter[str] = Counter()
        for place, request in enumerate(batch.requests):
            result = self._result(request["params"], batch.rules.items) if place < done else rest
            counts[result["type"]] += 1
            lines.append(json.dumps({"custom_id": request["custom_id"], "result": result}).encode() + b"\n")
        random.Random(f"{batch.rules.seed} {batch.id}").shuffle(lines)
        batch.counts = dict(counts)
        batch.results = b"".join(lines)

    def _result(self, params: JSON, faults: Faults) -> JSON:
        digest = request_hash(params)
        kind = faults.kind(digest, self._attempts[digest])
        self._attempts[digest] += 1
        try:
            if kind == "expired":
                return {"type": "expired"}
            if kind in BATCH_ITEM_ERRORS:
                raise Refused(*BATCH_ITEM_ERRORS[kind])
            check_message(params, self._models)
            return self._written(params, digest, kind)
        except Refused as refused:
            return {"type": "errored", "error": refused.body(f"req_{digest[:24]}")}

    def _written(self, params: JSON, digest: str, kind: str | None) -> JSON:
        use = self._cache.look(params)
        written = self._model.write(Asked(params, digest, input_tokens(params), use, kind), batch=True)
        try:
            body = json.loads(written.body)
        except ValueError:
            raise Refused(*BATCH_ITEM_ERRORS["api_error"]) from None
        if written.status != 200:
            return {"type": "errored", "error": body}
        self._cache.publish(use)
        return {"type": "succeeded", "message": body}
