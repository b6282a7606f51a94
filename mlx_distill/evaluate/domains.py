"""Which domain a benchmark measures: the student's own, or one that its training may have cost it.

In: a benchmark's protocol. Out: one of DOMAINS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

OWN, OTHER_CODE = "own domain", "other code"
DOMAINS = (OWN, OTHER_CODE, "mathematics", "instruction following", "general")


def domain(protocol: Mapping[str, Any], own: Sequence[str]) -> str:
    """One of DOMAINS, of a benchmark by name, title and capability. `own` names capabilities or benchmarks."""
    if {str(protocol[key]).casefold() for key in ("name", "title", "capability")} & {word.casefold() for word in own}:
        return OWN
    return OTHER_CODE if protocol["capability"] == "code" else str(protocol["capability"])
