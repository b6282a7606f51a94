"""What answers cost, and what many more would: at the measured mean, or at list prices where nothing was paid.

In: completions, or the lengths of what was trained on. Out: rows of the cost chart.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlx_distill.run import prices
from mlx_distill.run.config import Config
from mlx_distill.run.files import TrainingFile
from mlx_distill.run.records import Completion, Estimate
from mlx_distill.run.results import CostRow
from mlx_distill.stats import inference as stats

SCALES = (10_000, 1_000_000, 16_000_000)


def cost_part(config: Config, completions: Sequence[Completion], training: TrainingFile | None) -> tuple[CostRow, ...]:
    """What n prompts cost at the measured mean cost of one, online and as a batch."""
    together = config.choice.teacher_answers > 1
    paid = _paid(completions, together)
    if paid:
        costs, basis = paid, f"measured, {config.teacher.spec} at list prices of {prices.DATED}"
        this_run = Estimate(sum(paid) / len(paid), len(paid))  # known, not estimated
    elif training and training.tokens:
        model = config.comparison.price_as
        costs = [prices.list_cost(model, asked, answered) for asked, answered in training.tokens]
        basis = (
            f"what these answers would cost from {model} at list prices of {prices.DATED}, "
            "tokens counted with the student's tokenizer; nothing was paid"
        )
        this_run = stats.estimate(costs)
    else:
        return ()
    each = stats.estimate(costs)
    count = len({answer.prompt_id for answer in completions} if together else completions) or len(costs)
    return tuple(
        CostRow(
            label="this run" if n == count else f"{n:,} prompts",
            prompts=n,
            basis=basis,
            usd=_scaled(mean, n),
            usd_batch=_scaled(mean, n * prices.BATCH_FACTOR),
        )
        for n, mean in ((count, this_run), *((scale, each) for scale in SCALES))
    )


def _paid(completions: Sequence[Completion], together: bool) -> list[float]:
    """Dollars of each answer, or of all answers to a prompt `together`, as if all had been asked one by one."""
    paid = [
        (answer.prompt_id, answer.usd / (prices.BATCH_FACTOR if answer.batch else 1.0))
        for answer in completions
        if answer.usd is not None
    ]
    if not together:
        return [usd for _, usd in paid]
    by_prompt: dict[str, float] = {}
    for prompt, usd in paid:
        by_prompt[prompt] = by_prompt.get(prompt, 0.0) + usd
    return list(by_prompt.values())


def _scaled(each: Estimate, factor: float) -> Estimate:
    return each.times(factor)
