"""What is asked: benchmarks, of each the items that the run wants, and how they are answered.

In: the run's configuration, answers made elsewhere. Out: an Asked for each benchmark, and its protocol: all that a
result must say of how it came about.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlx_distill.evaluate import benchmarks as bench
from mlx_distill.evaluate.benchmarks import DEFAULT, Benchmark, Item, Loaded
from mlx_distill.models.students.generate import Decoding
from mlx_distill.run.data.material import own_data
from mlx_distill.run.folder import PROMPTS
from mlx_distill.run.job import Job
from mlx_distill.run.records import Generation, Prompt
from mlx_distill.run.results.benchmarks import BenchProtocol, Overlap
from mlx_distill.run.wording import ELSEWHERE


@dataclass(frozen=True)
class BenchmarkPlan:
    """A benchmark, and those of its items that are asked; `subset` says which, where these are not all."""

    loaded: Loaded
    items: list[Item]
    subset: str | None
    decoding: Decoding

    @property
    def benchmark(self) -> Benchmark:
        return self.loaded.benchmark


def everything(job: Job) -> list[BenchmarkPlan]:
    """The default suite where nothing is named."""
    return [_asked(job, one) for one in loaded(job)]


def loaded(job: Job) -> list[Loaded]:
    config = job.config.bench
    names = config.benchmarks if config.wanted else (DEFAULT,)
    return bench.load(names, config.data, config.since, config.until)


def _asked(job: Job, loaded: Loaded) -> BenchmarkPlan:
    """What chose a candidate is not among what is reported."""
    config = job.config.bench
    reported = bench.parts(loaded.items, job.config.selection.items, job.config.selection.most).reported
    items = bench.subset(reported, config.limit)
    words = bench.words(reported, len(items))
    if used := len(loaded.items) - len(reported):
        words = f"{words or f'{len(items):,} of {len(loaded.items):,} items'}; {used:,} others choose the candidate"
    return dataclasses.replace(asked_of(job, loaded, items), subset=words)


def asked_of(job: Job, loaded: Loaded, items: Sequence[Item]) -> BenchmarkPlan:
    config = job.config.bench
    decoding = Decoding(
        config.system,
        config.max_tokens or loaded.benchmark.max_tokens,
        config.batch_size,
        config.samples,
        config.temperature,
        job.config.training.seed if config.samples else 0,
    )
    return BenchmarkPlan(loaded, list(items), None, decoding)


def answered(asked: BenchmarkPlan, answers: Sequence[Generation]) -> BenchmarkPlan:
    """Only what the answers that were made elsewhere answer is asked."""
    there = {answer.prompt_id for answer in answers}
    items = [item for item in asked.items if item.key in there]
    whole = len(items) == len(asked.loaded.items)
    words = None if whole else f"{len(items):,} of {len(asked.loaded.items):,} items: those that the files answer"
    samples = max(
        (answer.sample + 1 for answer in answers if answer.prompt_id in {item.key for item in items}), default=1
    )
    decoding = dataclasses.replace(asked.decoding, samples=samples if samples > 1 else None)
    return dataclasses.replace(asked, items=items, subset=words, decoding=decoding)


# ---------------------------------------------------------------- the protocol


def protocol(job: Job, asked: BenchmarkPlan, template: str | None, elsewhere: bool) -> BenchProtocol:
    benchmark, decoding = asked.benchmark, asked.decoding
    return BenchProtocol(
        name=benchmark.name,
        title=benchmark.title,
        capability=benchmark.capability,
        size=benchmark.size,
        scorer=benchmark.scorer,
        floor=benchmark.floor,
        items=len(asked.items),
        subset=asked.subset,
        source=asked.loaded.source,
        items_digest=dataclasses.replace(asked.loaded, items=asked.items).digest,
        max_tokens=None if elsewhere else decoding.max_tokens,
        template=None if elsewhere else template,
        system=None if elsewhere else decoding.system,
        samples=decoding.samples,
        temperature=decoding.temperature if decoding.samples and not elsewhere else None,
        strength=job.config.comparison.strength,
        deviations=tuple(benchmark.deviations),
        answers=ELSEWHERE if elsewhere else "made here",
        overlap=_overlap(job, asked),
    )


def _overlap(job: Job, asked: BenchmarkPlan) -> Overlap:
    """Items that share 13 words in a row with a training prompt."""
    from mlx_distill.run.overlap import overlapping

    texts = list(_training_texts(job))
    if not texts:
        return Overlap(checked=None, items=())
    overlaps = overlapping({item.id: item.prompt for item in asked.items}, texts)
    return Overlap(checked=len(texts), items=tuple(overlaps))


def _training_texts(job: Job) -> Iterator[str]:
    data = job.config.training.data
    if data is None:
        yield from (prompt.text for prompt in job.run.stream(PROMPTS, Prompt) if prompt.split == "train")
        return
    for conversation in own_data(job.config).conversations:
        yield from (message["content"] for message in conversation.messages if message["role"] != "assistant")
