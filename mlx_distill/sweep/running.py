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
from dataclasses import dataclass
from typing import Protocol

from mlx_distill.errors import SweepError, UsageError
from mlx_distill.records import Standing
from mlx_distill.rundir import RunDir
from mlx_distill.sweep import awake
from mlx_distill.sweep.matrix import Member
from mlx_distill.sweep.members import ELSEWHERE, LOG, Sweep

Show = Callable[[Sequence[Standing], float | None], None]
"""How all runs stand, and the seconds that are left."""


class View(Protocol):
    def note(self, text: str) -> None: ...
    def sweeping(self) -> contextlib.AbstractContextManager[Show]: ...


@dataclass(frozen=True)
class How:
    """`command`: what every run does, `run` or `collect`. `flags` are added to it. `weights`: how long each run is
    likely to take beside the others, by name."""

    command: str = "run"
    flags: tuple[str, ...] = ()
    keep_going: bool = True
    weights: Mapping[str, float] | None = None
    clock: Callable[[], float] = time.monotonic
    platform: str = sys.platform


def run_sweep(sweep: Sweep, view: View, how: How) -> None:
    """Raises SweepError when all is tried and some failed, or after the first without `keep_going`."""
    failed: list[str] = []
    with awake.awake(how.platform), view.sweeping() as show:
        for member in sweep.matrix.members:
            if not sweep.mine(member) or (how.command == "run" and sweep.state(member).state == "done"):
                continue
            if not _Running(sweep, member, view, how, show).run():
                failed.append(member.name)
                if not how.keep_going:
                    break
        show(_standings(sweep), None)
    if failed:
        names = ", ".join(failed)
        raise SweepError(
            f"{len(failed)} of {len(sweep.matrix.members)} runs failed ({names}): {sweep.folder}/sweep.md and each "
            f"run's {LOG} say why. The same command tries these again."
        )


def _standings(sweep: Sweep) -> list[Standing]:
    return [sweep.standing(member) for member in sweep.matrix.members]


@dataclass
class _Running:
    sweep: Sweep
    member: Member
    view: View
    how: How
    show: Show
    words: str = ""

    def run(self) -> bool:
        """Whether it came to its end. Raises KeyboardInterrupt after a stopped one is marked so."""
        before, since = self.sweep.state(self.member).seconds, self.how.clock()
        folder = self.sweep.run(self.member)
        folder.path.mkdir(parents=True, exist_ok=True)
        self._wait_for(folder)

        def seconds() -> float:
            return before + self.how.clock() - since

        self.sweep.mark(self.member, "running", "", before)
        try:
            code = self._attempts(seconds)
        except BaseException:
            self.sweep.mark(self.member, "stopped", "", seconds())
            raise
        if self.how.command == "run" or code:
            self.sweep.mark(self.member, "failed" if code else "done", self.words if code else "", seconds(), code)
        else:
            self.sweep.mark(self.member, "waiting", "", seconds())
        return not code

    def _wait_for(self, folder: RunDir) -> None:
        """A run whose sweep was killed may still be at work: it is not disturbed, and then goes on."""
        told = False
        while True:
            try:
                with folder.locked():
                    return
            except UsageError:
                if not told:
                    self.view.note(f"{folder.path} is in use by another process: waiting for it.")
                told = True
                time.sleep(0.5)

    def _attempts(self, seconds: Callable[[], float]) -> int:
        code = self._once(seconds)
        for _ in range(awake.ATTEMPTS - 1):
            if not awake.was_taken(code, self.how.platform):
                break
            self.view.note(f"{self.member.name}: the GPU was taken away. The display sleeps now, and the run goes on.")
            awake.relieve()
            code = self._once(seconds)
        return code

    def _once(self, seconds: Callable[[], float]) -> int:
        """Its exit code; what it says goes to its log, the last line to the table."""
        self.words = ""
        run, config = self.sweep.run(self.member).path, self.sweep.config_file(self.member)
        command = [sys.executable, "-m", "mlx_distill", self.how.command, "--run", str(run), "--config", str(config)]
        command += self.how.flags
        with (
            (self.sweep.run(self.member) / LOG).open("a", encoding="utf-8") as log,
            _process(command, awake.environment(self.how.platform)) as process,
        ):
            assert process.stdout
            for line in process.stdout:
                log.write(line)
                log.flush()
                if line.strip() and not self.words.startswith("Error:"):
                    self.words = " ".join(line.split())
                    self.show(self._all(seconds()), self._left(seconds()))
        return process.returncode

    def _all(self, seconds: float) -> list[Standing]:
        me = Standing(self.member.name, "running", self.words, seconds)
        return [me if found.name == me.name else found for found in _standings(self.sweep)]

    def _left(self, seconds: float) -> float | None:
        """By what the finished runs took for their weight; None until one has finished."""
        weights = self.how.weights or {}
        found = [one for one in _standings(self.sweep) if one.state != ELSEWHERE]
        done = [one for one in found if one.state == "done" and one.seconds]
        rest = [one for one in found if one.state != "done"]
        if not done:
            return None
        pace = sum(one.seconds for one in done) / sum(weights.get(one.name, 1.0) for one in done)
        whole = {one.name: pace * weights.get(one.name, 1.0) for one in rest}
        return sum(max(0.0, took - (seconds if name == self.member.name else 0.0)) for name, took in whole.items())


@contextlib.contextmanager
def _process(command: Sequence[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """In a session of its own, so that Ctrl-C reaches it once: through us, who wait for what it still keeps."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        yield process
        process.wait()
    except BaseException:
        process.send_signal(signal.SIGINT)
        assert process.stdout
        for _ in process.stdout:  # what it says while it ends; nobody else would empty the pipe
            pass
        process.wait()
        raise
