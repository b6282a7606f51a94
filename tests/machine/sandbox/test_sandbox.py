"""Programs in the sandbox, as every caller meets it. What hostile ones try is in attacks.py."""

import errno
import io
import json
import os
import platform
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import missing
from hypothesis import given
from hypothesis import strategies as st
from tables import every

from mlx_distill.evaluate.benchmarks import evalplus, execution
from mlx_distill.evaluate.benchmarks.benchmark import Mark
from mlx_distill.machine import sandbox
from mlx_distill.machine.sandbox import Level, Limits, Outcome, enter, folder, guard, inside, leaving, seatbelt, watch
from mlx_distill.machine.sandbox import filter as seccomp

SHORT = Limits(seconds=3)


@pytest.fixture
def level() -> Level:
    if sandbox.level() == "none":
        missing("this machine offers no sandbox")
    return sandbox.level()


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
    monkeypatch.setattr(guard, "_guards", {})
    (tmp_path / "t").mkdir()
    yield
    assert list((tmp_path / "t").iterdir()) == []
    left = [process for process in psutil.process_iter() if watched(process)]
    assert psutil.wait_procs(left, timeout=10)[1] == []  # what is being ended takes a moment to go


def watched(process: psutil.Process) -> bool:
    try:
        return watch.MARK in process.environ() and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


def run(level: Level, code: str, limits: Limits = SHORT, task: Any = None) -> Outcome:
    return sandbox._run(level, code, (task,), limits)


# ---------------------------------------------------------------- what it is for


def test_a_program_reads_its_tasks_and_prints_a_result(any_level: Level) -> None:
    program = "import json\nprint(json.dumps(json.loads(input()) + json.loads(input())))"
    assert sandbox._run(any_level, program, (41, 1), SHORT) == Outcome("ok", "", 42, any_level)


def test_an_error_is_told_by_its_last_line_and_an_exit_is_one(any_level: Level) -> None:
    outcome = run(any_level, "raise ValueError('seven')")
    assert (outcome.ended, outcome.detail, outcome.result) == ("failed", "ValueError: seven", None)
    assert run(any_level, "print(5); exit(0)") == Outcome("ok", "", 5, any_level)


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


def test_a_run_that_is_interrupted_leaves_nothing(any_level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(watch, "_broken", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(any_level, "import time\ntime.sleep(600)")


def test_the_environment_is_empty_in_the_open_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-" + "planted")
    outcome = run("none", "import json, os\nprint(json.dumps(dict(os.environ)))")
    assert outcome.ended == "ok"
    assert "planted" not in str(outcome.result)


@every("limit", ["RLIMIT_AS", "RLIMIT_NO_SUCH"])
def test_a_limit_that_the_system_refuses_does_not_fail_the_task(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enter, "kernel_limits", lambda level, limits: [(limit, 1 << 80), ("RLIMIT_NOFILE", 9)])
    assert run("none", "import resource\nprint(resource.getrlimit(resource.RLIMIT_NOFILE)[0])").result == 9


# ---------------------------------------------------------------- the watch, on which macOS depends

MEMORY = Limits(memory_bytes=200 << 20, seconds=8)
FORKED = (
    "import os, time\nfor _ in range(10):\n"
    "    if not os.fork():\n        x = bytearray(os.urandom(1) * (40 << 20)); time.sleep(60)\n"
    "time.sleep(60)"
)
FILES = "import time\nfor n in range(20_000):\n    open(f'f{{n}}', 'wb').write(b'x' * {size})\ntime.sleep(60)"
DAEMON = (
    "import os, sys, time\n"
    "if not os.fork():\n    os.setsid()\n    if os.fork(): os._exit(0)\n    time.sleep(600)\n    os._exit(0)\n"
    "time.sleep({wait})\nprint(1)"
)


@pytest.mark.real
@every(
    "code, limits, ended, words",
    [
        ("while True: pass", Limits(seconds=1), "timeout", "more than 1 s"),
        (FORKED, MEMORY, "failed", "more than 200 MiB of memory"),
        ("import time\nx = b'x' * (300 << 20)\ntime.sleep(60)", MEMORY, "failed", "more than 200 MiB of memory"),
        ("x = bytearray(10 << 30)", SHORT, "failed", "MemoryError"),
        ("while True: print('x' * 1000)", SHORT, "failed", "of output"),
        ("f = open('big', 'wb')\nwhile True: f.write(b'x' * 65536)", SHORT, "failed", ""),
        (FILES.format(size=500_000), Limits(seconds=8), "failed", ""),
        (DAEMON.format(wait=0), SHORT, "ok", ""),
        (DAEMON.format(wait=0.3), SHORT, "ok", ""),  # the fixture looks for what is left
    ],
)
def test_what_is_greedy_is_ended_in_the_open_too(
    any_level: Level, code: str, limits: Limits, ended: str, words: str
) -> None:
    outcome = run(any_level, code, limits)
    assert outcome.ended == ended
    assert words in outcome.detail
    assert len(outcome.detail) <= 200


@pytest.mark.real
def test_the_kernel_itself_bounds_the_number_of_processes(level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_broken", lambda *_: "")
    code = (
        "import os, sys, time\nmade = 0\n"
        "try:\n    while made < 2000:\n        if not os.fork(): time.sleep(60)\n        made += 1\n"
        "except OSError: pass\nprint(made)\nsys.stdout.flush()\nos._exit(0)"
    )
    assert 0 < run(level, code, Limits(seconds=20, processes=10)).result <= 8 * 10


def test_the_time_counts_from_when_the_program_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine, on which the sandbox takes longer to start than the program may run, fails nobody."""
    original = enter.command
    monkeypatch.setattr(
        enter, "command", lambda level, given: ["sh", "-c", 'sleep 0.5; exec "$@"', "sh", *original(level, given)]
    )
    assert run("none", "print(1)", Limits(seconds=0.4)).result == 1
    monkeypatch.setattr(watch, "START_SECONDS", 0.2)
    outcome = run("none", "print(1)", SHORT)
    assert (outcome.ended, outcome.level) == ("not run", "")
    assert "did not start" in outcome.detail


@pytest.mark.real
@pytest.mark.parametrize("number", ["SIGKILL", "SIGHUP"])
def test_in_the_open_a_program_does_not_outlive_who_started_it_either(number: str, tmp_path: Path) -> None:
    """By the guard alone, as on macOS: the program asks the kernel not to be ended with its parent."""
    code = (
        f"import tempfile; tempfile.tempdir = {str(tmp_path / 't')!r}\n"
        "from mlx_distill.machine import sandbox\nfrom mlx_distill.machine.sandbox import watch, Limits\n"
        f"watch.MARK = {watch.MARK!r}\n"
        "program = 'import ctypes, time\\nctypes.CDLL(None).prctl(1, 0)\\nprint(1, flush=True)\\ntime.sleep(600)'\n"
        "sandbox._run('none', program, (), Limits(seconds=300))"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    wait_until(lambda: any(path.stat().st_size for path in (tmp_path / "t").glob("mlx-distill-*/output")))
    assert [process for process in psutil.process_iter() if watched(process)]
    started.send_signal(getattr(__import__("signal"), number))
    started.wait()
    wait_until(lambda: not [process for process in psutil.process_iter() if watched(process)])
    folder.sweep(tmp_path / "t")
    assert list((tmp_path / "t").iterdir()) == []


def wait_until(so: Any, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_the_guard_ends_what_still_runs_when_its_pipe_does(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    monkeypatch.setattr(watch, "end_marked", ended.append)
    guard.end(io.BytesIO(b"+item-a\n+item-b\n-item-a\n"))
    assert ended == ["item-b"]


def test_an_item_whose_sandbox_did_not_start_is_unscored_not_wrong() -> None:
    ran = execution._read(None, Outcome("not run", "no room"), 1)
    assert (ran.ran, ran.whole, ran.why) == (False, False, "no room")
    assert evalplus._compared(None, "", ran, ran, None) == Mark(None, "", "no room")


# ---------------------------------------------------------------- folders


def test_folders_of_processes_that_are_gone_are_swept_and_no_others(tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in ("mlx-distill-left", "mlx-distill-new", "mlx-distill-old", "other")}
    for place in places.values():
        (place / "x").mkdir(parents=True)
    (places["mlx-distill-left"] / "lock").touch()
    (tmp_path / ".mlx-distill-made").mkdir()
    (tmp_path / ".mlx-distill-made" / "lock").touch()
    os.utime(places["mlx-distill-old"], (0, 0))
    (tmp_path / "mlx-distill-link").symlink_to(places["other"])
    with folder.fresh() as mine:
        mine = mine.rename(tmp_path / mine.name)
        folder.sweep(tmp_path)
        assert {name for name, place in places.items() if place.exists()} == {"mlx-distill-new", "other"}
        assert (mine / "work").is_dir()
        assert (tmp_path / ".mlx-distill-made").is_dir()
        assert (places["other"] / "x").is_dir()
        mine.rename(tmp_path / "t" / mine.name)


# ---------------------------------------------------------------- a protection is checked


@pytest.fixture
def linux_level(level: Level) -> Level:
    if level == "seatbelt":
        pytest.skip("a matter of Linux")
    return level


def refused(level: Level) -> str:
    outcome = run(level, "print(1)")
    assert (outcome.ended, outcome.result, outcome.level) == ("not run", None, "")
    return outcome.detail


def test_a_sandbox_that_is_not_what_it_should_be_is_refused(
    linux_level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(platform, "machine", lambda: "riscv64")
        assert refused(linux_level)
        assert "riscv64" in sandbox.trial(linux_level)
    for content in (b"", bytes(8), seccomp.program("aarch64" if platform.machine() == "x86_64" else "x86_64")):
        with monkeypatch.context() as patched:
            patched.setattr(enter, "seccomp_filter", lambda machine, content=content: content)
            assert refused(linux_level)
    allowing = struct.pack("<HBBI", seccomp.RETURN, 0, 0, seccomp.ALLOW)
    with monkeypatch.context() as patched:
        patched.setattr(enter, "seccomp_filter", lambda machine: allowing)
        assert "not in force" in refused(linux_level)
    with monkeypatch.context() as patched:
        patched.setattr(enter, "visible", lambda: ("/no/such/folder",))
        assert "/no/such/folder" in refused(linux_level)
    if linux_level == "namespaces":
        with monkeypatch.context() as patched:
            settings = enter._settings
            more = [("/tmp", "/evil")]
            patched.setattr(
                enter,
                "_settings",
                lambda *given: (
                    (found := settings(*given))
                    | {"binds": found["binds"] + more, "devices": (*found["devices"], "/evil")}
                ),
            )
            assert "/evil can be written to" in refused(linux_level)


STATUS = "Name:\tpython\nCapInh:\t{cap}\nCapEff:\t0000000000000000\nNoNewPrivs:\t{privs}\nSeccomp:\t{seccomp}\n"


@every(
    "status, wrong",
    [
        (STATUS.format(cap="0000000000000000", privs=1, seccomp=2), []),
        (STATUS.format(cap="0000000000200000", privs=1, seccomp=2), ["CapInh is 0000000000200000"]),
        (STATUS.format(cap="0", privs=0, seccomp=0), ["NoNewPrivs is not 1", "Seccomp is not 2"]),
        ("Name:\tpython\n", ["NoNewPrivs is not 1", "Seccomp is not 2"]),
    ],
)
def test_what_the_kernel_says_of_privileges_is_read(status: str, wrong: list[str]) -> None:
    assert inside._privileges(status) == wrong


@every(
    "row, wrong",
    [
        ("22 21 0:20 / /usr ro,nosuid - ext4 /dev/a rw", []),
        ("22 21 0:20 / /work rw - tmpfs tmpfs rw", []),
        ("22 21 0:20 / /dev/null rw - devtmpfs udev rw", []),
        ("22 21 0:20 / /dev/shm rw - tmpfs tmpfs rw", ["/dev/shm can be written to"]),
        ("22 21 0:20 / /usr rw,nosuid - ext4 /dev/a ro", ["/usr can be written to"]),
        ("22 21 0:20 /ro /a\\040ro rw,nosuid - ext4 /dev/a ro", ["/a\\040ro can be written to"]),
        ("22 21 0:20 / /work/x rw - tmpfs tmpfs rw", ["/work/x can be written to"]),
    ],
)
def test_what_the_kernel_says_of_mounts_is_read(row: str, wrong: list[str]) -> None:
    assert inside._mounts(row + "\n", {"/work", *enter.DEVICES}) == wrong


# ---------------------------------------------------------------- the filter


def verdict(program: bytes, number: int, architecture: int, arguments: tuple[int, ...]) -> int:
    """A naive machine for the filter's few instructions."""
    data = struct.pack("<iIQ6Q", number, architecture, 0, *arguments)
    instructions = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    at = value = 0
    while True:
        code, skip_if, skip_else, given = instructions[at]
        at += 1
        if code == seccomp.RETURN:
            return int(given)
        if code == seccomp.LOAD:
            (value,) = struct.unpack_from("<I", data, given)
            continue
        tests = {seccomp.EQUAL: value == given, seccomp.AT_LEAST: value >= given, seccomp.ANY_OF: bool(value & given)}
        at += skip_if if tests[code] else skip_else


def expected(machine: str, number: int, first: int, second: int) -> int:
    """The same in words."""
    at, low = list(seccomp.AUDIT_ARCH).index(machine), 0xFFFFFFFF
    error = 0
    if number >= seccomp.X32 or number == seccomp.CLONE3[at]:
        error = errno.ENOSYS
    elif number in [pair[at] for pair in seccomp.REFUSED.values()] or (
        number == seccomp.CLONE[at] and first & seccomp.NEW_NAMESPACES
    ):
        error = errno.EPERM
    elif number in [pair[at] for pair in seccomp.SOCKETS] and first & low not in seccomp.FAMILIES:
        error = errno.EAFNOSUPPORT
    elif number == seccomp.IOCTL[at] and second & low in (seccomp.TIOCSTI, seccomp.TIOCLINUX):
        error = errno.EPERM
    return seccomp.ERRNO | error if error else seccomp.ALLOW


NUMBERS = st.integers(0, 500) | st.sampled_from([56, 220, 41, 53, 198, 199, 16, 29, 435, 0x40000001, 0x40000038])
ARGUMENTS = (
    st.sampled_from([0, 1, 2, 10, 16, 17, 38, 40, 0x11, 0x10000011, 0x5412, 0x541C, 1 << 40, (1 << 32) + 40])
    | st.integers(0, 2**64 - 1)
)  # fmt: skip


@given(st.sampled_from(sorted(seccomp.AUDIT_ARCH)), NUMBERS, ARGUMENTS, ARGUMENTS)
def test_the_filter_does_what_its_table_says(machine: str, number: int, first: int, second: int) -> None:
    program = seccomp.program(machine)
    found = verdict(program, number, seccomp.AUDIT_ARCH[machine], (first, second, 0, 0, 0, 0))
    assert found == expected(machine, number, first, second)
    assert verdict(program, number, 0x40000003, (first, second, 0, 0, 0, 0)) == seccomp.KILL_PROCESS


def test_another_kind_of_processor_has_no_filter() -> None:
    assert seccomp.program("riscv64") == b""
    assert seccomp.numbers("riscv64") == {}


# ---------------------------------------------------------------- the border

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=8,
)


@given(VALUES)
def test_text_that_leaves_can_be_written_down_and_is_still_the_same_json(value: Any) -> None:
    written = json.dumps(value, ensure_ascii=False)
    leaving.text(written).encode()
    assert json.loads(leaving.text(written)) == value


@every(
    "printed, result",
    [
        (b"[1]", [1]),
        (b'{"a": "\\ud800"}', {"a": "\ud800"}),
        (b'"\xed\xa0\x80"', "\ud800"),
        (b"[" * 100_000, None),
        (b"nonsense", None),
        (b"1" * 10_000, None),
        (b"\xff\xfe\xfd", None),
        (b"", None),
        (b"1 2", None),
        (b"2" * 101, None),
    ],
)
def test_whatever_was_printed_leaves_as_json_or_not_at_all(tmp_path: Path, printed: bytes, result: Any) -> None:
    (tmp_path / "output").write_bytes(printed)
    assert leaving.result(tmp_path / "output", 100 if printed == b"2" * 101 else 1 << 20) == result


@every("value", [True and -1, float("nan"), float("inf"), 10**400, 1e7, "1", None, [1], {}])
def test_a_time_is_a_number_of_bounded_size(value: Any) -> None:
    with pytest.raises(ValueError, match="such a number"):
        leaving.number(value, 1e6)
    assert leaving.number(3, 1e6) == 3.0


# ---------------------------------------------------------------- the level


@pytest.fixture
def no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "level", lambda: "none")


@pytest.mark.usefixtures("no_sandbox")
def test_without_a_sandbox_nothing_runs_unless_told(tmp_path: Path) -> None:
    code = f"open({str(tmp_path / 'ran')!r}, 'w').write('x')\nprint(2)"
    outcome = sandbox.run(code)
    assert (outcome.ended, outcome.level) == ("not run", "")
    assert "--unsandboxed" in outcome.detail
    assert not (tmp_path / "ran").exists()
    assert sandbox.run(code, unsandboxed=True) == Outcome("ok", "", 2, "none")


def test_where_there_is_a_sandbox_it_is_used_whatever_is_allowed(level: Level) -> None:
    assert sandbox.run("print(1)", unsandboxed=True).level == level


@every("broken", [{"namespaces"}, {"namespaces", "bubblewrap"}])
def test_the_next_way_in_is_tried_where_one_does_not_work(broken: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """And doctor is told why."""
    original = enter.command
    monkeypatch.setattr(enter, "levels", lambda: ["namespaces", "bubblewrap"])
    monkeypatch.setattr(enter, "missing", lambda level: "")
    monkeypatch.setattr(
        enter,
        "command",
        lambda level, given: ["sh", "-c", "echo no room >&2"] if level in broken else original("none", given),
    )
    assert sandbox.level.__wrapped__() == ("none" if len(broken) == 2 else "bubblewrap")
    assert sandbox.trial("namespaces") == "no room"


def test_of_an_installation_only_what_the_interpreter_needs_is_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bin/python3.11", "lib/python3.11/os.py", "lib/libz.so.1", "share/keyrings/login", "lib/private/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path / "lib" / "python3.11"))
    monkeypatch.setattr("sysconfig.get_python_version", lambda: "3.11")
    found = enter.visible.__wrapped__()
    assert {path for path in found if path.startswith(str(tmp_path))} == {
        str(tmp_path / name) for name in ("bin/python3.11", "lib/python3.11", "lib/libz.so.1")
    }


def test_where_the_kernel_counts_all_of_a_users_processes_those_that_run_are_allowed_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(enter, "tasks_of_this_user", lambda: 1000)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for release, namespaces in (("6.1.0-18-amd64", 512), ("5.14.0", 512), ("5.10.0-28", 1512), ("5.4-generic", 1512)):
        monkeypatch.setattr(platform, "release", lambda release=release: release)
        enter._counts_by_namespace.cache_clear()
        assert dict(enter.kernel_limits("namespaces", SHORT))["RLIMIT_NPROC"] == namespaces
        assert dict(enter.kernel_limits("none", SHORT))["RLIMIT_NPROC"] == 1512
    enter._counts_by_namespace.cache_clear()


# ---------------------------------------------------------------- macOS, as far as it can be told elsewhere


def rules(work: Path, given: Path = Path("/given")) -> list[str]:
    return [line for line in seatbelt.profile(work, given).splitlines() if line]


def test_the_seatbelt_denies_first_and_allows_by_name(tmp_path: Path) -> None:
    found = rules(tmp_path)
    assert found[:2] == ["(version 1)", "(deny default)"]
    assert not [rule for rule in found if rule.startswith("(allow") and ("network" in rule or "mach" in rule)]
    writing = [rule for rule in found if "file-write" in rule]
    assert writing == [f'(allow file-write* (subpath "{tmp_path}"))', '(allow file-write-data (literal "/dev/null"))']
    assert "(allow file-read*)" not in found
    assert found.index('(deny sysctl-read (sysctl-name-prefix "kern.proc"))') > found.index("(allow sysctl-read)")


@every(
    "path, readable",
    [
        ("/usr/lib/libSystem.B.dylib", True),
        ("/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation", True),
        ("/opt/homebrew/opt/openssl@3/lib/libssl.3.dylib", True),
        (f"{sys.base_prefix}/bin/python3", True),
        ("/", True),
        ("/dev/urandom", True),
        ("/dev/ttys001", False),
        ("/opt/homebrew/var/postgres/data", False),
        ("/opt/homebrew/etc/my.cnf", False),
        ("/private/var/log/system.log", False),
        ("/private/var/folders/xx/T/other", False),
        ("/private/etc/passwd", False),
        ("/Users/me/.ssh/id_ed25519", False),
        ("/Library/Keychains/System.keychain", False),
        ("/Applications/App.app/Contents/secret", False),
        ("/Volumes/backup", False),
        (f"{sys.base_prefix}/share/keyrings/login.keyring", sys.base_prefix == "/usr"),
    ],
)
def test_what_the_seatbelt_lets_be_read(path: str, readable: bool) -> None:
    allowed = [rule for rule in rules(Path("/w")) if rule.startswith("(allow file-read* ")]
    literals = [part for rule in allowed for part in rule.split('(literal "')[1:]]
    trees = [part for rule in allowed for part in rule.split('(subpath "')[1:]]
    named = path in [part.split('"')[0] for part in literals]
    assert (named or any(Path(path).is_relative_to(part.split('"')[0]) for part in trees)) == readable


def test_a_path_cannot_end_the_seatbelts_text_early() -> None:
    profile = seatbelt.profile(Path('/a"))(allow network*)"\\'), Path("/given"))
    assert '(subpath "/a\\"))(allow network*)\\"\\\\")' in profile


def test_seatbelt_runs_the_same_program(tmp_path: Path) -> None:
    place = enter.Given(tmp_path, SHORT, 3, -1)
    command, bare = (enter.command(level, place) for level in ("seatbelt", "none"))
    assert command[:2] == ["sandbox-exec", "-p"]
    assert command[3:-1] == bare[:-1]
