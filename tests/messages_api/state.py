"""GET /_state: what a server in another process has seen, as JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from messages_api.answers import JSON

if TYPE_CHECKING:
    from messages_api.api import Api


def describe(api: Api) -> JSON:
    """`usd` is exact, as a fraction; `nano_usd` the same in billionths, rounded."""
    billing = api.billing
    batches = api.batches
    submissions = Counter(name for batch in batches for name in batch.custom_ids)
    return {
        "posts": billing.posts,
        "hashes": len(billing.hashes),
        "billed": len(billing.charges),
        "billed_more_than_once": len(billing.billed_more_than_once),
        "usd": str(billing.total_usd),
        "nano_usd": billing.nano_usd,
        "statuses": {str(status): count for status, count in api.statuses.items()},
        "rate_limited": api.statuses[429],
        "under_way": api.under_way,
        "most_at_once": api.most_at_once,
        "limits": api.limits.levels(),
        "batches": [
            {"id": b.id, "sha256": b.digest, "status": b.status, "counts": b.counts, "custom_ids": b.custom_ids}
            for b in batches
        ],
        "batch_contents_created_more_than_once": sum(count > 1 for count in api.batch_creates.values()),
        "custom_ids_submitted_more_than_once": sum(count > 1 for count in submissions.values()),
    }
