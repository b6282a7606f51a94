"""What hostile and greedy programs try, and whether it held: python tests/sandbox/attacks.py LEVEL [GROUP …]

Prints a line of JSON for each attack and each right program: {group, name, held, words, seconds}. It is run as root and
as an ordinary user, by the tests and by `make test-sandbox`, which writes docs/sandbox.md of it.
"""

# ruff: noqa: E501  programs, as they would be written

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from mlx_distill.machine import sandbox
from mlx_distill.machine.checks import run_checks
from mlx_distill.machine.sandbox import Level, Limits, Outcome, enter, leaving, watch
from mlx_distill.machine.sandbox import folder as sweeper
from mlx_distill.run.records import Check, Prompt

START = (
    "import array, ctypes, fcntl, json, mmap, os, signal, socket, sys, time\nlibc = ctypes.CDLL(None, use_errno=True)\n"
)
"""What stands before each program; `said(value)` is its result."""

SAID = "\ndef said(value):\n    sys.stdout.write(json.dumps(value)); sys.stdout.flush()\n"

MIB = 1 << 20


@dataclass(frozen=True)
class Tried:
    held: bool
    words: str


Attack = Callable[[Level], Tried]
ATTACKS: dict[str, dict[str, Attack]] = {
    group: {} for group in ("escape", "greed", "unowned", "family", "border", "right")
}


def run(level: Level, code: str, limits: Limits | None = None) -> Outcome:
    return sandbox._run(level, START + SAID + code, (0,), limits or Limits(seconds=8))


def program(group: str, name: str, code: str, held: Callable[[Outcome], bool], limits: Limits | None = None) -> None:
    """An attack that is a program; `held` looks at how it ended. One that was never run has not been held off."""

    def attack(level: Level) -> Tried:
        outcome = run(level, code, limits)
        words = f"{outcome.ended}: {outcome.detail or outcome.result!r}"
        return Tried(outcome.ended != "not run" and held(outcome), words[:300])

    ATTACKS[group][name] = attack


def attack(group: str, name: str) -> Callable[[Attack], Attack]:
    def add(function: Attack) -> Attack:
        ATTACKS[group][name] = function
        return function

    return add


def says(value: object) -> Callable[[Outcome], bool]:
    return lambda outcome: outcome.ended == "ok" and outcome.result == value


def ends(*how: str) -> Callable[[Outcome], bool]:
    return lambda outcome: outcome.ended in how


# ---------------------------------------------------------------- getting out


def errors(calls: str) -> str:
    """A program that says which of its calls, written as (name, number, arguments …), were not refused."""
    return (
        f"reached = []\nfor name, *call in [{calls}]:\n"
        "    if libc.syscall(*call) >= 0: reached.append(name)\n"
        "said(reached)"
    )


NUMBERS = {"x86_64": 0, "aarch64": 1}[os.uname().machine]


def calls(group: str, name: str, x86_64: str, aarch64: str) -> None:
    program(group, name, errors((x86_64, aarch64)[NUMBERS]), says([]))


calls(
    "escape",
    "the kernel's keys: searching, adding, clearing, the user's own keyring",
    "('search', 250, 10, -3, b'user', b'mlx-distill-test', 0), ('add', 248, b'user', b'n', b'x', 1, -3), "
    "('request', 249, b'user', b'mlx-distill-test', None, -3), ('clear', 250, 7, -3), ('user', 250, 0, -4, 0), "
    "('join', 250, 1, None)",
    "('search', 219, 10, -3, b'user', b'mlx-distill-test', 0), ('add', 217, b'user', b'n', b'x', 1, -3), "
    "('request', 218, b'user', b'mlx-distill-test', None, -3), ('clear', 219, 7, -3), ('user', 219, 0, -4, 0), "
    "('join', 219, 1, None)",
)
calls(
    "escape",
    "reading the parent: ptrace, process_vm_readv, kcmp",
    "('ptrace', 101, 16, os.getppid(), 0, 0), ('seize', 101, 0x4206, os.getppid(), 0, 0), "
    "('read', 310, os.getppid(), 0, 0, 0, 0, 0), ('kcmp', 312, os.getpid(), os.getppid(), 0, 0, 0)",
    "('ptrace', 117, 16, os.getppid(), 0, 0), ('seize', 117, 0x4206, os.getppid(), 0, 0), "
    "('read', 270, os.getppid(), 0, 0, 0, 0, 0), ('kcmp', 272, os.getpid(), os.getppid(), 0, 0, 0)",
)
calls(
    "escape",
    "io_uring, bpf, perf_event_open, userfaultfd, fanotify",
    "('io_uring', 425, 4, ctypes.create_string_buffer(200)), ('bpf', 321, 0, ctypes.create_string_buffer(200), 128), "
    "('perf', 298, ctypes.create_string_buffer(200), 0, -1, -1, 0), ('userfaultfd', 323, 1), ('fanotify', 300, 0, 0)",
    "('io_uring', 425, 4, ctypes.create_string_buffer(200)), ('bpf', 280, 0, ctypes.create_string_buffer(200), 128), "
    "('perf', 241, ctypes.create_string_buffer(200), 0, -1, -1, 0), ('userfaultfd', 282, 1), ('fanotify', 262, 0, 0)",
)
calls(
    "escape",
    "new namespaces: unshare, clone, clone3, setns",
    "('user', 272, 0x10000000), ('all', 272, 0x7c020000), ('clone', 56, 0x10000011, 0, 0, 0, 0), "
    "('clone3', 435, (ctypes.c_uint64 * 8)(0x10000000), 64), ('setns', 308, 0, 0)",
    "('user', 97, 0x10000000), ('all', 97, 0x7c020000), ('clone', 220, 0x10000011, 0, 0, 0, 0), "
    "('clone3', 435, (ctypes.c_uint64 * 8)(0x10000000), 64), ('setns', 268, 0, 0)",
)
program(
    "escape",
    "mounting, remounting, pivoting, chroot, setuid",
    "reached = [name for name, got in (('mount', libc.mount(b'none', b'/work', b'tmpfs', 0, None)),\n"
    "    ('remount', libc.mount(b'none', b'/usr', None, 32 | 4096, None)), ('umount', libc.umount2(b'/usr', 2)),\n"
    "    ('chroot', libc.chroot(b'/work')), ('setuid', libc.setuid(0)), ('setgid', libc.setgid(0))) if got >= 0]\n"
    "said(reached)",
    says([]),
)
program(
    "escape",
    "sockets of other kinds: AF_VSOCK, AF_PACKET, AF_ALG, AF_XDP, AF_TIPC",
    "made = []\nfor family in (40, 17, 38, 44, 30):\n"
    "    try: socket.socket(family, socket.SOCK_STREAM if family != 17 else socket.SOCK_RAW); made.append(family)\n"
    "    except OSError: pass\n"
    "    try: socket.socket(family, socket.SOCK_DGRAM); made.append(family)\n"
    "    except OSError: pass\nsaid(made)",
    says([]),
)
program(
    "escape",
    "system calls of another architecture (int 0x80), and x32's",
    "found = libc.syscall(0x40000000 + 39)\n"
    "page = mmap.mmap(-1, 4096, prot=7)\n"
    "page.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')  # getpid, by its 32-bit number\n"
    "at = ctypes.addressof(ctypes.c_char.from_buffer(page))\n"
    "said([found >= 0, ctypes.CFUNCTYPE(ctypes.c_int)(at)() > 0])",
    lambda outcome: outcome.ended == "failed" or outcome.result == [False, False],
)
program(
    "escape",
    "/proc, /sys, descriptors and settings of those who started it",
    "found = [path for path in ('/proc/self', '/sys/kernel', '/proc/1/environ', '/dev/tty', '/dev/ptmx', '/dev/kmsg')\n"
    "         if os.path.exists(path)]\n"
    "for descriptor in range(3, 1024):\n"
    "    try: os.fstat(descriptor); found.append(descriptor)\n"
    "    except OSError: pass\nsaid(found)",
    says([]),
)


@attack("escape", "a key in the environment")
def _(level: Level) -> Tried:
    os.environ["ANTHROPIC_API_KEY"] = "sk-ant-planted"
    outcome = run(level, "said([dict(os.environ), sys.argv, sys.orig_argv])")
    return Tried(outcome.ended == "ok" and "planted" not in str(outcome.result), outcome.ended)


@attack("escape", "a login's key in the session keyring: reading and clearing it")
def _(level: Level) -> Tried:
    libc, (keyctl, add) = ctypes.CDLL(None, use_errno=True), ((250, 248), (219, 217))[NUMBERS]
    libc.syscall(keyctl, 1, b"mlx-distill-test")
    if libc.syscall(add, b"user", b"ticket", b"planted", 7, -3) < 0:
        return Tried(True, "this machine's kernel keeps no keys")
    outcome = run(
        level,
        f"key = libc.syscall({keyctl}, 10, -3, b'user', b'ticket', 0)\nroom = ctypes.create_string_buffer(7)\n"
        f"libc.syscall({keyctl}, 11, key, room, 7)\nlibc.syscall({keyctl}, 7, -3)\n"
        "said(room.raw.decode(errors='replace'))",
    )
    kept = libc.syscall(keyctl, 10, -3, b"user", b"ticket", 0) > 0
    return Tried(
        outcome.ended == "ok" and outcome.result != "planted" and kept, f"read {outcome.result!r}, kept: {kept}"
    )


@attack("escape", "a note in the keyring for the next item")
def _(level: Level) -> Tried:
    keyctl, add = ((250, 248), (219, 217))[NUMBERS]
    run(level, f"said([libc.syscall({add}, b'user', b'note', b'x', 1, ring) for ring in (-3, -4, -5)])")
    found = run(level, f"said([libc.syscall({keyctl}, 10, ring, b'user', b'note', 0) > 0 for ring in (-3, -4, -5)])")
    return Tried(found.result == [False] * 3, f"found: {found.result}")


CONNECT = (
    "def reach(family, kind, address):\n"
    "    try:\n        opened = socket.socket(family, kind); opened.settimeout(1)\n"
    "        opened.connect(address); opened.send(b'x'); return True\n"
    "    except OSError: return False\n"
)


@attack("escape", "servers on the machine: TCP, UDP, a socket file, an abstract one")
def _(level: Level) -> Tried:
    with tempfile.TemporaryDirectory() as folder:
        places = [
            (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
        ]
        names = [f"{folder}/s", f"\0mlx-distill-{os.getpid()}"]
        servers = []
        for family, kind, address in [*places, *((socket.AF_UNIX, socket.SOCK_STREAM, name) for name in names)]:
            servers.append(socket.socket(family, kind))
            servers[-1].bind(address)
            if kind == socket.SOCK_STREAM:
                servers[-1].listen()
        given = [(int(s.family), int(s.type), s.getsockname()) for s in servers]
        outcome = run(level, f"{CONNECT}said([reach(*place) for place in {given!r}])")
        servers[1].setblocking(False)
        try:
            got = bool(servers[1].recv(1))
        except BlockingIOError:
            got = False
        for server in servers:
            server.close()
    reached = [] if not isinstance(outcome.result, list) else [at for at in (0, 2, 3) if outcome.result[at]]
    return Tried(outcome.ended == "ok" and not reached and not got, f"reached {reached}, datagram: {got}")


@attack("escape", "files of the machine: reading the home, the project and /etc, writing anywhere but /work")
def _(level: Level) -> Tried:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "private").write_text("mine")
        read = [f"{folder}/private", str(Path.home() / ".bashrc"), __file__, "/etc/shadow", "/etc/hostname"]
        write = [
            f"{folder}/new",
            "/evil",
            "/etc/evil",
            "/usr/evil",
            "/dev/evil",
            f"{sys.base_prefix}/evil",
            "/given/evil",
        ]
        outcome = run(
            level,
            f"found, written = [], []\nfor path in {read!r}:\n    os.symlink(path, 'link')\n"
            "    for name in (path, 'link'):\n        try: found.append(open(name).read()[:20])\n"
            "        except OSError: pass\n    os.unlink('link')\n"
            f"for path in {write!r} + [name + '/x' for name in sys.path]:\n"
            "    try: open(path, 'w').close(); written.append(path)\n    except OSError: pass\n"
            "said([found, written])",
        )
    return Tried(outcome.result == [[], []], f"{outcome.ended}: {outcome.result!r}")


@attack("escape", "what else is in the folder where Python is installed (~/.local/share/keyrings)")
def _(level: Level) -> Tried:
    places = ("share/keyrings", "etc", "var", "secrets")
    outcome = run(
        level,
        f"import os\nsaid([place for place in {places!r} if not sys.base_prefix.startswith('/usr')\n"
        "      and os.path.exists(os.path.join(sys.base_prefix, place))])",
    )
    return Tried(outcome.result == [], f"{outcome.result!r}")


def in_folder(name: str) -> Attack:
    def attack(level: Level) -> Tried:
        with tempfile.TemporaryDirectory() as outer:
            odd = Path(outer, name)
            odd.mkdir()
            kept, tempfile.tempdir = tempfile.tempdir, str(odd)
            try:
                outcome = run(
                    level,
                    "writable = [path for path in ('/', '/usr', '/bin', '/lib', *sys.path)\n"
                    "            if os.path.isdir(path) and not os.statvfs(path).f_flag & os.ST_RDONLY]\nsaid(writable)",
                )
            finally:
                tempfile.tempdir = kept
        return Tried(outcome.result == [], f"{outcome.ended}: {outcome.detail or outcome.result!r}")

    return attack


for odd in ("a folder", "tab\there", "line\nbreak", "\\040", "ein Ordner für α", "-o", "a,b=c:d"):
    ATTACKS["escape"][f"a temporary folder named {odd!r}: every bind is read-only"] = in_folder(odd)


@attack("escape", "signals to who started it, and to all")
def _(level: Level) -> Tried:
    mine = [os.getpid(), os.getppid()]
    outcome = run(
        level,
        f"reached = []\nfor pid in {mine!r}:\n    try: os.kill(pid, 0); reached.append(pid)\n    except OSError: pass\n"
        "said(reached)",
    )
    ended = run(level, "os.kill(os.getppid(), 9)\nos.kill(1, 9)\nos.kill(-1, 9)\nraise SystemExit(3)").ended
    return Tried(
        not set(outcome.result or ()) & set(mine) and ended == "failed", f"reached {outcome.result}, then {ended}"
    )


@attack("escape", "a check reads another check's lines (pidfd_getfd)")
def _(level: Level) -> Tried:
    spy = (
        "import os, ctypes\nlibc = ctypes.CDLL(None)\nseen = []\npidfd = libc.syscall(434, os.getppid(), 0)\n"
        "for descriptor in range(12):\n    got = libc.syscall(438, pidfd, descriptor, 0)\n"
        "    if got >= 0:\n        try: seen.append(os.pread(got, 4000, 0))\n        except OSError: pass\n"
        "def f(): return 'seen' if seen else 'nothing'\ndef g(): return 2\n"
    )
    prompt = Prompt("p", "x", checks=(Check("'nothing'", "f()"), Check("2", "'zebra_line' and g()")))
    score = checked(level, prompt, spy)
    return Tried(score == (2, 2), f"{score[0]} of {score[1]} checks")


def checked(level: Level, prompt: Prompt, code: str) -> tuple[int, int]:
    sandbox.level = lambda: level  # type: ignore[assignment]
    score = run_checks(prompt, "base", f"```python\n{code}\n```")
    assert score
    return score.checks_passed, score.checks


# ---------------------------------------------------------------- greed

FEW = Limits(seconds=1)

for name, code in {
    "an endless loop": "while True: pass",
    "an endless sleep that ignores SIGTERM": "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(1e6)",
}.items():
    program("greed", name, code, ends("timeout", "failed"), FEW)

for name, code in {
    "a fork bomb": "while True: os.fork()",
    "a fork bomb that takes no error": "while True:\n    try: os.fork()\n    except OSError: pass",
    "a fork bomb of sessions": "while True:\n    if not os.fork(): os.setsid()\n    time.sleep(0.01)",
}.items():
    program("greed", name, code, ends("timeout", "failed"), Limits(seconds=3))

program("greed", "10 GiB at once", "x = bytearray(10 << 30)", ends("failed"))
program(
    "greed",
    "memory in many processes",
    "for _ in range(30):\n    if not os.fork():\n        x = bytearray(os.urandom(1) * (60 << 20)); time.sleep(60)\ntime.sleep(60)",
    lambda outcome: outcome.detail == "more than 1024 MiB of memory",
)
program(
    "greed",
    "files without content, by the thousand",
    "try:\n    for n in range(200000): open(f'f{n}', 'w').close()\nexcept OSError: pass\ntime.sleep(30)",
    ends("failed", "timeout"),
    Limits(seconds=3),
)
program("greed", "a file without end", "f = open('big', 'wb')\nwhile True: f.write(b'x' * 65536)", ends("failed"))
for stream in ("stdout", "stderr"):
    program("greed", f"{stream} without end", f"while True: print('x' * 1000, file=sys.{stream})", ends("failed"))


def unowned(name: str, code: str, most: int = 300) -> None:
    """Memory that belongs to no process: how much of the machine's shared memory is gone meanwhile, in MiB. The
    program says what it got, and waits; it stops of itself at 2.5 GiB, ten times what is tolerated."""

    def attack(level: Level) -> Tried:
        before, peak, over = shared(), 0, threading.Event()

        def look() -> None:
            nonlocal peak
            while not over.wait(0.02):
                peak = max(peak, shared() - before)

        thread = threading.Thread(target=look)
        thread.start()
        outcome = run(level, f"MOST = 2560\ndone = 0\n{code}\ntime.sleep(0.3)\nsaid(done)", Limits(seconds=8))
        over.set()
        thread.join()
        got = outcome.result if isinstance(outcome.result, int) else 0
        held = outcome.ended != "not run" and peak < most and got < most
        return Tried(held, f"the machine's shared memory grew by {peak} MiB, the program got {got}; {outcome.ended}")

    ATTACKS["unowned"][f"memory of no process: {name}"] = attack


def shared() -> int:
    rows = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(rows["Shmem"].split()[0]) // 1024


unowned(
    "SysV segments",
    "libc.shmat.restype = ctypes.c_void_p\nlibc.shmdt.argtypes = [ctypes.c_void_p]\n"
    "while done < MOST:\n    key = libc.shmget(0, 64 << 20, 0o1600)\n    if key < 0: break\n"
    "    at = libc.shmat(key, None, 0)\n    if at in (None, 2**64 - 1): break\n"
    "    ctypes.memset(at, 1, 64 << 20); libc.shmdt(at); done += 64",
)
unowned(
    "memfds",
    "chunk = b'x' * (1 << 20)\ntry:\n    for n in range(50):\n        fd = os.memfd_create('m')\n"
    "        for _ in range(50): os.write(fd, chunk); done += 1\nexcept OSError: pass",
)
unowned(
    "memfds in flight over a socket",
    "chunk = b'x' * (1 << 20)\nkept = []\ntry:\n    while done < MOST:\n        a, b = socket.socketpair()\n"
    "        fds = []\n        for n in range(20):\n            fd = os.memfd_create('m'); os.write(fd, chunk); fds.append(fd)\n"
    "        socket.send_fds(a, [b'x'], fds); kept.append((a, b)); done += 20\n        for fd in fds: os.close(fd)\n"
    "except OSError: pass",
)
unowned(
    "a file system in a namespace of its own",
    "libc.unshare(0x10020000); os.makedirs('m', exist_ok=True)\n"
    "if libc.mount(b'none', b'/work/m', b'tmpfs', 0, b'size=90%') == 0:\n"
    "    while done < MOST:\n        with open(f'm/{done}', 'wb') as file: file.write(b'x' * (1 << 20))\n        done += 1",
)
unowned(
    "files of /work, deleted but open",
    "chunk = b'x' * (1 << 20)\nkept = []\ntry:\n    for n in range(50):\n        file = open(f'f{n}', 'wb', buffering=0)\n"
    "        os.unlink(f'f{n}'); kept.append(file)\n        for _ in range(50): file.write(chunk); done += 1\n"
    "except OSError: pass",
)
unowned(
    "message queues",
    "text = b'x' * 8192\ntry:\n    while done < MOST:\n        queue = libc.msgget(0, 0o1600)\n        if queue < 0: break\n"
    "        for _ in range(2):\n            if libc.msgsnd(queue, b'\\1' + bytes(7) + text, 8192, 0o4000) == 0: done += 8192 / (1 << 20)\n"
    "except OSError: pass\ndone = int(done)",
)
program(
    "unowned",
    "memory of no process: pipes and sockets, filled",
    "kept, done = [], 0\n"
    "try:\n    while done < 2560 << 20:\n        a, b = socket.socketpair(); a.setblocking(False); kept.append((a, b))\n"
    "        try:\n            while True: done += a.send(b'x' * 65536)\n        except BlockingIOError: pass\n"
    "except OSError: pass\n"
    "said(done >> 20)",
    lambda outcome: outcome.ended == "ok" and outcome.result < 64,
)
program(
    "unowned",
    "memory of no process: sockets, filled by sixty processes",
    "r, w = os.pipe()\n"
    "for n in range(60):\n    if not os.fork():\n        kept, done = [], 0\n"
    "        try:\n            while done < 100 << 20:\n                a, b = socket.socketpair(); a.setblocking(False); kept.append((a, b))\n"
    "                try:\n                    while True: done += a.send(b'x' * 65536)\n                except BlockingIOError: pass\n"
    "        except OSError: pass\n        os.write(w, done.to_bytes(8, 'big')); time.sleep(60); os._exit(0)\n"
    "got = sum(int.from_bytes(os.read(r, 8), 'big') for _ in range(60))\nsaid(got >> 20)",
    lambda outcome: outcome.ended == "failed" or (isinstance(outcome.result, int) and outcome.result < 1024),
)


@attack("greed", "one item takes all tasks and processes; another runs beside it")
def _(level: Level) -> Tried:
    hog = (
        "import threading\nfor _ in range(40):\n    try:\n        if os.fork() == 0:\n            threading.stack_size(65536)\n"
        "            for _ in range(14):\n                try: threading.Thread(target=time.sleep, args=(20,), daemon=True).start()\n"
        "                except Exception: break\n            time.sleep(20); os._exit(0)\n    except OSError: break\n"
        "time.sleep(20)"
    )
    thread = threading.Thread(target=run, args=(level, hog, Limits(seconds=4)))
    thread.start()
    time.sleep(2)
    beside = [
        run(level, "import threading\nthread = threading.Thread(target=said, args=(2,)); thread.start(); thread.join()")
    ]
    thread.join()
    return Tried(all(outcome.result == 2 for outcome in beside), f"beside it: {[outcome.ended for outcome in beside]}")


# ---------------------------------------------------------------- what stays behind


@attack("family", "daemons, and one that asked not to die with its parent")
def _(level: Level) -> Tried:
    run(
        level,
        "if not os.fork():\n    os.setsid()\n    if os.fork(): os._exit(0)\n    time.sleep(600)\n    os._exit(0)\nsaid(1)",
    )
    run(level, "os.setsid()\nlibc.prctl(1, 0)\ntime.sleep(600)", Limits(seconds=1))
    time.sleep(0.2)
    left = programs()
    return Tried(not left, f"left: {left}")


def programs() -> list[int]:
    """Processes of sandboxes that run on this machine and are ours; as an ordinary user some cannot be looked into."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and watch.MARK in process.environ():
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def parent(signal_name: str) -> Attack:
    def attack(level: Level) -> Tried:
        with tempfile.TemporaryDirectory() as folder:
            code = (
                f"import os, tempfile; tempfile.tempdir = {folder!r}\n"
                "from mlx_distill.machine import sandbox\nfrom mlx_distill.machine.sandbox import Limits\n"
                f"sandbox._run({level!r}, 'import time\\nprint(1, flush=True)\\ntime.sleep(600)', (), Limits(seconds=300))"
            )
            path = os.pathsep.join(path for path in sys.path if path)
            started = subprocess.Popen([enter._python(), "-c", code], env={**os.environ, "PYTHONPATH": path})
            family = wait_for_family(started.pid, Path(folder))
            started.send_signal(getattr(__import__("signal"), signal_name))
            started.wait()
            until = time.monotonic() + 5
            while (left := [p for p in family if alive(p)]) and time.monotonic() < until:
                time.sleep(0.05)
            sweeper.sweep(Path(folder))  # as the next command does
            swept = not list(Path(folder).iterdir())
        return Tried(
            len(family) > 0 and not left and swept, f"{len(family)} processes, left: {len(left)}, folder swept: {swept}"
        )

    return attack


def wait_for_family(pid: int, folder: Path) -> list[psutil.Process]:
    until = time.monotonic() + 20
    while time.monotonic() < until and not any(path.stat().st_size for path in folder.glob("mlx-distill-*/output")):
        time.sleep(0.05)
    return psutil.Process(pid).children(recursive=True)


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


for signal_name in ("SIGKILL", "SIGHUP", "SIGTERM"):
    ATTACKS["family"][f"{signal_name} of who started it"] = parent(signal_name)


@attack("family", "folders nested 1,500 deep, closed ones, pipes and links: removed")
def _(level: Level) -> Tried:
    with tempfile.TemporaryDirectory() as folder:
        kept, tempfile.tempdir = tempfile.tempdir, folder
        try:
            outcome = run(
                level,
                "os.mkdir('closed'); open('closed/x', 'w').close(); os.chmod('closed', 0)\nos.symlink('/usr', 'link')\n"
                "os.mkfifo('fifo')\nfor _ in range(1500): os.mkdir('d'); os.chdir('d')\nsaid(1)",
            )
            left = list(Path(folder).iterdir())
        finally:
            tempfile.tempdir = kept
    return Tried(outcome.result == 1 and not left, f"{outcome.ended}, left: {len(left)}")


# ---------------------------------------------------------------- what leaves

for name, code in {
    "a lone surrogate in text": "os.write(1, b'[\"\\\\ud800\"]')",
    "a lone surrogate as bytes": "os.write(1, b'[\"\\xed\\xa0\\x80\"]')",
    "a number of 10,000 digits": "os.write(1, b'1' * 10000)",
    "100,000 brackets": "os.write(1, b'[' * 100000 + b']' * 100000)",
    "bytes that are no text": "os.write(1, bytes(range(256)))",
    "NaN and infinity": "os.write(1, b'[NaN, Infinity, 1e999]')",
    "two results": "os.write(1, b'1 2')",
    "nothing": "pass",
    "errors of escape sequences": "os.write(2, b'\\x1b]52;c;aGk=\\x07\\xff\\n'); raise SystemExit(1)",
}.items():

    def writable(outcome: Outcome) -> bool:
        """What leaves can be written down, and read again."""
        text = leaving.text(json.dumps([outcome.result, outcome.detail], ensure_ascii=False)).encode()
        return len(text) < 2 * MIB and outcome.ended in ("ok", "failed") and bool(json.loads(text))

    program("border", name, code, writable)

for name, code in {
    "a lone surrogate is returned": "def f(x):\n    return '\\ud800' * 3",
    "the result is forged: a `took` of 400 digits": (
        'import os\ndef f(x):\n    text = b\'{"outputs":[],"seconds":[],"why":"","took":1\' + b\'0\' * 400 + b\'}\'\n'
        "    for n in range(3, 40):\n        try: os.write(n, text)\n        except OSError: pass\n    os._exit(0)"
    ),
    "the result is forged: nested, infinite, of other types": (
        'import os\ndef f(x):\n    text = b\'{"outputs":["1"],"seconds":[Infinity],"why":{"a":1},"took":NaN}\'\n'
        "    for n in range(3, 40):\n        try: os.write(n, text)\n        except OSError: pass\n    os._exit(0)"
    ),
}.items():

    def benched(level: Level, code: str = code) -> Tried:
        from mlx_distill.evaluate.benchmarks import execution

        task = execution._task(code, execution.Calls(("[1]",), "f"), (1.0,), 1.0)
        outcome = sandbox._run(level, execution._program(), (task,), Limits())
        ran = execution._read(outcome.result, outcome, 1)
        json.dumps([*ran.outputs, ran.why], ensure_ascii=False).encode()
        return Tried(ran.outputs != ("2",) and 0 <= sum(ran.seconds) < 1e6, f"outputs {ran.outputs}, {ran.why}")

    ATTACKS["border"][f"benchmark: {name}"] = benched

program(
    "border",
    "a program that says that its sandbox was refused",
    "for n in range(3, 200):\n    try: os.write(n, b'refused')\n    except OSError: pass\nos._exit(97)",
    lambda outcome: outcome.ended == "failed",
)


# ---------------------------------------------------------------- right programs

ANSWER = (
    "import sys\nwith open('answer.py', 'w') as file: file.write({code!r})\nsys.path.insert(0, '/work')\nimport answer\n"
    "said(answer.f())"
)


def right(name: str, expected: object, code: str, limits: Limits | None = None) -> None:
    program("right", name, ANSWER.format(code=code), says(expected), limits)


for many in (20, 64, 120):
    right(
        f"{many} threads at once",
        many,
        "import threading, time\ndef f():\n    n = []\n"
        f"    ts = [threading.Thread(target=lambda: (time.sleep(0.5), n.append(1))) for _ in range({many})]\n"
        "    [t.start() for t in ts]; [t.join() for t in ts]\n    return len(n)",
    )
for method in ("fork", "spawn", "forkserver"):
    right(
        f"a pool of processes, by {method}",
        [1, 4, 9],
        "import multiprocessing\ndef sq(x): return x * x\ndef f():\n"
        f"    with multiprocessing.get_context({method!r}).Pool(4) as p: return p.map(sq, [1, 2, 3])",
        Limits(seconds=20),
    )
for name, expected, code in [
    ("an executor of processes", 6, "from concurrent.futures import ProcessPoolExecutor\ndef f():\n    with ProcessPoolExecutor(2) as p: return sum(p.map(abs, [1, -2, 3]))"),
    ("shared memory and a queue", [5, 7], "from multiprocessing import Process, Queue, shared_memory\ndef w(q): q.put(5)\ndef f():\n    q = Queue(); p = Process(target=w, args=(q,)); p.start(); r = q.get(); p.join()\n    m = shared_memory.SharedMemory(create=True, size=9); m.buf[0] = 7; n = m.buf[0]; m.close(); m.unlink()\n    return [r, n]"),
    ("an asyncio server on loopback", "x", "import asyncio\nasync def g():\n    async def h(r, w):\n        w.write(b'x'); w.close()\n    s = await asyncio.start_server(h, '127.0.0.1', 0)\n    r, w = await asyncio.open_connection(*s.sockets[0].getsockname())\n    d = await r.read(); w.close(); s.close(); return d.decode()\ndef f(): return asyncio.run(g())"),
    ("an HTTP server on localhost", 200, "import http.server, threading, urllib.request\ndef f():\n    s = http.server.HTTPServer(('localhost', 0), http.server.SimpleHTTPRequestHandler)\n    threading.Thread(target=s.serve_forever, daemon=True).start()\n    r = urllib.request.urlopen(f'http://localhost:{s.server_port}/').status; s.shutdown(); return r"),
    ("a socket pair", "x", "import socket\ndef f():\n    a, b = socket.socketpair(); a.send(b'x'); return b.recv(1).decode()"),
    ("temporary files and folders", ["hi", ["a"]], "import tempfile, os\ndef f():\n    with tempfile.NamedTemporaryFile('w+') as t, tempfile.TemporaryDirectory() as d:\n        t.write('hi'); t.seek(0); open(os.path.join(d, 'a'), 'w').close(); return [t.read(), os.listdir(d)]"),
    ("subprocesses: echo, Python, DEVNULL", ["hi", "4", 0], "import subprocess, sys\ndef f():\n    r = lambda *a: subprocess.run(a, capture_output=True, text=True).stdout.strip()\n    return [r('echo', 'hi'), r(sys.executable, '-c', 'print(2+2)'), subprocess.call(['true'], stdout=subprocess.DEVNULL)]"),
    ("an asyncio subprocess", "hi", "import asyncio\nasync def g():\n    p = await asyncio.create_subprocess_exec('echo', 'hi', stdout=asyncio.subprocess.PIPE)\n    o, _ = await p.communicate(); return o.decode().strip()\ndef f(): return asyncio.run(g())"),
    ("700 MiB of memory", 700, "def f():\n    b = bytearray(700 << 20)\n    for i in range(0, len(b), 4096): b[i] = 1\n    return len(b) >> 20"),
    ("a recursion of 10,000 in a thread with a large stack", 10000, "import sys, threading\nsys.setrecursionlimit(20000)\nthreading.stack_size(256 << 20)\ndef g(n): return 0 if n == 0 else 1 + g(n - 1)\ndef f():\n    r = []\n    t = threading.Thread(target=lambda: r.append(g(10000))); t.start(); t.join(); return r[0]"),
    ("a file of 20 MB", 20000000, "import os\ndef f():\n    open('a', 'wb').write(b'x' * 20000000)\n    return os.path.getsize('a')"),
    ("3 MB on the error stream", 1, "import sys\ndef f():\n    for _ in range(30000): print('x' * 100, file=sys.stderr)\n    return 1"),
    ("a result of 500 kB", "x" * 500000, "def f(): return 'x' * 500000"),
    ("a database in a file", [[1]], "import sqlite3\ndef f():\n    d = sqlite3.connect('a.db'); d.execute('create table t(x)'); d.execute('insert into t values(1)'); return d.execute('select x from t').fetchall()"),
    ("who and where am I", [True, True, True, 1970], "import getpass, os, pwd, datetime\nfrom pathlib import Path\ndef f(): return [bool(getpass.getuser()), bool(pwd.getpwuid(os.getuid()).pw_name), bool(str(Path.home())), datetime.datetime.fromtimestamp(0).year]"),
    ("time zones", True, "import zoneinfo, datetime\ndef f(): return datetime.datetime(2024,1,1,tzinfo=zoneinfo.ZoneInfo('Europe/Berlin')).utcoffset().seconds == 3600"),
    ("random numbers and /dev/null", True, "import os, secrets, random\ndef f():\n    open(os.devnull, 'w').write('x')\n    return len(secrets.token_bytes(8)) == 8 and random.SystemRandom().random() < 2"),
    ("a signal to itself, and an alarm", [1, 1], "import os, signal, time\ndef f():\n    got = []\n    signal.signal(signal.SIGTERM, lambda *a: got.append(1)); os.kill(os.getpid(), signal.SIGTERM)\n    signal.signal(signal.SIGALRM, lambda *a: got.append(1)); signal.setitimer(signal.ITIMER_REAL, 0.1); time.sleep(0.5)\n    return got"),
    ("ctypes, resource usage, the number of processors", [True, True, True], "import ctypes, os, resource\ndef f(): return [ctypes.sizeof(ctypes.c_int) == 4, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0, os.cpu_count() > 0]"),
    ("2 seconds of the processor", 1, "import time\ndef f():\n    t = time.process_time()\n    while time.process_time() - t < 2: pass\n    return 1"),
]:  # fmt: skip
    right(name, expected, code, Limits(seconds=60) if "seconds" in name else None)


@attack("right", "where new files are closed to others (umask 077)")
def _(level: Level) -> Tried:
    before = os.umask(0o077)
    try:
        with tempfile.TemporaryDirectory() as place:
            kept, tempfile.tempdir = tempfile.tempdir, place
            outcome = run(level, "import shutil\nsaid([os.path.exists('/usr'), bool(shutil.disk_usage('/work'))])")
            tempfile.tempdir = kept
    finally:
        os.umask(before)
    return Tried(outcome.result == [True, True], f"{outcome.ended}: {outcome.detail or outcome.result!r}")


def main() -> None:
    level: Level = sys.argv[1]  # type: ignore[assignment]
    if why := sandbox.trial(level):
        print(json.dumps({"missing": why}))
        return
    watch.MARK = f"MLX_DISTILL_SANDBOX_{os.getpid()}"  # others may run programs beside it
    for group in sys.argv[2:] or ATTACKS:
        for name, tried in ATTACKS[group].items():
            began = time.monotonic()
            try:
                found = tried(level)
            except Exception as error:  # a fault of the sandbox, or of the attack
                found = Tried(False, f"{type(error).__name__}: {error}")
            row = {"group": group, "name": name, "held": found.held, "words": found.words}
            print(json.dumps(row | {"seconds": round(time.monotonic() - began, 1)}), flush=True)


if __name__ == "__main__":
    main()
