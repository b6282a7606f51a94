"""How a step goes through the student: the settings that change memory and time, and not what is learnt.

In: widths of examples. Out: which of them go through together. Training groups by this rule and the planner predicts
by it, so that it stands in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BATCH_TOKENS = 2048

WIDTH_STEP = 16
"""Batch widths are multiples of this."""

CHUNK_ROWS = 128
"""Rows of logits that are worked on at a time: 128 · 151,936 · 4 bytes = 78 MB for Qwen2.5, whatever the batch. MLX
works on some operations ahead, so about three chunks' logits exist, each with their exponentials and slopes. Smaller
chunks take as long."""

MOST_LANES = 4


def lane_count(backend: str, cores: int | None, *, alone: bool) -> int:
    """Streams that work side by side: on the CPU, whose operations use a single core each, one a core; processes that
    share a machine share its cores."""
    return min(MOST_LANES, cores or 1) if backend == "CPU" and alone else 1


@dataclass(frozen=True)
class Layout:
    """How a step is computed; what it computes is the same under any. See MachineConfig."""

    batch_tokens: int = BATCH_TOKENS
    grad_checkpoint: bool = False


def rounded(length: int) -> int:
    return -(-length // WIDTH_STEP) * WIDTH_STEP


def in_rounds(widths: Sequence[int], lanes: int, tokens: int) -> list[list[list[int]]]:
    """Places in `widths`, which ascend, as rounds of at most `lanes` groups: each round within `tokens`, padding
    included. An example that is wider than a lane's share goes alone."""
    by_lane = [
        _within(range(lane, len(widths), lanes), widths, tokens // lanes) for lane in range(min(lanes, len(widths)))
    ]
    rounds = max((len(groups) for groups in by_lane), default=0)
    return [[groups[turn] for groups in by_lane if turn < len(groups)] for turn in range(rounds)]


def _within(places: Sequence[int], widths: Sequence[int], tokens: int) -> list[list[int]]:
    groups: list[list[int]] = []
    for place in places:
        if not groups or widths[place] * (len(groups[-1]) + 1) > tokens:
            groups.append([])
        groups[-1].append(place)
    return groups
