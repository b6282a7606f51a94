"""Token weights: what they are, what is differentiated of them, and that a step is the same in any parts."""

import dataclasses
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from tiny import tiny
from training_data import CONFIG, Data, examples_of

from mlx_distill.models.students import Student
from mlx_distill.models.students.layout import Layout
from mlx_distill.train.batches import choose_widths, make_batch
from mlx_distill.train.encode import Example
from mlx_distill.train.step import Stepper
from mlx_distill.train.trainee import attach
from mlx_distill.train.weights import weighted


@pytest.fixture(scope="module")
def data(smollm: Student) -> Data:
    return examples_of(smollm)


def batch(*counts: int) -> Any:
    return make_batch([Example(str(i), tuple(range(n + 1)), ((1, n + 1),)) for i, n in enumerate(counts)], ())


@pytest.mark.parametrize(
    ("kind", "counted"),
    [
        ("uniform", [4.0, 1.0, 3.0, 2.0, 5.0, 9.0]),
        ("dft", [nats * np.exp(-nats) for nats in (4.0, 1.0, 3.0, 2.0, 5.0, 9.0)]),
        ("likely", [4.0, 1.0, 3.0, 2.0, 0.0, 9.0]),  # a fifth of five tokens, and none of one
    ],
)
def test_each_weight_is_what_it_says(kind: str, counted: list[float]) -> None:
    nats = mx.array([4.0, 1.0, 3.0, 2.0, 5.0, 9.0])
    np.testing.assert_allclose(np.array(weighted(kind, nats, batch(5, 1))), counted, rtol=1e-6)


def test_weights_are_not_differentiated() -> None:
    nats = mx.array([0.5, 1.0, 3.0, 2.0, 4.0])
    slope = mx.grad(lambda each: weighted("dft", each, batch(5)).sum())(nats)
    np.testing.assert_allclose(np.array(slope), np.exp(-np.array(nats)), rtol=1e-6)


def test_a_weighted_step_is_the_same_in_one_part_or_in_many(smollm: Student, data: Data) -> None:
    for kind in ("dft", "likely"):
        steps = []
        for layout in (Layout(1), Layout(100_000)):
            stepper = Stepper(attach(tiny(smollm), dataclasses.replace(CONFIG, token_weight=kind), layout))
            launched = stepper.launch(stepper.prepare(data[0], choose_widths(data[0])), 1, 1e-3)
            steps.append((launched.nats.item(), stepper.masters))
        (nats, many), (other, one) = steps
        assert nats == pytest.approx(other, rel=1e-5)
        assert all(mx.allclose(many[name], one[name], atol=1e-4) for name in one)
