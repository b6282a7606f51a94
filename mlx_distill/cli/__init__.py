"""The command line: parses, wires, and turns errors into one line and an exit code. No logic.

In: what was typed. Out: a command's work, and its exit code. Everything heavy is imported inside the commands, so that
--help answers at once.
"""

from __future__ import annotations

import io
import signal
import sys

import click
import cloup

from mlx_distill import __version__
from mlx_distill.cli import commands, failures, lookups
from mlx_distill.run.errors import DistillError

PROGRAM = "mlx-distill"

COMPLETION = """Shell completion: add `eval "$(_MLX_DISTILL_COMPLETE=bash_source mlx-distill)"` to ~/.bashrc (zsh_source
for zsh, fish_source for fish)."""


@cloup.group(
    context_settings=cloup.Context.settings(help_option_names=["-h", "--help"], max_content_width=110),
    epilog=COMPLETION,
)
@click.version_option(__version__, prog_name=PROGRAM)
@cloup.option("--debug", is_flag=True, help="show a traceback when something fails")
def cli(debug: bool) -> None:
    """Distil a large teacher model into a small student, and find out honestly whether it got better.

    Run the same command again to continue where it stopped.

    Exit codes: 0 done, 2 invalid command or configuration, 3 data, 4 teacher, 5 budget, 6 the machine (out of memory,
    or the GPU was taken away), 7 the gate said no (--gate), 8 a run of a sweep failed, 130 interrupted, 143 ended.
    """


for title, listed in (("Make a run", commands.COMMANDS), ("Look at runs", lookups.COMMANDS)):
    cli.section(title, *listed)


def main() -> None:
    """The console script: every known failure is one line on stderr and an exit code."""
    debug = "--debug" in sys.argv
    replace_unwritable_characters()
    signal.signal(signal.SIGTERM, failures.terminate)
    try:
        cli.main(prog_name=PROGRAM, standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(failures.interrupted())
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(failures.interrupted())
    except DistillError as error:
        sys.exit(failures.failed(error, debug))
    except OSError as error:
        sys.exit(failures.failed(failures.of_files(error), debug))
    except Exception as error:
        sys.exit(failures.failed(failures.unforeseen(error), debug, error))


def replace_unwritable_characters() -> None:
    """A terminal or pipe that is not UTF-8 gets question marks, and no command fails because of it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
