"""The command line, of which a sweep starts another program for each run: the one that SWEEP_PROGRAM names."""

import os
import sys

from mlx_distill import cli
from mlx_distill.sweep import running

if __name__ == "__main__":
    running.PROGRAM = (sys.executable, os.environ["SWEEP_PROGRAM"])
    cli.main()
