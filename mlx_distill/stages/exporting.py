"""The stage that exports: what a run has trained, in another tool's format.

In: distilled-student/. Out: a folder that the other tool loads, and how to load it there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlx_distill.rundir import RunDir
from mlx_distill.stages import ADAPTER


def export_peft(run: RunDir, folder: Path) -> list[str]:
    from mlx_distill.export import write_peft

    base = write_peft(run / ADAPTER, folder)
    return [f"Wrote {folder}, for {base}. With PEFT:", f"PeftModel.from_pretrained(base, {str(folder)!r})"]


EXPORTS: dict[str, Callable[[RunDir, Path], list[str]]] = {"peft": export_peft}
"""By the name that the command line takes. Each returns the lines to show."""
