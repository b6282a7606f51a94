"""What is on disk already, and whether it is still good.

In: what is asked now, and what earlier answers and scores were made from. Out: those that still hold. What another
student, adapter, decoding or scorer made is dropped; what belongs to a benchmark that is not asked now is kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mlx_distill import environment, sandbox, students
from mlx_distill.bench import Given
from mlx_distill.records import Generation, Score, digest
from mlx_distill.rundir import file_hash
from mlx_distill.stages import ADAPTER, Job
from mlx_distill.stages.benching.asked import Asked
from mlx_distill.stages.generating import COMPARED

ANSWERS, SCORES = "bench/answers.jsonl", "bench/scores.jsonl"
MADE = "bench/made.json"

Keys = dict[str, dict[str, str]]
"""By benchmark: what the answers of each role, and all of its scores, were made from; and the chat template."""


class Made:
    """Drops from disk, once, what no longer holds."""

    def __init__(self, job: Job, asked: Sequence[Asked], given: Sequence[Given]) -> None:
        self._job = job
        before: Keys = job.run.read_json(MADE) if (job.run / MADE).exists() else {}
        now = {one.benchmark.name: _keys(job, one, given) for one in asked}
        stale = {
            (name, part)
            for name, keys in now.items()
            for part, key in keys.items()
            if before.get(name, {}).get(part) != key
        }
        scores, answers = job.run.read_resumable(SCORES, Score), job.run.read_resumable(ANSWERS, Generation)
        kept = [s for s in scores if not {(s.benchmark, s.role), (s.benchmark, "scores")} & stale]
        job.run.write_records(SCORES, kept)
        job.run.write_records(ANSWERS, [a for a in answers if (a.prompt_id.partition("/")[0], a.role) not in stale])
        self._keys = before | {name: before.get(name, {}) | keys for name, keys in now.items()}
        job.run.write_json(MADE, self._keys)

    def answers(self) -> list[Generation]:
        return self._job.run.read(ANSWERS, Generation)

    def template(self, benchmark: str) -> str | None:
        return self._keys[benchmark].get("template")

    def note_template(self, benchmark: str, template: str) -> None:
        self._keys[benchmark]["template"] = template
        self._job.run.write_json(MADE, self._keys)


def _keys(job: Job, asked: Asked, given: Sequence[Given]) -> dict[str, str]:
    """How many answers are written at a time is no part of them."""
    level = sandbox.level() if asked.benchmark.capability in ("code", "general") else ""
    scorer = digest([asked.benchmark.scorer, level, str(job.config.comparison.unsandboxed)])
    if given:
        files = digest(f"{file.role} {environment.hash_of(str(file.path))}" for file in given)
        return dict.fromkeys(("teacher", *COMPARED), files) | {"scores": scorer}
    decoding = dataclasses.replace(asked.decoding, batch_size=0)
    base = digest([students.identity(job.config.training.student), str(decoding)])
    adapter = file_hash(job.run / ADAPTER / "adapters.safetensors")
    distilled = digest([base, adapter, str(job.config.comparison.strength)])
    return {"base": base, "distilled": distilled, "scores": scorer}
