"""The same run under several training seeds, in results.json: what the method does, and not one training."""

from __future__ import annotations

from mlx_distill.run.results.part import Part


class SeedMeasure(Part, frozen=True, kw_only=True):
    """One measure under every seed, in the order of the seeds.

    differences   distilled minus base, None where it was not measured
    mean, spread  of the differences; the spread is their standard deviation, None for fewer than two
    verdict       better: under every seed; worse: under any of them
    """

    name: str
    unit: str
    differences: tuple[float | None, ...]
    verdicts: tuple[str, ...]
    mean: float | None
    spread: float | None
    verdict: str


class Seeds(Part, frozen=True, kw_only=True):
    """`heldout_loss`: its change under every seed; `verdicts`: of each run; `verdict`: of all measures together."""

    seeds: tuple[int, ...]
    wanted: int
    heldout_loss: tuple[float | None, ...]
    verdicts: tuple[str, ...]
    measures: tuple[SeedMeasure, ...]
    verdict: str
    words: str
