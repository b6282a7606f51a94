"""What bases have answered, in a folder that runs share or in the run's own: the same question is put to the same base
once.

In: a key of what the answers depend on. Out: answers and their scores, a file for each key. Runs that share the folder
take turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlx_distill.run.folder import RunDir
from mlx_distill.run.job import Job
from mlx_distill.run.records import Generation, Score

FOLDER = "baselines"


class Baselines:
    def __init__(self, folder: Path | None) -> None:
        self._files = RunDir(folder / FOLDER) if folder else None

    @staticmethod
    def of(job: Job) -> Baselines:
        return Baselines(Path(job.config.machine.shared) if job.config.machine.shared else job.run.path)

    def answers(self, key: str) -> list[Generation]:
        return self._files.read(_answers(key), Generation) if self._files else []

    def scores(self, key: str, scorer: str) -> list[Score]:
        return self._files.read(_scores(key, scorer), Score) if self._files else []

    def keep_answers(self, key: str, answers: Sequence[Generation]) -> None:
        if self._files and answers:
            known = {(a.prompt_id, a.sample): a for a in [*answers, *self.answers(key)]}
            self._files.write_records(_answers(key), known.values())

    def keep_scores(self, key: str, scorer: str, scores: Sequence[Score]) -> None:
        if self._files and scores:
            known = {(s.item_id, s.sample): s for s in [*scores, *self.scores(key, scorer)]}
            self._files.write_records(_scores(key, scorer), known.values())


def _answers(key: str) -> str:
    return f"{key[:24]}-answers.jsonl"


def _scores(key: str, scorer: str) -> str:
    return f"{key[:24]}-{scorer[:12]}-scores.jsonl"
