"""Training: conversations in, an adapter and its metrics out."""

from mlx_distill.fit import Layout
from mlx_distill.train.encode import encode_all
from mlx_distill.train.evaluate import evaluate
from mlx_distill.train.group import launched
from mlx_distill.train.loop import train
from mlx_distill.train.memory import allocator
from mlx_distill.train.store import Store
from mlx_distill.train.trainee import Trainee, attach

__all__ = [
    "Layout",
    "Store",
    "Trainee",
    "allocator",
    "attach",
    "encode_all",
    "evaluate",
    "launched",
    "train",
]
