"""Which candidate of a training is kept: a checkpoint at a strength of its adapter, or the base.

In: what base and candidates passed, item by item. Out: who is put to confirmation, and what each loses. The best
of many noisy candidates looks better than it is, so one part of the items chooses and another one, on which nothing
was chosen, confirms. It is looked at up to three times, each time with more items, while it is in doubt whether a
candidate loses; the trade-off is that items held back for a doubt are not reported.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mlx_distill.run.results.selection import Candidate
from mlx_distill.stats.inference import CONFIDENCE, loss_p

RULE = "choosing 2"
"""What another version has chosen is chosen anew."""

Pairs = Sequence[tuple[bool, bool]]
"""Items of one benchmark: whether the base passed, whether the candidate did."""


LOOKS = (1, 2, 4)
"""How many items confirm at each look, as multiples of the first."""

EARLY = 0.01
"""The chance of keeping a candidate wrongly that each look but the last may spend, of 0.05 in all."""

CLEAR_LOSS, LOSS_WHERE_CHOSEN = 0.01, 0.05
"""One-sided p below which a candidate is refused before the last look, and below which it is not confirmed at all."""


@dataclass(frozen=True)
class Levels:
    """One-sided p of a loss: a candidate loses below `loses`, and is in doubt from there up to `holds`."""

    loses: float
    holds: float


WHERE_CHOSEN = Levels(LOSS_WHERE_CHOSEN, LOSS_WHERE_CHOSEN)


@dataclass(frozen=True)
class Change:
    """What a candidate did to one benchmark; `p` of a loss is one-sided."""

    n: int
    gained: int
    lost: int
    p: float
    loses: bool
    in_doubt: bool = False

    @property
    def mean(self) -> float:
        return (self.gained - self.lost) / self.n if self.n else 0.0


def look_sizes(first: int, most: int) -> list[int]:
    """How many items confirm at each look: `first`, and more where `most` allows it."""
    return sorted({min(first * multiple, max(first, most)) for multiple in LOOKS})


def look_levels(sizes: Sequence[int], benchmarks: int) -> list[Levels]:
    """By look, for one of so many `benchmarks`; the last look leaves no doubt."""
    last = level(benchmarks, sizes[-1] / sizes[0], 1 - CONFIDENCE - EARLY * (len(sizes) - 1)) if sizes[0] else 0.0
    early = [Levels(CLEAR_LOSS, level(benchmarks, size / sizes[0], EARLY)) for size in sizes[:-1]]
    return [*early, Levels(last, last)]


@functools.cache
def level(benchmarks: int, items: float = 1.0, error: float = 1 - CONFIDENCE) -> float:
    """The one-sided p below which a candidate counts as losing on a benchmark. `items`: how many confirm, as a multiple
    of the fresh set's; `error`: how often a candidate may be kept that the fresh set shows worse.

    A candidate is wrongly kept where its loss is missed here and a fresh set shows it, at 5 % after Holm over the
    benchmarks, of which its own one is better. With a true loss of d of the fresh set's standard errors both happen
    with the chance Φ(z - d·√items) · Φ(d - fresh). The z at which that is `error` for the worst d is returned as its p.
    One look is 0.33 for two benchmarks; the usual 5 % would keep such a candidate one time of four.
    """
    import numpy as np
    from scipy.optimize import brentq
    from scipy.special import ndtr, ndtri

    fresh = -ndtri((1 - CONFIDENCE) / 2 / max(1, benchmarks - 1))
    losses = np.linspace(0, 10, 2001)

    def worst(z: float) -> float:
        return float((ndtr(z - losses * math.sqrt(items)) * ndtr(losses - fresh)).max() - error)

    return float(ndtr(-brentq(worst, -8, 12)))


def change(pairs: Pairs, levels: Levels) -> Change:
    gained, lost = pairs.count((False, True)), pairs.count((True, False))
    p = loss_p(gained, lost)
    return Change(len(pairs), gained, lost, p, p < levels.loses, levels.loses <= p < levels.holds)


def order(
    changes: Mapping[Candidate, Mapping[str, Change]],
    own: Collection[str],
    drift: Mapping[Candidate, float] | None = None,
) -> list[Candidate]:
    """Who is put to confirmation, until one holds: of those that lose on no benchmark, the one that gains most over the
    items of the `own` ones (of equals the one that drifted less, where `drift` says so, then the weaker, then the
    earlier), and then weaker strengths of the same checkpoint, which lose less. Not the second best of all: whoever
    tries many finds one that passes by luck. Empty where nothing gains."""
    eligible = [
        candidate
        for candidate, one_change in changes.items()
        if not any(one.loses for one in one_change.values()) and gain(one_change, own) > 0
    ]

    def first(candidate: Candidate) -> tuple[float, float, float, int]:
        strayed = (drift or {}).get(candidate, math.inf)
        return -gain(changes[candidate], own), strayed, candidate.strength, candidate.step

    best = min(eligible, key=first, default=None)
    weaker = [c for c in eligible if best and c.step == best.step and c.strength < best.strength]
    return [best, *sorted(weaker, reverse=True)] if best else []


def gain(changes: Mapping[str, Change], own: Collection[str]) -> float:
    """Over the items of the own benchmarks together."""
    mine = [one for name, one in changes.items() if name in own]
    return sum(one.gained - one.lost for one in mine) / max(1, sum(one.n for one in mine))
