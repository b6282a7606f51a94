"""How a sweep runs its runs: what fails, what is stopped, what is killed, and what it says meanwhile.

A small program stands for `mlx-distill run`; test_kills is about the real one.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sweeping import OTHER_PROGRAM, Watcher, program, starts, states, three
from tables import every

from mlx_distill.machine.watchdog import LESS_MEMORY
from mlx_distill.run.errors import SweepError
from mlx_distill.sweep import running
from mlx_distill.sweep.members import Sweep
from mlx_distill.sweep.running import How, run_sweep

Run = Callable[..., Watcher]
PLAIN = How()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the sweep with a program; the words of the failure, if any, are the last note."""

    def start(sweep: Sweep, body: str, how: How = PLAIN) -> Watcher:
        monkeypatch.setattr(running, "PROGRAM", (sys.executable, str(program(tmp_path, body))))
        sweep.write("", None)
        watcher = Watcher()
        try:
            run_sweep(sweep, watcher, how)
        except SweepError as error:
            watcher.notes.append(str(error))
        return watcher

    return start


FAILS = "say('working'); name == '2' and sys.exit(say('Error: the disk is full') or 3); done()"


def test_a_failing_run_is_marked_with_its_reason_and_the_others_go_on(tmp_path: Path, run: Run) -> None:
    sweep = three(tmp_path)
    watcher = run(sweep, FAILS)
    assert states(sweep) == {"1": ("done", ""), "2": ("failed", "the disk is full"), "3": ("done", "")}
    assert watcher.notes[-1].startswith("1 of 3 runs failed (2): ")
    assert f"{sweep.folder}/sweep.md" in watcher.notes[-1]
    assert "working" in (sweep.run(sweep.matrix.members[1]) / "run.log").read_text()
    last, left = watcher.shown[-1]
    assert ([one.state for one in last], left) == (["done", "failed", "done"], None)


def test_again_starts_only_what_failed(tmp_path: Path, run: Run) -> None:
    sweep = three(tmp_path)
    run(sweep, FAILS)
    watcher = run(sweep, "done()")
    assert starts(sweep) == [1, 2, 1]
    assert {state for state, _ in states(sweep).values()} == {"done"}
    assert watcher.notes == []
    run(sweep, "done()")
    assert starts(sweep) == [1, 2, 1]


def test_without_keep_going_it_ends_after_the_first(tmp_path: Path, run: Run) -> None:
    sweep = three(tmp_path)
    run(sweep, FAILS, How(keep_going=False))
    assert starts(sweep) == [1, 1, 0]
    assert states(sweep)["3"] == ("waiting", "")


def test_a_run_whose_results_are_gone_is_made_again(tmp_path: Path, run: Run) -> None:
    sweep = three(tmp_path)
    run(sweep, "done()")
    (sweep.run(sweep.matrix.members[1]) / "results.json").unlink()
    assert states(sweep)["2"][0] == "waiting"
    run(sweep, "done()")
    assert starts(sweep) == [1, 2, 1]


def test_another_setting_or_another_file_is_another_run(tmp_path: Path, run: Run) -> None:
    data = tmp_path / "chat.jsonl"
    data.write_text("{}\n")
    text = f'[training]\ndata = "{data}"\n[axes]\n"training.rank" = [1, 2]\n'
    sweep = three(tmp_path, text=text)
    run(sweep, "done()")
    run(three(tmp_path, text=f"[collect]\nconcurrency = 3\n{text}"), "done()")
    assert starts(sweep) == [1, 1]
    run(three(tmp_path, text=text.replace("[1, 2]", "[1, 2, 3]")), "done()")
    assert starts(sweep) == [1, 1]
    data.touch()
    run(sweep, "done()")
    assert starts(sweep) == [1, 1]
    data.write_text("{ }\n")
    run(sweep, "done()")
    assert starts(sweep) == [2, 2]
    run(three(tmp_path, text=f"{text}[comparison]\nstrength = 0.5\n"), "done()")
    assert starts(sweep) == [3, 3]


@every(
    "body, words",
    [
        ("say('step 3'); os.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL, after: step 3"),
        ("os.abort()", "ended by SIGABRT"),
        ("sys.exit(5)", "exit code 5"),
        ("say('Error: no'); say('something else'); sys.exit(1)", "no"),
        ("sys.stdout.buffer.write(b'Error: \\xff \\xe2\\x86\\x92' + bytes([10])); sys.exit(1)", "\ufffd →"),
    ],
)
def test_the_reason_is_the_runs_own_words_or_how_it_ended(tmp_path: Path, run: Run, body: str, words: str) -> None:
    sweep = three(tmp_path)
    run(sweep, body, How(keep_going=False))
    assert states(sweep)["1"] == ("failed", words)


def test_where_the_budget_does_not_reach_it_is_said(tmp_path: Path, run: Run) -> None:
    sweep = three(tmp_path)
    watcher = run(sweep, "name != '2' and sys.exit(say('Error: Stopped at $0.03') or 5); done()")
    assert "the budget does not reach" in watcher.notes[-1]
    assert "--max-cost" in watcher.notes[-1]


def test_collecting_leaves_the_runs_waiting_and_done_ones_alone(tmp_path: Path, run: Run) -> None:
    sweep = three(tmp_path)
    run(sweep, FAILS)
    run(sweep, "say('asking')", How(command="collect"))
    assert starts(sweep) == [1, 2, 1]
    assert [state for state, _ in states(sweep).values()] == ["done", "waiting", "done"]
    assert (sweep.run(sweep.matrix.members[1]) / "started").read_text().splitlines()[-1].startswith("collect ")


# ---------------------------------------------------------------- what is shown


def test_the_time_left_goes_by_what_finished_runs_took_for_their_weight(tmp_path: Path, run: Run) -> None:
    ticks = iter(range(0, 10_000))
    clock = lambda: 10.0 * next(ticks)  # noqa: E731
    shown = run(three(tmp_path), "say(name); done()", How(weights={"1": 2.0, "3": 4.0}, clock=clock)).shown
    assert [one.words for found, _ in shown for one in found if one.state == "running"] == ["", "1", "", "2", "", "3"]
    assert [left for _, left in shown[:2]] == [None, None]
    took, second = (next(one.seconds for one in shown[2][0] if one.name == name) for name in "12")
    left = [found for _, found in shown[2:6] if found is not None]
    assert left[0] == pytest.approx(took / 2 * (3.0 + 4.0) - second)  # of the second no weight is known: the mean
    assert len(left) == 4
    assert 0 <= left[3] < left[0]


def test_seconds_add_up_over_attempts(tmp_path: Path, run: Run) -> None:
    sweep = three(tmp_path)
    member = sweep.matrix.members[0]
    sweep.mark(member, "stopped", "", 1000.0)
    ticks = itertools.count()
    run(sweep, "done()", How(clock=lambda: 10.0 * next(ticks)))
    seconds = sweep.state(member).seconds
    assert seconds > 1000
    assert seconds % 10 == 0


# ---------------------------------------------------------------- other processes


def test_what_was_running_is_stopped_unless_a_process_has_it(tmp_path: Path) -> None:
    sweep = three(tmp_path)
    member = sweep.matrix.members[0]
    sweep.mark(member, "running", "step 3", 5.0)
    assert states(sweep)["1"] == ("stopped", "step 3")
    with sweep.run(member).locked():
        assert states(sweep)["1"] == ("running", "step 3")
    assert states(sweep)["1"] == ("stopped", "step 3")


@contextlib.contextmanager
def holding(sweep: Sweep, place: int, seconds: float, after: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Another process has a run's folder for a while."""
    folder = str(sweep.run(sweep.matrix.members[place]).path)
    script = "import sys, time; from pathlib import Path; from mlx_distill.run.folder import RunDir\n"
    script += "with RunDir(Path(sys.argv[1])).locked(): print(1, flush=True); time.sleep(float(sys.argv[2]))"
    process = subprocess.Popen([sys.executable, "-c", script, folder, str(seconds)], stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    timer = threading.Timer(seconds / 2, after)
    timer.start()
    yield
    timer.join()
    process.wait()
    process.stdout.close()


def test_a_run_that_another_process_has_is_waited_for(tmp_path: Path, run: Run) -> None:
    sweep = three(tmp_path)
    with holding(sweep, 2, 1.5):
        watcher = run(sweep, "done()")
    assert starts(sweep) == [1, 1, 1]
    assert [note.endswith("is in use by another process: waiting for it.") for note in watcher.notes] == [True]


def test_what_another_process_has_done_meanwhile_is_not_started(tmp_path: Path, run: Run) -> None:
    sweep = three(tmp_path)
    member = sweep.matrix.members[1]

    def finish() -> None:
        sweep.run(member).write_json("results.json", {"run": {}})
        sweep.mark(member, "done", "", 1.0, 0)

    with holding(sweep, 1, 1.5, finish):
        run(sweep, "done()")
    assert starts(sweep) == [1, 0, 1]


def test_a_run_that_met_another_process_at_its_start_is_started_again(tmp_path: Path, run: Run) -> None:
    sweep = three(tmp_path)
    words = "Error: sweeps/x/1 is in use by another process: wait for it, or choose another --run."
    run(sweep, f"times == 1 and sys.exit(say({words!r}) or 2); done()")
    assert starts(sweep) == [2, 2, 2]
    assert {state for state, _ in states(sweep).values()} == {"done"}


# ---------------------------------------------------------------- signals

WORKS = """
from mlx_distill.run.folder import RunDir

def ended(number, frame):
    (run / "ended").write_text(str(number))
    say("kept")
    sys.exit(143)
signal.signal(signal.SIGTERM, ended)
with RunDir(run).locked():
    say("working")
    time.sleep(60)
"""


@contextlib.contextmanager
def begun(folder: Path, body: str) -> Iterator[subprocess.Popen[str]]:
    """The command line, as soon as its first run works."""
    environment = os.environ | {"SWEEP_PROGRAM": str(program(folder, body))}
    process = subprocess.Popen(
        [sys.executable, str(OTHER_PROGRAM), "sweep", "three.toml"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    for line in process.stdout:
        if "working" in line:
            break
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Ended")]
)
def test_the_run_in_hand_ends_cleanly_with_the_sweep(tmp_path: Path, number: int, code: int, word: str) -> None:
    sweep = three(tmp_path)
    with begun(tmp_path, WORKS) as process:
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, word in err, "Traceback" in err) == (code, True, False)
    assert (sweep.folder / "1" / "ended").read_text() == str(int(signal.SIGTERM))
    assert [state for state, _ in states(sweep).values()] == ["stopped", "waiting", "waiting"]
    assert json.loads((sweep.folder / "1/sweep-run.json").read_text())["state"] == "stopped"
    assert json.loads((sweep.folder / "sweep.json").read_text())["runs"][0]["state"] == "stopped"
    assert not sweep.is_in_hand(sweep.matrix.members[0])


@pytest.mark.long
def test_a_second_interrupt_ends_a_run_that_does_not_end(tmp_path: Path) -> None:
    sweep = three(tmp_path)
    stubborn = WORKS.replace("sys.exit(143)", "time.sleep(60)")
    with begun(tmp_path, stubborn) as process:
        process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + 60
        while not (sweep.folder / "1" / "ended").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert not sweep.is_in_hand(sweep.matrix.members[0])
    assert states(sweep)["1"][0] == "stopped"


@pytest.mark.long
def test_a_killed_sweep_leaves_a_run_that_the_next_one_waits_for(tmp_path: Path, run: Run) -> None:
    sweep = three(tmp_path)
    with begun(tmp_path, WORKS.replace("60", "2 if times == 1 else 0") + "done()") as process:
        process.kill()
        process.wait()
        assert states(sweep)["1"][0] == "running"
    watcher = run(sweep, WORKS.replace("60", "0") + "done()")
    assert watcher.notes[0].endswith("is in use by another process: waiting for it.")
    assert {state for state, _ in states(sweep).values()} == {"done"}


# ---------------------------------------------------------------- a Mac


@pytest.fixture
def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that fake `caffeinate` and `pmset` write to."""
    for name, more in (("caffeinate", "exec sleep 60"), ("pmset", "")):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/{name}\necho $$ > {tmp_path}/{name}.pid\n{more}\n')
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path


MAC = How(platform="darwin")
SAYS_SO = "(run / 'env').write_text(os.environ.get('AGX_RELAX_CDM_CTXSTORE_TIMEOUT', '')); time.sleep(0.3);"


def test_a_mac_is_kept_awake_as_long_as_the_sweep_runs(mac: Path, run: Run) -> None:
    sweep = three(mac)
    run(sweep, f"{SAYS_SO} done()", MAC)
    assert (mac / "caffeinate").read_text() == f"-is -w {os.getpid()}\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int((mac / "caffeinate.pid").read_text()), 0)
    assert (sweep.folder / "1" / "env").read_text() == "1"
    assert not (mac / "pmset").exists()


@pytest.mark.parametrize("end", ["sys.exit(6)", "os.abort()"])
def test_where_the_gpu_is_taken_the_display_sleeps_and_the_run_goes_on(mac: Path, run: Run, end: str) -> None:
    sweep = three(mac)
    watcher = run(sweep, f"if times < 3: {end}\ndone()", MAC)
    assert starts(sweep) == [3, 3, 3]
    assert (mac / "pmset").read_text().splitlines() == ["displaysleepnow"] * 6
    assert {state for state, _ in states(sweep).values()} == {"done"}
    assert watcher.notes[0].startswith("1: the GPU was taken away.")


def test_three_attempts_are_the_most(mac: Path, run: Run) -> None:
    sweep = three(mac)
    run(sweep, "sys.exit(6)", How(platform="darwin", keep_going=False))
    assert starts(sweep) == [3, 0, 0]
    assert states(sweep)["1"] == ("failed", "exit code 6")


@pytest.mark.parametrize(
    "body", ["sys.exit(3)", "os.kill(os.getpid(), 9)", f"say('Error: {LESS_MEMORY}'); sys.exit(6)"]
)
def test_what_would_fail_again_is_not_attempted_again(mac: Path, run: Run, body: str) -> None:
    sweep = three(mac)
    run(sweep, body, How(platform="darwin", keep_going=False))
    assert starts(sweep) == [1, 0, 0]
    assert not (mac / "pmset").exists()


def test_without_caffeinate_or_pmset_it_runs_all_the_same(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    sweep = three(tmp_path)
    run(sweep, "if times < 2: sys.exit(6)\ndone()", MAC)
    assert starts(sweep) == [2, 2, 2]


def test_elsewhere_nothing_is_called(mac: Path, run: Run) -> None:
    sweep = three(mac)
    run(sweep, f"{SAYS_SO} sys.exit(6)", How(platform="linux", keep_going=False))
    assert starts(sweep) == [1, 0, 0]
    assert (sweep.folder / "1" / "env").read_text() == ""
    assert not (mac / "caffeinate").exists()
