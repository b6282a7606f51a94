"""The rubric: every answer alone, 0-10 on the dimensions of a rubric, reason before score.

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
from mlx_distill.evaluate.judges.questions import Question, Unreadable, ask_questions, first_attempt, unknown_to
from mlx_distill.models.teachers import Ask, Request
from mlx_distill.run.config import ComparisonConfig
from mlx_distill.run.records import Generation, Judgment, Prompt
from mlx_distill.run.rubric import Rubric


@functools.cache
def schema(dimensions: tuple[str, ...]) -> str:
    """What a judge's answer must be: a reason and a score for each dimension."""
    score = {"type": "integer", "enum": list(range(11))}
    fields = {
        "type": "object",
        "additionalProperties": False,
        "required": ["reason", "score"],
        "properties": {"reason": {"type": "string"}, "score": score},
    }
    whole = {"type": "object", "additionalProperties": False, "required": list(dimensions)}
    return json.dumps({**whole, "properties": dict.fromkeys(dimensions, fields)})


def judge_alone(
    prompts: Sequence[Prompt],
    generations: Sequence[Generation],
    model: str,
    config: ComparisonConfig,
    ask: Ask,
    rubric: Rubric,
) -> AsyncGenerator[Judgment, None]:
    """A Judgment of the model that `ask` asks for every generation and repeat, in the order in which they arrive."""
    tasks = {prompt.id: prompt for prompt in prompts}
    return ask_questions(
        [
            _question(tasks[generation.prompt_id], generation, model, config, repeat, rubric)
            for generation in generations
            for repeat in range(config.repeats)
        ],
        ask,
    )


def _question(
    prompt: Prompt, generation: Generation, model: str, config: ComparisonConfig, repeat: int, rubric: Rubric
) -> Question[Judgment]:
    request = Request(
        model,
        _text(prompt.text, blinded(generation.answer_text, prompt.language)),
        rubric.text,
        config.judge_max_tokens,
        schema(rubric.dimensions),
        sample=first_attempt(repeat),
    )
    unscored = Judgment(prompt.id, generation.role, model, None, sample=generation.sample, repeat=repeat)
    return Question(request, unscored, functools.partial(_scores, rubric.dimensions))


def _text(task: str, answer: str) -> str:
    mark = unknown_to(task, answer)
    tag = f"answer-{mark}"
    asked = f"<task-{mark}>\n{task}\n</task-{mark}>"
    return f"{asked}\n\n<{tag}>\n{answer}\n</{tag}>\n\nScore what stands inside <{tag}>."


def _scores(dimensions: Sequence[str], content: Any) -> dict[str, Any]:
    scores = {dimension: content[dimension]["score"] for dimension in dimensions}
    if not all(type(score) is int and 0 <= score <= 10 for score in scores.values()):
        raise Unreadable("the judge gave a score outside of 0-10")
    return {
        "scores": {dimension: float(score) for dimension, score in scores.items()},
        "reason": "; ".join(f"{dimension}: {content[dimension]['reason']}" for dimension in dimensions),
    }
