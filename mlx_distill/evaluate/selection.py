"""The selection of results.json: what candidates passed, which one was put to confirmation, and why it is kept or not.

In: what base and candidates passed, by benchmark and item. Out: the Selection of results.json. The rule is in
`choosing`; here it is applied, and told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlx_distill.evaluate.choosing import (
    LOSS_WHERE_CHOSEN,
    WHERE_CHOSEN,
    Change,
    Pairs,
    change,
    look_levels,
    order,
)
from mlx_distill.evaluate.domains import OWN
from mlx_distill.run.decode import typed
from mlx_distill.run.folder import SELECTION, RunDir
from mlx_distill.run.records import Estimate
from mlx_distill.run.results.selection import Candidate, CandidateRow, CandidateScore, Selection, SelectionBenchmark
from mlx_distill.run.wording import candidate as named
from mlx_distill.run.wording import plural
from mlx_distill.stats import inference as stats
from mlx_distill.stats.proportions import wilson

Passed = Mapping[str, Mapping[str, bool]]
"""Benchmark → item → whether it was passed; what could not be scored is missing."""


@dataclass(frozen=True)
class Ground:
    """What candidates are tried on: a benchmark, the ids of the items that choose and of those that confirm, and how
    many of the latter are asked at each look."""

    name: str
    title: str
    domain: str
    choosing: Sequence[str]
    confirming: Sequence[str]
    looks: Sequence[int]


@dataclass(frozen=True)
class Tried:
    """`candidates`: what each passed of the choosing items, and those put to confirmation of the others too; `drift` of
    each for which it is known."""

    grounds: Sequence[Ground]
    base: Passed
    candidates: Mapping[Candidate, Passed]
    drift: Mapping[Candidate, float] = field(default_factory=dict)

    @property
    def own(self) -> list[str]:
        return [ground.name for ground in self.grounds if ground.domain == OWN]

    @property
    def looks(self) -> int:
        return max(len(ground.looks) for ground in self.grounds)

    def pairs(self, candidate: Candidate, ground: Ground, confirming: bool = False) -> Pairs:
        return self._pairs(candidate, ground, ground.confirming if confirming else ground.choosing)

    def _pairs(self, candidate: Candidate, ground: Ground, items: Sequence[str]) -> Pairs:
        base, mine = self.base.get(ground.name, {}), self.candidates[candidate].get(ground.name, {})
        return [(base[item], mine[item]) for item in items if item in base and item in mine]

    def changes(self, candidate: Candidate) -> dict[str, Change]:
        """On what chooses, by benchmark."""
        return {g.name: change(self.pairs(candidate, g), WHERE_CHOSEN) for g in self.grounds}

    def confirmation(self, candidate: Candidate, looks: int | None = None) -> dict[str, Change]:
        """On what confirms, by benchmark, after so many looks at most: a benchmark without doubt is not looked at
        again, and none is once the candidate loses on one."""
        changes: dict[str, Change] = {}
        for look in range(self.looks if looks is None else looks):
            for ground in self.grounds:
                if look == 0 or changes[ground.name].in_doubt:
                    changes[ground.name] = self._seen(candidate, ground, look)
            if any(change.loses for change in changes.values()):
                break
        return changes

    def _seen(self, candidate: Candidate, ground: Ground, look: int) -> Change:
        levels = look_levels(ground.looks, len(self.grounds))[look]
        return change(self._pairs(candidate, ground, ground.confirming[: ground.looks[look]]), levels)

    def order(self) -> list[Candidate]:
        """Who is put to confirmation, until one holds."""
        return order({candidate: self.changes(candidate) for candidate in self.candidates}, self.own, self.drift)

    def holds(self, candidate: Candidate) -> bool:
        """On what confirms."""
        return not any(change.loses for change in self.confirmation(candidate).values())


def selection_part(tried: Tried, items: int, heldout_best: int) -> Selection:
    """`items`: selection items that were asked for, of each benchmark; `heldout_best`: the step of the lowest held-out
    loss. `first` in it is what is kept, or what gained most where nothing is, with its confirmation; `refused` are
    those that did not hold."""
    confirmed = _confirmed(tried)
    last = confirmed[-1] if confirmed else None
    kept = last is not None and tried.holds(last)
    shown = last if kept else confirmed[0] if confirmed else None
    candidates = [_candidate(tried, candidate) for candidate in sorted(tried.candidates)]
    return Selection(
        items=items,
        level=LOSS_WHERE_CHOSEN,
        strengths=tuple(sorted({candidate.strength for candidate in tried.candidates})),
        steps=tuple(sorted({candidate.step for candidate in tried.candidates})),
        benchmarks=tuple(_benchmark(tried, ground) for ground in tried.grounds),
        candidates=tuple(candidates),
        refused=tuple(confirmed[:-1] if kept else confirmed),
        first=shown,
        confirmation=() if shown is None else tuple(_confirmed_score(tried, shown, ground) for ground in tried.grounds),
        chosen=last if kept else None,
        heldout_best=heldout_best,
        words=_words(tried, confirmed, candidates) if last else _none(candidates, heldout_best),
    )


def _confirmed(tried: Tried) -> list[Candidate]:
    """Those put to confirmation, up to the first that holds."""
    confirmed: list[Candidate] = []
    for candidate in tried.order():
        confirmed.append(candidate)
        if tried.holds(candidate):
            break
    return confirmed


def _benchmark(tried: Tried, ground: Ground) -> SelectionBenchmark:
    base = tried.base.get(ground.name, {})
    passed = [base[item] for item in ground.choosing if item in base]
    return SelectionBenchmark(
        name=ground.name,
        title=ground.title,
        domain=ground.domain,
        choosing=len(ground.choosing),
        confirming=ground.looks[0],
        confirming_most=len(ground.confirming),
        base=wilson(sum(passed), len(passed)) if passed else None,
    )


def _candidate(tried: Tried, candidate: Candidate) -> CandidateRow:
    own, other = ([g for g in tried.grounds if (g.domain == OWN) is mine] for mine in (True, False))
    changes = tried.changes(candidate)
    scores = tuple(_score(g.name, tried.pairs(candidate, g), changes[g.name]) for g in tried.grounds)
    return CandidateRow(
        step=candidate.step,
        strength=candidate.strength,
        scores=scores,
        gain=_pooled(tried, candidate, own),
        elsewhere=_pooled(tried, candidate, other),
        loses=tuple(g.title for g, row in zip(tried.grounds, scores, strict=True) if row.loses),
    )


def _confirmed_score(tried: Tried, candidate: Candidate, ground: Ground) -> CandidateScore:
    seen = tried.confirmation(candidate)[ground.name]
    pairs = tried.pairs(candidate, ground, confirming=True)
    return _score(ground.name, pairs, seen, _needed(pairs) if seen.loses else None)


def _score(name: str, pairs: Pairs, difference: Change, needed: int | None = None) -> CandidateScore:
    share = wilson(sum(after for _, after in pairs), len(pairs)) if pairs else None
    before = wilson(sum(before for before, _ in pairs), len(pairs)) if pairs else None
    return CandidateScore(
        name=name,
        base=before,
        score=share,
        difference=_difference(pairs),
        gained=difference.gained,
        lost=difference.lost,
        loss_p=difference.p,
        loses=difference.loses,
        needed=needed,
    )


def _pooled(tried: Tried, candidate: Candidate, grounds: Sequence[Ground]) -> Estimate | None:
    return _difference([pair for ground in grounds for pair in tried.pairs(candidate, ground)])


def _difference(pairs: Pairs) -> Estimate | None:
    return stats.estimate(_differences(pairs)) if pairs else None


def _needed(pairs: Pairs) -> int | None:
    return stats.needed_prompts(_differences(pairs))


def _differences(pairs: Pairs) -> list[float]:
    return [float(after) - float(before) for before, after in pairs]


# ---------------------------------------------------------------- words


def _points(estimate: Estimate | None) -> str:
    return "untested" if estimate is None else f"{100 * estimate.mean:+.1f} points, n = {estimate.n}"


def _words(tried: Tried, confirmed: Sequence[Candidate], candidates: Sequence[CandidateRow]) -> str:
    best, last = confirmed[0], confirmed[-1]
    if not tried.holds(last):
        weaker = ", ".join(f"{one.strength:g}" for one in confirmed[1:])
        return _refused(tried, best) + (f"; so does it at strength {weaker}" if weaker else "")
    further = sum(len(tried.pairs(last, ground, confirming=True)) for ground in tried.grounds)
    nowhere = f"loses nowhere on {plural(further, 'further item')}"
    gained = f"{_name(last)} gains{'' if confirmed[1:] else ' most'} in the own domain ({_gain(tried, last)})"
    if confirmed[1:]:
        return f"{gained} and {nowhere}; {_refused(tried, best)}"
    count, eligible = len(candidates), sum(not row.loses for row in candidates)
    return f"{gained} of the {eligible} of {plural(count, 'candidate')} that lose nowhere, and {nowhere}"


def _refused(tried: Tried, candidate: Candidate) -> str:
    changes = tried.confirmation(candidate)
    lost = [
        f"{ground.title} ({_points(_difference(pairs))}{_to_tell(pairs)})"
        for ground in tried.grounds
        if changes[ground.name].loses
        for pairs in [tried.pairs(candidate, ground, confirming=True)]
    ]
    return (
        f"{_name(candidate)} gained most in the own domain where it was chosen ({_gain(tried, candidate)}), but loses "
        f"on {' and '.join(lost)} where that was to be confirmed"
    )


def _to_tell(pairs: Pairs) -> str:
    """For a loss that is likely and not shown."""
    items = _needed(pairs)
    return f"; about {items:,} items would show such a loss" if items and items > len(pairs) else ""


def _name(candidate: Candidate) -> str:
    return named(candidate)


def _gain(tried: Tried, candidate: Candidate) -> str:
    return _points(_pooled(tried, candidate, [ground for ground in tried.grounds if ground.domain == OWN]))


def _none(candidates: Sequence[CandidateRow], heldout_best: int) -> str:
    """With what became of the candidate that a training without selection would have kept."""
    sentence = f"none of {plural(len(candidates), 'candidate')} gains in the own domain and loses nowhere"
    whole = [row for row in candidates if row.strength == 1 and row.step == heldout_best]
    for row in whole:
        lost = f", and loses on {', '.join(row.loses)}" if row.loses else ""
        gain = _points(row.gain)
        sentence += (
            f"; {named(row.candidate)}, which has the lowest held-out loss, changes the own domain by {gain}{lost}"
        )
    return sentence


def read_selection(run: RunDir) -> Selection | None:
    """None where nothing was selected."""
    if not (run / SELECTION).exists():
        return None
    return typed(Selection, run.read_json(SELECTION), str(run / SELECTION), "run `mlx-distill select` again")
