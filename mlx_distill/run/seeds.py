"""Which training seeds a run has, and where each one's files are. In: a configuration. Out: seeds, folders."""

from __future__ import annotations

from mlx_distill.run.config import Config
from mlx_distill.run.folder import SEEDS


def seeds_of(config: Config) -> list[int]:
    """The first is the run's own."""
    return [config.training.seed + place for place in range(config.run.training_seeds)]


def seed_folder(seed: int) -> str:
    """Of a further seed, in the run directory."""
    return f"{SEEDS}/{seed}"
