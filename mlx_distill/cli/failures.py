"""How a failed command ends: one line on stderr, and an exit code.

In: an exception. Out: the code. The number of each kind of failure stands in `run.errors`.
"""

from __future__ import annotations

import signal
from typing import Any

from mlx_distill.run.errors import DataError, DistillError, MachineError, words_of

_terminations: list[int] = []
"""The SIGTERM that was received, if any."""


def terminate(number: int, _frame: Any) -> None:
    """SIGTERM ends a command as Ctrl-C does: what is under way is waited for and kept."""
    _terminations.append(number)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started by a script with `&`
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)


def interrupted() -> int:
    from mlx_distill.cli.terminal import Terminal

    word = "Ended" if _terminations else "Interrupted"
    Terminal().error(f"{word}. Everything so far is kept; run the same command again to continue.")
    return 143 if _terminations else 130


def failed(error: DistillError, debug: bool, cause: Exception | None = None) -> int:
    """Shows a failure; with --debug, raises it with its traceback instead."""
    from mlx_distill.cli.terminal import Terminal

    if debug:
        raise cause or error
    Terminal().error(f"Error: {error}")
    return error.exit_code


def of_files(error: OSError) -> DataError:
    """A file or disk that failed, with what to do about it."""
    where = f" ({error.filename})" if error.filename else ""
    wrong_path = isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError)
    advice = "check the path" if wrong_path else "make room or check the permissions"
    return DataError(f"{error.strerror or error}{where}: {advice}, then run the same command again.")


def unforeseen(error: Exception) -> DistillError:
    """A failure of the machine, where the exception's text says so; otherwise a fault of this program."""
    from mlx_distill.machine import watchdog

    text = f"{type(error).__name__}: {error}"
    if isinstance(error, RecursionError) or (isinstance(error, ValueError) and "integer string conversion" in text):
        return DataError("The input is nested too deeply, or holds a number of thousands of digits: remove it.")
    if isinstance(error, RuntimeError | MemoryError) and (advice := watchdog.explain(text)):
        return MachineError(advice)
    return DistillError(f"{words_of(error, named=True)}. This is a fault of mlx-distill: report it with --debug.")
