"""The benchmarks' results for inspect-ai's viewer. In: the run's `bench` folder. Out: bench/inspect/*.eval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlx_distill.evaluate.bench import ITEMS, PROTOCOL
from mlx_distill.evaluate.bench_answers import ANSWERS, SCORES
from mlx_distill.evaluate.benchmarks.inspect_log import write_log
from mlx_distill.run.data.rows import lines_of
from mlx_distill.run.job import Job
from mlx_distill.run.records import MODELS, Generation, Score
from mlx_distill.run.results.benchmarks import BenchProtocol


def write_logs(job: Job, created: str) -> list[Path]:
    """A log for each benchmark and role that has scores."""
    scores, answers = job.run.read(SCORES, Score), job.run.read(ANSWERS, Generation)
    items = list(lines_of(job.run / ITEMS))
    return [
        path
        for protocol in job.run.read_as(PROTOCOL, tuple[BenchProtocol, ...])
        for role in MODELS
        if (path := _write(job, protocol, role, items, answers, scores, created))
    ]


def _write(
    job: Job,
    protocol: BenchProtocol,
    role: str,
    items: list[dict[str, Any]],
    answers: list[Generation],
    scores: list[Score],
    created: str,
) -> Path | None:
    name = protocol.name
    prompts = {item["id"]: item["prompt"] for item in items if item["benchmark"] == name}
    mine = [s for s in scores if (s.benchmark, s.role) == (name, role) and s.item_id in prompts]
    if not mine:
        return None
    texts = {(a.prompt_id.partition("/")[2], a.sample): a for a in answers if a.role == role and _is_of(a, name)}
    path = job.run / f"bench/inspect/{name}-{role}.eval"
    model = f"{job.config.training.student}/{role}"
    write_log(path, protocol, prompts, texts, mine, model, created)
    return path


def _is_of(answer: Generation, benchmark: str) -> bool:
    return answer.prompt_id.partition("/")[0] == benchmark
