"""Whether training fits this machine, said before any weight is read.

In: a student's config.json, settings, lengths of examples, earlier runs. Out: bytes, a layout, FLOPs.
"""

from mlx_distill.models.students.layout import Layout
from mlx_distill.train.fit.choose import (
    Choice,
    advice,
    choose,
    in_gib,
    in_words,
    lacking,
    limit_of,
    most_layers,
    require,
    with_layers,
)
from mlx_distill.train.fit.earlier import Earlier, correction, earlier_runs, speed
from mlx_distill.train.fit.memory import Lengths, Machine, Prediction, Task, predict
from mlx_distill.train.fit.shape import Shape, find, shape_of, trainable

__all__ = [
    "Choice",
    "Earlier",
    "Layout",
    "Lengths",
    "Machine",
    "Prediction",
    "Shape",
    "Task",
    "advice",
    "choose",
    "correction",
    "earlier_runs",
    "find",
    "in_gib",
    "in_words",
    "lacking",
    "limit_of",
    "most_layers",
    "predict",
    "require",
    "shape_of",
    "speed",
    "trainable",
    "with_layers",
]
