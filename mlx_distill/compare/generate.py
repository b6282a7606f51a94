"""Generating: base and distilled answer the test prompts, from one model in memory.

In: a student whose adapter is dialled by the caller, and prompts. Out: generations, a batch at a time. Both roles
get the same prompts in the same batches, longest first: what differs between them is the adapter. Greedy, or several
samples, each batch of which is drawn from a seed of its own, so that a run that was stopped goes on with the same.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mlx_distill.config import ComparisonConfig
from mlx_distill.records import Generation, Prompt, Role, content_id
from mlx_distill.students import Student

Case = tuple[str, int]
"""Prompt id and sample."""


@dataclass(frozen=True)
class Batch:
    """What goes through the student together: cases, and the tokens of their prompts."""

    cases: tuple[Case, ...]
    prompts: list[list[int]]


def generate(
    student: Student,
    role: Role,
    prompts: Sequence[Prompt],
    system: str,
    config: ComparisonConfig,
    seed: int,
    done: Collection[Case] = (),
) -> Iterator[list[Generation]]:
    """The role's answers, batch by batch; batches whose cases are all in `done` are left out."""
    for batch in batches(student, prompts, system, config):
        if not all(case in done for case in batch.cases):
            yield _answers(student, role, batch, config, _sampler(role, batch, config, seed))


def batches(student: Student, prompts: Sequence[Prompt], system: str, config: ComparisonConfig) -> list[Batch]:
    """The same for every role: the longest prompts first, the samples of one prompt together."""
    tokens = {
        prompt.id: student.tokens([{"role": "system", "content": system}, {"role": "user", "content": prompt.text}])
        for prompt in prompts
    }
    ordered = sorted(tokens, key=lambda name: (-len(tokens[name]), name))
    cases = list(itertools.product(ordered, range(config.samples or 1)))
    parts = (cases[start : start + config.batch_size] for start in range(0, len(cases), config.batch_size))
    return [Batch(tuple(part), [tokens[name] for name, _ in part]) for part in parts]


def _sampler(role: Role, batch: Batch, config: ComparisonConfig, seed: int) -> Callable[[Any], Any] | None:
    """None is greedy. Roles draw apart, so that a model compared with itself does not just repeat itself."""
    if config.samples is None:
        return None
    import mlx.core as mx

    key = mx.random.key(int(content_id(f"{seed} {role} {batch.cases}"), 16) % 2**32)

    def draw(logprobs: Any) -> Any:
        nonlocal key
        key, now = mx.random.split(key)
        return mx.random.categorical(logprobs / config.temperature, key=now)

    return draw


def _answers(
    student: Student, role: Role, batch: Batch, config: ComparisonConfig, sampler: Callable[[Any], Any] | None
) -> list[Generation]:
    from mlx_lm import batch_generate

    started = time.monotonic()
    response = batch_generate(
        student.model,
        student.tokenizer,
        batch.prompts,
        max_tokens=config.max_tokens,
        return_token_ids=True,
        completion_batch_size=len(batch.prompts),
        prefill_batch_size=len(batch.prompts),
        sampler=sampler,
    )
    seconds = (time.monotonic() - started) / len(batch.prompts)
    return [
        Generation(name, role, text, len(tokens), seconds, _ended(len(tokens), config.max_tokens), sample)
        for (name, sample), text, tokens in zip(batch.cases, response.texts, response.token_ids, strict=True)
    ]


def _ended(tokens: int, cap: int) -> str:
    return "length" if tokens >= cap else "stop"
