"""Generating: a student answers many prompts in batches, as base or distilled.

In: a student whose adapter is dialled by the caller, and prompts. Out: generations, a batch at a time. Both roles
get the same prompts in the same batches, longest first: what differs between them is the adapter. Greedy, or several
samples, each batch of which is drawn from a seed of its own, so that a run that was stopped goes on with the same.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlx_distill.machine import watchdog
from mlx_distill.models.students import Student
from mlx_distill.models.students.batching import why_alone
from mlx_distill.run.digest import content_id
from mlx_distill.run.errors import words_of
from mlx_distill.run.reasoning import opening
from mlx_distill.run.records import Generation, Role

Case = tuple[str, int]
"""Prompt id and sample."""


@dataclass(frozen=True)
class Decoding:
    """How answers are made. `samples` None is one greedy answer; `batch_size` answers are written at a time."""

    system: str
    max_tokens: int
    batch_size: int
    samples: int | None = None
    temperature: float = 0.7
    seed: int = 0


@dataclass(frozen=True)
class Batch:
    """What goes through the student together: cases, and the tokens of their prompts."""

    cases: tuple[Case, ...]
    prompts: list[list[int]]


def generate(
    student: Student,
    role: Role,
    prompts: Mapping[str, str],
    decoding: Decoding,
    done: Collection[Case] = (),
    before: Sequence[dict[str, str]] = (),
) -> Iterator[list[Generation]]:
    """The role's answers to prompts (id → text), batch by batch; batches whose cases are all in `done` are left out.
    `before`: messages that stand before each question.

    A student that does not answer in batches as it does alone writes one answer after another, and says so once.
    """
    for batch in batches(student, prompts, decoding, before):
        if not all(case in done for case in batch.cases):
            yield _together_or_alone(student, role, batch, decoding)


def _together_or_alone(student: Student, role: Role, batch: Batch, decoding: Decoding) -> list[Generation]:
    size, known = len(batch.cases), any(student.alone.values())
    why = why_alone(student, size)
    if not why:
        try:
            return _together(student, role, batch, decoding)
        except (ValueError, RuntimeError) as error:
            if watchdog.explain(f"{type(error).__name__}: {error}"):
                raise
            why = student.alone[size] = words_of(error)  # where only longer prompts fail, or one alone does, too
    if not known:
        student.warn(f"{student.spec} does not answer in batches ({why}): it writes one answer at a time.")
    return [
        _alone(student, role, case, prompt, decoding) for case, prompt in zip(batch.cases, batch.prompts, strict=True)
    ]


def batches(
    student: Student, prompts: Mapping[str, str], decoding: Decoding, before: Sequence[dict[str, str]] = ()
) -> list[Batch]:
    """The same for every role: the longest prompts first, the samples of one prompt together."""
    asked = {
        name: student.under(decoding.system, [*before, {"role": "user", "content": text}])
        for name, text in prompts.items()
    }
    tokens = {name: student.tokens(messages) for name, messages in asked.items()}
    ordered = sorted(tokens, key=lambda name: (-len(tokens[name]), name))
    cases = list(itertools.product(ordered, range(decoding.samples or 1)))
    parts = (cases[start : start + decoding.batch_size] for start in range(0, len(cases), decoding.batch_size))
    return [Batch(tuple(part), [tokens[name] for name, _ in part]) for part in parts]


def _sampler(role: Role, cases: tuple[Case, ...], decoding: Decoding) -> Callable[[Any], Any] | None:
    """None is greedy. Roles draw apart, so that a model compared with itself does not just repeat itself."""
    if decoding.samples is None:
        return None
    import mlx.core as mx

    key = mx.random.key(int(content_id(f"{decoding.seed} {role} {cases}"), 16) % 2**32)

    def draw(logprobs: Any) -> Any:
        nonlocal key
        key, now = mx.random.split(key)
        return mx.random.categorical(logprobs / decoding.temperature, key=now)

    return draw


def _together(student: Student, role: Role, batch: Batch, decoding: Decoding) -> list[Generation]:
    from mlx_lm import batch_generate

    started = time.monotonic()
    response = batch_generate(
        student.model,
        student.tokenizer,
        batch.prompts,
        max_tokens=decoding.max_tokens,
        return_token_ids=True,
        completion_batch_size=len(batch.prompts),
        prefill_batch_size=len(batch.prompts),
        sampler=_sampler(role, batch.cases, decoding),
    )
    seconds = (time.monotonic() - started) / len(batch.prompts)
    opened = _opened(student, batch.prompts[0])  # by the template: the same for all prompts
    return [
        Generation(name, role, opened + text, len(tokens), seconds, _ended(len(tokens), decoding.max_tokens), sample)
        for (name, sample), text, tokens in zip(batch.cases, response.texts, response.token_ids, strict=True)
    ]


def _alone(student: Student, role: Role, case: Case, prompt: list[int], decoding: Decoding) -> Generation:
    """Without mlx-lm's batches, which some caches cannot enter."""
    import mlx.core as mx
    from mlx_lm.generate import generate_step

    started, tokens = time.monotonic(), []
    sampler = _sampler(role, (case,), decoding)
    for token, _ in generate_step(mx.array(prompt), student.model, max_tokens=decoding.max_tokens, sampler=sampler):
        if token in student.tokenizer.eos_token_ids:
            break
        tokens.append(int(token))
    ended = _ended(len(tokens), decoding.max_tokens)
    text = _opened(student, prompt) + student.tokenizer.decode(tokens)
    return Generation(case[0], role, text, len(tokens), time.monotonic() - started, ended, case[1])


def _opened(student: Student, prompt: list[int]) -> str:
    """The tag of reasoning that the chat template has opened, so that the answer begins inside."""
    return opening(student.tokenizer.decode(prompt[-8:]))


def _ended(tokens: int, cap: int) -> str:
    return "length" if tokens >= cap else "stop"
