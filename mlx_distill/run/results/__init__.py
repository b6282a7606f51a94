"""results.json as typed records: the waist of the design.

In: JSON, or what `summarise` measured. Out: a frozen Results. Left of it nothing draws, right of it nothing computes.
A key that is renamed here is an error of the type checker in every reader. Every measured number is an Estimate with n
and, where it has one, an interval.
"""

from __future__ import annotations

from mlx_distill.run.records import Estimate
from mlx_distill.run.results.benchmarks import Benchmark, Gate, Published
from mlx_distill.run.results.choice import AnswerChoice
from mlx_distill.run.results.comparison import Comparison, SelfCheck
from mlx_distill.run.results.hardware import Hardware
from mlx_distill.run.results.part import Part
from mlx_distill.run.results.seeds import Seeds
from mlx_distill.run.results.selection import Selection
from mlx_distill.run.results.training import Training

SCHEMA = 3
"""Raised whenever a key is added, renamed or dropped; a file of another number is rewritten by `mlx-distill report`."""


class RunPart(Part, frozen=True, kw_only=True):
    """`stages`: seconds by stage."""

    name: str
    created: str
    preset: str
    seed: int
    versions: dict[str, str | None]
    hardware: Hardware
    stages: dict[str, float]


class Teacher(Part, frozen=True, kw_only=True):
    """What was collected: counts of prompts by split and category, of completions, of tokens; dollars."""

    spec: str
    models: tuple[str, ...]
    prompts: dict[str, int]
    categories: dict[str, int]
    completions: int
    left_out: dict[str, int]
    truncated: int
    refused: int
    input_tokens: int
    output_tokens: int
    usd: float | None
    seconds: float | None
    prices_dated: str


class CostRow(Part, frozen=True, kw_only=True):
    """What so many prompts cost, one by one and as a batch."""

    label: str
    prompts: int
    basis: str
    usd: Estimate
    usd_batch: Estimate


class EarlierLoss(Part, frozen=True, kw_only=True):
    base: Estimate | None
    best: Estimate | None


class RunSummary(Part, frozen=True, kw_only=True):
    """A run in a few values: a line of `mlx-distill runs`, and the previous run in a report."""

    name: str
    created: str
    preset: str
    student: str | None
    epochs: float | None
    heldout_loss: EarlierLoss
    seconds: float
    usd: float | None
    verdict: str | None
    verdict_in_words: str | None
    n: int
    worse: int | None
    judges: tuple[str, ...]
    samples: int | None
    preference: Estimate | None
    dimensions: dict[str, Estimate | None]


class Results(Part, frozen=True, kw_only=True):
    """results.json. Parts whose stage has not run are None, or empty."""

    schema: int = SCHEMA
    unfinished: tuple[str, ...] = ()
    run: RunPart
    teacher: Teacher | None
    choice: AnswerChoice | None = None
    training: Training | None
    comparison: Comparison | None
    self_check: SelfCheck | None
    seeds: Seeds | None = None
    selection: Selection | None = None
    benchmarks: tuple[Benchmark, ...] = ()
    gate: Gate | None = None
    published: tuple[Published, ...] = ()
    cost_scaling: tuple[CostRow, ...]
    previous: RunSummary | None
