"""Exports of a run: its adapter in another tool's format, or its answers for people to vote on.

In: the adapter, or the test prompts and generations.jsonl. Out: a folder or file, and what to do with it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlx_distill.run import config as configuration
from mlx_distill.run import ownership
from mlx_distill.run.errors import UsageError
from mlx_distill.run.folder import CONFIG, GENERATIONS, PROMPTS, RunDir, write_atomic
from mlx_distill.run.job import adapter_folder
from mlx_distill.run.records import Generation, Prompt
from mlx_distill.run.unfinished import unfinished_training


def export_peft(run: RunDir, folder: Path) -> list[str]:
    from mlx_distill.models.students.peft import why_not_loadable, write_peft

    _refuse_foreign(folder)
    config = configuration.load(run / CONFIG) if (run / CONFIG).exists() else None
    lines = unfinished_training(run, config) if config else []
    base = write_peft(run / adapter_folder(run), folder)
    if reason := why_not_loadable(base):
        lines.append(
            f"transformers cannot load {base} ({reason}): find the same model in a form that it can load, and write "
            "its name as base_model_name_or_path."
        )
    call = f"PeftModel.from_pretrained(base, {str(folder)!r})"
    return [*lines, f"Wrote {folder}, for {base}. Load it with PEFT:", call]


def _refuse_foreign(folder: Path) -> None:
    """Raises UsageError for a folder that holds anything but an earlier export."""
    from mlx_distill.models.students.peft import is_ours

    if not is_ours(folder):
        ownership.check_folder(folder, (), "--to")


def export_votes(run: RunDir, path: Path) -> list[str]:
    """Raises UsageError where another table exists: somebody may have voted in it."""
    from mlx_distill.evaluate.judges import votes_table

    path = path if path.suffix == ".csv" else path.with_name(f"{path.name}.csv")
    prompts = [prompt for prompt in run.read(PROMPTS, Prompt) if prompt.split == "test"]
    table = votes_table(prompts, run.read(GENERATIONS, Generation))
    if path.exists() and path.read_bytes() != table:
        raise UsageError(f"{path} exists and may hold votes: name another file with --to, or move it away.")
    write_atomic(path, table)
    return [f"Wrote {path}. Write 1, 2 or tie under better, and your name under rater. Then:", f"--human {path}"]


EXPORTS: dict[str, Callable[[RunDir, Path], list[str]]] = {"peft": export_peft, "votes": export_votes}
"""By the name that the command line takes. Each returns the lines to show."""
