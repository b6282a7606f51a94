"""The selection of results.json: what candidates passed, which one was put to confirmation, and why it is kept or not.

In: what base and candidates passed, by benchmark and item. Out: results["selection"]. The rule is in `choosing`; here
it is applied, and told.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlx_distill import stats
from mlx_distill.choosing import Candidate, Change, Pairs, change, first, level
from mlx_distill.proportions import wilson
from mlx_distill.records import plain
from mlx_distill.rundir import RunDir
from mlx_distill.summarise.forgetting import OWN
from mlx_distill.wording import candidate as named
from mlx_distill.wording import plural

SELECTION = "selection.json"

Passed = Mapping[str, Mapping[str, bool]]
"""Benchmark → item → whether it was passed; what could not be scored is missing."""


@dataclass(frozen=True)
class Ground:
    """What candidates are tried on: a benchmark, the ids of the items that choose, and of those that confirm."""

    name: str
    title: str
    domain: str
    choosing: Sequence[str]
    confirming: Sequence[str]


@dataclass(frozen=True)
class Tried:
    """`candidates`: what each passed of the choosing items, and the one to be confirmed of the others too."""

    grounds: Sequence[Ground]
    base: Passed
    candidates: Mapping[Candidate, Passed]

    @property
    def own(self) -> list[str]:
        return [ground.name for ground in self.grounds if ground.domain == OWN]

    def pairs(self, candidate: Candidate, ground: Ground, confirming: bool = False) -> Pairs:
        base, mine = self.base.get(ground.name, {}), self.candidates[candidate].get(ground.name, {})
        ids = ground.confirming if confirming else ground.choosing
        return [(base[item], mine[item]) for item in ids if item in base and item in mine]

    def changes(self, candidate: Candidate, confirming: bool = False) -> dict[str, Change]:
        """By benchmark."""
        count = len(self.grounds)
        return {g.name: change(self.pairs(candidate, g, confirming), count) for g in self.grounds}

    def first(self) -> Candidate | None:
        return first({candidate: self.changes(candidate) for candidate in self.candidates}, self.own)


def selection_part(tried: Tried, items: int, heldout_best: int) -> dict[str, Any]:
    """`items`: selection items that were asked for, of each benchmark; `heldout_best`: the step of the lowest held-out
    loss."""
    best = tried.first()
    confirmation = [] if best is None else [_score(tried, best, ground, True) for ground in tried.grounds]
    kept = best is not None and not any(row["loses"] for row in confirmation)
    candidates = [_candidate(tried, candidate) for candidate in sorted(tried.candidates)]
    return {
        "items": items,
        "level": level(len(tried.grounds)),
        "strengths": sorted({candidate.strength for candidate in tried.candidates}),
        "steps": sorted({candidate.step for candidate in tried.candidates}),
        "benchmarks": [_benchmark(tried, ground) for ground in tried.grounds],
        "candidates": candidates,
        "first": best and dataclasses.asdict(best),
        "confirmation": confirmation,
        "chosen": dataclasses.asdict(best) if best and kept else None,
        "heldout_best": heldout_best,
        "words": _kept(tried, best, confirmation, candidates) if best else _none(candidates, heldout_best),
    }


def _benchmark(tried: Tried, ground: Ground) -> dict[str, Any]:
    base = tried.base.get(ground.name, {})
    passed = [base[item] for item in ground.choosing if item in base]
    return {
        "name": ground.name,
        "title": ground.title,
        "domain": ground.domain,
        "choosing": len(ground.choosing),
        "confirming": len(ground.confirming),
        "base": plain(wilson(sum(passed), len(passed))) if passed else None,
    }


def _candidate(tried: Tried, candidate: Candidate) -> dict[str, Any]:
    own, other = ([g for g in tried.grounds if (g.domain == OWN) is mine] for mine in (True, False))
    scores = [_score(tried, candidate, ground, False) for ground in tried.grounds]
    return dataclasses.asdict(candidate) | {
        "scores": scores,
        "gain": _pooled(tried, candidate, own),
        "elsewhere": _pooled(tried, candidate, other),
        "loses": [g.title for g, row in zip(tried.grounds, scores, strict=True) if row["loses"]],
    }


def _score(tried: Tried, candidate: Candidate, ground: Ground, confirming: bool) -> dict[str, Any]:
    pairs = tried.pairs(candidate, ground, confirming)
    found = change(pairs, len(tried.grounds))
    share = wilson(sum(after for _, after in pairs), len(pairs)) if pairs else None
    before = wilson(sum(before for before, _ in pairs), len(pairs)) if pairs else None
    return {
        "name": ground.name,
        "base": plain(before),
        "score": plain(share),
        "difference": _difference(pairs),
        "gained": found.gained,
        "lost": found.lost,
        "loss_p": found.p,
        "loses": found.loses,
    }


def _pooled(tried: Tried, candidate: Candidate, grounds: Sequence[Ground]) -> dict[str, Any] | None:
    return _difference([pair for ground in grounds for pair in tried.pairs(candidate, ground)])


def _difference(pairs: Pairs) -> dict[str, Any] | None:
    return plain(stats.estimate([float(after) - float(before) for before, after in pairs])) if pairs else None


# ---------------------------------------------------------------- words


def _points(found: Mapping[str, Any] | None) -> str:
    return "untested" if found is None else f"{100 * found['mean']:+.1f} points, n = {found['n']}"


def _kept(
    tried: Tried, best: Candidate, confirmation: Sequence[Mapping[str, Any]], candidates: Sequence[Mapping[str, Any]]
) -> str:
    gain = next(row["gain"] for row in candidates if (row["step"], row["strength"]) == (best.step, best.strength))
    name = named(dataclasses.asdict(best))
    titles = {ground.name: ground.title for ground in tried.grounds}
    if lost := [f"{titles[row['name']]} ({_points(row['difference'])})" for row in confirmation if row["loses"]]:
        return (
            f"{name} gained most in the own domain where it was chosen ({_points(gain)}), but loses on "
            f"{' and '.join(lost)} where that was to be confirmed"
        )
    count, eligible = len(candidates), sum(not row["loses"] for row in candidates)
    further = sum(row["difference"]["n"] for row in confirmation if row["difference"])
    return (
        f"{name} gains most in the own domain ({_points(gain)}) of the {eligible} of {plural(count, 'candidate')} that "
        f"lose nowhere, and loses nowhere on {plural(further, 'further item')}"
    )


def _none(candidates: Sequence[Mapping[str, Any]], heldout_best: int) -> str:
    """With what became of the candidate that a training without selection would have kept."""
    said = f"none of {plural(len(candidates), 'candidate')} gains in the own domain and loses nowhere"
    whole = [row for row in candidates if row["strength"] == 1 and row["step"] == heldout_best]
    for row in whole:
        lost = f", and loses on {', '.join(row['loses'])}" if row["loses"] else ""
        gain = _points(row["gain"])
        said += f"; {named(row)}, which has the lowest held-out loss, changes the own domain by {gain}{lost}"
    return said


def read_selection(run: RunDir) -> dict[str, Any] | None:
    """None where nothing was selected."""
    found: dict[str, Any] | None = run.read_json(SELECTION) if (run / SELECTION).exists() else None
    return found
