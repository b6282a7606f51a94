"""What runs first inside the sandbox, in the interpreter that then runs the program.

In: the settings on the command line. Out: "ready" on the status pipe, and the program; or why the sandbox is refused,
and nothing. Keys, privileges and system calls are given up here at every level; then the kernel itself is asked whether
it is so (`faults`). Nothing but the standard library is there, and little of that: each import costs every program.
"""

# ruff: noqa: PTH116, PTH123, SIM115, SIM105  pathlib and contextlib would take longer to load than all of this to run

from __future__ import annotations

import builtins
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing alone takes as long to load as the interpreter
    from typing import Any, NotRequired, TypedDict

    class Settings(TypedDict):
        """What the way in is told. Paths are the machine's own; `status` and `proc` are descriptors, from `descriptors`
        on there are none; `parent` is who started it; `root`: whether the machine's root did."""

        level: str
        program: str
        folder: str
        status: int
        proc: int
        descriptors: int
        parent: int
        limits: list[tuple[str, int]]
        disk: int
        entries: int
        binds: list[tuple[str, str]]
        packages: list[str]
        devices: tuple[str, ...]
        files: dict[str, str]
        numbers: dict[str, int]
        filter: bytes
        namespaces: dict[str, int]
        root: NotRequired[bool]


REFUSED = 97
"""The exit code of a process that found the sandbox wanting; the status pipe says why."""

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 24, 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, SECCOMP_MODE_FILTER = 47, 4, 2
KEYCTL_JOIN_SESSION_KEYRING = 1
CAPABILITY_VERSION, CAPABILITIES = 0x20080522, 64
SIGKILL = 9


def main() -> None:
    """Where the sandbox is there already, or there is none. bubblewrap has given up all privileges, and put the filter
    in place; ctypes, which doing it here takes, would make every start longer by a quarter."""
    settings = read_settings()
    if settings["level"] == "bubblewrap":
        check(settings)
    run(settings, open(settings["program"], "rb").read())


def read_settings() -> Settings:
    """Not JSON, whose module takes as long to load as the interpreter to start."""
    import marshal

    return marshal.loads(bytes.fromhex(sys.argv[1]))  # type: ignore[no-any-return]


def check(settings: Settings) -> None:
    """Refuses to go on where the kernel says that the sandbox is not what it should be."""
    try:
        wrong = faults(settings)
    except OSError as error:
        wrong = [str(error)]
    if wrong:
        refuse(settings, "; ".join(wrong))


def refuse(settings: Settings, why: str) -> None:
    os.write(settings["status"], why.encode()[:4000])
    os._exit(REFUSED)


# ---------------------------------------------------------------- giving up


def give_up(settings: Settings) -> None:
    """The login's keys, every privilege for good, being looked into, and the system calls that the filter refuses."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(settings["numbers"]["keyctl"], KEYCTL_JOIN_SESSION_KEYRING, None)  # where it fails there are no keys
    for capability in range(CAPABILITIES):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    libc.capset((ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)())
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _filter(libc, settings["filter"])


def _filter(libc: Any, program: bytes) -> None:
    import ctypes

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    given = Program(len(program) // 8, program)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(given), 0, 0):
        error = ctypes.get_errno()
        raise OSError(error, f"the kernel takes no seccomp filter ({os.strerror(error)})")


def die_with_parent(parent: int | None) -> None:
    """`parent` is who it should still be; None where that cannot be said, or the way in sees to it."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os._exit(REFUSED)


# ---------------------------------------------------------------- asking the kernel


def faults(settings: Settings) -> list[str]:
    """What is not as it should be, in words. `proc` is a descriptor of a /proc from outside: inside there is none."""
    wrong = _privileges(_read(settings, "status"))
    wrong += _mounts(_read(settings, "mountinfo"), {"/work", *filter(_is_device, settings["devices"])})
    wrong += [f"the {kind} namespace is the machine's" for kind in _shared(settings)]
    if len(_read(settings, "net/route").splitlines()) > 1:
        wrong.append("there is a route to a network")
    if _is_unfiltered():
        wrong.append("the seccomp filter is not in force")
    return wrong


def _read(settings: Settings, name: str) -> str:
    with open(os.open(f"self/{name}", os.O_RDONLY, dir_fd=settings["proc"]), encoding="utf-8") as file:
        return file.read()


def _privileges(status: str) -> list[str]:
    rows = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    wrong = [f"{name} is {rows[name].strip()}" for name in rows if name.startswith("Cap") and int(rows[name], 16)]
    wanted = {"NoNewPrivs": "1", "Seccomp": "2"}
    return wrong + [f"{name} is not {value}" for name, value in wanted.items() if rows.get(name, "").strip() != value]


def _mounts(mountinfo: str, writable: set[str]) -> list[str]:
    """Where a mount is not read-only. A point's odd characters are written in octal, so a blank ends it."""
    wrong = []
    for line in mountinfo.splitlines():
        point, options = line.split(" ")[4:6]
        if point not in writable and "ro" not in options.split(","):
            wrong.append(f"{point} can be written to")
    return wrong


def _is_device(path: str) -> bool:
    return os.stat(path).st_mode & 0o170000 == 0o020000  # S_ISCHR


def _shared(settings: Settings) -> list[str]:
    outside = settings["namespaces"]
    return [kind for kind in outside if os.stat(f"self/ns/{kind}", dir_fd=settings["proc"]).st_ino == outside[kind]]


def _is_unfiltered() -> bool:
    """By a call that the filter refuses, as it refuses those for the kernel's keys."""
    try:
        os.close(os.memfd_create("", 0))
    except PermissionError:
        return False
    return True


# ---------------------------------------------------------------- the program


def run(settings: Settings, program: bytes) -> None:
    """As if it were the file that the interpreter was started with, but for a name: what `spawn` starts is no second
    program."""
    _limit(settings["limits"])
    os.write(settings["status"], b"ready")
    os.closerange(3, settings["descriptors"])
    os.umask(0o022)
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]  # `site`, which brings them, is slow
    main = type(sys)("__main__")
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    sys.argv = ["program.py"]
    sys.path += settings["packages"]
    exec(compile(program, "program.py", "exec"), main.__dict__)


def _limit(limits: list[tuple[str, int]]) -> None:
    """One by one: macOS refuses some, and one refusal must not fail the task."""
    import resource

    for kind, limit in limits:
        try:
            resource.setrlimit(getattr(resource, kind), (limit, limit))
        except (AttributeError, OverflowError, ValueError, OSError):
            pass


if __name__ == "__main__":
    main()
