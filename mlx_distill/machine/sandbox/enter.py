"""The ways into the sandbox, as command lines.

In: a level and what a program is given. Out: the command that runs it with its folder as all it can write.
`namespaces` needs nothing but the kernel, `bubblewrap` its bwrap (which some systems let in where others may make no
namespaces), `seatbelt` is macOS's sandbox-exec; `none` is the bare interpreter.
"""

from __future__ import annotations

import functools
import marshal
import os
import platform
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlx_distill.machine.sandbox import filter as seccomp
from mlx_distill.machine.sandbox import seatbelt
from mlx_distill.machine.sandbox.folder import PATH
from mlx_distill.machine.sandbox.packages import INSIDE
from mlx_distill.machine.sandbox.watch import MAX_ENTRIES, Limits, tasks_of_this_user

if TYPE_CHECKING:
    from mlx_distill.machine.sandbox.inside import Settings

Level = Literal["seatbelt", "namespaces", "bubblewrap", "none"]

SYSTEM = ("/usr", "/bin", "/lib", "/lib64")
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")

MOST_LIBRARIES = 64
"""Files beside the interpreter's own folder up to which they are made visible one by one; an installation with more
(conda's) is nothing but an installation, and its `lib` is visible whole."""

FILES = {
    "/etc/passwd": "nobody:x:NOBODY:NOBODY:nobody:/work:/bin/sh\n",
    "/etc/group": "nogroup:x:NOBODY:\n",
    "/etc/hosts": "127.0.0.1 localhost\n",
}
NOBODY = 65534

SEPARATE = ("mnt", "pid", "net", "ipc", "uts")
"""The namespaces that must not be the machine's."""


@dataclass(frozen=True)
class Given:
    """What a program gets: its folder (see `folder.fresh`), its limits, the descriptors of the pipe that says whether
    it was started, of the machine's /proc (-1 where there is none) and of the seccomp filter (-1 where nobody reads it
    so), and the files and folders of packages."""

    folder: Path
    limits: Limits
    status: int
    proc: int
    filter: int = -1
    packages: tuple[str, ...] = ()


def levels() -> list[Level]:
    """What this system could have, the quickest first."""
    if sys.platform == "darwin":
        return ["seatbelt"]
    return ["namespaces", "bubblewrap"] if os.geteuid() == 0 else ["bubblewrap", "namespaces"]


def missing(level: Level) -> str:
    """Why a level cannot even be tried; empty where it can."""
    if level == "seatbelt" and not shutil.which("sandbox-exec", path=PATH):
        return "sandbox-exec is missing"
    if level != "seatbelt" and not seccomp.numbers(platform.machine()):
        return f"its seccomp filter knows no {platform.machine()}"
    if level == "bubblewrap" and not shutil.which("bwrap", path=PATH):
        return "bwrap is not installed"
    if level == "bubblewrap" and os.geteuid() == 0:
        return "it is not for root, whom it cannot make somebody else"
    return ""


def command(level: Level, given: Given) -> list[str]:
    python = [_python(), "-I", "-S", "-X", "utf8"]
    settings = marshal.dumps(_settings(level, given)).hex()  # type: ignore[arg-type]  # a TypedDict is a dict
    if level == "namespaces":
        start = "import sys; sys.path.insert(0, sys.argv.pop(1)); import namespaces; namespaces.main()"
        return [*python, "-c", start, str(given.folder / "given"), settings]
    if level == "bubblewrap":
        return [*_bubblewrap(given), *python, "/given/inside.pyc", settings]
    program = [*python, str(given.folder / "given" / "inside.pyc"), settings]
    if level == "seatbelt":
        profile = seatbelt.profile(given.folder / "work", given.folder / "given", given.packages)
        return ["sandbox-exec", "-p", profile, *program]
    return program


def _settings(level: Level, given: Given) -> Settings:
    """Plain values; see `inside` and `namespaces` for what they mean."""
    machine = platform.machine() if sys.platform == "linux" else ""
    return {
        "level": level,
        "program": "/given/program.py" if level == "bubblewrap" else str(given.folder / "given" / "program.py"),
        "folder": str(given.folder / "root"),
        "status": given.status,
        "proc": given.proc,
        "descriptors": max(given.status, given.proc, given.filter) + 64,
        "parent": os.getpid(),
        "limits": kernel_limits(level, given.limits),
        "disk": given.limits.disk_bytes,
        "entries": MAX_ENTRIES,
        "binds": [*((path, path) for path in (*visible(), *DEVICES)), *_shelved(given)],
        "packages": _packages(level, given),
        "devices": DEVICES,
        "files": FILES,
        "numbers": seccomp.numbers(machine),
        "filter": seccomp_filter(machine) if level == "namespaces" else b"",
        "namespaces": _outside() if given.proc >= 0 else {},
    }


def _shelved(given: Given) -> list[tuple[str, str]]:
    return [(path, f"{INSIDE}/{Path(path).name}") for path in given.packages]


def _packages(level: Level, given: Given) -> list[str]:
    """Where the program finds packages: where the way in puts them or, where the files are those of the machine, by
    links beside it."""
    if not given.packages or level in ("namespaces", "bubblewrap"):
        return [INSIDE] if given.packages else []
    links = given.folder / "given" / "packages"
    links.mkdir(exist_ok=True)
    for path in given.packages:
        (links / Path(path).name).symlink_to(path)
    return [str(links)]


@functools.cache
def seccomp_filter(machine: str) -> bytes:
    return seccomp.program(machine)


@functools.cache
def _outside() -> dict[str, int]:
    return {kind: Path(f"/proc/self/ns/{kind}").stat().st_ino for kind in SEPARATE}


def kernel_limits(level: Level, limits: Limits) -> list[tuple[str, int]]:
    """Those of each process; what the family uses together is for the watch. A thread's stack takes addresses, not
    memory: hundreds of threads have room."""
    bounds = [
        ("RLIMIT_CPU", int(limits.seconds) + 1),
        ("RLIMIT_AS", limits.memory_bytes + THREADS_BYTES),
        ("RLIMIT_FSIZE", max(limits.output_bytes, limits.disk_bytes)),
        ("RLIMIT_NOFILE", limits.open_files),
        ("RLIMIT_CORE", 0),
    ]
    tasks = limits.processes * (8 if sys.platform == "linux" else 1)  # macOS counts no threads
    if level not in ("namespaces", "bubblewrap") or not _counts_by_namespace():
        tasks += tasks_of_this_user()  # there it counts all that the user runs
    return [*bounds, ("RLIMIT_NPROC", tasks)]


THREADS = {"MALLOC_ARENA_MAX": "2"}
"""Part of the environment: glibc takes 64 MiB of addresses for each of many threads, which then are not to be had."""

THREADS_BYTES = 2 << 30


@functools.cache
def _counts_by_namespace() -> bool:
    """Linux counts a user's tasks in each namespace of users alone since 5.14; root's programs are users of their
    own."""
    major, minor = platform.release().split(".")[:2]
    return os.geteuid() == 0 or (int(major), int("".join(filter(str.isdigit, minor)) or 0)) >= (5, 14)


# ---------------------------------------------------------------- what is visible inside


@functools.cache
def visible() -> tuple[str, ...]:
    """The system's folders, and of the interpreter's installation what it needs: in ~/.local, where somebody may have
    installed it, are keys too."""
    folders = [path for path in SYSTEM if Path(path).is_dir()]
    for part in _parts():
        if part.exists() and not any(part.is_relative_to(path) for path in folders):
            folders.append(str(part))
    return tuple(folders)


def _parts() -> list[Path]:
    prefix = Path(sys.base_prefix)
    libraries = [path for path in sorted(prefix.glob("lib/*.so*")) if path.is_file()]
    if len(libraries) > MOST_LIBRARIES:
        libraries = [prefix / "lib"]
    stdlib = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
    return [*libraries, *_real(stdlib), Path(_python()), prefix / "share" / "zoneinfo"]


def _real(paths: list[Path]) -> list[Path]:
    """`platstdlib` of a virtual environment is its own folder, which is not for models' code."""
    return [path for path in paths if (path / "os.py").exists() or (path / "lib-dynload").is_dir()]


def _bubblewrap(given: Given) -> list[str]:
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--cap-drop", "ALL"]
    command += ["--uid", str(NOBODY), "--gid", str(NOBODY), "--seccomp", str(given.filter)]
    for path in visible():
        command += ["--ro-bind", path, path]
    for path in DEVICES:
        command += ["--dev-bind", path, path]
    for path, shown in _shelved(given):
        command += ["--ro-bind", path, shown]
    command += ["--size", str(given.limits.disk_bytes), "--tmpfs", "/work"]
    command += ["--ro-bind", str(given.folder / "given"), "/given"]
    for name in FILES:
        command += ["--ro-bind", str(given.folder / "given" / Path(name).name), name]
    command += ["--symlink", "work", "/tmp", "--symlink", "../work", "/dev/shm"]
    return [*command, "--remount-ro", "/", "--chdir", "/work"]


def _python() -> str:
    """The interpreter under the virtual environment: the environment's packages are not for models' code."""
    name = f"python{sysconfig.get_python_version()}"
    program = Path(sys.base_prefix, "bin", name)
    return str(program if program.exists() else Path(sys.executable).resolve())
