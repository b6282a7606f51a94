"""The command line without pictures, for what is started many times: drawing takes longer than a small run.

What a sweep starts is this file too, or the program that SWEEP_PROGRAM names.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from mlx_distill import cli, report, sweep
from mlx_distill.sweep import running


def nothing(*_: Any, **__: Any) -> list[Path]:
    return []


if __name__ == "__main__":
    for module, name in ((report, "draw"), (sweep, "draw_sweep")):
        setattr(module, name, nothing)
    running.PROGRAM = (sys.executable, os.environ.get("SWEEP_PROGRAM", __file__))
    cli.main()
