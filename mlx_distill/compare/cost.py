"""What a paid judge costs at most, before there is anything to judge.

In: the configuration and how many prompts. Out: dollars, with every compared answer at its cap.
"""

from __future__ import annotations

from mlx_distill import prices
from mlx_distill.compare.judge import count_questions
from mlx_distill.config import ComparisonConfig

FRAME = 1000
"""Tokens of a question beside the answers that are judged: the rubric and the task."""


def most_usd(judge: str, config: ComparisonConfig, prompts: int, price: str | None, *, batch: bool) -> float:
    """Raises UsageError for a judge without a price."""
    count = count_questions(prompts, config)
    asked = count.alone * (config.max_tokens + FRAME) + count.pairs * (2 * config.max_tokens + FRAME)
    most = prices.list_cost(judge, asked, (count.alone + count.pairs) * config.judge_max_tokens, price)
    return most * (prices.BATCH_FACTOR if batch else 1.0)
