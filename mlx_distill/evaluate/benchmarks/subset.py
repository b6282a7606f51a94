"""A fixed, stratified part of a benchmark.

In: items. Out: so many of them, in which every category and difficulty has its share. A smaller part lies within every
larger one, so that what was answered for a look is kept when the look becomes a measurement.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from mlx_distill.evaluate.benchmarks.benchmark import Item


def subset(items: Sequence[Item], limit: int | None, seed: int = 0) -> list[Item]:
    """In the published order. The items are drawn by the seed alone: the same ones in every run."""
    if limit is None or limit >= len(items):
        return list(items)
    return [items[place] for place in sorted(_drawn(items, seed)[:limit])]


def in_drawn_order(items: Sequence[Item], seed: int = 0) -> list[Item]:
    """As they are drawn: every first part of them is stratified."""
    return [items[place] for place in _drawn(items, seed)]


def _drawn(items: Sequence[Item], seed: int) -> list[int]:
    strata: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        strata[item.category, item.difficulty].append(place)
    draw = random.Random(seed)
    turns: list[tuple[float, float, int]] = []
    for _, places in sorted(strata.items()):
        draw.shuffle(places)
        turns += [((turn + 0.5) / len(places), draw.random(), place) for turn, place in enumerate(places)]
    return [place for _, _, place in sorted(turns)]


@dataclass(frozen=True)
class Parts:
    """Of a benchmark's items: those that choose among candidates, those that confirm the choice (the first `first` of
    them always, the others where a candidate is in doubt), those reported."""

    choosing: list[Item]
    confirming: list[Item]
    first: int
    reported: list[Item]


def parts(items: Sequence[Item], selecting: int | None, most: int | None = None) -> Parts:
    """`selecting` items, half of all at most, choose and confirm. A third of them chooses: every candidate answers
    these, and only the best one the others. Up to `most` items, half of all at most, are held back (three times
    `selecting` where it is None)."""
    wanted = min(selecting or 0, len(items) // 2)
    drawn = subset(items, wanted)
    choosing = subset(drawn, math.ceil(len(drawn) / 3))
    held = subset(items, most_held(wanted, len(items), most))
    chosen, first = {item.id for item in choosing}, {item.id for item in drawn}
    further = in_drawn_order([item for item in held if item.id not in first])
    ids = {item.id for item in held}
    return Parts(
        choosing,
        [*(item for item in drawn if item.id not in chosen), *further],
        len(drawn) - len(choosing),
        [item for item in items if item.id not in ids],
    )


def most_held(selecting: int, items: int, most: int | None) -> int:
    """How many of a benchmark's items are held back where `selecting` of them choose and confirm at first."""
    return max(selecting, min(3 * selecting if most is None else most, items // 2))


def words(items: Sequence[Item], asked: int, seed: int = 0) -> str | None:
    """What a result says of it; None where nothing is left out."""
    if asked >= len(items):
        return None
    drawn = "stratified" if any(item.category or item.difficulty for item in items) else "drawn evenly"
    return f"{asked:,} of {len(items):,} items, {drawn}, seed {seed}"
