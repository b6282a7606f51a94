"""The sections of training: what is learnt, and how the machine is used for it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mlx_distill.run.config.setting import setting

DATA = "Student and data"
TRAINING = "Training"
ADAPTER = "Adapter"
MEMORY = "Memory"

SCHEDULES = ("cosine", "linear", "constant")
FINE_TUNES = ("lora", "dora", "full")
TOKEN_WEIGHTS = ("uniform", "dft", "likely")


@dataclass(frozen=True)
class TrainingConfig:
    """What the student is trained on, and how. A change trains again.

    `steps` replaces `epochs`, and `alpha` replaces `scale`, where they are given.
    """

    student: str = setting(
        "qwen2.5-1.5b",
        "student model: qwen2.5-0.5b, qwen2.5-1.5b, smollm2-135m, a hub id, a folder, or a .gguf file",
        flag="--student",
        group=DATA,
        common=True,
    )
    data: str | None = setting(
        None,
        "train on these conversations instead of collected answers: a file (any form; see docs/data.md) or a folder",
        flag="--data",
        group=DATA,
        common=True,
    )
    valid_data: str | None = setting(
        None,
        "conversations for the held-out loss",
        flag="--valid-data",
        group=DATA,
        shown="a tenth of --data",
    )
    system: str = setting("You are a helpful coding assistant.", "system prompt of the student", group=DATA)
    thinking: bool = setting(
        False, "also train on the teacher's thinking, as <think>…</think>", flag="--train-thinking", group=DATA
    )
    seed: int = setting(
        0, "seed of everything random in training and sampling", flag="--seed", group=TRAINING, at_least=0
    )
    epochs: int = setting(5, "passes over the examples", flag="--epochs", group=TRAINING, common=True, above=0)
    steps: int | None = setting(
        None, "number of optimiser steps, instead of --epochs", flag="--steps", group=TRAINING, above=0
    )
    batch_size: int = setting(4, "examples per optimiser step", flag="--batch-size", group=TRAINING, above=0)
    learning_rate: float = setting(
        1e-4, "highest learning rate, after warm-up", flag="--learning-rate", group=TRAINING, above=0
    )
    schedule: str = setting(
        "cosine",
        "how the learning rate falls after warm-up",
        flag="--schedule",
        group=TRAINING,
        choices=SCHEDULES,
    )
    warmup: float = setting(
        0.1,
        "fraction of the steps during which the learning rate rises",
        flag="--warmup",
        group=TRAINING,
        at_least=0,
        below=1,
    )
    weight_decay: float = setting(0.0, "weight decay of the optimiser (AdamW)", group=TRAINING)
    clip: float = setting(
        1.0, "largest norm of the gradient; inf does not clip", group=TRAINING, above=0, infinite=True
    )
    fine_tune: str = setting(
        "lora",
        "what is trained: a LoRA or DoRA adapter, or every weight of the layers",
        flag="--fine-tune",
        group=ADAPTER,
        choices=FINE_TUNES,
    )
    layers: int | str = setting(
        16,
        "how many layers are trained, counted from the top, or all",
        flag="--layers",
        group=ADAPTER,
        choices=("all",),
        above=0,
    )
    targets: tuple[str, ...] = setting(
        (),
        "linear layers that get an adapter, such as q_proj, self_attn, mlp.up_proj",
        flag="--target",
        group=ADAPTER,
        shown="all",
    )
    rank: int = setting(16, "rank of the LoRA matrices", flag="--rank", group=ADAPTER, above=0)
    scale: float = setting(
        2.0,
        "scale of the LoRA update, y = Wx + scale * BAx (mlx-lm's convention)",
        flag="--scale",
        group=ADAPTER,
        above=0,
    )
    alpha: float | None = setting(
        None,
        "scale in PEFT's convention, instead of --scale: scale = alpha / rank",
        flag="--alpha",
        group=ADAPTER,
        above=0,
    )
    dropout: float = setting(0.0, "dropout on the LoRA input", flag="--dropout", group=ADAPTER, at_least=0, below=1)
    window: int = setting(
        4096,
        "longest example in tokens; longer ones are left out, never cut",
        flag="--window",
        group=TRAINING,
        above=0,
    )
    evaluate_every: int | None = setting(
        None,
        "steps between two measurements of the held-out loss",
        flag="--evaluate-every",
        group=TRAINING,
        shown="one epoch",
        above=0,
    )
    patience: int | None = setting(
        None, "stop after N held-out losses in a row without a better one", flag="--patience", group=TRAINING, above=0
    )
    checkpoint_every: int = setting(10, "steps between two checkpoints to resume from", group=TRAINING, above=0)
    token_weight: str = setting(
        "uniform",
        "how much a token counts: all the same, by the student's probability of it, or not where it is least likely",
        flag="--token-weight",
        group=TRAINING,
        choices=TOKEN_WEIGHTS,
    )
    save_every: int | None = setting(
        None, "also save the adapter every N steps, as checkpoints/N", flag="--save-every", group=TRAINING, above=0
    )

    @property
    def lora_scale(self) -> float:
        """Scale of the update in mlx-lm's convention, whichever of the two was given."""
        return self.scale if self.alpha is None else self.alpha / self.rank

    def epoch_steps(self, examples: int) -> int:
        """Optimiser steps of an epoch; the last batch may be smaller."""
        return math.ceil(examples / self.batch_size)

    def all_steps(self, examples: int) -> int:
        return self.steps or self.epoch_steps(examples) * self.epochs


def is_target(target: str, module: str) -> bool:
    """Whether a target means a module of a layer: by its whole name, its first parts (mlp) or its last (q_proj)."""
    return module == target or module.startswith(f"{target}.") or module.endswith(f".{target}")


@dataclass(frozen=True)
class MachineConfig:
    """How training uses the machine. The result does not depend on it, so a change trains nothing again.

    A setting that is None is chosen so that training fits. With `auto`, `training.layers` is the most layers that are
    trained; a run keeps the number that it chose.
    """

    memory: float | None = setting(
        None, "GiB that training may use", flag="--memory", group=MEMORY, shown="what this machine can spare", above=0
    )
    batch_tokens: int | None = setting(
        None,
        "tokens (padding included) that go through the student at once; a larger batch is computed in parts",
        flag="--batch-tokens",
        group=MEMORY,
        above=0,
    )
    grad_checkpoint: bool | None = setting(
        None,
        "compute activations twice instead of keeping them in memory (Chen et al. 2016, arXiv 1604.06174)",
        flag="--grad-checkpoint",
        group=MEMORY,
    )
    auto: bool = setting(False, "train only as many layers as fit in memory", flag="--auto", group=MEMORY)
    shared: str | None = setting(
        None, "folder where runs share base answers and cached activations", flag="--shared", group=MEMORY
    )
