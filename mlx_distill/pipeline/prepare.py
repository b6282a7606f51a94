"""Gives a run its configuration, before any stage. In: a run directory and a Config. Out: config.toml."""

from __future__ import annotations

import tomli_w

from mlx_distill.models import students
from mlx_distill.run import config as configuration
from mlx_distill.run.config import Config
from mlx_distill.run.errors import UsageError
from mlx_distill.run.folder import CONFIG, RunDir
from mlx_distill.run.job import WORK
from mlx_distill.summarise.gate import check_rules


def prepare(run: RunDir, config: Config, *, update: bool = False) -> bool:
    """Writes the configuration. Returns whether the run had another one.

    Raises UsageError where the run has results of another configuration, unless `update` allows to change it.
    """
    configuration.check(config)
    check_rules(config.bench.rules)
    students.check_name(config.training.student)
    path = run / CONFIG
    has_work = any((run / name).exists() for name in WORK)
    different = configuration.differences(configuration.load(path), config) if path.exists() and has_work else []
    if different and not update:
        raise UsageError(
            f"{run.path} was made with another configuration ({'; '.join(different)}): "
            "choose another --run, or add --update to change this one and redo what depends on it."
        )
    write_config(run, config)
    return bool(different)


def write_config(run: RunDir, config: Config) -> None:
    run.write_text(CONFIG, tomli_w.dumps(configuration.to_table(config)))
