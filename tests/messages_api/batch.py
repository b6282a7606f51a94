"""One message batch: requests and rules in; out, for any moment, its state as the API shows it.

A batch works evenly through its requests for `seconds` and then ends; what it had no time for, because it was
cancelled or a day had passed, is canceled or expired.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from messages_api.answers import JSON
from messages_api.clock import Clock
from messages_api.faults import BATCH_ITEM_KINDS, BODIES, DELIVERIES, ERRORS, NO_FAULTS, Faults

DAY = 24 * 3600.0
OUTCOMES = ("succeeded", "errored", "canceled", "expired")


@dataclass(frozen=True)
class BatchRules:
    """How batches behave from now on. Times are in the server's clock.

    `hidden_seconds`: a new batch cannot be retrieved at once. `results_after`: results come later than the end.
    `items`: faults of single requests. `creating`: faults of POST, by the batch's content; an error kind creates
    nothing, any other (late, reset, cut, …) creates a batch that the client does not hear of. `reading`: faults of
    every GET, by its path. `seed` shuffles results.
    """

    seconds: float = 0.0
    results_after: float = 0.0
    hidden_seconds: float = 0.0
    cancel_seconds: float = 0.0
    seed: int = 0
    items: Faults = NO_FAULTS
    creating: Faults = NO_FAULTS
    reading: Faults = NO_FAULTS

    def __post_init__(self) -> None:
        travelling = {*ERRORS, *DELIVERIES, *BODIES}
        for name, known in (("items", set(BATCH_ITEM_KINDS)), ("creating", travelling), ("reading", travelling)):
            if unknown := set(getattr(self, name).shares) - known:
                raise ValueError(f"{name} cannot have {', '.join(sorted(unknown))}")


@dataclass
class Batch:
    """`results` (JSONL) and `counts` are there once it has ended; `digest` is the hash of its content."""

    id: str
    requests: list[JSON]
    digest: str
    created: float
    rules: BatchRules
    cancelled: float | None = None
    results: bytes | None = None
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def custom_ids(self) -> list[str]:
        return [request["custom_id"] for request in self.requests]

    @property
    def status(self) -> str:
        if self.results is not None:
            return "ended"
        return "in_progress" if self.cancelled is None else "canceling"

    @property
    def ends(self) -> float:
        """When it ends, or ended, as things stand."""
        end = self.created + min(self.rules.seconds, DAY)
        return end if self.cancelled is None else min(end, self.cancelled + self.rules.cancel_seconds)

    @property
    def processed(self) -> int:
        """How many requests it gets to, from the first on."""
        if self.rules.seconds <= 0:
            return len(self.requests)
        stopped = self.created + min(self.rules.seconds, DAY)
        if self.cancelled is not None:
            stopped = min(stopped, self.cancelled)
        return int(len(self.requests) * (stopped - self.created) / self.rules.seconds + 1e-9)

    def has_results(self, now: float) -> bool:
        return self.results is not None and now >= self.ends + self.rules.results_after

    def wire(self, clock: Clock, url: str) -> JSON:
        ended = self.results is not None
        counts = self.counts if ended else {"processing": len(self.requests)}
        return {
            "id": self.id,
            "type": "message_batch",
            "processing_status": self.status,
            "request_counts": dict.fromkeys(("processing", *OUTCOMES), 0) | counts,
            "created_at": clock.stamp(self.created),
            "expires_at": clock.stamp(self.created + DAY),
            "ended_at": clock.stamp(self.ends) if ended else None,
            "cancel_initiated_at": None if self.cancelled is None else clock.stamp(self.cancelled),
            "archived_at": None,
            "results_url": f"{url}/v1/messages/batches/{self.id}/results" if self.has_results(clock()) else None,
        }
