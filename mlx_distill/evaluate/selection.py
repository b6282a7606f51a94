"""The selection of results.json: what candidates passed, which one was put to confirmation, and why it is kept or not.

In: what base and candidates passed, by benchmark and item. Out: the Selection of results.json. The rule is in
`choosing`; here it is applied, and told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlx_distill.evaluate.choosing import Change, Pairs, change, level, order
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

    def order(self) -> list[Candidate]:
        """Who is put to confirmation, until one holds."""
        return order({candidate: self.changes(candidate) for candidate in self.candidates}, self.own)

    def holds(self, candidate: Candidate) -> bool:
        """On what confirms."""
        return not any(one.loses for one in self.changes(candidate, confirming=True).values())


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
        level=level(len(tried.grounds)),
        strengths=tuple(sorted({candidate.strength for candidate in tried.candidates})),
        steps=tuple(sorted({candidate.step for candidate in tried.candidates})),
        benchmarks=tuple(_benchmark(tried, ground) for ground in tried.grounds),
        candidates=tuple(candidates),
        refused=tuple(confirmed[:-1] if kept else confirmed),
        first=shown,
        confirmation=() if shown is None else tuple(_score(tried, shown, ground, True) for ground in tried.grounds),
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
        confirming=len(ground.confirming),
        base=wilson(sum(passed), len(passed)) if passed else None,
    )


def _candidate(tried: Tried, candidate: Candidate) -> CandidateRow:
    own, other = ([g for g in tried.grounds if (g.domain == OWN) is mine] for mine in (True, False))
    scores = tuple(_score(tried, candidate, ground, False) for ground in tried.grounds)
    return CandidateRow(
        step=candidate.step,
        strength=candidate.strength,
        scores=scores,
        gain=_pooled(tried, candidate, own),
        elsewhere=_pooled(tried, candidate, other),
        loses=tuple(g.title for g, row in zip(tried.grounds, scores, strict=True) if row.loses),
    )


def _score(tried: Tried, candidate: Candidate, ground: Ground, confirming: bool) -> CandidateScore:
    pairs = tried.pairs(candidate, ground, confirming)
    difference = change(pairs, len(tried.grounds))
    share = wilson(sum(after for _, after in pairs), len(pairs)) if pairs else None
    before = wilson(sum(before for before, _ in pairs), len(pairs)) if pairs else None
    return CandidateScore(
        name=ground.name,
        base=before,
        score=share,
        difference=_difference(pairs),
        gained=difference.gained,
        lost=difference.lost,
        loss_p=difference.p,
        loses=difference.loses,
    )


def _pooled(tried: Tried, candidate: Candidate, grounds: Sequence[Ground]) -> Estimate | None:
    return _difference([pair for ground in grounds for pair in tried.pairs(candidate, ground)])


def _difference(pairs: Pairs) -> Estimate | None:
    return stats.estimate([float(after) - float(before) for before, after in pairs]) if pairs else None


# ---------------------------------------------------------------- words


def _points(estimate: Estimate | None) -> str:
    return "untested" if estimate is None else f"{100 * estimate.mean:+.1f} points, n = {estimate.n}"


def _words(tried: Tried, confirmed: Sequence[Candidate], candidates: Sequence[CandidateRow]) -> str:
    best, last = confirmed[0], confirmed[-1]
    if not tried.holds(last):
        weaker = ", ".join(f"{one.strength:g}" for one in confirmed[1:])
        return _refused(tried, best) + (f"; so does it at strength {weaker}" if weaker else "") + _open(tried, best)
    further = sum(len(tried.pairs(last, ground, confirming=True)) for ground in tried.grounds)
    nowhere = f"loses nowhere on {plural(further, 'further item')}"
    gained = f"{_name(last)} gains{'' if confirmed[1:] else ' most'} in the own domain ({_gain(tried, last)})"
    if confirmed[1:]:
        return f"{gained} and {nowhere}; {_refused(tried, best)}"
    count, eligible = len(candidates), sum(not row.loses for row in candidates)
    return f"{gained} of the {eligible} of {plural(count, 'candidate')} that lose nowhere, and {nowhere}"


def _refused(tried: Tried, candidate: Candidate) -> str:
    lost = [
        f"{ground.title} ({_points(_difference(tried.pairs(candidate, ground, confirming=True)))})"
        for ground in tried.grounds
        if tried.changes(candidate, confirming=True)[ground.name].loses
    ]
    return (
        f"{_name(candidate)} gained most in the own domain where it was chosen ({_gain(tried, candidate)}), but loses "
        f"on {' and '.join(lost)} where that was to be confirmed"
    )


def _open(tried: Tried, candidate: Candidate) -> str:
    """A loss that so few items make likely and do not show is no fact: how many would have decided it."""
    clauses = []
    for ground in tried.grounds:
        pairs = tried.pairs(candidate, ground, confirming=True)
        needed = stats.needed_prompts([float(after) - float(before) for before, after in pairs])
        if tried.changes(candidate, confirming=True)[ground.name].loses and needed and needed > len(pairs):
            clauses.append(f"; about {needed:,} items of {ground.title}, not {len(pairs):,}, would show such a loss")
    return "".join(clauses)


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
