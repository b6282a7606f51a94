"""Whose files these are: a run writes into a folder of its own, and over nothing that it reads.

In: a configuration and the folders that a command would write to. Out: nothing, or a UsageError before anything is
written. The one place for this rule; `RunDir` keeps links and other processes out.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from mlx_distill.run import folder as files
from mlx_distill.run.config import Config
from mlx_distill.run.errors import UsageError
from mlx_distill.run.paths import inputs_of

WRITTEN = (
    *(files.CONFIG, files.ENVIRONMENT, files.PROMPTS, f"{files.LEDGER}*", files.TEACHER_DATA, files.DATASET),
    *(files.CHOICES, files.CHOSEN_DATA, "choice/*"),
    *(
        files.HEADROOM,
        files.METRICS,
        files.TRAINING,
        files.STUDENT,
        files.DATE,
        files.TERMS,
        files.STAGE_STATES,
        files.SWEEP_RUN,
    ),
    *("distilled-student/*", "kept-student/*", "selection/*", files.SELECTION, "prefix-cache/*", "baselines/*"),
    *(files.REPLAY, "logprobs/*"),
    *(files.GENERATIONS, files.SCORES, files.JUDGMENTS, files.PREFERENCES, "prompted/*", "bench/*", "self-check/*"),
    *(files.RESULTS, "report.html", "results.md", f"{files.VISUALS}/*", files.LOG),
)
"""What a run writes into its folder, in lower case: some disks do not tell cases apart. Not in the list: `judge_data/`,
where every judge has a file of its own name, and `exports/`, in which people vote."""

BESIDE = (files.LOG, files.SWEEP_RUN, files.TERMS, f"{files.LEDGER}*")
"""What may lie in a run's folder before the run has begun."""

SHARED = (files.DATE, "baselines", "prefix-cache", "logprobs", "choice", files.LEDGER)
"""One of them lies in a folder that runs share."""

MOST_NAMED = 3

SECTIONS = ("preset = ", "[prompts]", "[teacher]", "[training]", "[comparison]")
"""Of a config.toml that a run wrote: it holds every section."""


def check(config: Config, run: Path, others: Iterable[Path] = ()) -> None:
    """Raises UsageError where the run would write into somebody's folder, or over what it reads; `others`: files that
    the command reads beside those of its settings."""
    check_run_folder(run)
    named = [(f"{name} names", path) for name, path in inputs_of(config)]
    for words, path in [*named, *(("The command reads", path) for path in others)]:
        if is_written(path, run) or _is_shared(path, config) or _is_ledger(path, config):
            raise UsageError(
                f"{words} {path}, which the run itself would write: copy it to another place and name the copy, or "
                "choose another --run."
            )
    _check_ledger(config, run)
    if config.machine.shared and not any((Path(config.machine.shared) / name).exists() for name in SHARED):
        check_folder(Path(config.machine.shared), BESIDE, "--shared")


def check_run_folder(run: Path) -> None:
    if not is_run(run):
        check_folder(run, BESIDE, "--run")


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run: its stages, or a configuration as a run writes it, with every section."""
    config = _text(folder / files.CONFIG)
    return all(words in config for words in SECTIONS) or '"fingerprint"' in _text(folder / files.STAGE_STATES)


def check_sweep_folder(folder: Path) -> None:
    """A sweep that was begun has its file and its runs' configurations. Raises UsageError for another full folder."""
    if not ((folder / "sweep.toml").is_file() and (folder / "configs").is_dir()):
        check_folder(folder, ("shared*",), "--sweep")


def check_folder(folder: Path, patterns: Collection[str], flag: str) -> None:
    """Raises UsageError for a folder that holds anything but files of these patterns; hidden files count as nothing."""
    if not folder.is_dir():
        return
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    others = [name for name in names if not any(fnmatchcase(name, pattern) for pattern in patterns)]
    if others:
        more = ", …" if len(others) > MOST_NAMED else ""
        raise UsageError(
            f"{folder} holds other files ({', '.join(others[:MOST_NAMED])}{more}), which mlx-distill did not write and "
            f"might replace: give {flag} a new or empty folder."
        )


def is_written(path: Path, run: Path) -> bool:
    """Whether a file is one that a run in this folder writes."""
    return _within(path, run, WRITTEN)


def _is_shared(path: Path, config: Config) -> bool:
    shared = config.machine.shared
    names = (files.DATE, "baselines/*", "prefix-cache/*", "logprobs/*", "choice/*")
    return bool(shared) and _within(path, Path(str(shared)), names)


def _is_ledger(path: Path, config: Config) -> bool:
    ledger = config.collect.ledger
    return bool(ledger) and os.path.realpath(str(ledger)) == os.path.realpath(path)


def _check_ledger(config: Config, run: Path) -> None:
    ledger = config.collect.ledger
    if ledger and is_written(Path(ledger), run) and not Path(ledger).name.lower().startswith(files.LEDGER):
        raise UsageError(
            f"--ledger {ledger} is another file of the run: give it a name of its own, such as all.sqlite."
        )


def _within(path: Path, folder: Path, patterns: Iterable[str]) -> bool:
    try:
        name = Path(os.path.realpath(path)).relative_to(os.path.realpath(folder)).as_posix().lower()
    except ValueError:
        return False
    return any(fnmatchcase(name, pattern) or fnmatchcase(f"{name}/", pattern) for pattern in patterns)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
