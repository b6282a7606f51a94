"""How far a finished training took the student from its base: the kept step, and every candidate of a selection.

In: the trainee, its saved adapters. Out: what training.json says of drift. Candidates are the saved steps at the
strengths that the selection will try; without a selection nobody asks for theirs, and none is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mlx_distill.models.students.adapter import WEIGHTS, read_weights
from mlx_distill.models.students.checkpoint import progress
from mlx_distill.run.files import CandidateDrift, DriftFile
from mlx_distill.train.encode import Example
from mlx_distill.train.evaluate import evaluate_with_drift
from mlx_distill.train.loop import STEPS_FOLDER
from mlx_distill.train.replay.examples import Replay
from mlx_distill.train.trainee import Trainee

Sums = tuple[tuple[float, int], ...]
"""(divergence, tokens) of each example."""


def drift(
    trainee: Trainee, heldout: Sequence[Example], replay: Replay, folder: Path, strengths: Sequence[float]
) -> DriftFile:
    """Of the trainee as it stands, which is the step that is kept; and of the steps saved in `folder` at `strengths`.
    Afterwards the trainee is as it was."""
    own, general = _sums(trainee, heldout, replay), _sums(trainee, replay.heldout, replay)
    before = trainee.adapter.weights()
    candidates = tuple(_candidates(trainee, heldout, replay, folder, strengths)) if strengths else ()
    trainee.adapter.set_weights(before)
    trainee.adapter.dial(1)
    return DriftFile(own=own, replay=general, candidates=candidates)


def _candidates(
    trainee: Trainee, heldout: Sequence[Example], replay: Replay, folder: Path, strengths: Sequence[float]
) -> Iterator[CandidateDrift]:
    for step, saved in _saved(folder).items():
        trainee.adapter.set_weights(read_weights(saved))
        for strength in strengths:
            trainee.adapter.dial(strength)
            own, general = (_mean(_sums(trainee, examples, replay)) for examples in (heldout, replay.heldout))
            yield CandidateDrift(step=step, strength=strength, own=own, replay=general)
        trainee.adapter.dial(1)


def _saved(folder: Path) -> dict[int, Path]:
    """By step: those saved by their number, and the one that is kept."""
    steps = {
        int(path.name): path for path in sorted((folder / STEPS_FOLDER).glob("[0-9]*")) if (path / WEIGHTS).exists()
    }
    best = progress(folder).best_step
    return steps | ({best: folder} if best and best not in steps else {})


def _sums(trainee: Trainee, examples: Sequence[Example], replay: Replay) -> Sums:
    measured, divergences = evaluate_with_drift(trainee, examples, replay.base)
    return tuple((each, row[2]) for each, row in zip(divergences, measured, strict=True))


def _mean(sums: Sums) -> float:
    return sum(each for each, _ in sums) / sum(count for _, count in sums)
