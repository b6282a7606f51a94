"""Whether a student answers in batches as it answers alone.

In: a student. Out: why not, or nothing. Some of mlx-lm's models take no batch (Gemma 2's mask has another shape), and
some take one and are wrong without a word: Gemma 2 where there are as many prompts as key heads, Mamba wherever the
prompts differ in length. Both are found by asking short prompts in a batch and alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlx_distill.machine import watchdog
from mlx_distill.models.students import Student
from mlx_distill.run.errors import words_of

DIFFERENT = 0.05
"""Of the spread of the logits: rounding in bfloat16 moves them by a hundredth of it."""

STEPS = 2


def why_alone(student: Student, size: int) -> str:
    """Why `size` prompts cannot be answered together, in words; "" where they can. Found out once for each size."""
    if size < 2:
        return ""
    if size not in student.alone:
        student.alone[size] = _compared(student, size)
    return student.alone[size]


def _compared(student: Student, size: int) -> str:
    """Prompts of different lengths, three of which are asked alone, too."""
    prompts = [[1 + token % 30 for token in range(place, 2 * place + 3)] for place in range(size)]
    try:
        together = _logits(student, prompts)
    except Exception as error:
        return "" if watchdog.explain(f"{type(error).__name__}: {error}") else words_of(error)
    for place in {0, size // 2, size - 1}:
        if _differ(together[place], _logits(student, [prompts[place]])[0]):
            return "its answers in a batch are others than alone"
    return ""


def _logits(student: Student, prompts: Sequence[list[int]]) -> list[list[Any]]:
    """The log-probabilities of all tokens at the first steps of each answer."""
    import mlx.core as mx
    from mlx_lm.generate import BatchGenerator

    size = len(prompts)
    generator = BatchGenerator(student.model, completion_batch_size=size, prefill_batch_size=size)
    places = {uid: place for place, uid in enumerate(generator.insert(list(prompts), [STEPS] * size))}
    logits: list[list[Any]] = [[] for _ in prompts]
    try:
        while written := generator.next_generated():
            for one in written:
                logits[places[one.uid]].append(one.logprobs)
        mx.eval(logits)
    finally:
        generator.close()
    return logits


def _differ(batched: Sequence[Any], alone: Sequence[Any]) -> bool:
    """At the first step, or at the second where the first gave the same token."""
    import mlx.core as mx

    for one, other in zip(batched, alone, strict=False):
        change: Any = mx.mean(mx.abs(one - other))
        spread: Any = mx.sqrt(mx.var(other))
        if change.item() > DIFFERENT * spread.item():
            return True
        if mx.argmax(one).item() != mx.argmax(other).item():
            return False
    return False
