"""What all records of results.json share.

In: nothing. Out: base classes. msgspec decodes, checks and describes them: one small wheel that imports in milliseconds
and brings JSON Schema; pydantic, which anthropic needs anyway, takes a third of a second to import.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from mlx_distill.run.records import Estimate, Role


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record of results.json. A key that it does not know is an error, not a guess."""


MOST_NEEDED = 100_000
"""Items beyond which a difference is not told from none."""


class TeacherGap(Part, frozen=True, kw_only=True):
    """How far the teacher is ahead of the base, over what all three answered, and the share of that which distilled
    gained. `closed` is None where the interval of `gap` does not lie above zero."""

    gap: Estimate
    closed: Estimate | None


class OfBoth(Part, frozen=True, kw_only=True):
    """What was measured of the base and of the distilled model; None where it was not."""

    base: Estimate | None
    distilled: Estimate | None

    def of(self, role: Role) -> Estimate | None:
        value: Estimate | None = getattr(self, role)
        return value


class Tested(Part, frozen=True, kw_only=True):
    """A paired difference, distilled minus base, that was tested together with others.

    n          pairs                  p, p_holm   two-sided; adjusted for what was tested with it (Holm 1979)
    verdict    better, worse, no difference shown, too few prompts to tell, not scored
    smallest   the difference that could have been detected (80 % power); None but where none was shown
    needed     pairs that would show a difference as large as the one seen (80 % power); None but where none was shown,
               and where MOST_NEEDED would not do
    """

    n: int
    difference: Estimate | None
    p: float | None
    p_holm: float | None
    verdict: str
    smallest: float | None
    needed: int | None


class TestedOfBoth(Tested, frozen=True, kw_only=True):
    """With what was measured of each model."""

    base: Estimate | None
    distilled: Estimate | None

    def of(self, role: Role) -> Estimate | None:
        value: Estimate | None = getattr(self, role)
        return value


def fields_of(part: Part) -> dict[str, Any]:
    """A record's values by name, to build a larger record from."""
    return {name: getattr(part, name) for name in part.__struct_fields__}
