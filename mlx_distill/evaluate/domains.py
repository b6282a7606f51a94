"""Which domain a benchmark measures: the student's own, or one that its training may have cost it.

In: a benchmark's protocol. Out: one of DOMAINS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

OWN, OTHER_CODE = "own domain", "other code"
DOMAINS = (OWN, OTHER_CODE, "mathematics", "instruction following", "general")


class Named(Protocol):
    """A benchmark, or how it was asked."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def capability(self) -> str: ...


def domain(benchmark: Named, own: Sequence[str]) -> str:
    """One of DOMAINS, of a benchmark by name, title and capability. `own` names capabilities or benchmarks."""
    names = (benchmark.name, benchmark.title, benchmark.capability)
    if {name.casefold() for name in names} & {word.casefold() for word in own}:
        return OWN
    return OTHER_CODE if benchmark.capability == "code" else benchmark.capability
