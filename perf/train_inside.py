"""What runs inside the processes that perf/train.py starts: stock's trainer with a reporter, and without its faults.

    python perf/train_inside.py NAME REPORT [ARGUMENT …]

In: a driver's name, the file it reports to (one JSON object a line), its arguments. The trade-off: what stock tells
its reporters is taken as it is, and the corrected run uses stock's own loop, so that only what is named differs.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim

sys.path.insert(0, str(Path(__file__).parents[1]))

from train_sides import Messages, count, read_rows


def main() -> None:
    name, report, *arguments = sys.argv[1:]
    with Path(report).open("w", encoding="utf-8") as file:
        for row in DRIVERS[name](*arguments):
            file.write(json.dumps(row) + "\n")
            file.flush()


# ---------------------------------------------------------------- stock as it is


def stock(*arguments: str) -> Iterator[dict[str, Any]]:
    """`mlx_lm.lora` with these arguments. A callback given to its `run` is lost: --report-to's takes its place."""
    from mlx_lm import lora
    from mlx_lm.tuner import callbacks

    rows: list[dict[str, Any]] = []

    class Reporter(callbacks.TrainingCallback):  # type: ignore[misc]
        def __init__(self, **_: Any) -> None:
            pass

        def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
            rows.append(train_info)

    callbacks.SUPPORT_CALLBACK["perf"] = Reporter
    sys.argv = ["mlx_lm.lora", *arguments, "--report-to=perf"]
    lora.main()
    yield from rows


# ---------------------------------------------------------------- stock corrected


def corrected_loss(model: nn.Module, batch: mx.array, lengths: mx.array) -> tuple[mx.array, mx.array]:
    """mlx_lm.tuner.trainer.default_loss with one character taken out: `steps < length`, not `<=`.

    `steps` is each target's place in its conversation, so an answer's last token stands at length - 1. Stock also
    trains what stands at `length`: the first pad token, after every answer.
    """
    inputs, targets = batch[:, :-1], batch[:, 1:]
    steps = mx.arange(1, targets.shape[1] + 1)
    mask = mx.logical_and(steps >= lengths[:, 0:1], steps < lengths[:, 1:])
    losses = nn.losses.cross_entropy(model(inputs), targets) * mask
    scored = mask.sum()
    return losses.astype(mx.float32).sum() / scored, scored


class Conversations:
    """Stock's ChatDataset, cut behind the end of turn: stock also trains what a template writes after that."""

    def __init__(self, rows: list[Messages], tokenizer: Any) -> None:
        self._rows, self._tokenizer = rows, tokenizer

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Messages:
        return self._rows[index]

    def process(self, messages: Messages) -> tuple[list[int], int]:
        tokens, offset, end = count(self._tokenizer, messages)
        return tokens[:end], offset


class Clipped(optim.AdamW):  # type: ignore[misc]
    """AdamW that clips by the global norm, as ours does; stock never clips."""

    def __init__(self, rates: list[float], most: float, weight_decay: float) -> None:
        steps = mx.array(rates)
        super().__init__(lambda step: steps[step], weight_decay=weight_decay, bias_correction=True)
        self._most = most

    def update(self, model: nn.Module, gradients: dict[str, Any]) -> None:
        super().update(model, optim.clip_grad_norm(gradients, self._most)[0])


def corrected(wanted: str) -> Iterator[dict[str, Any]]:
    """Stock's own loop over the same examples, with ours' optimiser, rates and clipping, and without its mask faults.

    Its batches stay as they are, ungrouped by length and the same in every epoch.
    """
    from mlx_lm.tuner.datasets import CacheDataset
    from mlx_lm.tuner.trainer import TrainingArgs, train
    from mlx_lm.tuner.utils import linear_to_lora_layers
    from mlx_lm.utils import load, save_config

    given = json.loads(wanted)
    model, tokenizer = load(given["model"])
    rows = [row["messages"] for row in read_rows(Path(given["train"]))]
    mx.random.seed(given["seed"])  # as both do before they draw the adapter: it starts the same
    model.freeze()
    linear_to_lora_layers(model, given["layers"], given["lora"])
    folder = Path(given["folder"])
    settings = {"fine_tune_type": "lora", "num_layers": given["layers"], "lora_parameters": given["lora"]}
    save_config(settings, folder / "adapter_config.json")
    train(
        model,
        Clipped(given["rates"], given["clip"], given["weight_decay"]),
        CacheDataset(Conversations(rows, tokenizer)),
        args=TrainingArgs(
            batch_size=given["batch"],
            iters=len(given["rates"]),
            steps_per_save=10**9,
            adapter_file=folder / "adapters.safetensors",
            max_seq_length=given["window"],
        ),
        loss=corrected_loss,
    )
    yield {"steps": len(given["rates"])}


def evaluate(model_folder: str, heldout: str, *adapters: str) -> Iterator[dict[str, Any]]:
    """Held-out loss of the base and of each adapter, in the plainest way: one example at a time, whole logits."""
    from mlx_lm.utils import load

    for adapter in (None, *adapters):
        model, tokenizer = load(model_folder, adapter_path=adapter)
        nats = tokens = 0.0
        for row in read_rows(Path(heldout)):
            found, offset, end = count(tokenizer, row["messages"])
            logits = model(mx.array([found[: end - 1]]))[0, offset - 1 :]
            nats += nn.losses.cross_entropy(logits, mx.array(found[offset:end]), reduction="sum").item()
            tokens += end - offset
        yield {"loss": nats / tokens, "tokens": tokens}


# ---------------------------------------------------------------- ours


class Clock:
    def __init__(self) -> None:
        self._last = time.perf_counter()

    def since(self) -> float:
        """Seconds since it was last asked."""
        before, self._last = self._last, time.perf_counter()
        return self._last - before

    def row(self, part: str) -> dict[str, Any]:
        return {"part": part, "seconds": self.since()}


class Reached(Exception):
    """The first computation."""


def start(model_folder: str, data: str, wanted: str) -> Iterator[dict[str, Any]]:
    """What ours does before it computes, part by part; imports and the model's weights are there already.

    The end is where the loop first asks for activations. The base's held-out loss, which comes before, is left out.
    """
    from mlx_distill.models import students
    from mlx_distill.run.config import TrainingConfig
    from mlx_distill.run.data.own import load_conversations
    from mlx_distill.train import loop, prefix
    from mlx_distill.train.encode import encode_all
    from mlx_distill.train.loop import train
    from mlx_distill.train.trainee import attach

    config = TrainingConfig(**json.loads(wanted))
    student = students.load(model_folder)
    mx.eval(student.model.parameters())

    nothing = [(1.0, 0, 1)]  # one held-out example's nats, hits and tokens
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(loop, "evaluate", return_value=nothing),
        mock.patch.object(prefix.FrozenPrefix, "entering", side_effect=Reached),
        contextlib.suppress(Reached),
    ):
        clock = Clock()
        conversations = load_conversations(Path(data), config.seed).conversations
        yield clock.row("read and divide")
        parts = {split: [c for c in conversations if c.split == split] for split in ("train", "valid")}
        examples = {s: encode_all(part, student, config.system, config.window).examples for s, part in parts.items()}
        yield clock.row("tokenise")
        trainee = attach(student, config)
        yield clock.row("attach")
        for _ in train(trainee, examples["train"], examples["valid"], Path(folder)):
            pass
    yield clock.row("first batch")


def shares(model_folder: str, data: str, wanted: str) -> Iterator[dict[str, Any]]:
    """Seconds that the parts of a step take over an epoch, each computed alone; the frozen layers as in the first.

    Alone nothing hides behind anything else, so that the sum is a little more than the steps take.
    """
    from mlx_distill.models import students
    from mlx_distill.run.config import TrainingConfig
    from mlx_distill.run.data.own import load_conversations
    from mlx_distill.train.batches import choose_widths, epoch_batches
    from mlx_distill.train.encode import encode_all
    from mlx_distill.train.step import Stepper
    from mlx_distill.train.trainee import attach

    config = TrainingConfig(**json.loads(wanted))
    student = students.load(model_folder)
    conversations = [c for c in load_conversations(Path(data), config.seed).conversations if c.split == "train"]
    examples = encode_all(conversations, student, config.system, config.window).examples
    trainee = attach(student, config)
    stepper = Stepper(trainee)
    for group in epoch_batches(examples, config.batch_size, config.seed, 0):
        yield _step(trainee, stepper, group, choose_widths(examples))


def _step(trainee: Any, stepper: Any, group: Any, widths: Any) -> dict[str, float]:
    clock = Clock()
    stepper.prepare(group, widths)
    cold = clock.since()
    prepared = stepper.prepare(group, widths)
    mx.eval([part.entering for part in prepared.parts])
    host = clock.since()
    taken = dict.fromkeys(("frozen layers", "trained layers forward", "head and loss", "backward", "optimiser"), 0.0)
    taken["frozen layers"] = cold - host
    for part in prepared.parts:
        forward, head = _forward(trainee.split, part)
        clock.since()
        found = stepper._part(part, prepared.tokens, 0)
        host += clock.since()
        mx.eval(found)
        taken["trained layers forward"] += forward
        taken["head and loss"] += head
        taken["backward"] += clock.since() - forward - head
    gradients, _ = optim.clip_grad_norm({name: found[name] for name in stepper.masters}, trainee.config.clip)
    stepper.masters = stepper.optimiser.apply_gradients(gradients, stepper.masters)
    mx.eval(stepper.masters, stepper.optimiser.state)
    return taken | {"optimiser": clock.since(), "host": host}


def _forward(split: Any, part: Any) -> tuple[float, float]:
    """Seconds of the trained layers, and of the head and the loss with their gradient, which ours forms beside it."""
    from mlx_distill.train.loss import frozen_head_losses

    hidden, slopes = [], []
    for batch, entering, lane in zip(part.batches, part.entering, split.lanes, strict=False):
        with mx.stream(lane):
            hidden.append(split.hidden(batch, entering))
    clock = Clock()
    mx.eval(hidden)
    forward = clock.since()
    for batch, rows, lane in zip(part.batches, hidden, split.lanes, strict=False):
        with mx.stream(lane):
            losses = partial(frozen_head_losses, split.head, targets=batch.targets)
            slopes.append(mx.grad(lambda rows, losses=losses: losses(rows)[0].sum())(rows))
    clock.since()
    mx.eval(slopes)
    return forward, clock.since()


DRIVERS: dict[str, Callable[..., Iterator[dict[str, Any]]]] = {
    "stock": stock,
    "corrected": corrected,
    "evaluate": evaluate,
    "start": start,
    "shares": shares,
}

if __name__ == "__main__":
    main()
