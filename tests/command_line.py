"""The command line, started as a user starts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

SHORT = ("--preset", "demo-short", "--limit", "2", "--layers", "2", "--max-tokens", "8")


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "mlx_distill", *map(str, arguments)]


def invoke(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, **{"timeout": 300, **options}
    )


def fails(code: int, words: str, *arguments: str | Path, **options: Any) -> None:
    """One line on stderr that holds the words, the exit code, and no traceback."""
    done = invoke(*arguments, **options)
    assert (done.returncode, done.stdout.count("Traceback")) == (code, 0), done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert words in lines[0], lines[0]
