"""What the training tests train on: a handful of short chats, encoded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tiny import tiny_folder

from mlx_distill.models.students import Student
from mlx_distill.run.config import TrainingConfig
from mlx_distill.run.records import Conversation
from mlx_distill.train.encode import Example, encode_all

Data = tuple[list[Example], list[Example]]

CONFIG = TrainingConfig(
    student="smollm2-135m", epochs=2, batch_size=3, learning_rate=2e-3, layers=2, rank=4, checkpoint_every=2
)


def conversations(count: int, name: str) -> list[Conversation]:
    return [
        Conversation(
            f"{name}{i}",
            (
                {"role": "user", "content": f"Say the code of {name} {i}."},
                {"role": "assistant", "content": f"The code is zeta-{i}." + " Over." * (i % 4)},
            ),
        )
        for i in range(count)
    ]


def examples_of(student: Student) -> Data:
    """(training, held out)."""
    training = encode_all(conversations(7, "item"), student, "Answer.", 4096)
    heldout = encode_all(conversations(3, "thing"), student, "Answer.", 4096)
    return training.examples, heldout.examples


def chat_folder(smollm: Student, folder: Path, count: int) -> Path:
    """`student`, a random model, and `chat.jsonl`, for the command line."""
    tiny_folder(smollm, folder / "student")
    chats = [
        {"prompt": f"Item {i * 7} of {'many ' * (i % 5)}things", "completion": f"Code zeta-{i}." + " Over." * (i % 7)}
        for i in range(count)
    ]
    (folder / "chat.jsonl").write_text("\n".join(map(json.dumps, chats)))
    return folder


def metrics_of(run: Path) -> list[dict[str, Any]]:
    path = run / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]
