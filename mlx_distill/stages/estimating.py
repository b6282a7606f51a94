"""What the stages that pay are about to cost: said, and agreed to, before anything is sent.

In: the run's prompts, its ledger, the price table. Out: a sentence for each paid stage. The bound counts a token for
every byte asked and every answer at its cap; once answers are known, their mean says what is likely.
"""

from __future__ import annotations

from mlx_distill import prices
from mlx_distill.collect import Forecast, Ledger, request_of
from mlx_distill.prices import BATCH_FACTOR, DATED
from mlx_distill.records import ROLES, Estimate, Prompt
from mlx_distill.stages import STATIC, Job
from mlx_distill.stages.asking import ledger_path
from mlx_distill.teachers import is_claude

SAMPLE = 1000
"""Prompts looked at one by one; of more, about so many stand for all."""

RECENT = 200
"""Earlier answers that say what the next ones will cost."""

FRAME_TOKENS = 512
BATCH_FROM = 1000
"""Prompts from which batches are suggested."""


def teaching_cost(job: Job) -> str | None:
    """What asking for the missing answers costs; None when that is nothing."""
    spec = job.config.teacher.spec
    if not is_claude(spec):
        return None
    with Ledger(ledger_path(job)) as ledger:
        missing, bound = _missing(job, ledger)
        earlier = _earlier(ledger, spec, missing)
    if not missing:
        return None
    likely = (
        f"about ${earlier.mean:.2f} [{earlier.low:.2f}, {earlier.high:.2f}] going by {earlier.n} earlier answers, and "
        if earlier.low is not None and earlier.high is not None
        else f"about ${bound * 0.1:.2f} if answers take a tenth of their cap, and "
    )
    whole = f"{likely}at most ${bound:.2f} (list prices of {DATED})"
    return f"{missing:,} prompts to ask {spec}: {whole}.{_advice(job, missing)}"


def judging_cost(job: Job) -> str | None:
    """What judging costs at most: the answers it will read are not written yet."""
    judge, config = job.config.comparison.judge, job.config.comparison
    if judge == STATIC or not is_claude(judge):
        return None
    tests = sum(prompt.split == "test" for prompt in job.run.stream("prompts.jsonl", Prompt))
    questions = len(ROLES) * tests
    asked = questions * (config.max_tokens + 1000)
    bound = prices.list_cost(judge, asked, questions * config.judge_max_tokens, job.config.collect.price)
    return f"{questions:,} answers for {judge} to judge: about ${bound * _factor(job):.2f} at most."


def _missing(job: Job, ledger: Ledger) -> tuple[int, float]:
    """How many prompts lack an answer, and the most that asking them can cost."""
    total = job.run.count_lines("prompts.jsonl")
    model = job.config.teacher.spec
    price = prices.price_of(model, job.config.collect.price)
    looked_at, missing, dollars = 0, 0, 0.0
    for prompt in job.run.stream("prompts.jsonl", Prompt, step=max(1, total // SAMPLE)):
        request = request_of(prompt, model, job.config.teacher)
        looked_at += 1
        if ledger.get(request) is None:
            missing += 1
            asked = len((request.system + request.prompt).encode()) + FRAME_TOKENS
            dollars += prices.cost(price, prices.Usage(asked, request.max_tokens))
    scale = total / looked_at if looked_at else 0.0
    return round(missing * scale), dollars * scale * _factor(job)


def _earlier(ledger: Ledger, model: str, missing: int) -> Estimate:
    rows = ledger.rows(
        "SELECT usd FROM attempts WHERE state = 'answered' AND json_extract(request, '$.model') = ? "
        "AND json_extract(request, '$.schema') IS NULL ORDER BY id DESC LIMIT ?",
        (model, RECENT),
    )
    forecast = Forecast(0)
    for (usd,) in rows:
        forecast.add(usd)
    forecast.total = forecast.count + missing
    whole = forecast.estimate()
    paid = forecast.mean * forecast.count
    if whole.low is None or whole.high is None:
        return whole
    return Estimate(whole.mean - paid, whole.n, whole.low - paid, whole.high - paid)


def _factor(job: Job) -> float:
    return BATCH_FACTOR if job.config.collect.batch else 1.0


def _advice(job: Job, missing: int) -> str:
    text = ""
    if job.config.collect.max_cost is not None:
        text += f" It stops before ${job.config.collect.max_cost:.2f}."
    if missing > BATCH_FROM and not job.config.collect.batch:
        text += " With --batch it costs half, and takes up to a day."
    return text
