"""The section of replay: what holds the student near its base while it learns, and what of its drift is measured."""

from __future__ import annotations

from dataclasses import dataclass

from mlx_distill.run.config.setting import setting

REPLAY = "Replay"


@dataclass(frozen=True)
class ReplayConfig:
    """General prompts that the base has answered stand beside what is trained on; there the student shall stay as the
    base was. A change trains again, unless nothing is replayed or measured."""

    share: float = setting(
        0.0,
        "share of each batch's tokens that come from the base's own answers to general prompts",
        flag="--replay",
        group=REPLAY,
        at_least=0,
        below=1,
    )
    prompts: str = setting(
        "general", "prompt set or file of the general prompts", flag="--replay-prompts", group=REPLAY
    )
    kl_coef: float = setting(
        1.0,
        "weight of the divergence from the base on replayed tokens",
        flag="--kl-coef",
        group=REPLAY,
        at_least=0,
    )
    max_tokens: int = setting(
        128, "longest answer of the base to a general prompt, in tokens", flag="--replay-tokens", group=REPLAY, above=0
    )
    top: int = setting(
        20, "likeliest tokens of the base that are kept for each token; the rest is one bucket", group=REPLAY, above=0
    )
    drift: bool = setting(
        False, "measure how far the student drifts from its base, also without replay", flag="--drift", group=REPLAY
    )

    @property
    def wanted(self) -> bool:
        """Whether general prompts take part at all."""
        return self.share > 0 or self.drift

    @property
    def ratio(self) -> float:
        """Replayed tokens for each token that is trained on otherwise."""
        return self.share / (1 - self.share)
