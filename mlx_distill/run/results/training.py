"""The training in results.json: what was trained on what, how long it took, and the held-out loss."""

from __future__ import annotations

from mlx_distill.run.records import Estimate
from mlx_distill.run.results.part import Part


class HeldoutLoss(Part, frozen=True, kw_only=True):
    """Nats per token on held-out examples; `change` is best minus base."""

    base: Estimate
    best: Estimate
    last: Estimate
    change: Estimate


class TokenAccuracy(Part, frozen=True, kw_only=True):
    """The share of held-out tokens that the model thinks likeliest."""

    base: Estimate
    best: Estimate
    last: Estimate


class Replay(Part, frozen=True, kw_only=True):
    """What held the student near its base: `share` of each batch's tokens, from `examples` answers of the base to
    `prompts`, weighted by `kl_coef`; `tokens` were replayed in all."""

    share: float
    kl_coef: float
    prompts: str
    examples: int
    tokens: int


class DriftMeasure(Part, frozen=True, kw_only=True):
    best: Estimate
    last: Estimate


class Drift(Part, frozen=True, kw_only=True):
    """KL(base ‖ student) in nats per token: on the held-out answers, and on the base's own answers to general prompts
    that are never replayed. A lower bound, from the base's likeliest tokens; 0 is the base itself."""

    own: DriftMeasure
    general: DriftMeasure


class Dataset(Part, frozen=True, kw_only=True):
    """What became of the rows that were read for training; `rows` is None where prompts were asked."""

    rows: int | None
    train: int
    valid: int
    left_out: dict[str, int]
    turn_by_turn: int
    with_control_tokens: int
    unused_keys: dict[str, int]
    heldout_overlap: int


class CurvePoint(Part, frozen=True, kw_only=True):
    """One optimiser step as the training chart shows it; losses in nats per token."""

    step: int
    epoch: float
    loss: float | None
    accuracy: float | None
    valid_loss: float | None
    valid_accuracy: float | None
    learning_rate: float
    drift: float | None = None
    replay_drift: float | None = None


class Training(Part, frozen=True, kw_only=True):
    """`warnings`: what makes it doubtful that this could be learnt well."""

    student: str
    data: str | None
    fine_tune: str
    layers: int | str
    rank: int
    learning_rate: float
    batch_size: int
    scale: float
    trainable_parameters: int
    total_parameters: int
    examples: dict[str, int]
    epochs: float
    steps: int
    stopped_early: bool
    scored_tokens: int
    seconds: float
    tokens_per_second: float | None
    peak_memory_bytes: int
    heldout_prompts: int
    heldout_loss: HeldoutLoss
    token_accuracy: TokenAccuracy
    dataset: Dataset | None = None
    replay: Replay | None = None
    drift: Drift | None = None
    best_step: int
    curve: tuple[CurvePoint, ...]
    warnings: tuple[str, ...] = ()
