"""The base's answers → examples: those that are replayed, and those on which drift is only measured.

In: replay.jsonl, the prompt set. Out: examples of both; with the base's log-probabilities a Replay, which is all that
training needs of them, and which other processes get as JSON.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlx_distill.run.errors import DataError
from mlx_distill.run.folder import REPLAY
from mlx_distill.run.job import Job
from mlx_distill.run.records import Conversation, Generation
from mlx_distill.train.replay.answers import is_held_out, replayed_prompts

if TYPE_CHECKING:
    from mlx_distill.models.students import Student
    from mlx_distill.train.encode import Example
    from mlx_distill.train.logprobs.scoring import Scored


@dataclass(frozen=True)
class Replay:
    """`ratio`: replayed tokens for each other token; `kl_coef`: weight of their divergence; `base`: the base's
    log-probabilities of what is replayed and of what is held out, the run's own held-out examples included."""

    ratio: float
    kl_coef: float
    training: Sequence[Example]
    heldout: Sequence[Example]
    base: Scored

    @property
    def replayed(self) -> list[Example]:
        """Those of `training` that this training comes to."""
        from mlx_distill.train.logprobs.store import name_of

        return [example for example in self.training if name_of(example) in self.base]

    def to_row(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "ratio": self.ratio,
            "kl_coef": self.kl_coef,
            "training": [[e.id, e.tokens, e.scored] for e in self.training],
            "heldout": [[e.id, e.tokens, e.scored] for e in self.heldout],
            "base": {name: base64.b64encode(top.to_bytes()).decode() for name, top in self.base.items()},
        }

    @staticmethod
    def from_row(row: dict[str, Any]) -> Replay:
        from mlx_distill.train.encode import Example
        from mlx_distill.train.logprobs.store import TopLogprobs

        parts = {
            part: [Example(name, tuple(tokens), tuple(map(tuple, scored))) for name, tokens, scored in row[part]]
            for part in ("training", "heldout")
        }
        tops = {name: TopLogprobs.from_bytes(base64.b64decode(content)) for name, content in row["base"].items()}
        return Replay(
            row["ratio"], row["kl_coef"], **parts, base={n: top for n, top in tops.items() if top is not None}
        )


Split = tuple[list["Example"], list["Example"]]
"""Examples that are replayed, and held-out ones."""


def encoded(job: Job, student: Student) -> Split:
    """Every fifth prompt of the set is held out, and without replay the others are not needed; what the base left empty
    is no example. Raises DataError where nothing is left of one of the two."""
    from mlx_distill.train.encode import encode_all

    config = job.config
    answers = {answer.prompt_id: answer for answer in job.run.read(REPLAY, Generation)}
    parts: tuple[list[Conversation], list[Conversation]] = ([], [])
    for place, prompt in enumerate(replayed_prompts(config)):
        answer = answers.get(prompt.id)
        if answer is not None and answer.text.strip():
            turns = ({"role": "user", "content": prompt.text}, {"role": "assistant", "content": answer.text})
            parts[is_held_out(place)].append(Conversation(f"replay-{prompt.id}", turns))
    training, heldout = (
        encode_all(part, student, config.training.system, config.training.window).examples for part in parts
    )
    if not training or not heldout:
        raise DataError(
            f"The base's answers leave {len(training)} general prompts to replay and {len(heldout)} held out: both "
            "must be there. Give a larger --replay-prompts set."
        )
    return (training if config.replay.share else []), heldout
