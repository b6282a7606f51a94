"""The stage that trains: examples in, the student's adapter and its metrics out.

In: teacher_data.jsonl or the user's own data. Out: distilled-student/, metrics.jsonl, training.json.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlx_distill.machine import blas, environment
from mlx_distill.models.students import identity, trained
from mlx_distill.run.config import TrainingConfig
from mlx_distill.run.data import material
from mlx_distill.run.digest import digest
from mlx_distill.run.files import Heldout, TrainingFile
from mlx_distill.run.folder import ENVIRONMENT, METRICS, REPLAY, TRAINING
from mlx_distill.run.job import ADAPTER, Job
from mlx_distill.run.records import StepMetrics
from mlx_distill.run.stage import plain_settings
from mlx_distill.train import examples
from mlx_distill.train import room as fitting
from mlx_distill.train.choice.lengths import long_answers
from mlx_distill.train.replay import examples as replaying
from mlx_distill.train.replay.examples import Replay

if TYPE_CHECKING:
    from mlx_distill.models.students import Student
    from mlx_distill.train.encode import Example
    from mlx_distill.train.trainee import Trainee

PREFIX = "prefix-cache"
"""Where the frozen layers' activations go that do not fit in memory, while training lasts; where runs share a folder,
all of them, in that."""


LATER = {"token_weight": "uniform"}
"""Settings of later versions: with these values a training is the one that it was without them."""


def settings(job: Job) -> list[Any]:
    """What the adapter depends on: the training's settings, the examples, the student."""
    config, replay = job.config.training, job.config.replay
    values = {name: value for name, value in plain_settings(config).items() if (name, value) not in LATER.items()}
    rows = [values, material.digest_of(job.config, job.run), identity(config.student)]
    return [*rows, plain_settings(replay)] if replay.wanted else rows


def inputs(job: Job) -> list[str]:
    """The files that the adapter depends on, beside what the settings name."""
    return [REPLAY] if job.config.replay.wanted else []


def write_environment(job: Job) -> None:
    """The machine that trains; a report drawn again elsewhere keeps it."""
    job.run.write_json(ENVIRONMENT, environment.describe() | {"seed": job.config.training.seed})


def train(job: Job) -> None:
    """Trains alone, or as rank 0 of the processes that `mlx.launch` started, to which it broadcasts their work."""
    from mlx_distill.train.group import launched
    from mlx_distill.train.memory import allocator
    from mlx_distill.train.store import Store
    from mlx_distill.train.trainee import attach

    config = job.config.training
    write_environment(job)
    job.view.note(f"Loading {config.student}")
    student, parts = examples.encoded(job)
    trained.record(job, student, config.all_steps(len(parts["train"])))
    general = _general(job, student)
    room = fitting.room(job, parts, general)
    student.read_weights()
    with allocator(room.step):
        key, shared = _prefix_key(student, config), job.config.machine.shared
        folder = Path(shared, PREFIX, key[:16]) if shared else job.run / PREFIX
        store = Store(room.prefix, folder, key, shared is not None)
        trainee = attach(student, config, room.layout, store, launched())
        job.view.note(_describe(student, trainee, parts))
        _warn(job, student, parts)
        replay = None if general is None else _replay(job, student, trainee, general, parts)
        launched().broadcast(_work(config, room, parts, replay))
        _train(job, trainee, parts, replay)
        strengths = job.config.selection.strengths if job.config.selection.items is not None else ()
        summary = _training_summary(student, trainee, parts, job.run / ADAPTER, replay, strengths)
        job.run.write_json(TRAINING, summary)
    store.remove()


def with_fitting_layers(job: Job) -> Job:
    """Trains only as many layers as fit on this machine."""
    student, parts = examples.encoded(job)
    return fitting.with_fitting_layers(job, parts, _general(job, student))


def _general(job: Job, student: Student) -> replaying.Split | None:
    """None where nothing is replayed and no drift is measured."""
    return replaying.encoded(job, student) if job.config.replay.wanted else None


def _replay(
    job: Job, student: Student, trainee: Trainee, general: replaying.Split, parts: dict[str, list[Example]]
) -> Replay:
    """The examples with the base's log-probabilities, of those that this training needs; from the store where they are
    there."""
    from mlx_distill.models.students.files import weights_digest
    from mlx_distill.train.logprobs.scoring import scored
    from mlx_distill.train.logprobs.store import FOLDER, LogprobStore
    from mlx_distill.train.replay.order import replayed

    config, shared = job.config.replay, job.config.machine.shared
    store = LogprobStore(
        Path(shared, FOLDER) if shared else job.run / FOLDER, weights_digest(student.folder), config.top
    )
    training, others = general
    epochs = math.ceil(trainee.config.all_steps(len(parts["train"])) / trainee.config.epoch_steps(len(parts["train"])))
    tokens = epochs * sum(example.scored_count for example in parts["train"])
    mine = replayed(training, config.ratio, trainee.config.seed, tokens)
    needed = list(dict.fromkeys([*mine, *others, *parts["valid"]]))
    trainee.adapter.dial(0)
    with job.view.tracking("log-probabilities", len(needed)) as update:
        base = scored(trainee.split, trainee.prefix, store, needed, lambda count: update(count, "of the base"))
    trainee.adapter.dial(1)
    return Replay(config.ratio, config.kl_coef, training, others, base)


def _train(job: Job, trainee: Trainee, parts: dict[str, list[Example]], replay: Replay | None) -> None:
    from mlx_distill.models.students.checkpoint import progress
    from mlx_distill.train.loop import train

    folder = job.run / ADAPTER
    done = progress(folder).step  # at 0 nothing is: the base is measured again
    known = [row for row in job.run.read_resumable(METRICS, StepMetrics) if done and row.step <= done]
    job.run.write_records(METRICS, known)
    with job.view.training(trainee.config.all_steps(len(parts["train"])), known) as show:
        for metrics in train(trainee, parts["train"], parts["valid"], folder, replay):
            job.run.append(METRICS, metrics)
            show(metrics)


def run_worker() -> None:
    """What every process but rank 0 does: it trains what rank 0 broadcasts, until rank 0 tells it to stop."""
    from mlx_distill.models import students
    from mlx_distill.models.students.layout import Layout
    from mlx_distill.train.encode import Example
    from mlx_distill.train.group import launched
    from mlx_distill.train.loop import train
    from mlx_distill.train.memory import allocator
    from mlx_distill.train.store import Store
    from mlx_distill.train.trainee import attach

    while work := launched().broadcast():
        config = TrainingConfig(**work["config"] | {"targets": tuple(work["config"]["targets"])})
        student = students.load(config.student)
        room = work["room"]
        store = Store(room["prefix"])
        parts = {
            split: [Example(name, tuple(tokens), tuple(map(tuple, scored))) for name, tokens, scored in rows]
            for split, rows in work["parts"].items()
        }
        with allocator(room["step"]):
            layout = Layout(**room["layout"])
            trainee = attach(student, config, layout, store, launched())
            replay = Replay.from_row(work["replay"]) if work["replay"] else None
            for _ in train(trainee, parts["train"], parts["valid"], Path(), replay):
                pass


def stop_workers() -> None:
    """Tells the workers to stop."""
    from mlx_distill.train.group import launched

    launched().broadcast(None)


def _work(
    config: TrainingConfig, room: fitting.Room, parts: dict[str, list[Example]], replay: Replay | None
) -> dict[str, Any]:
    """Everything that a worker needs to take part, as JSON values."""
    return {
        "config": dataclasses.asdict(config),
        "room": dataclasses.asdict(room),
        "parts": {split: [[e.id, e.tokens, e.scored] for e in examples] for split, examples in parts.items()},
        "replay": replay.to_row() if replay else None,
    }


def _prefix_key(student: Student, config: TrainingConfig) -> str:
    """What the activations below the trained layers depend on, beside the tokens."""
    from mlx_distill.models.students.adapter import activation_dtype

    machine = (environment.chip(), blas.preloaded(), environment.version("mlx"))
    rows = [identity(str(student.folder)), config.layers, activation_dtype(student.model), *machine]
    return digest(map(str, rows))


def _describe(student: Student, trainee: Trainee, parts: dict[str, list[Example]]) -> str:
    from mlx_distill.models.students.files import total_parameters

    return (
        f"{trainee.adapter.parameter_count():,} trainable parameters of {total_parameters(student.model):,}; "
        f"{len(parts['train'])} examples, {sum(e.scored_count for e in parts['train']):,} scored tokens an epoch"
    )


def _warn(job: Job, student: Student, parts: dict[str, list[Example]]) -> None:
    from mlx_distill.models.students.files import total_parameters

    lengths = [example.scored_count for example in parts["train"]]
    for words in long_answers(total_parameters(student.model), lengths, own_data=job.config.training.data is not None):
        job.view.warn(words)


def _training_summary(
    student: Student,
    trainee: Trainee,
    parts: dict[str, list[Example]],
    folder: Path,
    replay: Replay | None,
    strengths: Sequence[float],
) -> TrainingFile:
    """training.json: counts, lengths, for each held-out example (nats, hits, tokens) of base and best, and drift."""
    from mlx_distill.models.students.adapter import read_weights
    from mlx_distill.models.students.files import total_parameters
    from mlx_distill.train.drift import drift
    from mlx_distill.train.evaluate import evaluate

    trainee.adapter.set_weights(read_weights(folder))
    best = evaluate(trainee, parts["valid"])
    drifted = None if replay is None else drift(trainee, parts["valid"], replay, folder, strengths)
    trainee.adapter.dial(0)
    base = evaluate(trainee, parts["valid"])
    return TrainingFile(
        trainable_parameters=trainee.adapter.parameter_count(),
        total_parameters=total_parameters(student.model),
        examples={name: len(examples) for name, examples in parts.items()},
        tokens=_lengths([example for part in parts.values() for example in part]),
        replay_tokens=_lengths(replay.replayed) if replay else (),
        layout=dataclasses.asdict(trainee.split.layout),
        heldout=Heldout(ids=tuple(example.id for example in parts["valid"]), base=tuple(base), best=tuple(best)),
        drift=drifted,
    )


def _lengths(examples: Sequence[Example]) -> tuple[tuple[int, int], ...]:
    """(asked, scored) tokens of each."""
    return tuple((len(example.tokens) - example.scored_count, example.scored_count) for example in examples)
