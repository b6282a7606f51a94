"""Choosing instead of hoping: checkpoints at several strengths answer a part of the benchmarks, and the best that loses
nowhere is kept, or the base.

In: saved checkpoints, benchmark items that are not reported. Out: selection.json, and kept-student/ where a candidate
is kept. Base and candidates have a folder each in selection/, with their answers and scores item by item, so that a
stopped selection goes on.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlx_distill.evaluate import benchmarks as bench
from mlx_distill.evaluate.bench import open_cases, scoring
from mlx_distill.evaluate.bench_answering import answering
from mlx_distill.evaluate.bench_answers import AnswerStore, answers_key, scorer_key
from mlx_distill.evaluate.bench_plan import BenchmarkPlan, asked_of, loaded
from mlx_distill.evaluate.choosing import RULE, look_sizes
from mlx_distill.evaluate.domains import OWN, domain
from mlx_distill.evaluate.selection import Ground, Passed, Tried, selection_part
from mlx_distill.machine import environment
from mlx_distill.machine.sandbox.packages import shown_packages
from mlx_distill.models import students
from mlx_distill.models.students import trained
from mlx_distill.run.baselines import Baselines
from mlx_distill.run.digest import digest
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.files import TrainingFile
from mlx_distill.run.folder import SELECTION, TRAINING, RunDir, file_hash
from mlx_distill.run.job import ADAPTER, KEPT, WEIGHTS, Job
from mlx_distill.run.records import Role
from mlx_distill.run.results.selection import Candidate, Selection
from mlx_distill.run.wording import candidate as named

if TYPE_CHECKING:
    from mlx_distill.models.students.adapter import Adapter

FOLDER = "selection"
CHECKPOINTS = f"{ADAPTER}/checkpoints"


def settings(job: Job) -> list[Any]:
    """What the choice depends on, beside the checkpoints."""
    config = job.config
    return [
        RULE,
        config.selection,
        dataclasses.replace(config.bench, rules=(), published=(), limit=None, samples=None, batch_size=1),
        [environment.hash_of(file) for file in config.bench.data],
        students.identity(config.training.student),
        config.comparison.unsandboxed,
        shown_packages(config),
        environment.sandbox_level(),
        bench.SCORERS,
    ]


def checkpoint_files(job: Job) -> list[str]:
    """The weights of every saved checkpoint."""
    return [str((folder / WEIGHTS).relative_to(job.run.path)) for folder in checkpoints(job.run).values()]


def check(job: Job) -> None:
    """Before hours of training. Raises UsageError where nothing would tell the candidates apart."""
    if not any(one.domain == OWN for one in _tests(job)):
        names = ", ".join(job.config.bench.own)
        raise UsageError(
            f"No benchmark is of the own domain ({names}), by which a candidate is chosen: name it with --own-domain."
        )


def checkpoints(run: RunDir) -> dict[int, Path]:
    """By step: those that training saved, and the one of the lowest held-out loss. A step 0 is the base itself."""
    from mlx_distill.models.students.checkpoint import progress

    by_step = {int(folder.name): folder for folder in sorted((run / CHECKPOINTS).glob("[0-9]*")) if _is_saved(folder)}
    best = progress(run / ADAPTER).best_step
    if best and best not in by_step and _is_saved(run / ADAPTER):
        by_step[best] = run / ADAPTER
    return dict(sorted(by_step.items()))


def _is_saved(folder: Path) -> bool:
    return (folder / WEIGHTS).exists()


# ---------------------------------------------------------------- what is asked


@dataclass(frozen=True)
class _Test:
    """A benchmark's items that choose, and those that confirm, of which so many are asked at each look."""

    domain: str
    choosing: BenchmarkPlan
    confirming: BenchmarkPlan
    looks: Sequence[int]

    @property
    def ground(self) -> Ground:
        benchmark = self.choosing.benchmark
        choosing, confirming = ([item.id for item in asked.items] for asked in (self.choosing, self.confirming))
        return Ground(benchmark.name, benchmark.title, self.domain, choosing, confirming, self.looks)

    def at(self, look: int) -> BenchmarkPlan:
        """What is asked at this look and was not before."""
        before = self.looks[look - 1] if look else 0
        return dataclasses.replace(self.confirming, items=self.confirming.items[before : self.looks[look]])


def _tests(job: Job) -> list[_Test]:
    """Answered greedily, whatever the reported items are."""
    tests = []
    for one in loaded(job):
        parts = bench.parts(one.items, job.config.selection.items, job.config.selection.most)
        whole = asked_of(job, one, [])
        greedy = dataclasses.replace(whole, decoding=dataclasses.replace(whole.decoding, samples=None))
        choosing, confirming = (
            dataclasses.replace(greedy, items=list(items)) for items in (parts.choosing, parts.confirming)
        )
        looks = look_sizes(parts.first, len(parts.confirming))
        tests.append(_Test(domain(one.benchmark, job.config.bench.own), choosing, confirming, looks))
    return tests


# ---------------------------------------------------------------- answering, and choosing


def select(job: Job) -> None:
    from mlx_distill.models.students import adapter as adapters
    from mlx_distill.models.students.checkpoint import progress

    saved = checkpoints(job.run)
    if not saved:
        raise DataError(f"{job.run.path} has no trained checkpoint to choose: run `mlx-distill train` first.")
    if len(saved) == 1:
        job.view.note("One checkpoint was saved: with --save-every (in a new --run) there are more to choose from.")
    student = trained.load(job)
    tests = _tests(job)
    adapter = adapters.load(student.model, next(iter(saved.values())))
    tried = _try(_Answering(job, student, adapter, saved), tests, job.config.selection.strengths)
    part = selection_part(tried, job.config.selection.items or 0, progress(job.run / ADAPTER).best_step)
    _keep(job, adapter, saved, part)
    job.run.write_json(SELECTION, part)


def _try(answers: _Answering, tests: Sequence[_Test], strengths: Sequence[float]) -> Tried:
    """Base, every candidate on what chooses, and the best on what confirms, weaker and weaker until it holds."""
    candidates = [Candidate(step, strength) for step in answers.saved for strength in strengths]
    choosing = [test.choosing for test in tests]
    first, further = sum(len(t.choosing.items) for t in tests), sum(len(t.confirming.items) for t in tests)
    most = first * (1 + len(candidates)) + further * (1 + len(strengths))
    with answers.job.view.tracking("select", most) as update:
        answers.show = update
        base = answers.of(None, choosing)
        passed: dict[Candidate, Passed] = {candidate: answers.of(candidate, choosing) for candidate in candidates}
        tried = Tried([test.ground for test in tests], base, passed, _drifts(answers.job.run))
        for candidate in tried.order():
            tried = _confirm(answers, tests, tried, candidate)
            if tried.holds(candidate):
                break
        update(most, "")
    return tried


def _confirm(answers: _Answering, tests: Sequence[_Test], tried: Tried, candidate: Candidate) -> Tried:
    """Base and candidate on what confirms: at first on a part of it, and on more where that leaves a doubt."""
    for look in range(tried.looks):
        seen = tried.confirmation(candidate, look)
        if any(change.loses for change in seen.values()):
            break
        asked = [test.at(look) for test in tests if not look or seen[test.ground.name].in_doubt]
        if not asked:
            break
        tried = dataclasses.replace(
            tried,
            base=_joined(tried.base, answers.of(None, asked)),
            candidates={
                **tried.candidates,
                candidate: _joined(tried.candidates[candidate], answers.of(candidate, asked)),
            },
        )
    return tried


def _joined(passed: Passed, further: Passed) -> Passed:
    return {**passed, **{name: {**passed.get(name, {}), **items} for name, items in further.items()}}


def _drifts(run: RunDir) -> dict[Candidate, float]:
    """On held-out answers, of each candidate of which training measured it."""
    training = run.find(TRAINING, TrainingFile)
    candidates = training.drift.candidates if training and training.drift else ()
    return {Candidate(step=each.step, strength=each.strength): each.own for each in candidates}


@dataclass
class _Answering:
    """One student in memory, dialled to one candidate after another."""

    job: Job
    student: students.Student
    adapter: Adapter
    saved: dict[int, Path]
    show: Callable[[int, str], None] = lambda count, words: None
    count: int = 0

    def of(self, candidate: Candidate | None, asked: Sequence[BenchmarkPlan]) -> Passed:
        """What it passed, by benchmark and item; None is the base. What is on disk already is not asked again."""
        role: Role = "distilled" if candidate else "base"
        words, before = named(candidate), self.count
        store = self._made(role, candidate, asked)
        store.load_shared(asked)
        for new, _ in answering(self.student, asked, store, (role,), lambda _: self._dial(candidate)):
            self.count += new
            self.show(self.count, words)
        for _ in scoring(self.job, open_cases(asked, store), store):
            pass
        store.save_shared()
        self.count = before + sum(len(one.items) for one in asked)
        self.show(self.count, words)
        return _passed(store, asked)

    def _made(self, role: Role, candidate: Candidate | None, asked: Sequence[BenchmarkPlan]) -> AnswerStore:
        """Its folder, with what it has answered before."""
        job, name, adapter = self.job, "base", ""
        if candidate:
            name = f"{candidate.step:07d}-{candidate.strength:g}"
            adapter = digest([file_hash(self.saved[candidate.step] / WEIGHTS), str(candidate.strength)])
        keys = {
            one.benchmark.name: {role: answers_key(job, one, role, adapter), "scores": scorer_key(job, one)}
            for one in asked
        }
        return AnswerStore(RunDir(job.run / FOLDER / name), keys, Baselines(None) if candidate else Baselines.of(job))

    def _dial(self, candidate: Candidate | None) -> None:
        from mlx_distill.models.students.adapter import read_weights

        if candidate is None:
            self.adapter.dial(0.0)
            return
        self.adapter.set_weights(read_weights(self.saved[candidate.step]))
        self.adapter.dial(candidate.strength)


def _passed(store: AnswerStore, asked: Sequence[BenchmarkPlan]) -> Passed:
    """Of the items asked, those that could be scored."""
    wanted = {item.key for one in asked for item in one.items}
    passed: dict[str, dict[str, bool]] = {one.benchmark.name: {} for one in asked}
    for score in store.scores():
        if score.passed is not None and f"{score.benchmark}/{score.item_id}" in wanted:
            passed[score.benchmark][score.item_id] = score.passed
    return passed


def _keep(job: Job, adapter: Adapter, saved: dict[int, Path], part: Selection) -> None:
    """kept-student/: the chosen candidate as an adapter of its own, or nothing."""
    from mlx_distill.models.students.adapter import read_weights

    shutil.rmtree(job.run / KEPT, ignore_errors=True)
    chosen = part.chosen
    if chosen is None:
        job.view.warn(f"The base is kept: {part.words}.")
        return
    adapter.set_weights(read_weights(saved[chosen.step]))
    adapter.save_at(chosen.strength, job.run / KEPT, job.config.training.student)
    job.view.note(f"Kept: {part.words}.")
