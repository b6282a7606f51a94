"""The command line: called in this process, which saves seconds a command, or started as a user starts it."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

Options = tuple[str, ...]
SHORT: Options = ("--preset", "demo-short", "--limit", "2", "--layers", "2", "--max-tokens", "8")

Done = subprocess.CompletedProcess[str]


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "mlx_distill", *map(str, arguments)]


def started(*arguments: str | Path, **options: Any) -> Done:
    """In a process of its own: for what only a process has, such as tracebacks and an exit code."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, **{"timeout": 300, **options}
    )


def invoke(*arguments: str | Path, cwd: Path | None = None, encoding: str = "utf-8") -> Done:
    """What the command said and its exit code. Nobody answers when it asks."""
    from mlx_distill import cli

    said, failed = (io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True) for _ in range(2))
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(failed):
        patch.setattr(sys, "argv", ["mlx-distill", *map(str, arguments)])
        patch.setattr(sys, "stdin", io.StringIO())
        if cwd:
            patch.chdir(cwd)
        try:
            cli.main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return Done(arguments, code, *(stream.buffer.getvalue().decode(encoding) for stream in (said, failed)))  # type: ignore[attr-defined]


def fails(code: int, words: str, *arguments: str | Path, **options: Any) -> None:
    """One line on stderr that holds the words, the exit code, and no traceback."""
    done = invoke(*arguments, **options)
    assert (done.returncode, done.stdout.count("Traceback")) == (code, 0), done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert words in lines[0], lines[0]
