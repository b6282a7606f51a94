"""The stage that lets the base answer general prompts, once.

In: a prompt set, the base. Out: replay.jsonl. The answers are sampled at temperature 1 from a seed of their own, so
that runs which differ in what they train share them; a stopped stage goes on after its last batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlx_distill.models import students
from mlx_distill.models.students import trained
from mlx_distill.models.students.generate import Decoding
from mlx_distill.run.baselines import Baselines
from mlx_distill.run.config import Config
from mlx_distill.run.digest import digest
from mlx_distill.run.errors import DataError
from mlx_distill.run.folder import REPLAY, RunDir
from mlx_distill.run.job import Job
from mlx_distill.run.prompts import heldout_prompts, load_set, overlaps, set_identity, shorten
from mlx_distill.run.records import Generation, Prompt
from mlx_distill.train.fit.lengths import FRAME_TOKENS, Size

BATCH = 16
SEED = 0
HELD_OUT = 5
"""One prompt in so many is held out; there must be as many."""


def is_wanted(job: Job) -> bool:
    return job.config.replay.wanted


def settings(job: Job) -> list[Any]:
    """What the base's answers depend on."""
    config = job.config
    return [students.identity(config.training.student), set_identity(config.replay.prompts), str(decoding(config))]


def decoding(config: Config) -> Decoding:
    return Decoding(config.training.system, config.replay.max_tokens, BATCH, 1, 1.0, SEED)


def check(config: Config) -> None:
    """Raises DataError for a set that is too small, or of which a prompt is asked in the comparison."""
    prompts = replayed_prompts(config)
    if len(prompts) < HELD_OUT:
        raise DataError(f"{config.replay.prompts} has {len(prompts)} prompts: replay needs {HELD_OUT} or more.")
    for held, other, share in overlaps(heldout_prompts(config.prompts, ("test",)), prompts):
        raise DataError(
            f"The test prompt {shorten(held.text)!r} ({held.source}) overlaps the replayed prompt "
            f"{shorten(other.text)!r} ({other.source}) by {share:.0%}: remove one of them."
        )


def replayed_prompts(config: Config) -> list[Prompt]:
    """Each once, in the order of the set."""
    return list({prompt.id: prompt for prompt in load_set(config.replay.prompts, "train")}.values())


def sizes(config: Config, run: RunDir, count: Callable[[str], int]) -> tuple[list[Size], list[Size]]:
    """(tokens that enter, tokens that are scored) of what is replayed and of what is held out; an answer that is not
    there yet has the most tokens that it may have."""
    answers = {answer.prompt_id: answer.tokens for answer in run.read(REPLAY, Generation)}
    parts: tuple[list[Size], list[Size]] = ([], [])
    for place, prompt in enumerate(replayed_prompts(config)):
        scored = answers.get(prompt.id, config.replay.max_tokens) + 1
        asked = sum(count(text) + FRAME_TOKENS for text in (config.training.system, prompt.text))
        parts[is_held_out(place)].append((asked + scored, scored))
    return (parts[0] if config.replay.share else []), parts[1]


def is_held_out(place: int) -> bool:
    """Whether a prompt of the set is never replayed, so that drift is measured on it: one in five."""
    return place % HELD_OUT == HELD_OUT - 1


def answer(job: Job) -> None:
    from mlx_distill.models.students.generate import generate
    from mlx_distill.train.group import launched

    launched()  # the other processes give up waiting before a long answer is written
    config = job.config
    texts = {prompt.id: prompt.text for prompt in replayed_prompts(config)}
    known = job.run.read_resumable(REPLAY, Generation)
    baselines, key = Baselines.of(job), digest(["replay", *map(str, settings(job))])
    if not known:
        known = [answer for answer in baselines.answers(key) if answer.prompt_id in texts]
        job.run.write_records(REPLAY, known)
    if len(known) < len(texts):
        student = trained.load(job)
        done = {(answer.prompt_id, answer.sample) for answer in known}
        with job.view.tracking("replay", len(texts)) as update:
            for batch in generate(student, "base", texts, decoding(config), done):
                for generation in batch:
                    job.run.append(REPLAY, generation)
                known += batch
                update(len(known), "the base answers general prompts")
    unique = {answer.prompt_id: answer for answer in known}
    job.run.write_records(REPLAY, [unique[name] for name in texts])
    baselines.keep_answers(key, list(unique.values()))
