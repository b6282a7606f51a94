"""The live table of a sweep: every run and its state, on any terminal, and what a file gets instead."""

from __future__ import annotations

import io
import itertools

from rich.cells import cell_len
from rich.console import Console
from tables import every

from mlx_distill.cli.sweep_board import Board, standings
from mlx_distill.cli.terminal import Terminal
from mlx_distill.run.records import Standing

RUNS = [
    Standing("terse-0.0003", "done", "", 125.0),
    Standing("terse-0.003", "failed", "The loss of step 3 is nan: lower the learning rate.", 12.0),
    Standing("full-0.0003", "running", "train 40/100 loss 1.234 accuracy 0.60 400 tok/s", 50.0),
    Standing("full-0.003", "stopped", "train 3/100", 7.0),
    Standing("more-0.0003", "left to another shard"),
    Standing("more-0.003", "waiting"),
]


def shown(
    found: list[Standing], width: int = 100, height: int = 40, left: float | None = 600.0, passed: float = 0
) -> list[str]:
    screen = io.StringIO()
    Console(width=width, height=height, file=screen, force_terminal=False).print(
        standings(found, left, passed, (width, height))
    )
    return screen.getvalue().splitlines()


def many(running: int, count: int = 60) -> list[Standing]:
    return [
        Standing(f"run-{i:02}", "running" if i == running else "done" if i < running else "waiting")
        for i in range(count)
    ]


def test_each_run_has_its_state_its_time_and_what_it_does() -> None:
    text = shown(RUNS, 120)
    assert text[0].rstrip() == (
        "1 done, 1 failed, 1 running, 1 stopped, 1 left to another shard, 1 waiting  ·  10.0 min left"
    )
    lines = {line.split()[0]: " ".join(line.split()) for line in text[2:] if line.strip() and "─" not in line}
    assert lines["terse-0.0003"] == "terse-0.0003 ✓ done 2.1 min"
    assert lines["terse-0.003"] == "terse-0.003 ✗ failed 12 s The loss of step 3 is nan: lower the learning rate."
    assert lines["full-0.0003"] == "full-0.0003 ▸ running 50 s train 40/100 loss 1.234 accuracy 0.60 400 tok/s"
    assert lines["full-0.003"] == "full-0.003 ■ stopped 7 s"
    assert lines["more-0.0003"] == "more-0.0003 · elsewhere"
    assert lines["more-0.003"] == "more-0.003 · waiting"


def test_clocks_go_on_while_nothing_arrives() -> None:
    later = "\n".join(shown(RUNS, passed=5.0))
    assert "55 s" in later
    assert "9.9 min left" in later
    assert "2.1 min" in later
    assert "0 s left" in "\n".join(shown(RUNS, left=3.0, passed=60.0))
    assert "left" not in shown(RUNS[:4], left=None)[0]


def test_the_board_counts_from_the_last_news() -> None:
    now = [100.0]
    board = Board(lambda: now[0])
    board.show(RUNS, 600.0)
    now[0] += 10
    screen = io.StringIO()
    Console(width=100, file=screen).print(board)
    assert "60 s" in screen.getvalue() or "1.0 min" in screen.getvalue()


@every("width", [30, 40, 60, 80, 200])
def test_on_a_narrow_terminal_rows_are_cut_and_the_state_stays(width: int) -> None:
    text = shown([*RUNS, Standing("a-very-long-name" * 6, "running", "x" * 300, 5.0)], width)
    assert all(cell_len(line) <= width for line in text)
    rows = [line for line in text if "▸" in line or "✗" in line or "✓" in line]
    assert len(rows) == 4
    assert all(word in "\n".join(rows) for word in ("running", "failed", "done"))


@every("height, running", itertools.product([8, 12, 24, 50, 200], [0, 30, 59]))
def test_of_many_runs_those_around_the_running_one_have_room(height: int, running: int) -> None:
    text = shown(many(running), height=height)
    assert len(text) <= max(height, 9)
    assert any(f"run-{running:02}" in line and "running" in line for line in text)
    hidden = 60 - sum("run-" in line for line in text)
    assert f"{hidden} more" in "\n".join(text) if hidden else "more" not in "\n".join(text)


def test_where_nothing_runs_the_last_ones_are_shown() -> None:
    found = [Standing(f"run-{i:02}", "done", "", 5.0) for i in range(60)]
    assert "run-59" in "\n".join(shown(found, height=12))
    assert shown([])


def test_no_name_and_no_word_acts_on_the_screen() -> None:
    nasty = "a\x1b[31mb\u202ec\nd\re [bold]f[/bold]"
    text = shown([Standing("run", "running", nasty), Standing("other", "failed", nasty)], 200)
    assert not any(character in "".join(text) for character in "\x1b\u202e\r")
    assert sum("[bold]f[/bold]" in line and "d" in line for line in text) == 2


def test_a_file_gets_a_line_for_every_news() -> None:
    screen = io.StringIO()
    view = Terminal(Console(file=screen, width=200, highlight=False))
    with view.sweeping() as show:
        show(RUNS, 600.0)
        show(RUNS, 600.0)
        show([*RUNS[:5], Standing("more-0.003", "done", "", 5.0)], None)
    lines = screen.getvalue().splitlines()
    assert len(lines) == len(set(lines))
    assert lines[0] == "terse-0.0003  done"
    assert lines[1] == "terse-0.003  failed: The loss of step 3 is nan: lower the learning rate."
    assert lines[2].startswith("full-0.0003  running: train 40/100")
    assert lines[-1] == "more-0.003  done"


def test_a_terminal_gets_a_table_that_stays() -> None:
    screen = io.StringIO()
    view = Terminal(Console(file=screen, width=100, height=30, force_terminal=True, color_system="standard"))
    with view.sweeping() as show:
        show(RUNS, 600.0)
    assert "▸ running" in screen.getvalue()
    assert "\x1b[1;31m" in screen.getvalue()
