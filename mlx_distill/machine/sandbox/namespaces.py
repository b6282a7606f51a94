"""The way in by Linux namespaces: a root of its own, built with system calls and no text in between.

In: the settings on the command line, on the machine's own file system. Out: the program, as the second process of a
process namespace whose first one (this) reaps, and dies with who started it. Root becomes a user that nobody else is:
the kernel counts tasks by user, and one answer must not use up another's.
"""

# ruff: noqa: PTH102, PTH103, PTH112, PTH120, PTH123, PTH211, SIM115  see inside.py

from __future__ import annotations

import ctypes
import os
import select
import sys

import inside  # type: ignore[import-not-found]  # beside this file: inside there is no package

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from mlx_distill.machine.sandbox.inside import Settings

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = (
    0x00020000,
    0x04000000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 2, 4, 4096, 16384, 1 << 18, 2
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV = -100, 0x8000, 1, 2, 4
SIOCSIFFLAGS, IFF_UP = 0x8914, 1

NOBODY = 65534
OWN_USERS = ((1_900_000_000, 1 << 22), (61184, 4336))
"""(First, how many) of the numbers that no user is given (systemd's list); the second for containers with few."""

libc = ctypes.CDLL(None, use_errno=True)


def main() -> NoReturn:
    """Three processes: one on the machine that waits, the first of the namespace, and the program."""
    settings = inside.read_settings()
    try:
        inside.die_with_parent(settings["parent"])
        program = open(settings["program"], "rb").read()
        alive, held = os.pipe()
        owner = _own_user() if os.geteuid() == 0 else NOBODY
        if not settings["numbers"]:
            inside.refuse(settings, "the numbers of this processor's system calls are not known")
        _unshare(settings)
        first = os.fork()
    except OSError as error:
        inside.refuse(settings, str(error))
    if first:
        os.close(settings["status"])
        _leave(first)
    os.close(held)
    _first(settings, program, owner, alive)


def _first(settings: Settings, program: bytes, owner: int, alive: int) -> NoReturn:
    """What the program must not outlive, or change: it ends when the one on the machine does."""
    try:
        _root(settings, owner)
        _loopback()
        if settings["root"]:
            _become(owner)
        inside.die_with_parent(None)
        if select.select([alive], [], [], 0)[0]:  # it has died in between
            os._exit(inside.REFUSED)
        inside.give_up(settings)
        inside.check(settings)
        child = os.fork()
    except OSError as error:
        inside.refuse(settings, str(error))
    if not child:
        for name in ("inside", "namespaces"):
            sys.modules.pop(name)
        sys.path.pop(0)
        inside.run(settings, program)
        raise SystemExit
    os.closerange(0, settings["descriptors"])
    _leave(child)


def _leave(child: int) -> NoReturn:
    """As the child did. Orphans end up with the first process of a namespace, which reaps them."""
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


# ---------------------------------------------------------------- system calls


def _call(what: str, result: int) -> None:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    given = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    _call(f"mounting {target}", libc.mount(*given[:3], ctypes.c_ulong(flags), given[3]))


def _attributes(numbers: dict[str, int], path: str, attributes: int, flags: int = 0) -> None:
    """mount_setattr (Linux 5.12) sets them on a whole tree at once: no list of mounts has to be read for it."""
    given = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    number = numbers["mount_setattr"]
    _call(f"protecting {path}", libc.syscall(number, AT_FDCWD, os.fsencode(path), flags, ctypes.byref(given), 32))


# ---------------------------------------------------------------- the user


def _unshare(settings: Settings) -> None:
    """Root needs no namespace of users to enter the others; a user is nobody in one, who may do all of this."""
    kinds = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
    user, group = os.geteuid(), os.getegid()
    settings["root"] = user == 0
    _call("unshare", libc.unshare(kinds if user == 0 else kinds | CLONE_NEWUSER))
    if user:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{NOBODY} {user} 1")
        _write("/proc/self/gid_map", f"{NOBODY} {group} 1")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _own_user() -> int:
    """A number that no other program of ours has now: it is counted on from the process's."""
    for first, many in OWN_USERS:
        number = first + os.getpid() % many
        if _is_mapped("/proc/self/uid_map", number) and _is_mapped("/proc/self/gid_map", number):
            return number
    return NOBODY


def _is_mapped(path: str, number: int) -> bool:
    with open(path, encoding="utf-8") as file:
        rows = [line.split() for line in file]
    return any(int(first) <= number < int(first) + int(many) for first, _, many in rows)


def _become(owner: int) -> None:
    os.setgroups([])
    for capability in range(inside.CAPABILITIES):  # while it still may
        libc.prctl(inside.PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setresgid(owner, owner, owner)
    os.setresuid(owner, owner, owner)


# ---------------------------------------------------------------- the root


def _root(settings: Settings, owner: int) -> None:
    """All of it is read-only but /work, which is memory of a fixed size."""
    root, numbers = settings["folder"], settings["numbers"]
    os.umask(0o022)
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    _mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
    for source, path in settings["binds"]:
        _bind(source, root + path)
        kept = 0 if path in settings["devices"] else MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV
        _attributes(numbers, root + path, kept | MOUNT_ATTR_NOSUID, AT_RECURSIVE)
    for name, text in settings["files"].items():
        os.makedirs(os.path.dirname(root + name), exist_ok=True)
        _write(root + name, text.replace("NOBODY", str(owner)))
    os.mkdir(f"{root}/work")
    os.symlink("work", f"{root}/tmp")
    os.symlink("../work", f"{root}/dev/shm")
    size = f"size={settings['disk']},nr_inodes={settings['entries']}"
    _mount("tmpfs", f"{root}/work", "tmpfs", MS_NOSUID | MS_NODEV, f"{size},mode=755,uid={owner},gid={owner}")
    os.chdir(root)
    _call("pivot_root", libc.syscall(numbers["pivot_root"], b".", b"."))
    _call("leaving the old root", libc.umount2(b".", MNT_DETACH))
    _attributes(numbers, "/", MOUNT_ATTR_RDONLY)
    os.chdir("/work")


def _bind(source: str, target: str) -> None:
    """A link becomes what it points to, a folder with all that is mounted in it."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
        _mount(source, target, None, MS_BIND | MS_REC)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        open(target, "w").close()
        _mount(source, target, None, MS_BIND)


def _loopback() -> None:
    """A namespace's own loopback is down at first; nothing leaves by it."""
    import _socket
    import fcntl

    opened = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        fcntl.ioctl(opened, SIOCSIFFLAGS, b"lo".ljust(16, b"\0") + IFF_UP.to_bytes(2, sys.byteorder) + bytes(22))
    finally:
        opened.close()
