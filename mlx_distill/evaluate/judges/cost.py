"""What a paid judge costs at most, before there is anything to judge.

In: the configuration and how many prompts. Out: dollars, with every answer at its cap. What has to be asked once more
comes on top.
"""

from __future__ import annotations

from mlx_distill.evaluate.judges.questions import count_questions
from mlx_distill.run import prices
from mlx_distill.run.config import Config

FRAME = 2000
"""Tokens of a question beside the answers that are judged: instructions, schema and task."""


def most_usd(judge: str, config: Config, prompts: int) -> float:
    """Raises UsageError for a judge without a price."""
    comparison, count = config.comparison, count_questions(prompts, config.comparison)
    longest = max(comparison.max_tokens, config.teacher.max_tokens)
    asked = count.alone * (longest + FRAME) + count.pairs * (comparison.max_tokens + longest + FRAME)
    answered = (count.alone + count.pairs) * comparison.judge_max_tokens
    most = prices.list_cost(judge, asked, answered, config.collect.price)
    return most * (prices.BATCH_FACTOR if config.collect.batch else 1.0)
