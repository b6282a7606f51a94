"""Conversations → the examples of a run.

In: what is trained on (`collect.material`), the student. Out: examples of each split; in dataset.json what became of
every row, which is also said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlx_distill.models.students import trained
from mlx_distill.run import files
from mlx_distill.run.config import TrainingConfig
from mlx_distill.run.data import own
from mlx_distill.run.data.dataset import read_dataset
from mlx_distill.run.data.dialogue import EXAMPLES
from mlx_distill.run.data.material import collected, own_data
from mlx_distill.run.errors import DataError
from mlx_distill.run.folder import DATASET
from mlx_distill.run.job import Job
from mlx_distill.run.prompts import load_prompts
from mlx_distill.run.records import Conversation
from mlx_distill.run.results.training import Dataset
from mlx_distill.run.wording import counts, dataset

if TYPE_CHECKING:
    from mlx_distill.models.students import Student
    from mlx_distill.train.encode import Encoded, Example

LOUD = ("Left out", "Held out")


def refuse_leaks(job: Job) -> None:
    """Raises DataError when the user's own training data gives a test prompt away; prompt sets are checked as read."""
    if job.config.training.data:
        own.refuse_leaks(own_data(job.config).conversations, load_prompts(job.config.prompts))


def encoded(job: Job) -> tuple[Student, dict[str, list[Example]]]:
    """The student, whose weights are not read yet, and the examples of each split. Raises DataError where one is
    empty."""
    from mlx_distill.train.encode import encode_all

    config = job.config.training
    mine = own_data(job.config) if config.data else None
    conversations = mine.conversations if mine else collected(job.run, job.config)
    student = trained.load(job, lazy=True)

    def encode(conversations: list[Conversation]) -> dict[str, Encoded]:
        parts = {split: [c for c in conversations if c.split == split] for split in ("train", "valid")}
        return {split: encode_all(part, student, config.system, config.window) for split, part in parts.items()}

    result = encode(conversations)
    if mine and mine.divided and not result["valid"].examples:  # all that was to be held out is left out
        lost = {place for part in result.values() for _, place in part.left_out}
        kept, others = ([c for c in conversations if (c.where in lost) is out] for out in (False, True))
        result = encode([*(own.split(kept, config.seed, Path(str(config.data))) if len(kept) > 1 else kept), *others])
    part = _say(job, {"encoded": _account(result)} | (mine.account.plain() if mine else {}))
    for split, name in (("train", "train on"), ("valid", "hold out")):
        if not result[split].examples and (split == "train" or part.left_out):
            raise DataError(_nothing(name, part, config))
    return student, {split: part.examples for split, part in result.items()}


def _nothing(name: str, part: Dataset, config: TrainingConfig) -> str:
    reasons = counts(part.left_out) or "nothing"
    window = f"a larger --window than {config.window} keeps what is too long, or " if "too long" in reasons else ""
    return f"There is nothing to {name} (left out: {reasons}): {window}give other rows."


def _account(examples: Mapping[str, Encoded]) -> files.Encoded:
    """What encoding made of the conversations, as dataset.json has it."""
    reasons, places = Counter[str](), dict[str, list[str]]()
    for part in examples.values():
        for reason, place in part.left_out:
            reasons[reason] += 1
            if len(places.setdefault(reason, [])) < EXAMPLES:
                places[reason].append(place)
    return files.Encoded(
        train=len(examples["train"].examples),
        valid=len(examples["valid"].examples),
        left_out=dict(reasons),
        places={reason: tuple(known) for reason, known in places.items()},
        turn_by_turn=sum(part.divided for part in examples.values()),
        with_control_tokens=sum(part.with_control_tokens for part in examples.values()),
    )


def _say(job: Job, account: Mapping[str, object]) -> Dataset:
    """Keeps the account in dataset.json, and tells it: of the user's rows all, of answers what encoding left out."""
    teachers = (job.run / DATASET).exists() and not job.config.training.data
    known = job.run.read_json(DATASET) if teachers else {}
    job.run.write_json(DATASET, {**known, **account})
    part = read_dataset(job.run)
    assert part is not None
    for name, words in dataset(part):
        (job.view.warn if name in LOUD else job.view.note)(f"{name}: {words}.")
    return part
