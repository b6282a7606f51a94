"""Generating: base and distilled answer the test prompts, from one model in memory.

In: a student whose adapter is dialled by the caller, and prompts. Out: generations, a batch at a time. Both roles
get the same prompts in the same batches, longest first, greedy: what differs between them is the adapter.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence

from mlx_distill.config import ComparisonConfig
from mlx_distill.records import Generation, Prompt, Role
from mlx_distill.students import Student


def generate(
    student: Student,
    role: Role,
    prompts: Sequence[Prompt],
    system: str,
    config: ComparisonConfig,
    done: Collection[str] = (),
) -> Iterator[list[Generation]]:
    """The role's answers, batch by batch; batches whose prompts are all in `done` are left out."""
    tokens = {
        prompt.id: student.tokens([{"role": "system", "content": system}, {"role": "user", "content": prompt.text}])
        for prompt in prompts
    }
    ordered = sorted(tokens, key=lambda name: (-len(tokens[name]), name))
    for start in range(0, len(ordered), config.batch_size):
        names = ordered[start : start + config.batch_size]
        if not all(name in done for name in names):
            yield _batch(student, role, names, [tokens[name] for name in names], config.max_tokens)


def _batch(
    student: Student, role: Role, names: Sequence[str], prompts: list[list[int]], limit: int
) -> list[Generation]:
    from mlx_lm import batch_generate

    started = time.monotonic()
    response = batch_generate(
        student.model,
        student.tokenizer,
        prompts,
        max_tokens=limit,
        return_token_ids=True,
        completion_batch_size=len(prompts),
        prefill_batch_size=len(prompts),
    )
    seconds = (time.monotonic() - started) / len(prompts)
    return [
        Generation(name, role, text, len(tokens), seconds, "length" if len(tokens) >= limit else "stop")
        for name, text, tokens in zip(names, response.texts, response.token_ids, strict=True)
    ]
