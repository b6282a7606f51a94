"""The one acknowledgement that training on Claude's answers needs. In: a run. Out: terms.json, once."""

from __future__ import annotations

from mlx_distill.machine import environment
from mlx_distill.models.teachers.traits import traits_of
from mlx_distill.run.config import Config
from mlx_distill.run.errors import TeacherError
from mlx_distill.run.folder import TERMS, RunDir

NOTICE = (
    "Anthropic's terms restrict using Claude's outputs to train models without authorisation. "
    "Read them (https://www.anthropic.com/legal) and decide whether your use is allowed."
)


def accept_terms(run: RunDir, config: Config, accepted: bool) -> None:
    """Claude's answers need one acknowledgement, kept in the run. Raises TeacherError without it."""
    spec = config.teacher.spec
    if not traits_of(spec).needs_terms or config.training.data or (run / TERMS).exists():
        return
    if not accepted:
        raise TeacherError(f"{NOTICE} Then add --accept-terms, once.")
    run.write_json(TERMS, {"text": NOTICE, "teacher": spec, "accepted": environment.now()})
