"""The section of what `mlx-distill run` does as a whole, beside its stages."""

from __future__ import annotations

from dataclasses import dataclass

from mlx_distill.run.config.setting import setting

WHOLE = "The whole run"


@dataclass(frozen=True)
class RunConfig:
    """How often the whole run is made. A change makes nothing of it again."""

    training_seeds: int = setting(
        1,
        "train and measure under N seeds, so that the result speaks of the method and not of one training",
        flag="--training-seeds",
        group=WHOLE,
        above=0,
    )
