"""Which candidate of a training is kept: a checkpoint at a strength of its adapter, or the base.

In: what base and candidates passed, item by item. Out: who is put to confirmation, and what each loses. The best
of many noisy candidates looks better than it is, so one part of the items chooses and another one, on which nothing
was chosen, confirms; the trade-off is that each part is half as large.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mlx_distill.run.results.selection import Candidate
from mlx_distill.stats.inference import CONFIDENCE, loss_p

RULE = "choosing 1"
"""What another version has chosen is chosen anew."""

Pairs = Sequence[tuple[bool, bool]]
"""Items of one benchmark: whether the base passed, whether the candidate did."""


@dataclass(frozen=True)
class Change:
    """What a candidate did to one benchmark; `p` of a loss is one-sided."""

    n: int
    gained: int
    lost: int
    p: float
    loses: bool

    @property
    def mean(self) -> float:
        return (self.gained - self.lost) / self.n if self.n else 0.0


@functools.cache
def level(benchmarks: int) -> float:
    """The one-sided p below which a candidate counts as losing on a benchmark: 0.33 for one or two, 0.17 for five.

    A candidate is wrongly kept where its loss is missed here and a fresh set as large as the confirming one shows it,
    at 5 % after Holm over the benchmarks, of which its own one is better. With a true loss of d standard errors both
    happen with the chance Φ(z - d) · Φ(d - fresh), which is largest halfway, Φ((z - fresh) / 2)². The z at which that
    is 5 % is returned as its p. The usual 5 % here would keep such a candidate one time of four.
    """
    from scipy.special import ndtr, ndtri

    error = 1 - CONFIDENCE
    fresh = -ndtri(error / 2 / max(1, benchmarks - 1))
    return float(ndtr(-fresh - 2 * ndtri(math.sqrt(error))))


def change(pairs: Pairs, benchmarks: int) -> Change:
    """`benchmarks`: how many are looked at."""
    gained, lost = pairs.count((False, True)), pairs.count((True, False))
    p = loss_p(gained, lost)
    return Change(len(pairs), gained, lost, p, p < level(benchmarks))


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
