"""The rubric: every answer alone, 0-10 on the five dimensions, reason before score.

In: prompts and generations. Out: Judgments. The judge is not told whose answer it is, and what the answer says of it
is left out. The answer stands between tags that it cannot know. Scores of one answer alone are comparable over runs,
and less sharp than a comparison (`pairwise.py`), which is the primary result.
"""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from mlx_distill.evaluate.judges.blind import blinded
from mlx_distill.evaluate.judges.questions import Question, Unreadable, first_attempt, put, unknown_to
from mlx_distill.evaluate.judges.static import DIMENSIONS
from mlx_distill.models.teachers import Ask, Request
from mlx_distill.run.config import ComparisonConfig
from mlx_distill.run.prompts import data_folder
from mlx_distill.run.records import Generation, Judgment, Prompt

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


def judge_alone(
    prompts: Sequence[Prompt], generations: Sequence[Generation], model: str, config: ComparisonConfig, ask: Ask
) -> AsyncGenerator[Judgment, None]:
    """A Judgment of the model that `ask` asks for every generation and repeat, in the order in which they arrive."""
    tasks = {prompt.id: prompt for prompt in prompts}
    return put(
        [
            _question(tasks[generation.prompt_id], generation, model, config, repeat)
            for generation in generations
            for repeat in range(config.repeats)
        ],
        ask,
    )


def _question(
    prompt: Prompt, generation: Generation, model: str, config: ComparisonConfig, repeat: int
) -> Question[Judgment]:
    request = Request(
        model,
        _text(prompt.text, blinded(generation.answer_text, prompt.language)),
        _rubric(),
        config.judge_max_tokens,
        SCHEMA,
        sample=first_attempt(repeat),
    )
    unscored = Judgment(prompt.id, generation.role, model, None, sample=generation.sample, repeat=repeat)
    return Question(request, unscored, _scores)


def _text(task: str, answer: str) -> str:
    mark = unknown_to(task, answer)
    tag = f"answer-{mark}"
    asked = f"<task-{mark}>\n{task}\n</task-{mark}>"
    return f"{asked}\n\n<{tag}>\n{answer}\n</{tag}>\n\nScore what stands inside <{tag}>."


@functools.cache
def _rubric() -> str:
    return (data_folder() / "rubric.md").read_text(encoding="utf-8")


def _scores(content: Any) -> dict[str, Any]:
    scores = {dimension: content[dimension]["score"] for dimension in DIMENSIONS}
    if not all(type(score) is int and 0 <= score <= 10 for score in scores.values()):
        raise Unreadable("the judge gave a score outside of 0-10")
    return {
        "scores": {dimension: float(score) for dimension, score in scores.items()},
        "reason": "; ".join(f"{dimension}: {content[dimension]['reason']}" for dimension in DIMENSIONS),
    }
