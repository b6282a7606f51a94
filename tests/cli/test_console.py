"""The terminal: what a training looks like, live and in a file, with the time passed in."""

import dataclasses
import io
import time

import pytest
from rich.console import Console
from tables import every

from mlx_distill.cli import training_panel
from mlx_distill.cli.terminal import REFRESHES, Terminal
from mlx_distill.cli.training_panel import POINTS, WINDOW, Curve, draw, line, sparkline, training_from
from mlx_distill.run.records import StepMetrics

GIB = 2**30
BASE = StepMetrics(0, 0.0, None, None, 0, 0.0, 0.0, GIB, 0.0, valid_loss=1.865, valid_accuracy=0.57)


def step(number: int, loss: float = 2.0, heldout: float | None = None, **changes: float) -> StepMetrics:
    """A step of 2.5 seconds and 400 tokens; ten make an epoch."""
    accuracy = None if heldout is None else 0.6
    row = StepMetrics(number, number / 10, loss, 0.5, 400, 160.0, 2e-4, 5 * GIB // 4, 2.5, heldout, accuracy)
    return dataclasses.replace(row, **changes)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def terminal(*, live: bool, width: int = 80) -> tuple[Terminal, Clock]:
    clock = Clock()
    console = Console(force_terminal=live, width=width, record=True, file=io.StringIO(), highlight=False)
    return Terminal(console, clock=clock), clock


def drawn(rows: list[StepMetrics], elapsed: float = 0.0, over: bool = False, total: int = 40, width: int = 80) -> str:
    console = Console(force_terminal=True, width=width, record=True, file=io.StringIO())
    console.print(draw(training_from(total, rows), elapsed, over))
    return "\n".join(text.rstrip() for text in console.export_text().splitlines())


def interrupted(view: Terminal, rows: list[StepMetrics]) -> None:
    """A training of 40 steps that Ctrl-C ends after these."""
    try:
        with view.training(40) as show:
            for row in rows:
                show(row)
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        return


# ---------------------------------------------------------------- live


def test_a_training_in_80_columns() -> None:
    falling = [step(n, loss=2.5 - n / 20, accuracy=0.5 + n / 100) for n in range(1, 8)]
    rows = [BASE, *falling, step(8, 2.1, 1.711, accuracy=0.58), step(9, 2.05, 1.734, tokens=800, accuracy=0.7)]
    assert drawn(rows, 83.0) == (
        "train     ━━━━━━━━━╸━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━   9/40   1:23   1:18 left\n"
        "          loss            2.230  █▇▆▅▅▄▃▂▁\n"
        "          held-out loss   1.865 base → 1.711 best (step 8) → 1.734 last\n"
        "          token accuracy  0.58 training   0.60 held-out\n"
        "          scored tokens   178/s           learning rate 2.0e-04\n"
        "          peak memory     1.2 GiB         epoch 0.90"
    )


@every("width", [20, 50, 80, 120])
def test_six_rows_in_any_width(width: int) -> None:
    rows = [BASE, *(step(n, 2 + n % 3 / 10, 1.9 - n / 1e4) for n in range(1, 4001))]
    for known_rows in ([], rows[:1], rows[:2], rows[57:60], rows):
        text = drawn(known_rows, 36_000, False, total=12_345, width=width)
        assert len(text.splitlines()) == 6
        assert max(map(len, text.splitlines())) <= width


def test_before_the_first_step_only_the_base_is_known() -> None:
    words = "0/40 0:00 loss – held-out loss – token accuracy – scored tokens – peak memory –"
    assert drawn([]).split() == ["train", "━" * 44, *words.split()]
    text = drawn([BASE])
    for words in (
        "loss            –",
        "1.865 base",
        "0.57 held-out",
        "scored tokens   –",
        "1.0 GiB         epoch 0.00",
        "0/40   0:00",
    ):
        assert words in text
    assert "best" not in text


def test_a_resume_goes_on_from_the_steps_before_it() -> None:
    assert "held-out loss   –" in drawn([step(57)], total=80)
    assert "held-out loss   1.700 best (step 60)" in drawn([step(57), step(60, heldout=1.7)], total=80)
    before = [BASE, *(step(n) for n in range(1, 50)), step(50, heldout=1.7), *(step(n) for n in range(51, 57))]
    view, _ = terminal(live=True)
    with view.training(80, before) as show:
        show(step(57))
        show(step(58, heldout=1.75))
    text = view.console.export_text()
    assert "1.865 base → 1.700 best (step 50) → 1.750 last" in text
    assert "58/80" in text


@every(
    "heldout, words",
    [
        ([1.7], "1.865 base → 1.700 best (step 10)"),
        ([1.7, 1.7], "1.865 base → 1.700 best (step 10) → 1.700 last"),
        ([1.7, 1.6], "1.865 base → 1.600 best (step 20)"),
        ([1.9], "1.865 base → 1.900 last"),
        ([1.9, 1.88], "1.865 base → 1.880 last"),
    ],
)
def test_base_best_and_last(heldout: list[float], words: str) -> None:
    text = drawn([BASE, *(step(10 * n, heldout=loss) for n, loss in enumerate(heldout, 1))])
    assert text.splitlines()[2].strip() == f"held-out loss   {words}"


@pytest.mark.parametrize(("loss", "style"), [(1.9, "[1;31m1.900"), (1.8, "[1m1.800")])
def test_a_student_worse_than_its_base_is_red(loss: float, style: str) -> None:
    console = Console(force_terminal=True, color_system="standard", width=80, file=io.StringIO())
    console.print(draw(training_from(40, [BASE, step(10, heldout=1.7), step(20, heldout=loss)]), 0.0, False))
    assert style in console.file.getvalue()  # type: ignore[attr-defined]


def test_means_are_of_the_last_steps_and_weighted_by_their_tokens() -> None:
    old = [step(n, loss=9.0, accuracy=0.0, seconds=1000.0, tokens=1) for n in range(1, 30)]
    new = [step(29 + n, loss=2.0, accuracy=0.5, tokens=100, seconds=1.0) for n in range(WINDOW - 1)]
    rows = [*old, *new, step(30 + WINDOW, loss=4.0, accuracy=0.7, tokens=WINDOW * 100 - 100, seconds=1.0)]
    training = training_from(110, rows)
    assert training.mean("loss") == pytest.approx(3.0)
    assert training.mean("accuracy") == pytest.approx(0.6)
    assert training.tokens_per_second == pytest.approx(190.0)
    assert training.seconds_left == pytest.approx(110 - 30 - WINDOW)


def test_hours_are_told() -> None:
    text = drawn([step(1, seconds=100.0)], elapsed=3_725.0, total=101)
    assert "1/101  1:02:05  2:46:40 left" in text


def test_what_was_reached_stays_on_the_screen() -> None:
    for reached, word in ((40, "done"), (20, "stopped early")):
        view, clock = terminal(live=True)
        with view.training(40) as show:
            show(BASE)
            show(step(1, heldout=1.8))
            clock.now += 125
            show(step(reached, heldout=1.7))
        shown = view.console.export_text()
        last = shown[shown.rindex("train  ") :].splitlines()
        assert last[0].split("━ ")[-1].split() == [f"{reached}/40", "2:05", *word.split()]
        assert "1.700 best" in last[2]


def test_a_failure_is_no_early_stop() -> None:
    view, _ = terminal(live=True)
    interrupted(view, [step(1)])
    text = view.console.export_text()
    assert "stopped early" not in text
    assert "1/40" in text


def test_it_is_not_drawn_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    view, _ = terminal(live=True)
    drawings = []
    monkeypatch.setattr(training_panel, "draw", lambda *state: drawings.append(state) or draw(*state))
    started = time.monotonic()
    with view.training(2000) as show:
        for number in range(1, 2001):
            show(step(number))
    allowed = REFRESHES * (time.monotonic() - started) + 3  # the first, the last, and one that was due
    assert 1 <= len(drawings) <= allowed
    assert drawings[-1][0].step == 2000


# ---------------------------------------------------------------- the curve


def test_a_sparkline_goes_from_the_lowest_to_the_highest() -> None:
    assert sparkline([1, 2, 3, 4, 5, 6, 7, 8]) == "▁▂▃▄▅▆▇█"
    assert sparkline([0.5, 0.5]) == "▁▁"
    assert sparkline([]) == ""


def test_the_curve_holds_the_whole_training_in_few_points() -> None:
    curve, sums = Curve(), (0.0, 0)
    for number in range(1, 1001):
        loss, tokens = 10 / number, 1 + number % 7
        curve, sums = curve.after(loss, tokens), (sums[0] + loss * tokens, sums[1] + tokens)
        assert len(curve.points) <= POINTS
        assert min(number, POINTS // 2) <= len(curve.losses) == number // curve.stride
        assert all(point[2] == curve.stride for point in curve.points[:-1])
        assert sum(point[2] for point in curve.points) == number
    assert (sum(p[0] for p in curve.points), sum(p[1] for p in curve.points)) == pytest.approx(sums)
    assert curve.losses == sorted(curve.losses, reverse=True)
    assert curve.losses[0] == pytest.approx(
        sum(10 / n * (1 + n % 7) for n in range(1, curve.stride + 1))
        / sum(1 + n % 7 for n in range(1, curve.stride + 1))
    )


# ---------------------------------------------------------------- lines


def run_plain(rows: list[tuple[float, StepMetrics]], total: int, *earlier: StepMetrics) -> list[str]:
    """The lines that a file gets of rows at these seconds."""
    view, clock = terminal(live=False)
    with view.training(total, earlier) as show:
        for at, row in rows:
            clock.now = 1000.0 + at
            show(row)
    return view.console.export_text().splitlines()


def test_a_line_says_what_its_step_measured() -> None:
    assert line(BASE, 16) == "train     0/16  held-out loss 1.865"
    assert line(step(8, 1.926, 1.734, accuracy=0.59, tokens_per_second=1590.4), 1600) == (
        "train     8/1,600  loss 1.926  accuracy 0.59  1,590 tok/s  1.2 GiB  held-out loss 1.734"
    )


def test_a_file_gets_a_line_every_ten_seconds_every_held_out_loss_and_the_last() -> None:
    rows = [(2.5 * n, step(n)) for n in range(1, 6)]
    lines = run_plain([(0.0, BASE), *rows, (15.0, step(6, heldout=1.7)), (17.5, step(7)), (20.0, step(8))], 100)
    assert [text.split()[1] for text in lines] == ["0/100", "4/100", "6/100", "8/100"]
    assert lines[0] == "train     0/100  held-out loss 1.865"
    assert lines[1] == "train     4/100  loss 2.000  accuracy 0.50  160 tok/s  1.2 GiB  4 min left"
    assert lines[2].endswith("1.2 GiB  held-out loss 1.700  4 min left")


def test_the_last_line_comes_once() -> None:
    assert len(run_plain([(0.0, step(1)), (10.0, step(2))], 2)) == 2
    assert run_plain([], 2) == []


def test_the_last_line_comes_after_a_failure_too() -> None:
    view, _ = terminal(live=False)
    interrupted(view, [step(1), step(2)])
    assert [text.split()[1] for text in view.console.export_text().splitlines()] == ["1/40", "2/40"]


def test_earlier_steps_are_not_told_again() -> None:
    lines = run_plain([(0.0, step(57, seconds=60.0))], 60, BASE, step(56, seconds=100.0))
    assert lines == ["train     57/60  loss 2.000  accuracy 0.50  160 tok/s  1.2 GiB  4 min left"]


def lines_of(updates: list[tuple[float, int]], total: int) -> list[str]:
    view, clock = terminal(live=False)
    with view.tracking("generate", total) as update:
        for at, done in updates:
            clock.now = 1000.0 + at
            update(done, "base")
    return view.console.export_text().splitlines()


def test_other_stages_keep_the_same_pace() -> None:
    lines = lines_of([(0, 0), (9.9, 1), (10, 2), (19, 3), (20, 4), (21, 56), (22, 56)], 56)
    assert lines == [
        "generate  0/56  base",
        "generate  2/56  base  4 min left",
        "generate  4/56  base  4 min left",
        "generate  56/56  base",
    ]
