"""The training part of results.json: what was trained, how long it took, and the held-out loss of base and best.

In: metrics.jsonl and training.json. Out: one value, None where nothing was trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlx_distill.run.config import Config, TrainingConfig
from mlx_distill.run.data.dataset import read_dataset
from mlx_distill.run.files import DriftFile, Heldout, TrainingFile
from mlx_distill.run.folder import METRICS, RunDir
from mlx_distill.run.paths import shown
from mlx_distill.run.records import Estimate, StepMetrics
from mlx_distill.run.results.training import (
    CurvePoint,
    Drift,
    DriftMeasure,
    HeldoutLoss,
    Replay,
    TokenAccuracy,
    Training,
)
from mlx_distill.stats import inference as stats
from mlx_distill.train.choice.lengths import long_answers

CURVE = CurvePoint.__struct_fields__
"""What of a step's metrics the training chart reads."""


def training_part(run: RunDir, config: Config, training: TrainingFile | None) -> Training | None:
    metrics = run.read(METRICS, StepMetrics)
    if not metrics or training is None:
        return None
    validated = [row for row in metrics if row.valid_loss is not None]
    best = min(validated, key=lambda row: (row.valid_loss or 0.0, row.step))
    counted = ("trainable_parameters", "total_parameters", "examples")
    return Training(
        **_settings(config.training),
        **{name: getattr(training, name) for name in counted},
        **_steps(metrics, config.training.all_steps(training.examples["train"])),
        **_heldout(training.heldout, validated[-1]),
        dataset=read_dataset(run),
        replay=_replay(config, training, metrics),
        drift=_drift(training.drift, validated[-1]),
        best_step=best.step,
        warnings=tuple(_warnings(config.training, training)),
        curve=tuple(CurvePoint(**{name: getattr(row, name) for name in CURVE}) for row in metrics),
    )


def _warnings(config: TrainingConfig, training: TrainingFile) -> list[str]:
    lengths = [scored for _, scored in training.tokens[: training.examples["train"]]]
    return long_answers(training.total_parameters, lengths, own_data=config.data is not None)


def _replay(config: Config, training: TrainingFile, metrics: Sequence[StepMetrics]) -> Replay | None:
    """None where nothing was replayed."""
    tokens = sum(row.replay_tokens for row in metrics)
    if not tokens:
        return None
    replay = config.replay
    return Replay(
        share=replay.share,
        kl_coef=replay.kl_coef,
        prompts=shown(replay.prompts),
        examples=len(training.replay_tokens),
        tokens=tokens,
    )


def _drift(drift: DriftFile | None, last: StepMetrics) -> Drift | None:
    """None where it was not measured."""
    if drift is None:
        return None
    return Drift(own=_measure(drift.own, last.drift), general=_measure(drift.replay, last.replay_drift))


def _measure(rows: Sequence[tuple[float, int]], last: float | None) -> DriftMeasure:
    sums, counts = zip(*rows, strict=True)
    return DriftMeasure(best=stats.ratio(list(sums), list(counts)), last=Estimate(last or 0.0, len(counts)))


def _settings(config: TrainingConfig) -> dict[str, Any]:
    names = ("student", "data", "fine_tune", "layers", "rank", "learning_rate", "batch_size")
    given = {name: getattr(config, name) for name in names} | {"scale": config.lora_scale}
    return {name: shown(value) if isinstance(value, str) else value for name, value in given.items()}


def _steps(metrics: Sequence[StepMetrics], planned: int) -> dict[str, Any]:
    steps = [row for row in metrics if row.loss is not None]
    seconds, scored = sum(row.seconds for row in steps), sum(row.tokens for row in steps)
    trained = scored + sum(row.replay_tokens for row in steps)
    return {
        "epochs": round(steps[-1].epoch, 2) if steps else 0,
        "steps": len(steps),
        "stopped_early": len(steps) < planned,
        "scored_tokens": scored,
        "seconds": seconds,
        "tokens_per_second": trained / seconds if seconds else None,
        "peak_memory_bytes": max(row.peak_memory for row in metrics),
    }


def _heldout(heldout: Heldout, last: StepMetrics) -> dict[str, Any]:
    """Losses and accuracies of base, best and last step, from (nats, hits, tokens) of each example."""
    nats, hits = (
        {name: [row[column] for row in getattr(heldout, name)] for name in ("base", "best")} for column in (0, 1)
    )
    counts = [row[2] for row in heldout.base]
    change = [after - before for before, after in zip(nats["base"], nats["best"], strict=True)]
    return {
        "heldout_prompts": len(counts),
        "heldout_loss": HeldoutLoss(
            **{name: stats.ratio(sums, counts) for name, sums in nats.items()},
            last=Estimate(last.valid_loss or 0.0, len(counts)),
            change=stats.ratio(change, counts),
        ),
        "token_accuracy": TokenAccuracy(
            **{name: stats.ratio(sums, counts) for name, sums in hits.items()},
            last=Estimate(last.valid_accuracy or 0.0, len(counts)),
        ),
    }
