"""Options as JSON, for a server in another process: at its start, and for POST /_set while it runs.

{"delay": 0.01, "prices": {"claude-sonnet-4-6": [3, 15]}, "limits": {"requests": [50, 5], "output_tokens": 8000},
 "faults": {"seed": 1, "shares": {"529": 0.1}, "at_most": 2}, "batch": {"seconds": 5, "creating": {…faults}},
 "models": ["claude-sonnet-4-6"], "output_tokens": 200, "cache_minimum": 1024, "remember": false}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from messages_api.answers import JSON
from messages_api.batch import BatchRules
from messages_api.billing import Price
from messages_api.faults import NO_FAULTS, Faults
from messages_api.limits import Rate

if TYPE_CHECKING:
    from messages_api.api import Api

PLAIN = ("delay", "models", "cache_minimum", "remember", "batch_bytes", "port")
CHANGEABLE = ("delay", "faults", "batch", "output_tokens", "remember")


def parse(given: JSON) -> dict[str, Any]:
    """Keyword arguments of MessagesServer. Raises ValueError for a name that it does not know."""
    readers: dict[str, Callable[[Any], Any]] = {
        "prices": lambda prices: {model: Price(*price) for model, price in prices.items()},
        "limits": lambda limits: {name: _rate(limit) for name, limit in limits.items()},
        "faults": _faults,
        "batch": _rules,
        "output_tokens": lambda count: lambda body, text: count,
    } | dict.fromkeys(PLAIN, lambda value: value)
    if unknown := set(given) - set(readers):
        raise ValueError(f"{', '.join(sorted(unknown))}: no such option")
    return {name: readers[name](value) for name, value in given.items()}


def change(api: Api, given: JSON) -> None:
    """`limits` changes the named ones, `scale_limits` all of them by a factor; the rest replaces what was there."""
    given = dict(given)
    factor = given.pop("scale_limits", None)
    found = parse(given)
    if fixed := set(found) - {*CHANGEABLE, "limits"}:
        raise ValueError(f"{', '.join(sorted(fixed))}: not while it runs")
    api.limits.change(**found.pop("limits", {}))
    if factor is not None:
        api.limits.scale(factor)
    for name, value in found.items():
        setattr(api, name, value)


def _rate(limit: Any) -> Rate | None:
    """50, [50, 5] (per minute, burst) or null."""
    return None if limit is None else Rate(*limit) if isinstance(limit, list) else Rate(limit)


def _faults(given: JSON | None) -> Faults:
    return Faults(**given) if given else NO_FAULTS


def _rules(given: JSON) -> BatchRules:
    schedules: dict[str, Any] = {
        name: _faults(given[name]) for name in ("items", "creating", "reading") if name in given
    }
    return BatchRules(**(given | schedules))
