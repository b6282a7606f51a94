"""Training: conversations in, an adapter and its metrics out."""

from mlx_distill.train.chat import load_conversations, refuse_leaks
from mlx_distill.train.encode import encode_all
from mlx_distill.train.loop import evaluate, train
from mlx_distill.train.prefix import SplitModel

__all__ = ["SplitModel", "encode_all", "evaluate", "load_conversations", "refuse_leaks", "train"]
