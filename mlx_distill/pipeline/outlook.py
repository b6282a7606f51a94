"""What `run` would do with a run as it is now: which stages, and what would stop it before it begins.

In: a Job. Out: rows for a table. Nothing is started and nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator

from mlx_distill.pipeline import STAGES
from mlx_distill.pipeline.agree import check_judges, check_teacher
from mlx_distill.pipeline.terms import check_terms
from mlx_distill.run.errors import DistillError
from mlx_distill.run.job import Job
from mlx_distill.run.stage import Stage


def stages(job: Job) -> list[tuple[str, str]]:
    """The stages that `run` would work on, and those whose results it would keep. What comes after a stage that runs
    is counted as running too: it depends on what that stage will write."""
    wanted = [stage for stage in STAGES.values() if stage.wanted(job)]
    running = next((place for place, stage in enumerate(wanted) if not _is_done(job, stage)), len(wanted))
    kept, left = ([stage.name for stage in part] for part in (wanted[:running], wanted[running:]))
    rows = [("Stages to run", ", ".join([*left, "report"]))]
    return [*rows, ("Stages up to date", ", ".join(kept))] if kept else rows


def _is_done(job: Job, stage: Stage) -> bool:
    """A stage that never ran needs no look at its inputs, which may not be there yet."""
    try:
        return stage.name in job.run.stages() and stage.is_done(job)
    except DistillError:
        return False


def obstacles(job: Job, terms_accepted: bool) -> Iterator[tuple[str, str]]:
    """What the user must do first: name a key or a price, acknowledge terms."""
    for check in (check_teacher, check_judges, lambda job: check_terms(job.run, job.config, terms_accepted)):
        try:
            check(job)
        except DistillError as error:
            yield "Needed first", str(error)
