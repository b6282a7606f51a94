"""The section of what `mlx-distill run` does as a whole, beside its stages."""

from __future__ import annotations

from dataclasses import dataclass

from mlx_distill.run.config.setting import setting

WHOLE = "The whole run"


@dataclass(frozen=True)
class RunConfig:
    """What is asked before the run, and how often the whole run is made. A change makes nothing of it again."""

    training_seeds: int = setting(
        1,
        "train and measure under N seeds, so that the result speaks of the method and not of one training",
        flag="--training-seeds",
        group=WHOLE,
        above=0,
    )
    headroom: int | None = setting(
        None,
        "first let teacher and base answer N test prompts with checks, and say whether the teacher is better at all",
        flag="--headroom",
        group=WHOLE,
        above=0,
    )
    require_headroom: bool = setting(
        False,
        "stop before anything is trained where --headroom does not show the teacher to be better",
        flag="--require-headroom",
        group=WHOLE,
    )
