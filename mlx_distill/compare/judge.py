"""The LLM judge: a teacher asked with the rubric, one answer at a time, without being told whose it is.

In: prompts and generations. Out: Judgments of 0-10 on the five dimensions, reason before score, as structured
output. No sampling parameters. What is judged is untrusted text: it stands between tags that it cannot know. An
answer that cannot be scored is asked for once more (a refusal is not), then counted as unscored, never as zero.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from mlx_distill.compare.static import DIMENSIONS
from mlx_distill.config import ComparisonConfig
from mlx_distill.promptset import data_folder
from mlx_distill.records import Generation, Judgment, Prompt, content_id
from mlx_distill.teachers import Ask, Reply, Request

ATTEMPTS = 2

SCHEMA_FIELDS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": list(DIMENSIONS),
    "properties": {
        dimension: {
            "type": "object",
            "additionalProperties": False,
            "required": ["reason", "score"],
            "properties": {
                "reason": {"type": "string"},
                "score": {"type": "integer", "enum": list(range(11))},
            },
        }
        for dimension in DIMENSIONS
    },
}
SCHEMA = json.dumps(SCHEMA_FIELDS)


async def judge(
    prompts: Sequence[Prompt],
    generations: Sequence[Generation],
    model: str,
    config: ComparisonConfig,
    ask: Ask,
) -> AsyncGenerator[Judgment, None]:
    """One Judgment of the model that `ask` asks for every generation, in the order in which they arrive."""
    text = {prompt.id: prompt.text for prompt in prompts}
    waiting = [(generation, 0.0) for generation in generations]
    for attempt in range(ATTEMPTS):
        questions = defaultdict(list)  # equal answers are one question, and share its price
        for generation, paid in waiting:
            question = _request(text[generation.prompt_id], generation, model, config, attempt)
            questions[question].append((generation, paid))
        waiting = []
        async with contextlib.aclosing(ask(list(questions))) as replies:
            async for request, reply in replies:
                for generation, paid in questions[request]:
                    paid += (reply.usd or 0.0) / len(questions[request])
                    judgment = read_judgment(generation, reply, model)
                    final = judgment.scores is not None or reply.stop_reason == "refusal" or attempt + 1 == ATTEMPTS
                    if final:
                        yield dataclasses.replace(judgment, usd=paid)
                    else:
                        waiting.append((generation, paid))


def _request(task: str, generation: Generation, model: str, config: ComparisonConfig, attempt: int) -> Request:
    tag = f"answer-{content_id(task + generation.text)}"
    text = f"<task>\n{task}\n</task>\n\n<{tag}>\n{generation.text}\n</{tag}>\n\nScore what stands inside <{tag}>."
    rubric = (data_folder() / "rubric.md").read_text(encoding="utf-8")
    return Request(model, text, rubric, config.judge_max_tokens, SCHEMA, sample=attempt)


def read_judgment(generation: Generation, reply: Reply, judge_name: str) -> Judgment:
    """A reply as a Judgment; unscored, with the problem named, when it is not what was asked for."""
    unscored = Judgment(generation.prompt_id, generation.role, judge_name, None)
    if reply.stop_reason != "end_turn":
        return dataclasses.replace(unscored, problem=f"the judge stopped with {reply.stop_reason}")
    try:
        content = json.loads(reply.text)
        scores = {dimension: content[dimension]["score"] for dimension in DIMENSIONS}
        reasons = [f"{dimension}: {content[dimension]['reason']}" for dimension in DIMENSIONS]
    except (ValueError, KeyError, TypeError):
        return dataclasses.replace(unscored, problem="the judge's answer is not the asked JSON")
    if not all(type(score) is int and 0 <= score <= 10 for score in scores.values()):
        return dataclasses.replace(unscored, problem="the judge gave a score outside of 0-10")
    return dataclasses.replace(
        unscored, scores={name: float(score) for name, score in scores.items()}, reason="; ".join(reasons)
    )
