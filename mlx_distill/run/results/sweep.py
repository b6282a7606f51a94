"""sweep.json: the runs of a sweep side by side, and which of their results are significant among all."""

from __future__ import annotations

from mlx_distill.run.records import Estimate
from mlx_distill.run.results.benchmarks import DomainRow
from mlx_distill.run.results.hardware import Hardware
from mlx_distill.run.results.part import OfBoth, Part
from mlx_distill.run.results.selection import Selection

SWEEP_SCHEMA = 1


class Axis(Part, frozen=True, kw_only=True):
    name: str
    values: tuple[str, ...]


class SweepPart(Part, frozen=True, kw_only=True):
    name: str
    created: str
    file: str
    axes: tuple[Axis, ...]
    usd: float | None
    seconds: float
    hardware: Hardware | None
    versions: dict[str, str] | None
    seed: int | None


class RunCell(OfBoth, frozen=True, kw_only=True):
    """One benchmark of one run; `p_holm` and `verdict` are among all cells of the sweep."""

    name: str
    title: str
    domain: str
    n: int
    difference: Estimate | None
    gained: int | None
    lost: int | None
    p: float | None
    degraded: tuple[str, ...]
    p_holm: float | None
    verdict: str


class LossOfRun(Part, frozen=True, kw_only=True):
    base: Estimate
    best: Estimate


class GateOfRun(Part, frozen=True, kw_only=True):
    verdict: str
    because: str


class DomainOfRun(OfBoth, frozen=True, kw_only=True):
    domain: str
    benchmarks: tuple[str, ...]
    difference: Estimate | None
    n: int
    verdict: str
    p_holm: float | None

    @classmethod
    def from_row(cls, row: DomainRow) -> DomainOfRun:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class SweepRun(Part, frozen=True, kw_only=True):
    name: str
    values: dict[str, str]
    state: str
    why: str
    student: str
    seconds: float | None
    usd: float | None
    steps: int | None
    heldout_loss: LossOfRun | None
    selection: Selection | None
    gate: GateOfRun | None
    benchmarks: tuple[RunCell, ...]
    forgetting: tuple[DomainOfRun, ...]


class BaselineCell(Part, frozen=True, kw_only=True):
    name: str
    title: str
    n: int
    base: Estimate
    degraded: tuple[str, ...]


class Baseline(Part, frozen=True, kw_only=True):
    """What a student's base passed, each benchmark once."""

    student: str
    benchmarks: tuple[BaselineCell, ...]


class Finding(Part, frozen=True, kw_only=True):
    """A cell that is significant among all."""

    run: str
    title: str
    verdict: str
    words: str


class SweepResults(Part, frozen=True, kw_only=True):
    """sweep.json. `cells` counts those that were tested."""

    schema: int = SWEEP_SCHEMA
    sweep: SweepPart
    runs: tuple[SweepRun, ...]
    baselines: tuple[Baseline, ...]
    findings: tuple[Finding, ...]
    cells: int
    caveats: tuple[str, ...]
