"""The runs of a sweep, one after another, each in a process of its own: what ends one ends no other.

In: a Sweep. Out: run directories. A run is the command `mlx-distill run`, which goes on wherever it stopped; so a sweep
is resumed by doing it again. The trade-off: some seconds a run for starting, for surviving an abort of the GPU and
giving all memory back.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mlx_distill.run.errors import BudgetError, SweepError, UsageError
from mlx_distill.run.folder import LOG, opened
from mlx_distill.run.records import Standing
from mlx_distill.sweep import awake
from mlx_distill.sweep.matrix import Member
from mlx_distill.sweep.members import Sweep, asks_teacher

PROGRAM: tuple[str, ...] = (sys.executable, "-m", "mlx_distill")

ERROR = "Error: "
"""How a run's last words begin, where it knows why it failed."""

IN_USE = "in use by another process"
"""Of a run's folder, as `RunDir.locked` says it."""

Show = Callable[[Sequence[Standing], float | None], None]
"""How all runs stand, and the seconds that are left."""


class View(Protocol):
    def note(self, text: str) -> None: ...
    def sweeping(self) -> contextlib.AbstractContextManager[Show]: ...


@dataclass(frozen=True)
class How:
    """`command`: what every run does, `run` or `collect`. `flags` are added to it. `weights`: how long each run is
    likely to take beside the others, by name, as far as it is known."""

    command: str = "run"
    flags: tuple[str, ...] = ()
    keep_going: bool = True
    weights: Mapping[str, float] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    platform: str = sys.platform


def run_sweep(sweep: Sweep, view: View, how: How) -> None:
    """Raises SweepError when all is tried and some failed, or after the first without `keep_going`."""
    failed: dict[str, int] = {}
    left = [member for member in sweep.mine if not sweep.is_done(member)]
    wanted = [member for member in left if how.command == "run" or asks_teacher(member.config)]
    with awake.awake(how.platform), view.sweeping() as show:
        for member in wanted:  # of a sweep that was killed: two at once would not fit the memory
            _wait_for(sweep, member, view)
        for place, member in enumerate(wanted):
            if code := _Running(sweep, member, wanted[place + 1 :], view, how, show).run():
                failed[member.name] = code
                if not how.keep_going:
                    break
        show(_standings(sweep), None)
    if failed:
        raise SweepError(_failed(sweep, failed))


def _failed(sweep: Sweep, codes: Mapping[str, int]) -> str:
    budget = (
        " Where the budget does not reach, give a larger --max-cost." if BudgetError.exit_code in codes.values() else ""
    )
    return (
        f"{len(codes)} of {len(sweep.matrix.members)} runs failed ({', '.join(codes)}): {sweep.folder}/sweep.md and "
        f"each run's {LOG} say why. The same command tries these again.{budget}"
    )


def _standings(sweep: Sweep, but: Standing | None = None) -> list[Standing]:
    """`but`: the one that runs here, of which nothing has to be looked up."""
    members = sweep.matrix.members
    return [but if but and member.name == but.name else sweep.standing(member) for member in members]


def _wait_for(sweep: Sweep, member: Member, view: View) -> None:
    """A run whose sweep was killed may still be at work: it is not disturbed, and goes on later."""
    announced = False
    while sweep.is_in_hand(member):
        if not announced:
            view.note(f"{sweep.run(member).path} is {IN_USE}: waiting for it.")
        announced = True
        time.sleep(0.5)


@dataclass
class _Running:
    """`after`: what is still to come."""

    sweep: Sweep
    member: Member
    after: Sequence[Member]
    view: View
    how: How
    show: Show
    words: str = ""

    def run(self) -> int:
        """Its exit code. Raises KeyboardInterrupt after a stopped one is marked so."""
        _wait_for(self.sweep, self.member, self.view)
        state = self.sweep.state(self.member)
        if state.state == "done":  # by another process, while this one waited
            return 0
        self._before, self._since = state.seconds, self.how.clock()
        try:
            code = self._attempts()
        except BaseException:
            self._mark("stopped")
            raise
        if code:
            self._mark("failed", _reason(code, self.words), code)
        else:
            self._mark(*(("done", "", 0) if self.how.command == "run" else ("waiting",)))
        return code

    def _seconds(self) -> float:
        return self._before + self.how.clock() - self._since

    def _mark(self, state: str, words: str = "", code: int | None = None) -> None:
        self.sweep.mark(self.member, state, words, self._seconds(), code)

    def _attempts(self) -> int:
        code, taken = self._once(), 1
        while True:
            if code == UsageError.exit_code and IN_USE in self.words:
                _wait_for(self.sweep, self.member, self.view)
            elif taken < awake.ATTEMPTS and awake.was_taken(code, self.words, self.how.platform):
                taken += 1
                message = f"{self.member.name}: the GPU was taken away. The display sleeps now, and the run goes on."
                self.view.note(message)
                awake.relieve()
            else:
                return code
            code = self._once()

    def _once(self) -> int:
        """Its exit code; what it says goes to its log, the last line to the table."""
        self._hear("")
        run, config = self.sweep.run(self.member).path, self.sweep.config_file(self.member)
        command = [*PROGRAM, self.how.command, "--run", str(run), "--config", str(config), *self.how.flags]
        with (
            opened(self.sweep.run(self.member) / LOG, "a") as log,
            _process(command, awake.environment(self.how.platform)) as process,
        ):
            assert process.stdout
            for line in process.stdout:
                log.write(line)
                log.flush()
                if line.strip() and not self.words.startswith(ERROR):
                    self._hear(" ".join(line.split()))
        return process.returncode

    def _hear(self, words: str) -> None:
        self.words = words
        self._mark("running", words)
        me = Standing(self.member.name, "running", words, self._seconds())
        self.show(_standings(self.sweep, me), self._left(me.seconds))

    def _left(self, seconds: float) -> float | None:
        """By what the finished runs took for their weight, where none is known for the mean one; None until one has
        finished."""
        known = self.how.weights
        mean = sum(known.values()) / len(known) if known else 1.0
        done = [(one, state.seconds) for one in self.sweep.mine if (state := self.sweep.state(one)).state == "done"]
        if not sum(took for _, took in done):
            return None
        pace = sum(took for _, took in done) / sum(known.get(one.name, mean) for one, _ in done)
        rest = sum(pace * known.get(one.name, mean) for one in self.after)
        return rest + max(0.0, pace * known.get(self.member.name, mean) - seconds)


def _reason(code: int, words: str) -> str:
    """Its own words, where it found any."""
    if words.startswith(ERROR):
        return words.removeprefix(ERROR)
    ended = f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"{ended}, after: {words}" if words else ended


@contextlib.contextmanager
def _process(command: Sequence[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """In a session of its own, so that Ctrl-C reaches it once: through us, who wait for what it still keeps. A second
    one ends it at once; what was on disk before stays good."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    try:
        yield process
        process.wait()
    except BaseException:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate()  # what it says while it ends; nobody else would empty the pipe
        except BaseException:
            process.kill()
            process.wait()
            raise
        raise
