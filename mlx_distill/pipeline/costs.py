"""What the stages that pay are about to cost: said, and agreed to, before anything is sent.

In: the run's prompts, its ledger, the price table. Out: a sentence for each paid stage. The most counts a token for
every byte asked and every answer at its cap; once answers are known, their mean says what is likely. Of many prompts
a sample is looked at, so that saying it takes no time.
"""

from __future__ import annotations

from mlx_distill.collect import request_of
from mlx_distill.evaluate import judges as compare
from mlx_distill.models.asking.budget import Forecast
from mlx_distill.models.asking.ledger import Ledger
from mlx_distill.models.asking.opened import ledger_path
from mlx_distill.models.teachers.traits import traits_of
from mlx_distill.run import prices
from mlx_distill.run.folder import PROMPTS
from mlx_distill.run.job import Job
from mlx_distill.run.prices import BATCH_FACTOR, DATED
from mlx_distill.run.records import Estimate, Prompt

SAMPLE = 1000
"""Prompts looked at one by one; of more, about so many stand for all."""

RECENT = 200
"""Earlier answers that say what the next ones will cost."""

BATCH_FROM = 1000
"""Prompts from which batches are suggested."""


def teaching_cost(job: Job) -> str | None:
    """What asking for the missing answers costs; None when that is nothing."""
    spec = job.config.teacher.spec
    if not traits_of(spec).paid:
        return None
    with Ledger(ledger_path(job)) as ledger:
        missing, most = _missing(job, ledger, step=max(1, job.run.content(PROMPTS).lines // SAMPLE))
        if not missing:
            missing, most = _missing(job, ledger, step=1)
        earlier = _earlier(job, ledger, missing)
    if not missing:
        return None
    likely = (
        f"about ${earlier.mean:.2f} [{earlier.low:.2f}, {earlier.high:.2f}] going by {earlier.n} earlier answers, "
        if earlier.low is not None and earlier.high is not None
        else f"between ${most * 0.05:.2f} and ${most * 0.5:.2f} if answers take a twentieth to half of their cap, "
    )
    whole = f"{likely}${most:.2f} if all ran to it (list prices of {DATED})"
    return f"{missing:,} prompts to ask {spec}: {whole}.{_advice(job, missing)}"


def judging_cost(job: Job) -> str | None:
    """What judging costs at most, since the answers it will read are not written yet; None when that is nothing."""
    config = job.config.comparison
    tests = sum(prompt.split == "test" for prompt in job.run.stream(PROMPTS, Prompt))
    paid = [judge for judge in config.judges if traits_of(judge).paid]
    if not tests or not paid:
        return None
    most = sum(compare.most_usd(judge, job.config, tests) for judge in paid)
    asks = compare.count_questions(tests, config)
    asked = f"{asks.alone:,} answers and {asks.pairs:,} pairs for {', '.join(paid)} to judge"
    return f"{asked}: about ${most:.2f} at most, if none has to be asked again."


def _missing(job: Job, ledger: Ledger, step: int) -> tuple[int, float]:
    """How many prompts lack an answer, and what they cost if all are answered at their cap; of `step` one counts."""
    config, model = job.config.collect, job.config.teacher.spec
    price = prices.price_of(model, config.price)
    missing, dollars = 0, 0.0
    for prompt in job.run.stream(PROMPTS, Prompt, step=step):
        request = request_of(prompt, model, job.config.teacher)
        if ledger.get(request) is None:
            missing += 1
            size = len((request.system + request.prompt).encode())
            dollars += prices.bound(price, size, request.max_tokens, cached=config.cache_prompt, batch=config.batch)
    return missing * step, dollars * step


def _earlier(job: Job, ledger: Ledger, missing: int) -> Estimate:
    """What so many answers cost, going by the newest ones; as in a batch, or not, whichever is asked for."""
    rows = ledger.rows(
        "SELECT usd, json_extract(reply, '$.batch') FROM attempts WHERE state = 'answered' "
        "AND json_extract(request, '$.model') = ? AND json_extract(request, '$.schema') IS NULL "
        "ORDER BY id DESC LIMIT ?",
        (job.config.teacher.spec, RECENT),
    )
    forecast = Forecast(0)
    for usd, batch in rows:
        forecast.add(usd / (BATCH_FACTOR if batch else 1.0) * _factor(job))
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
