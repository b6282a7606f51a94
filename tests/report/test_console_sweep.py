"""A sweep in the terminal: every run, what failed and why, and the findings where eyes are."""

import io

import pytest
from rich.console import Console
from swept import SWEEPS, study
from typed import typed_sweep

from mlx_distill.report.sections.sweep_words import headline
from mlx_distill.report.terminal_sweep import sweep


def shown(found: dict, width: int = 120, colour: bool = False) -> str:  # type: ignore[type-arg]
    screen = io.StringIO()
    console = Console(width=width, file=screen, force_terminal=colour, color_system="standard" if colour else None)
    for part in sweep(typed_sweep(found), "sweeps/study-2", width):
        console.print(part)
    return screen.getvalue()


def test_the_findings_come_last_losses_first() -> None:
    text = shown(study(), 200)
    parts = [
        "Sweep study-2: 8 done, 1 failed, 1 waiting; 271.8 min, $4.10",
        "✗ sonnet-code-qwen2.5-3b failed: The loss",
    ]
    parts += ["! r1-math-qwen2.5-7b, IFEval: distilled: 14 of", "! No difference shown does not mean none."]
    parts += ["9 worse, 1 better of 24 cells (Holm", "▼ r1-math-qwen2.5-7b is worse on MBPP+: 75.7 → 57.0 %"]
    parts += ["▲ r1-math-qwen2.5-7b is better on MATH-500", "sweeps/study-2/sweep.md, sweep.html"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_a_row_says_what_a_run_came_to() -> None:
    lines = shown(study()).splitlines()
    first, base, failed = (
        next(line for line in lines if line.strip().startswith(name))
        for name in ("r1-math-qwen2.5-7b", "r1-math-llama-3.2-3b", "sonnet-code-qwen2.5-3b")
    )
    for word in ("done", "300 × 0.25", "1.312 → 1.020", "30.2 min", "$0.42", "+7.4 [+4.0, +10.8]", "mixed"):
        assert word in first
    assert " base " in base
    assert "-40.0 [-46.1, -33.9]" in base
    assert "failed" in failed


def test_losses_gains_and_failures_have_their_colours() -> None:
    text = shown(study(), 200, colour=True)
    assert "\x1b[1;31m  ▼ \x1b[0m" in text
    assert "\x1b[32m  ▲ \x1b[0m" in text
    assert "\x1b[1;31m✗ sonnet-code-qwen2.5-3b failed: \x1b[0m" in text
    assert "\x1b[33m! No difference" in text


@pytest.mark.parametrize("name", SWEEPS)
def test_sweeps_of_every_kind_are_shown_in_the_reports_words(name: str) -> None:
    text = shown(SWEEPS[name](), 200)
    assert headline(typed_sweep(SWEEPS[name]())) in text
    assert "None" not in text.replace("mean none", "")
    assert "\u202e" not in text


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit(width: int) -> None:
    table = shown(study(), width).split("own domain: its")[0]
    assert max(len(line.rstrip()) for line in table.splitlines()) <= width
    for run in study()["runs"]:
        assert run["name"] in table
    assert "-40.0 [-46.1, -33.9]" in table


def test_names_cannot_act() -> None:
    found = study()
    found["runs"][7].update(name="\x1b[31m[bold]x[/bold]", why="a\n\x07b\r\nc")
    text = shown(found, 200)
    assert "\ufffd[31m[bold]x[/bold] failed: a \ufffdb c" in text
    assert "\x07" not in text
