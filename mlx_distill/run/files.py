"""The files that a stage writes and later stages read, beside the records in lines: their content as types.

In: nothing. Out: what `RunDir.read_as` decodes. Other keys may stand in them, for a reader's eyes.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from mlx_distill.run.results.hardware import Hardware

Measured = tuple[tuple[float, float, float], ...]
"""Nats, hits and scored tokens of each example."""


class File(Struct, frozen=True, kw_only=True):
    """What is read of a file."""


class Stage(File, frozen=True, kw_only=True):
    """An entry of stages.json. `state`: running or done; `fingerprint` is of what it was made from."""

    fingerprint: str = ""
    state: str = "done"
    seconds: float = 0.0


class Environment(File, frozen=True, kw_only=True):
    """environment.json: when, on which machine and with which packages the run was made."""

    created: str
    versions: dict[str, str | None]
    chip: str
    cores: int | None
    memory_bytes: int | None
    os: str
    backend: str | None
    blas: str | None

    @property
    def hardware(self) -> Hardware:
        return Hardware(**{name: getattr(self, name) for name in Hardware.__struct_fields__})


class Encoded(File, frozen=True, kw_only=True):
    """What encoding made of the conversations; `places` of a few that are left out, by reason."""

    train: int
    valid: int
    left_out: dict[str, int]
    places: dict[str, tuple[str, ...]] = {}
    turn_by_turn: int
    with_control_tokens: int


class DatasetFile(File, frozen=True, kw_only=True):
    """dataset.json. `usable` and `left_out_lines` are the filter's, where a teacher answered; `not_read`: rows of
    existing traces that were none."""

    prompts: dict[str, int] = {}
    categories: dict[str, int] = {}
    usable: int | None = None
    left_out: dict[str, int] = {}
    left_out_lines: dict[str, tuple[str, ...]] | None = None
    rows: int | None = None
    not_read: dict[str, int] = {}
    unused_keys: dict[str, int] = {}
    heldout_overlap: int = 0
    encoded: Encoded | None = None


class StudentFile(File, frozen=True, kw_only=True):
    """student.json: what the adapter belongs to. `settings` are the training's; `steps` is how many it shall get."""

    student: str | None = None
    weights: str | None = None
    steps: int | None = None
    settings: dict[str, Any] = {}


class Heldout(File, frozen=True, kw_only=True):
    ids: tuple[str, ...] = ()
    base: Measured
    best: Measured


class CandidateDrift(File, frozen=True, kw_only=True):
    """Nats per token of a saved step at a strength of its adapter."""

    step: int
    strength: float
    own: float
    replay: float


class DriftFile(File, frozen=True, kw_only=True):
    """(divergence, tokens) of each example, of the best step: on the run's held-out examples, in the order of their
    ids, and on held-out general prompts; `candidates`: of what a selection tries. Divergence is KL(base ‖ student) in
    nats."""

    own: tuple[tuple[float, int], ...]
    replay: tuple[tuple[float, int], ...]
    candidates: tuple[CandidateDrift, ...] = ()


class TrainingFile(File, frozen=True, kw_only=True):
    """training.json. `tokens`: (asked, scored) of each example, those to train on first; `replay_tokens`: of each that
    is replayed; `layout`: how they were batched."""

    trainable_parameters: int
    total_parameters: int
    examples: dict[str, int]
    tokens: tuple[tuple[int, int], ...]
    replay_tokens: tuple[tuple[int, int], ...] = ()
    layout: dict[str, Any] = {}
    heldout: Heldout
    drift: DriftFile | None = None
