"""One page of a list: all ids and a request's query in, the API's list object out."""

from __future__ import annotations

from collections.abc import Callable

from messages_api.answers import JSON, Refused

DEFAULT, LARGEST = 20, 1000


def page(ids: list[str], query: dict[str, str], show: Callable[[str], JSON]) -> JSON:
    """`limit`, and `after_id` or `before_id` as cursor; `has_more` looks in the direction that was asked for."""
    limit = _limit(query.get("limit", str(DEFAULT)))
    if "before_id" in query:
        end = _place(ids, query["before_id"])
        start = max(0, end - limit)
        more = start > 0
    else:
        start = _place(ids, query["after_id"]) + 1 if "after_id" in query else 0
        end = min(len(ids), start + limit)
        more = end < len(ids)
    chosen = ids[start:end]
    return {
        "data": [show(name) for name in chosen],
        "has_more": more,
        "first_id": chosen[0] if chosen else None,
        "last_id": chosen[-1] if chosen else None,
    }


def _limit(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= LARGEST:
        raise Refused(400, "invalid_request_error", f"limit: a number from 1 to {LARGEST} is required")
    return int(text)


def _place(ids: list[str], name: str) -> int:
    try:
        return ids.index(name)
    except ValueError:
        raise Refused(400, "invalid_request_error", f"{name}: no such cursor") from None
