"""The stage that chooses: several answers to each training prompt in, one of them out.

In: prompts.jsonl, teacher_data.jsonl, the student. Out: choices.jsonl, which says what every candidate is worth, and
chosen_data.jsonl, which is filtered and trained on instead of teacher_data.jsonl. What was drawn and computed stays in
choice/, and in that of the folder that runs share, apart from the rule: choosing by another one loads no weights.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlx_distill.machine import environment
from mlx_distill.machine.checks import VERSION
from mlx_distill.machine.sandbox.packages import shown_packages
from mlx_distill.models import students
from mlx_distill.models.students import trained
from mlx_distill.run import reasoning
from mlx_distill.run.choices import CandidateAnswer, Source
from mlx_distill.run.data.material import conversation_of
from mlx_distill.run.errors import DataError
from mlx_distill.run.folder import CHOICES, CHOSEN_DATA, PROMPTS, TEACHER_DATA
from mlx_distill.run.job import Job
from mlx_distill.run.records import Completion, Generation, Prompt, why_unusable
from mlx_distill.run.repetition import repeats
from mlx_distill.run.wording import counts
from mlx_distill.train.choice.earlier import adapter_hash
from mlx_distill.train.choice.kept import Kept
from mlx_distill.train.choice.rules import choose

if TYPE_CHECKING:
    from mlx_distill.models.students import Student
    from mlx_distill.train.choice.scoring import Contender, Worth
    from mlx_distill.train.encode import Example

SCORES = "scores.jsonl"


def settings(job: Job) -> list[Any]:
    """What the choice depends on, beside prompts and answers."""
    training = job.config.training
    return [
        job.config.choice,
        students.identity(training.student),
        adapter_hash(job.config.choice),
        [
            training.system,
            training.window,
            training.thinking,
            training.seed if job.config.choice.student_answers else 0,
        ],
        [VERSION, job.config.comparison.unsandboxed, shown_packages(job.config), environment.sandbox_level()],
    ]


@dataclass(frozen=True)
class _Entrant:
    """A candidate with its text. `sample` counts those of its source to its prompt."""

    prompt: Prompt
    source: Source
    sample: int
    completion: Completion

    @functools.cached_property
    def problem(self) -> str:
        """Why it cannot be trained on, as far as it can be told without encoding it."""
        from mlx_distill.run.overlap import word_hashes

        text = self.completion.completion
        unusable = why_unusable(self.completion.stop_reason, text)
        return unusable or ("repetition" if repeats(text, word_hashes(text)) else "")


def choose_answers(job: Job) -> None:
    prompts = {prompt.id: prompt for prompt in job.run.stream(PROMPTS, Prompt) if prompt.split == "train"}
    answers = job.run.read(TEACHER_DATA, Completion)
    student = trained.load(job, lazy=True)
    cases = [*_teachers(prompts, answers), *_students(job, student, prompts)]
    candidates = _candidates(job, student, cases)
    by_prompt: dict[str, list[int]] = {}
    for place, case in enumerate(cases):
        by_prompt.setdefault(case.prompt.id, []).append(place)
    chosen = {prompt: _chosen(job, candidates, by_prompt[prompt]) for prompt in by_prompt}
    taken = set(chosen.values())
    rows = [
        dataclasses.replace(candidates[place], chosen=place in taken)
        for places in by_prompt.values()
        for place in places
    ]
    trained_on = {
        prompt: cases[by_prompt[prompt][0] if place is None else place].completion for prompt, place in chosen.items()
    }
    others = [answer for answer in answers if answer.prompt_id not in prompts]
    job.run.write_records(CHOSEN_DATA, [*trained_on.values(), *others])
    job.run.write_records(CHOICES, rows)
    _tell(job, rows)


def _chosen(job: Job, candidates: Sequence[CandidateAnswer], places: Sequence[int]) -> int | None:
    place = choose(job.config.choice.rule, [candidates[place] for place in places])
    return None if place is None else places[place]


# ---------------------------------------------------------------- who competes


def _teachers(prompts: Mapping[str, Prompt], answers: Sequence[Completion]) -> list[_Entrant]:
    """In the order of the prompts; the same answer again is no other candidate."""
    different: dict[str, dict[str, Completion]] = {prompt: {} for prompt in prompts}
    for answer in answers:
        if answer.prompt_id in different:
            different[answer.prompt_id].setdefault(answer.completion, answer)
    return [
        _Entrant(prompts[prompt], "teacher", sample, answer)
        for prompt, mine in different.items()
        for sample, answer in enumerate(mine.values())
    ]


def _students(job: Job, student: Student, prompts: Mapping[str, Prompt]) -> list[_Entrant]:
    """Only where checks say which of them are right."""
    checked = {prompt.id: prompt.text for prompt in prompts.values() if prompt.checks}
    if not job.config.choice.student_answers:
        return []
    if not checked:
        job.view.note("No training prompt has checks, so the student's own answers cannot compete: none is drawn.")
        return []
    from mlx_distill.train.choice.sampling import own_answers

    drawn = own_answers(job, student, checked)
    return [_Entrant(prompts[g.prompt_id], "student", g.sample, _completion(g, prompts, student)) for g in drawn]


def _completion(drawn: Generation, prompts: Mapping[str, Prompt], student: Student) -> Completion:
    thought, answer, _ = reasoning.split(drawn.text)
    return Completion(
        drawn.prompt_id,
        prompts[drawn.prompt_id].text,
        answer,
        "max_tokens" if drawn.finish_reason == "length" else "end_turn",
        student.spec,
        output_tokens=drawn.tokens,
        seconds=drawn.seconds,
        reasoning=thought,
    )


# ---------------------------------------------------------------- what they are worth


def _candidates(job: Job, student: Student, cases: Sequence[_Entrant]) -> list[CandidateAnswer]:
    """Each with its marks. What cannot be trained on is neither checked nor scored."""
    examples = _examples(job, student, {place: case for place, case in enumerate(cases) if not case.problem})
    scores = _scores(job, student, cases, examples)
    return [_candidate(case, scores.get(place)) for place, case in enumerate(cases)]


def _candidate(case: _Entrant, score: Worth | None) -> CandidateAnswer:
    return CandidateAnswer(
        case.prompt.id,
        case.source,
        case.sample,
        passed=score.passed if score else None,
        nats=score.nats if score else None,
        tokens=score.tokens if score else None,
        usd=case.completion.usd,
        detail=score.detail if score else "",
        problem=case.problem or ("" if score else "too long"),
    )


def _examples(job: Job, student: Student, cases: Mapping[int, _Entrant]) -> dict[int, Example]:
    """By place; those that the window does not hold are not among them."""
    from mlx_distill.train.encode import encode_all

    config = job.config.training
    conversations = [
        dataclasses.replace(conversation_of(case.completion, "train", config.thinking, ""), id=str(place))
        for place, case in cases.items()
    ]
    encoded = encode_all(conversations, student, config.system, config.window)
    return {int(example.id): example for example in encoded.examples}


def _scores(job: Job, student: Student, cases: Sequence[_Entrant], examples: Mapping[int, Example]) -> dict[int, Worth]:
    """By place. Computes what is not on disk yet, a few at a time, so that a kill loses no more."""
    from mlx_distill.train.choice.scoring import Contender, Worth, key_of

    level = environment.sandbox_level()
    answers = {place: Contender(cases[place].prompt, cases[place].completion, examples[place]) for place in examples}
    keys = {place: key_of(job.config, answer, level) for place, answer in answers.items()}
    kept = Kept(job, SCORES, Worth, lambda worth: worth.key)
    known = {key: worth for key in keys.values() if (worth := kept.find(key))}
    if missing := {key: answers[place] for place, key in keys.items() if key not in known}:
        for worth in _score_missing(job, student, missing):
            kept.add(worth)
            known[worth.key] = worth
    return {place: known[key] for place, key in keys.items()}


def _score_missing(job: Job, student: Student, missing: Mapping[str, Contender]) -> Iterator[Worth]:
    from mlx_distill.train.choice.scoring import scored

    student.read_weights()
    with job.view.tracking("choose", len(missing)) as update, ThreadPoolExecutor(os.cpu_count()) as threads:
        done = 0
        for part in scored(student, job.config, missing, threads):
            yield from part
            done += len(part)
            update(done, "")


# ---------------------------------------------------------------- what is said


def _tell(job: Job, rows: Sequence[CandidateAnswer]) -> None:
    chosen = Counter[str](row.source for row in rows if row.chosen)
    if not chosen:
        raise DataError(
            f"None of {len(rows):,} answers can be trained on, by the rule {job.config.choice.rule!r} (see {CHOICES}): "
            "take another --choose, or more --answers-per-prompt."
        )
    job.view.note(f"Chosen by {job.config.choice.rule}: {counts(chosen)}, of {len(rows):,} answers.")
    unchecked = sum(row.passed is None and bool(row.detail) for row in rows)
    if unchecked:
        job.view.warn(f"The checks of {unchecked:,} answers could not be run, so these drop out (see {CHOICES}).")
