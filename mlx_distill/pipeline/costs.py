"""What the stages that pay are about to cost, so that the user can agree before anything is sent.

In: the run's prompts, its ledger, the price table. Out: a sentence for each paid stage. The upper limit counts one
token for every byte of a question, and every answer at its token limit; once there are answers, their mean gives an
estimate. Of many prompts only a sample is read, so that the estimate takes no time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mlx_distill.collect import answers_asked, request_of
from mlx_distill.evaluate import judges as compare
from mlx_distill.models.asking.budget import Forecast
from mlx_distill.models.asking.ledger import Ledger
from mlx_distill.models.asking.opened import ledger_path
from mlx_distill.models.teachers import Request
from mlx_distill.models.teachers.traits import traits_of
from mlx_distill.run import prices
from mlx_distill.run.folder import PROMPTS
from mlx_distill.run.job import Job
from mlx_distill.run.prices import BATCH_FACTOR, DATED
from mlx_distill.run.records import Estimate, Prompt

SAMPLE = 1000
"""Prompts that are all counted; of more prompts, a sample of about this size is."""

RECENT = 200
"""The newest answers, from whose cost the next ones are estimated."""

BATCH_FROM = 1000
"""With more prompts than this, message batches are suggested."""


def teaching_cost(job: Job) -> str | None:
    """What the missing answers will cost, in words; None when nothing has to be paid."""
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
        f"about ${earlier.mean:.2f} [{earlier.low:.2f}, {earlier.high:.2f}], estimated from {earlier.n} earlier answers"
        if earlier.low is not None and earlier.high is not None
        else f"${most * 0.05:.2f} to ${most * 0.5:.2f} if answers use 5 to 50 % of their token limit"
    )
    upper = f"at most ${most:.2f}, if every answer reaches the limit (list prices of {DATED})"
    what = "prompts" if job.config.choice.teacher_answers == 1 else "answers"
    return f"{missing:,} {what} to ask {spec}{' for' * (what == 'answers')}: {likely}; {upper}.{_advice(job, missing)}"


def headroom_cost(job: Job, prompts: Sequence[Prompt]) -> str | None:
    """What the teacher's answers to these will cost at most, in words; None when nothing has to be paid."""
    spec = job.config.teacher.spec
    if not traits_of(spec).paid:
        return None
    with Ledger(ledger_path(job)) as ledger:
        missing, most = _unanswered(job, ledger, (request_of(p, spec, job.config.teacher) for p in prompts))
    return f"{missing:,} prompts to ask {spec} for --headroom: at most ${most:.2f}." if missing else None


def judging_cost(job: Job) -> str | None:
    """The upper estimate of what judging will cost, in words; None when nothing has to be paid. The answers that the
    judges will read are not written yet."""
    config = job.config.comparison
    tests = sum(prompt.split == "test" for prompt in job.run.stream(PROMPTS, Prompt))
    paid = [judge for judge in config.judges if traits_of(judge).paid]
    if not tests or not paid:
        return None
    most = sum(compare.most_usd(judge, job.config, tests) for judge in paid)
    asks = compare.count_questions(tests, config)
    questions = f"{asks.alone:,} answers and {asks.pairs:,} pairs for {', '.join(paid)} to judge"
    return f"{questions}: at most about ${most:.2f}, if no question has to be repeated."


def _missing(job: Job, ledger: Ledger, step: int) -> tuple[int, float]:
    """How many answers are missing, and their cost if every one reaches its token limit. Only every `step`-th prompt is
    read, and stands for `step`."""
    model, count = job.config.teacher.spec, job.config.choice.teacher_answers
    requests = (
        request_of(prompt, model, job.config.teacher, sample)
        for prompt in job.run.stream(PROMPTS, Prompt, step=step)
        for sample in range(answers_asked(prompt, count))
    )
    missing, dollars = _unanswered(job, ledger, requests)
    return missing * step, dollars * step


def _unanswered(job: Job, ledger: Ledger, requests: Iterable[Request]) -> tuple[int, float]:
    config = job.config.collect
    price = prices.price_of(job.config.teacher.spec, config.price)
    missing, dollars = 0, 0.0
    for request in requests:
        if ledger.get(request) is None:
            missing += 1
            size = len((request.system + request.prompt).encode())
            dollars += prices.bound(price, size, request.max_tokens, cached=config.cache_prompt, batch=config.batch)
    return missing, dollars


def _earlier(job: Job, ledger: Ledger, missing: int) -> Estimate:
    """The cost of the missing answers, estimated from the newest ones, at the price that this run will pay (online or
    in batches)."""
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
        text += f" Collecting stops before ${job.config.collect.max_cost:.2f}."
    if missing > BATCH_FROM and not job.config.collect.batch:
        text += " With --batch it costs half and takes up to a day."
    return text
