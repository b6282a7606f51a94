"""The selection in results.json, and selection.json itself: which candidate is kept, and why."""

from __future__ import annotations

from mlx_distill.run.records import Estimate
from mlx_distill.run.results.part import Part


class Candidate(Part, frozen=True, order=True):
    """An optimiser step whose adapter was saved, and how strongly that is applied (0 is the base)."""

    step: int
    strength: float


class SelectionBenchmark(Part, frozen=True, kw_only=True):
    """`choosing` and `confirming` count its items, `confirming_most` with those that are asked where a candidate is in
    doubt; `base` is the share that the base passed of the choosing ones."""

    name: str
    title: str
    domain: str
    choosing: int
    confirming: int
    confirming_most: int
    base: Estimate | None


class CandidateScore(Part, frozen=True, kw_only=True):
    """A candidate on one benchmark; `loss_p` is one-sided. `needed`: where it is refused, how many items would show a
    loss as large as this one (80 % power)."""

    name: str
    base: Estimate | None
    score: Estimate | None
    difference: Estimate | None
    gained: int
    lost: int
    loss_p: float
    loses: bool
    needed: int | None = None


class CandidateRow(Part, frozen=True, kw_only=True):
    """`gain`: of its own domain; `elsewhere`: of the others; `loses`: titles of the benchmarks on which it loses."""

    step: int
    strength: float
    scores: tuple[CandidateScore, ...]
    gain: Estimate | None
    elsewhere: Estimate | None
    loses: tuple[str, ...]

    @property
    def candidate(self) -> Candidate:
        return Candidate(step=self.step, strength=self.strength)


class Selection(Part, frozen=True, kw_only=True):
    """`first` is what is kept, or what gained most where nothing is, with its `confirmation`; `refused` are those that
    did not hold; `chosen` None is the base."""

    items: int
    level: float
    strengths: tuple[float, ...]
    steps: tuple[int, ...]
    benchmarks: tuple[SelectionBenchmark, ...]
    candidates: tuple[CandidateRow, ...]
    refused: tuple[Candidate, ...] = ()
    first: Candidate | None
    confirmation: tuple[CandidateScore, ...]
    chosen: Candidate | None
    heldout_best: int
    words: str
