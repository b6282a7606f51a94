"""What is on disk already, and whether it is still good.

In: a folder, what is asked now, and what earlier answers and scores were made from. Out: those that still hold. What
another student, adapter, decoding or scorer made is dropped; what belongs to a benchmark that is not asked now is kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from mlx_distill.evaluate.bench_plan import BenchmarkPlan
from mlx_distill.evaluate.benchmarks import Given
from mlx_distill.machine import environment, sandbox
from mlx_distill.machine.sandbox.packages import shown_packages
from mlx_distill.models import students
from mlx_distill.run.baselines import Baselines
from mlx_distill.run.digest import digest
from mlx_distill.run.folder import BENCH_ANSWERS, BENCH_MADE, BENCH_SCORES, RunDir, file_hash
from mlx_distill.run.job import Job, adapter_file
from mlx_distill.run.records import MODELS, Generation, Role, Score

ANSWERS, SCORES = BENCH_ANSWERS, BENCH_SCORES
MADE = BENCH_MADE

Keys = Mapping[str, dict[str, str]]
"""By benchmark: what the answers of each role, and all of its scores, were made from; and the chat template."""


class AnswerStore:
    """The answers and scores in a folder. Drops from disk, once, what no longer holds; what the base answered in
    another run that shares it is taken over."""

    def __init__(self, run: RunDir, keys: Keys, baselines: Baselines) -> None:
        self._run, self._baselines = run, baselines
        before: Keys = run.read_json(MADE) if (run / MADE).exists() else {}
        stale = {
            (name, part)
            for name, parts in keys.items()
            for part, key in parts.items()
            if before.get(name, {}).get(part) != key
        }
        scores, answers = run.read_resumable(SCORES, Score), run.read_resumable(ANSWERS, Generation)
        run.write_records(SCORES, [s for s in scores if not {(s.benchmark, s.role), (s.benchmark, "scores")} & stale])
        run.write_records(ANSWERS, [a for a in answers if (a.prompt_id.partition("/")[0], a.role) not in stale])
        self._now = keys
        self._keys = {**before, **{name: before.get(name, {}) | parts for name, parts in keys.items()}}
        run.write_json(MADE, self._keys)

    def load_shared(self, asked: Sequence[BenchmarkPlan]) -> None:
        """What the base has answered elsewhere to the same items, and the scores of that."""
        wanted = {item.key for one in asked for item in one.items}
        answers = {(a.prompt_id, a.role, a.sample) for a in self.answers()}
        scores = {(f"{s.benchmark}/{s.item_id}", s.role, s.sample) for s in self.scores()}
        for _, base, scorer in self._bases():
            for answer in self._baselines.answers(base):
                if answer.prompt_id in wanted and (answer.prompt_id, answer.role, answer.sample) not in answers:
                    self.add(answer)
            for score in self._baselines.scores(base, scorer):
                name = f"{score.benchmark}/{score.item_id}"
                if name in wanted and (name, score.role, score.sample) not in scores:
                    self.add_score(score)

    def save_shared(self) -> None:
        """The base's answers and scores, to the other runs."""
        answers, scores = self.answers(), self.scores()
        for name, base, scorer in self._bases():
            mine = [a for a in answers if a.role == "base" and a.prompt_id.partition("/")[0] == name]
            self._baselines.keep_answers(base, mine)
            known = [s for s in scores if s.role == "base" and s.benchmark == name]
            self._baselines.keep_scores(base, scorer, known)

    def _bases(self) -> list[tuple[str, str, str]]:
        """Benchmark, what the base's answers were made from, what its scores."""
        return [
            (name, digest([name, parts["base"]]), parts["scores"])
            for name, parts in self._now.items()
            if "base" in parts
        ]

    def answers(self) -> list[Generation]:
        return self._run.read(ANSWERS, Generation)

    def scores(self) -> list[Score]:
        return self._run.read(SCORES, Score)

    def add(self, answer: Generation) -> None:
        self._run.append(ANSWERS, answer)

    def add_missing(self, answers: Sequence[Generation]) -> None:
        there = {(answer.prompt_id, answer.role, answer.sample) for answer in self.answers()}
        for answer in answers:
            if (answer.prompt_id, answer.role, answer.sample) not in there:
                self.add(answer)

    def add_score(self, score: Score) -> None:
        self._run.append(SCORES, score)

    def template(self, benchmark: str) -> str | None:
        return self._keys[benchmark].get("template")

    def note_template(self, benchmark: str, template: str) -> None:
        self._keys[benchmark]["template"] = template
        self._run.write_json(MADE, self._keys)


def store(job: Job, asked: Sequence[BenchmarkPlan], given: Sequence[Given]) -> AnswerStore:
    """Of the run's own `bench` folder."""
    baselines = Baselines(None) if given else Baselines.of(job)
    return AnswerStore(job.run, {one.benchmark.name: _keys(job, one, given) for one in asked}, baselines)


def _keys(job: Job, asked: BenchmarkPlan, given: Sequence[Given]) -> dict[str, str]:
    taught = [str(environment.hash_of(file)) for file in job.config.bench.teacher_answers]
    if given:
        files = digest([*(f"{file.role} {environment.hash_of(str(file.path))}" for file in given), *taught])
        return dict.fromkeys(("teacher", *MODELS), files) | {"scores": scorer_key(job, asked)}
    adapter = digest([file_hash(job.run / adapter_file(job.run)), str(job.config.comparison.strength)])
    keys = {role: answers_key(job, asked, role, adapter) for role in MODELS} | {"teacher": digest(taught)}
    return keys | {"scores": scorer_key(job, asked)}


def scorer_key(job: Job, asked: BenchmarkPlan) -> str:
    level = sandbox.level() if asked.benchmark.capability in ("code", "general") else ""
    return digest([asked.benchmark.scorer, level, str(job.config.comparison.unsandboxed), *shown_packages(job.config)])


def answers_key(job: Job, asked: BenchmarkPlan, role: Role, adapter: str) -> str:
    """What a role's answers depend on; how many are written at a time is no part of it."""
    decoding = dataclasses.replace(asked.decoding, batch_size=0)
    base = digest([students.identity(job.config.training.student), str(decoding)])
    return digest([base, adapter]) if role == "distilled" else base
