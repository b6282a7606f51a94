"""Attacks: nothing gets out, nothing hangs and nothing is left, at each level that this machine offers."""

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import missing

from mlx_distill import sandbox
from mlx_distill.sandbox import Level, Limits, Outcome, enter, watch

SHORT = Limits(seconds=3)


def works(level: Level) -> bool:
    return sandbox._run(level, "print(1)", (), Limits()).result == 1


@pytest.fixture(params=["namespaces", "seatbelt"] if os.geteuid() == 0 else ["namespaces", "bubblewrap", "seatbelt"])
def level(request: pytest.FixtureRequest) -> Level:
    chosen: Level = request.param
    if (chosen == "seatbelt") != (os.uname().sysname == "Darwin"):
        pytest.skip("another system's sandbox")
    if chosen not in enter.candidates() or not works(chosen):
        missing(f"this machine offers no {chosen}")
    return chosen


@pytest.fixture(params=["sandboxed", "open"])
def any_level(request: pytest.FixtureRequest) -> Level:
    """What holds without a sandbox too: the parent's watch, on which macOS depends."""
    if request.param == "sandboxed" and sandbox.level() == "none":
        missing("this machine offers no sandbox")
    return sandbox.level() if request.param == "sandboxed" else "none"


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    monkeypatch.setattr(watch, "MARK", f"MLX_DISTILL_SANDBOX_{tmp_path.name.upper()}")  # other tests run beside it
    (tmp_path / "t").mkdir()
    yield
    assert list((tmp_path / "t").iterdir()) == []
    assert [process for process in psutil.process_iter() if watched(process)] == []


def watched(process: psutil.Process) -> bool:
    try:
        return watch.MARK in process.environ()
    except (psutil.Error, OSError):
        return False


def run(level: Level, code: str, limits: Limits = SHORT, task: Any = None) -> Outcome:
    return sandbox._run(level, code, (task,), limits)


def told(level: Level, code: str, value: str) -> Any:
    outcome = run(level, f"import json\n{code}\nprint(json.dumps({value}))")
    assert outcome.ended == "ok", outcome
    return outcome.result


# ---------------------------------------------------------------- what it is for


def test_a_program_reads_its_tasks_and_prints_a_result(level: Level) -> None:
    program = "import json\nprint(json.dumps(json.loads(input()) + json.loads(input())))"
    assert sandbox._run(level, program, (41, 1), SHORT) == Outcome("ok", "", 42, level)


def test_an_error_is_told_by_its_last_line(any_level: Level) -> None:
    outcome = run(any_level, "raise ValueError('seven')")
    assert (outcome.ended, outcome.detail, outcome.result) == ("failed", "ValueError: seven", None)


def test_temporary_files_processes_and_exit_are_there(level: Level) -> None:
    code = (
        "import multiprocessing, tempfile\n"
        "with tempfile.TemporaryFile() as file: file.write(b'x')\n"
        "def work(queue): queue.put(5)\n"
        "if __name__ == '__main__':\n"
        "    queue = multiprocessing.get_context('fork').Queue()\n"
        "    multiprocessing.get_context('fork').Process(target=work, args=(queue,)).start()\n"
        "    print(queue.get()); exit(0)"
    )
    assert run(level, code) == Outcome("ok", "", 5, level)


# ---------------------------------------------------------------- getting out


def test_no_environment_holds_the_key(level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-" + "planted")
    code = (
        "import os, glob\nseen = [dict(os.environ)]\n"
        f"for path in [*glob.glob('/proc/*/environ'), '/proc/{os.getpid()}/environ', '/proc/1/environ']:\n"
        "    try: seen.append(open(path, 'rb').read().decode(errors='replace'))\n"
        "    except OSError: pass"
    )
    assert "planted" not in str(told(level, code, "seen"))


def test_the_environment_is_empty_in_the_open_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-" + "planted")
    assert "planted" not in str(told("none", "import os", "dict(os.environ)"))


def connects(address: Any, family: str = "AF_INET", kind: str = "SOCK_STREAM") -> str:
    return (
        f"import socket\nopened = socket.socket(socket.{family}, socket.{kind})\nopened.settimeout(1)\n"
        f"try:\n    opened.connect({address!r}); opened.send(b'x'); out = 'sent'\n"
        "except OSError as error:\n    out = type(error).__name__"
    )


def test_no_connection_leaves(level: Level, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    places = [("AF_INET", ("127.0.0.1", 0)), ("AF_UNIX", path)]
    places += [("AF_UNIX", "\0mlx-distill-test")] if os.uname().sysname == "Linux" else []
    for family, address in places:
        with socket.socket(getattr(socket, family), socket.SOCK_STREAM) as server:
            server.bind(address)
            server.listen()
            assert told(level, connects(server.getsockname(), family), "out") != "sent"
            accepted = told("none", connects(server.getsockname(), family), "out")
            assert accepted == "sent"  # so the test can tell


def test_no_datagram_leaves(level: Level) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.2)
        run(level, connects(server.getsockname(), kind="SOCK_DGRAM"))
        with pytest.raises(TimeoutError):
            server.recv(1)


def test_home_and_project_cannot_be_read_and_nothing_outside_written(level: Level, tmp_path: Path) -> None:
    (tmp_path / "private").write_text("mine")
    places = [str(tmp_path / "private"), str(Path.home() / ".bashrc"), str(Path(__file__)), "/etc/passwd"]
    outside = [
        str(tmp_path / "new"),
        "/usr/evil",
        "/evil",
        "/etc/evil",
        "/dev/evil",
        f"{sys.base_prefix}/evil",
    ]
    code = (
        "import os\nfound, written = [], []\n"
        f"for path in {places!r}:\n"
        "    os.symlink(path, 'link')\n"
        "    for name in (path, 'link'):\n"
        "        try: found.append(open(name).read())\n"
        "        except OSError: pass\n"
        "    os.unlink('link')\n"
        f"for path in {outside!r}:\n"
        "    os.symlink(path, 'link')\n"
        "    for name in (path, 'link'):\n"
        "        try:\n            open(name, 'w').write('x'); written.append(path)\n"
        "        except OSError: pass\n"
        "    os.unlink('link')\n"
    )
    assert told(level, code, "[found, written]") == [[], []]
    assert not any(Path(path).exists() for path in outside)


def test_no_other_process_can_be_signalled(level: Level) -> None:
    code = (
        "import os, signal\nreached = []\n"
        f"for pid in {[os.getpid(), os.getppid()]!r}:\n"
        "    try: os.kill(pid, 0); reached.append(pid)\n"
        "    except OSError: pass\n"
    )
    assert told(level, code, "reached") == []


def test_killing_the_parent_ends_the_program_alone(level: Level) -> None:
    outcome = run(
        level, "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nos.kill(-1, 9)\nraise SystemExit(3)"
    )
    assert outcome.ended == "failed"
    assert outcome.result is None


def test_no_capability_is_left(level: Level) -> None:
    if level == "seatbelt":
        pytest.skip("a matter of Linux")
    code = (
        "import ctypes\nlibc = ctypes.CDLL(None)\n"
        "mounted = libc.mount(b'none', b'/work', b'tmpfs', 0, None)\n"
        "again = libc.mount(b'none', b'/usr', None, 32 | 4096, None)\n"
        "unshared = libc.unshare(0x10000000)"
    )
    assert told(level, code, "[mounted, again]") == [-1, -1]


# ---------------------------------------------------------------- greed


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time\ntime.sleep(1e6)",
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(1e6)",
    ],
)
def test_what_never_ends_is_ended(code: str, any_level: Level) -> None:
    started = time.monotonic()
    outcome = run(any_level, code, Limits(seconds=1))
    assert outcome.ended in ("timeout", "failed")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "code",
    [
        "import os\nwhile True: os.fork()",
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        "import os, time\nwhile True:\n    if not os.fork(): os.setsid()\n    time.sleep(0.01)",
    ],
)
def test_a_fork_bomb_is_ended_whole(code: str, level: Level) -> None:
    """Never in the open: where the kernel does not count (for root), the watch alone would lose the race."""
    outcome = run(level, code, Limits(seconds=5))
    assert outcome.ended in ("failed", "timeout")


def test_the_kernel_itself_bounds_the_number_of_processes(level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_broken", lambda *_: "")
    code = (
        "import os, time\nmade = 0\n"
        "try:\n    while made < 2000:\n        if not os.fork(): time.sleep(60)\n        made += 1\n"
        "except OSError: pass\nprint(made)\nsys.stdout.flush()\nos._exit(0)"
    )
    assert 0 < run(level, code, Limits(seconds=20, processes=10)).result <= 8 * 10


def test_who_has_left_the_group_and_asked_not_to_die_with_its_parent_is_ended_too(level: Level) -> None:
    if level == "seatbelt":
        pytest.skip("a matter of Linux")
    code = "import ctypes, os, time\nos.setsid()\nctypes.CDLL(None).prctl(1, 0)\ntime.sleep(600)"
    assert run(level, code, Limits(seconds=1)).ended == "timeout"  # the fixture looks for what is left


def test_ten_gigabytes_are_not_had_at_once(any_level: Level) -> None:
    assert run(any_level, "x = bytearray(10 << 30)").ended == "failed"


def test_memory_is_counted_over_all_processes(any_level: Level) -> None:
    """No process takes more than it may alone, as on a system that ignores the kernel's limit."""
    code = (
        "import os, time\n"
        "for _ in range(10):\n"
        "    if not os.fork():\n        x = bytearray(os.urandom(1) * (40 << 20)); time.sleep(60)\n"
        "time.sleep(60)"
    )
    outcome = run(any_level, code, Limits(memory_bytes=200 << 20, seconds=8))
    assert (outcome.ended, outcome.detail) == ("failed", "more than 200 MiB of memory")


def test_the_watch_alone_bounds_memory(monkeypatch: pytest.MonkeyPatch, any_level: Level) -> None:
    monkeypatch.setattr(sandbox, "_kernel_limits", lambda level, limits: [])
    outcome = run(any_level, "import time\nx = b'x' * (300 << 20)\ntime.sleep(60)", Limits(memory_bytes=200 << 20))
    assert (outcome.ended, outcome.detail) == ("failed", "more than 200 MiB of memory")


@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_NO_SUCH"])
def test_a_limit_that_the_system_refuses_does_not_fail_the_task(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_kernel_limits", lambda level, limits: [(limit, 1 << 80), ("RLIMIT_NOFILE", 9)])
    code = "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    assert run("none", code).result == 9


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_endless_output_ends(stream: str, any_level: Level) -> None:
    outcome = run(any_level, f"import sys\nwhile True: print('x' * 1000, file=sys.{stream})")
    assert outcome.ended == "failed"
    assert len(outcome.detail) <= 200


def test_a_file_has_a_size_limit(any_level: Level) -> None:
    outcome = run(any_level, "f = open('big', 'wb')\nwhile True: f.write(b'x' * 65536)")
    assert (outcome.ended, outcome.result) == ("failed", None)


@pytest.mark.parametrize("size", [0, 500_000])
def test_the_disk_is_not_filled_with_many_files(size: int, any_level: Level) -> None:
    code = f"import os, time\nfor n in range(20_000):\n    open(f'f{{n}}', 'wb').write(b'x' * {size})\ntime.sleep(60)"
    outcome = run(any_level, code, Limits(seconds=8))
    assert outcome.ended == "failed"
    assert "written" in outcome.detail or "No space left" in outcome.detail


def test_what_is_left_is_removed_however_deep_or_closed(any_level: Level) -> None:
    code = (
        "import os\nos.mkdir('closed'); open('closed/x', 'w').close(); os.chmod('closed', 0)\n"
        "os.symlink('/usr', 'link')\nos.mkfifo('fifo')\n"
        "for _ in range(1500): os.mkdir('d'); os.chdir('d')\nprint(1)"
    )
    assert run(any_level, code).result == 1


# ---------------------------------------------------------------- what stays behind

DAEMON = (
    "import os, sys, time\n"
    "if not os.fork():\n    os.setsid()\n    if os.fork(): os._exit(0)\n    time.sleep(600)\n    os._exit(0)\n"
    "time.sleep({wait})\nprint(1)"
)


@pytest.mark.parametrize("wait", [0, 0.3])
def test_no_daemon_survives(wait: float, any_level: Level) -> None:
    assert run(any_level, DAEMON.format(wait=wait)).result == 1  # the fixture looks for what is left


def test_a_run_that_is_interrupted_leaves_nothing(any_level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(watch, "_broken", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(any_level, "import time\ntime.sleep(600)")


def test_many_run_side_by_side(any_level: Level) -> None:
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(run(any_level, f"print({n})").result)) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [0, 1, 2, 3]


@pytest.mark.parametrize("printed", ["'[' * 100000", "'nonsense'", "'1' * 10000", "'\\udcff'", "''"])
def test_whatever_is_printed_is_no_result(printed: str, any_level: Level) -> None:
    assert run(any_level, f"import sys\nsys.stdout.reconfigure(errors='replace')\nprint({printed})").result is None


# ---------------------------------------------------------------- the level


@pytest.fixture
def no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "level", lambda: "none")


@pytest.mark.usefixtures("no_sandbox")
def test_without_a_sandbox_nothing_runs_unless_told(tmp_path: Path) -> None:
    code = f"open({str(tmp_path / 'ran')!r}, 'w').write('x')\nprint(2)"
    refused = sandbox.run(code)
    assert (refused.ended, refused.level) == ("not run", "")
    assert "--unsandboxed" in refused.detail
    assert not (tmp_path / "ran").exists()
    assert sandbox.run(code, unsandboxed=True) == Outcome("ok", "", 2, "none")


def test_where_there_is_a_sandbox_it_is_used_whatever_is_allowed() -> None:
    if sandbox.level() == "none":
        missing("this machine offers no sandbox")
    assert sandbox.run("print(1)", unsandboxed=True).level == sandbox.level()


@pytest.mark.parametrize("broken", [{"namespaces"}, {"namespaces", "bubblewrap"}])
def test_the_next_way_in_is_tried_where_one_does_not_work(broken: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    original = enter.command

    def command(level: Level, folder: Path, limits: Limits) -> list[str]:
        return ["false"] if level in broken else original("none", folder, limits)

    monkeypatch.setattr(enter, "candidates", lambda: ["namespaces", "bubblewrap"])
    monkeypatch.setattr(enter, "command", command)
    assert sandbox.level.__wrapped__() == ("none" if len(broken) == 2 else "bubblewrap")


# ---------------------------------------------------------------- macOS, as far as it can be told elsewhere


def rules(work: Path) -> list[str]:
    return [line for line in enter.seatbelt_profile(work).splitlines() if line]


def test_the_seatbelt_denies_first_and_allows_writing_in_the_folder_alone(tmp_path: Path) -> None:
    found = rules(tmp_path)
    assert found[:2] == ["(version 1)", "(deny default)"]
    assert not [rule for rule in found if rule.startswith("(allow") and ("network" in rule or "mach" in rule)]
    writing = [rule for rule in found if "file-write" in rule]
    assert writing == [f'(allow file-write* (subpath "{tmp_path}"))', '(allow file-write-data (literal "/dev/null"))']


def test_the_seatbelt_hides_the_home_folder_and_the_parents_environment(tmp_path: Path) -> None:
    found = rules(tmp_path)
    (hidden,) = [rule for rule in found if rule.startswith("(deny file-read*")]
    assert f'(subpath "{Path.home().resolve()}")' in hidden
    after = found[found.index(hidden) + 1 :]
    reading = [rule for rule in after if "file-read*" in rule]
    assert reading == [f'(allow file-read* (subpath "{sys.base_prefix}") (subpath "{tmp_path}"))']
    assert found.index('(deny sysctl-read (sysctl-name-prefix "kern.proc"))') > found.index("(allow sysctl-read)")


def test_a_path_cannot_end_the_seatbelts_text_early() -> None:
    profile = enter.seatbelt_profile(Path('/a"))(allow network*)"\\'))
    assert '(subpath "/a\\"))(allow network*)\\"\\\\")' in profile


def test_seatbelt_runs_the_same_program(tmp_path: Path) -> None:
    command = enter.command("seatbelt", tmp_path, SHORT)
    assert command[:2] == ["sandbox-exec", "-p"]
    assert command[3:] == enter.command("none", tmp_path, SHORT)


def test_where_the_kernel_counts_all_of_a_users_processes_those_that_run_are_allowed_for() -> None:
    kinds = {level: dict(sandbox._kernel_limits(level, SHORT)) for level in ("seatbelt", "none", "namespaces")}
    assert kinds["seatbelt"]["RLIMIT_NPROC"] > SHORT.processes
    assert kinds["namespaces"]["RLIMIT_NPROC"] == 8 * SHORT.processes
    assert kinds["none"]["RLIMIT_NPROC"] > SHORT.processes
