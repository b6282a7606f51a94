"""Collecting: prompts in, the teacher's completions out, and an account of which may be trained on."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Any

from mlx_distill.collect.ask import Budget, Patience, ask_all
from mlx_distill.collect.ledger import Ledger
from mlx_distill.config import TeacherConfig
from mlx_distill.records import Completion, Prompt
from mlx_distill.teachers import Reply, Request, Teacher

__all__ = ["Budget", "Ledger", "Patience", "ask_all", "collect", "describe_dataset"]

Ask = Callable[[Iterable[Request], Teacher], AsyncGenerator[tuple[Request, Reply], None]]


async def collect(
    prompts: Sequence[Prompt], teacher: Teacher, config: TeacherConfig, ask: Ask
) -> AsyncGenerator[Completion, None]:
    """One completion for every prompt of every split, in the order in which they arrive."""
    by_text = {prompt.text: prompt for prompt in prompts}
    requests = (Request(teacher.model, prompt.text, config.system, config.max_tokens) for prompt in prompts)
    async with contextlib.aclosing(ask(requests, teacher)) as replies:
        async for request, reply in replies:
            yield _completion(by_text[request.prompt], reply)


def _completion(prompt: Prompt, reply: Reply) -> Completion:
    content = dataclasses.asdict(reply)
    return Completion(prompt_id=prompt.id, prompt=prompt.text, completion=content.pop("text"), **content)


def unusable(completion: Completion) -> str | None:
    """Why a completion is kept but not trained on, or None."""
    if completion.complete:
        return None
    if completion.stop_reason in ("max_tokens", "model_context_window_exceeded"):
        return "truncated"
    if completion.stop_reason == "refusal":
        return "refused"
    return "empty" if not completion.completion.strip() else f"stopped ({completion.stop_reason})"


def describe_dataset(prompts: Sequence[Prompt], completions: Sequence[Completion]) -> dict[str, Any]:
    """dataset.json: how many of each split, how long, and what is left out of training and why."""
    split = {prompt.id: prompt.split for prompt in prompts}
    category = {prompt.id: prompt.category for prompt in prompts}
    reasons = {completion.prompt_id: unusable(completion) for completion in completions}
    lengths = sorted(len(completion.completion) for completion in completions)
    return {
        "prompts": dict(Counter(split.values())),
        "categories": dict(Counter(category[i] for i in split if split[i] == "train")),
        "completions": len(completions),
        "usable": sum(reason is None for reason in reasons.values()),
        "left_out": dict(Counter(reason for reason in reasons.values() if reason)),
        "left_out_ids": {i: reason for i, reason in reasons.items() if reason},
        "characters": {"shortest": lengths[0], "median": lengths[len(lengths) // 2], "longest": lengths[-1]}
        if lengths
        else None,
    }
