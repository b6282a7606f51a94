"""The acknowledgement that training on Claude's answers needs, once a run. In: a run. Out: terms.json."""

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
    """Keeps the acknowledgement in the run, where one is needed. Raises TeacherError without it."""
    check_terms(run, config, accepted)
    if _are_open(run, config):
        run.write_json(TERMS, {"text": NOTICE, "teacher": config.teacher.spec, "accepted": environment.now()})


def check_terms(run: RunDir, config: Config, accepted: bool) -> None:
    """Raises TeacherError where an acknowledgement is needed and missing. Writes nothing."""
    if _are_open(run, config) and not accepted:
        raise TeacherError(f"{NOTICE} Then add --accept-terms, once.")


def _are_open(run: RunDir, config: Config) -> bool:
    """Whether the run needs an acknowledgement and has none yet."""
    needed = traits_of(config.teacher.spec).needs_terms and not config.training.data
    return needed and not (run / TERMS).exists()
