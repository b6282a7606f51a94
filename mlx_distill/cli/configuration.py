"""The configuration that a command line means.

In: the values of a command's options. Out: a Config and the run's folder, which is not touched. A value that was typed
comes before the run's own, which comes before the --config file's or the preset's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlx_distill.cli.options import NOT
from mlx_distill.run import config as configuration
from mlx_distill.run import ownership, paths
from mlx_distill.run.config import Config
from mlx_distill.run.errors import UsageError
from mlx_distill.run.folder import CONFIG


def configuration_of(options: dict[str, Any]) -> tuple[Config, Path]:
    """The configuration that a command means, and its run directory.

    Relative paths in a --config FILE start from its folder, or else, like all typed paths, from the current folder.
    They become absolute, except those of a run that was made when paths were kept as typed. Raises UsageError for
    settings that conflict, DataError for a file that cannot be read.
    """
    preset, file = options["preset"], options["config_file"]
    if preset is not None and file:
        raise UsageError(
            f"--preset {preset} and --config {file} both say where the settings start from: give one of them. "
            f'A config file names its preset itself: preset = "{preset}", above its first [section].'
        )
    path = options["run_path"] or Path("runs", preset or "standard")
    before = _existing(path)
    if file:
        config = paths.anchored(configuration.load(file), _folders(file))
    else:
        config = before if before and preset is None else configuration.resolve(preset or "standard")
    config = paths.anchored(configuration.replace(config, _changes(options)), (Path.cwd(),))
    configuration.check(config)
    if before is None:
        return config, path
    config = paths.spelled_as(config, before)
    return (config if options["update"] else configuration.with_chosen_layers(config, before)), path


def _existing(path: Path) -> Config | None:
    """The configuration of an existing run. Raises UsageError for a folder that is not a run's."""
    if not (path / CONFIG).exists():
        return None
    ownership.check_run_folder(path)
    return configuration.load(path / CONFIG)


def _folders(file: Path) -> tuple[Path, ...]:
    """Where the relative paths of a config file start from. In a run's own file they were typed, by an old version."""
    return (Path.cwd(), file.parent) if ownership.is_run(file.parent) else (file.parent, Path.cwd())


REPLACES = {"training.scale": "training.alpha", "training.epochs": "training.steps"}
"""Two settings for one thing, of which the second would win: giving the first resets the second."""


def _changes(options: dict[str, Any]) -> dict[str, Any]:
    """The settings that were typed, by dotted name."""
    typed = {
        name.replace("__", "."): _value(name.replace("__", "."), value)
        for name, value in options.items()
        if "__" in name and not name.startswith(NOT) and value is not None and value != ()
    }
    typed |= {
        name.removeprefix(NOT).replace("__", "."): False for name in options if name.startswith(NOT) and options[name]
    }
    for name, other in REPLACES.items():
        if name in typed and typed.get(other, configuration.NONE) != configuration.NONE:
            flags = [f"--{setting.partition('.')[2]}" for setting in (name, other)]
            raise UsageError(f"{' and '.join(flags)} say the same in two ways: give one of them.")
        if name in typed:
            typed[other] = None
    return typed


def _value(name: str, value: Any) -> Any:
    """An option's value as a setting's; `none` for a repeatable option is an empty list. Raises UsageError."""
    if isinstance(value, tuple) and configuration.NONE in value:
        if len(value) > 1:
            raise UsageError(f"{name} is none and something else: give one of them.")
        return ()
    if name in (*paths.INPUTS, *paths.OUTPUTS) and "" in (value if isinstance(value, tuple) else (value,)):
        raise UsageError(f"{name} is empty: give a file, or none to reset it.")
    return value
