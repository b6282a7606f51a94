"""The stages that collect: the prompts of a run, and the teacher's answers.

In: prompt sets, a teacher. Out: prompts.jsonl, teacher_data.jsonl. Everything streams: what is held
in memory does not grow with the number of prompts.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

from mlx_distill.collect import Questions, Tally, collect, read_traces, why_not_asked
from mlx_distill.machine import environment
from mlx_distill.models.asking.budget import Forecast
from mlx_distill.models.asking.opened import Asking, asking, ticking
from mlx_distill.models.teachers import CHARACTERS_PER_TOKEN, Teacher, identity
from mlx_distill.models.teachers.traits import traits_of
from mlx_distill.run.data.conversations import parse_columns
from mlx_distill.run.data.dialogue import Account
from mlx_distill.run.digest import digest
from mlx_distill.run.errors import DataError, DistillError, UsageError
from mlx_distill.run.folder import DATASET, PROMPTS, TEACHER_DATA, TRACES
from mlx_distill.run.job import Job
from mlx_distill.run.prices import price_of
from mlx_distill.run.prompts import heldout_prompts, stream_prompts
from mlx_distill.run.prompts import identity as identity_of_prompts
from mlx_distill.run.records import Completion, Prompt, Split
from mlx_distill.run.wording import keys_in_words

PROGRESS_EVERY = 1000
"""Answers after which the ledger notes how far the prompts are done; after a crash so many are looked up again."""

MANY = 20_000
"""Prompts whose export takes long enough to say so."""

VALID_SHARE, MOST_VALID = 0.05, 200
"""Of existing traces, what is held out for the loss."""


# ---------------------------------------------------------------- prompts


def _splits(job: Job) -> tuple[Split, ...]:
    """All splits; with training data of the user's own, the test prompts alone, if there are any to compare on."""
    if job.config.training.data is None:
        return ("train", "valid", "test")
    return ("test",) if job.config.prompts.test else ()


def has_prompts(job: Job) -> bool:
    """Whether this stage writes the prompts. Existing answers bring their own."""
    return bool(_splits(job)) and not has_traces(job)


def prompt_settings(job: Job) -> list[Any]:
    return [job.config.prompts, identity_of_prompts(job.config.prompts), _splits(job)]


def write_prompts(job: Job) -> None:
    config, splits = job.config.prompts, _splits(job)
    prompts = stream_prompts(config) if "train" in splits else iter(heldout_prompts(config, splits))
    job.run.write_records(PROMPTS, prompts)


# ---------------------------------------------------------------- the teacher's answers


def has_traces(job: Job) -> bool:
    return traits_of(job.config.teacher.spec).kind == "traces"


def answer_settings(job: Job) -> list[Any]:
    """What the teacher's answers depend on. Existing answers are read by prompt and split, so they depend on those."""
    teacher, prompts = job.config.teacher, job.config.prompts
    if has_traces(job):
        file = environment.hash_of(traits_of(teacher.spec).file)
        return [teacher, file, prompts, identity_of_prompts(prompts)]
    count = job.config.choice.teacher_answers
    return [teacher, identity(teacher.spec), *([count] if count > 1 else [])]


def answer_inputs(job: Job) -> tuple[str, ...]:
    return () if has_traces(job) else (PROMPTS,)


def answer_outputs(job: Job) -> tuple[str, ...]:
    return (PROMPTS, TEACHER_DATA) if has_traces(job) else (TEACHER_DATA,)


def obtain_answers(job: Job) -> None:
    """Imports existing answers, or asks the teacher."""
    if has_traces(job):
        import_traces(job)
    else:
        asyncio.run(collect_answers(job))


async def collect_answers(job: Job) -> None:
    """Asks for what the ledger lacks, and exports what it knows, also when the asking is cut short."""
    async with asking(job, job.config.teacher.spec) as asked:
        questions = _questions(asked)
        total, stream = _count(job, questions), _stream(job, asked.teacher.model)
        tally = Tally()
        tally.start(*asked.ledger.done(stream))
        try:
            await _ask(asked, questions, tally, stream, total)
        except BaseException:
            if total > MANY:
                job.view.note("Writing what was answered so far; a second Ctrl-C leaves it to the next run.")
            with contextlib.suppress(DistillError, OSError):
                await _keep(asked, questions, tally, stream)
            raise
        await _keep(asked, questions, tally, stream)
        if missing := total - job.run.content(TEACHER_DATA).lines:
            await asked.ledger.note_progress(stream, 0, 0)
            raise DataError(
                f"The ledger lacks {missing} answers that it had noted: run the same command again to ask for them."
            )


def _questions(asked: Asking) -> Questions:
    """Of all prompts but the test prompts that a recorded teacher cannot answer, which are the last."""
    job = asked.job
    count = job.run.content(PROMPTS).lines - _unanswered_tests(job, asked.teacher)

    def prompts(skip: int) -> Iterator[Prompt]:
        return itertools.islice(job.run.stream(PROMPTS, Prompt, skip=skip), max(0, count - skip))

    return Questions(prompts, count, asked.teacher, job.config.teacher, job.config.choice.teacher_answers)


def _unanswered_tests(job: Job, teacher: Teacher) -> int:
    """How many test prompts are not asked: all where a recorded teacher lacks one of them."""
    tests = [prompt for prompt in job.run.stream(PROMPTS, Prompt) if prompt.split == "test"]
    reason = why_not_asked(tests, teacher, job.config.teacher)
    if reason:
        job.view.note(f"No teacher for the test prompts: {reason}. Base and distilled are compared alone.")
    return len(tests) if reason else 0


def _count(job: Job, questions: Questions) -> int:
    """How many answers are collected in all. Says where the teacher has fewer than were asked for."""
    further, lacking = questions.further()
    if lacking:
        job.view.note(
            f"{job.config.teacher.spec} has fewer than {questions.count} different answers to some prompts: "
            f"{lacking:,} of {further + lacking:,} further ones are not there, and nobody is asked for them."
        )
    return questions.prompt_count + further


async def _keep(asked: Asking, questions: Questions, tally: Tally, stream: str) -> None:
    await asked.ledger.note_progress(stream, tally.leading, tally.leading_flagged)
    asked.job.run.write_records(TEACHER_DATA, questions.known(asked.ledger))


async def _ask(asked: Asking, questions: Questions, tally: Tally, stream: str, total: int) -> None:
    job, forecast = asked.job, Forecast(total)
    _check_cache(job)
    requests = questions.requests(tally.leading)
    cached = Counter[str]()
    with job.view.tracking("collect", total) as update:

        def show() -> None:
            parts = (
                f"{tally.done - tally.flagged:,} ok",
                f"{tally.flagged:,} flagged",
                asked.money(forecast),
                asked.limit(),
            )
            update(tally.done, "  ".join(part for part in parts if part))

        async with ticking(show), contextlib.aclosing(collect(requests, asked.ask, tally)) as replies:
            async for reply in replies:
                forecast.add(reply.usd or 0.0)
                cached.update(read=reply.cache_read_tokens, all=reply.cache_read_tokens + reply.input_tokens)
                cached.update(all=reply.cache_write_tokens)
                if tally.done % PROGRESS_EVERY == 0:
                    await asked.ledger.note_progress(stream, tally.leading, tally.leading_flagged)
                show()
    if job.config.collect.cache_prompt and cached["all"]:
        job.view.note(f"{cached['read'] / cached['all']:.0%} of the input tokens were read from the prompt cache.")


def _check_cache(job: Job) -> None:
    """Raises UsageError when the prefix that all prompts share is too short to be cached."""
    spec, config = job.config.teacher.spec, job.config.collect
    if not config.cache_prompt or not traits_of(spec).paid:
        return
    tokens = len(job.config.teacher.system) / CHARACTERS_PER_TOKEN
    least = price_of(spec, config.price).cache_minimum
    if tokens < least:
        raise UsageError(
            f"The system prompt has about {tokens:.0f} tokens, and {spec} caches a prefix from {least}: "
            "leave out --cache-prompt, or give a longer --teacher-system."
        )


def _stream(job: Job, model: str) -> str:
    """What is asked, and in which order."""
    teacher, count = job.config.teacher, job.config.choice.teacher_answers
    asked = [model, teacher.system, str(teacher.max_tokens), str(teacher.thinking)]
    return digest([job.run.content(PROMPTS).sha256, *asked, *([str(count)] if count > 1 else [])])


# ---------------------------------------------------------------- existing traces


def import_traces(job: Job) -> None:
    """Prompts and answers from a dataset, test prompts from the run's sets; no teacher is asked."""
    teacher, limit = job.config.teacher, job.config.prompts.limit
    test = heldout_prompts(job.config.prompts, ("test",))
    account = Account()
    columns = parse_columns(teacher.columns)
    with job.view.tracking("collect", limit or 0) as update:

        def completions() -> Iterator[Completion]:
            for place, (_, completion) in enumerate(read_traces(teacher.spec, columns, limit, account), 1):
                update(place, "")
                yield completion

        job.run.write_records(TEACHER_DATA, completions())
    job.run.write_records(PROMPTS, itertools.chain(_traced_prompts(job, {prompt.id for prompt in test}), test))
    job.run.write_json(TRACES, account.plain())
    reasons = f"; left out: {account.reasons} (see {DATASET})" if account.left_out else ""
    if not job.run.content(TEACHER_DATA).lines:
        raise DataError(f"{teacher.spec} has no row to train on, of {account.rows:,}{reasons}: choose other data.")
    job.view.note(f"{account.rows:,} rows of {teacher.spec}{reasons}.")
    if account.unused:
        job.view.note(f"Keys that are not used: {keys_in_words(account.unused)}.")


def _traced_prompts(job: Job, test: set[str]) -> Iterator[Prompt]:
    """A prompt for each completion to anything but a test prompt."""
    heldout = _held_out(job, test)
    for completion in job.run.stream(TEACHER_DATA, Completion):
        name = completion.prompt_id
        if name not in test:
            split: Split = "valid" if name in heldout else "train"
            yield Prompt(name, completion.prompt, split=split, source=job.config.teacher.spec)


def _held_out(job: Job, test: set[str]) -> set[str]:
    """What is held out for the loss is chosen by the prompt's hash, so that all answers to one prompt stand on one
    side; of few prompts it is the one whose hash comes first, of those that fit the training window for sure."""
    heldout, prompts = set[str](), set[str]()
    first = (True, "")
    for completion in job.run.stream(TEACHER_DATA, Completion):
        name = completion.prompt_id
        if name in test or not completion.complete:
            continue
        if len(prompts) < 2:
            prompts.add(name)
        mine = (len(completion.prompt) + len(completion.completion) > job.config.training.window, name)
        first = min(first, mine) if first[1] else mine
        if int(name, 16) % 1000 < VALID_SHARE * 1000 and len(heldout) < MOST_VALID:
            heldout.add(name)
    return heldout or ({first[1]} if len(prompts) > 1 else set())
