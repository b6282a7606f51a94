"""What the terminal shows of a run's results, as text."""

import io
from typing import Any

from rich.console import Console
from typed import typed

from mlx_distill.cli.terminal import Terminal


def shown(results: dict[str, Any], width: int = 120, colour: bool = False) -> str:
    screen = io.StringIO()
    console = Console(width=width, file=screen, force_terminal=colour, color_system="standard" if colour else None)
    Terminal(console).summary(typed(results), "runs/made-up")
    return screen.getvalue()
