"""The seccomp filter: which system calls the kernel refuses to a program, whatever else went wrong.

In: a kind of processor. Out: a program for the kernel's packet filter (BPF), of 8 bytes an instruction, as
prctl(PR_SET_SECCOMP) and bubblewrap take it; empty where the numbers are not known. A small fixed program instead of
libseccomp: its only binding on PyPI rests since 2021, and needs the system's library. What is refused is what reaches
beyond the sandbox (keys, other processes, new namespaces, mounts, the kernel itself) and memory that belongs to no
process, which nothing could count. The numbers are the kernel's (arch/x86/entry/syscalls, include/uapi/asm-generic).
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

REFUSED: dict[str, tuple[int | None, int | None]] = {
    # the kernel's keys
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # other processes' memory and files
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    # memory and queues that belong to no process
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    # namespaces and mounts; `clone` is looked at more closely below
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # work that the kernel does for others, unseen by this filter, and its own inside
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_setup": (206, 0),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "fanotify_init": (300, 262),
    "vmsplice": (278, 75),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    # the machine's clock, log, names, disks and power
    "syslog": (103, 116),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "vhangup": (153, 58),
    # other ways to run instructions
    "personality": (135, 92),
    "modify_ldt": (154, None),
    "iopl": (172, None),
    "ioperm": (173, None),
}
"""Name → number on (x86_64, aarch64). The answer is EPERM."""

CALLED = {"mount_setattr": (442, 442), "pivot_root": (155, 41), "keyctl": (250, 219)}
"""What the sandbox itself calls by number, before the filter is there."""

CLONE, CLONE3 = (56, 220), (435, 435)
SOCKETS = ((41, 198), (53, 199))  # socket, socketpair
IOCTL, TIOCSTI, TIOCLINUX = (16, 29), 0x5412, 0x541C
NEW_NAMESPACES = 0x7E020080
"""CLONE_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET and _NEWTIME."""

FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: with a network of its own they lead nowhere. AF_VSOCK (40) would."""

X32 = 0x40000000

ALLOW, ERRNO, KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
LOAD, EQUAL, AT_LEAST, ANY_OF, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, SECOND_ARGUMENT = 0, 4, 16, 24  # in struct seccomp_data, little-endian

Instruction = tuple[int, int, int, int]
"""code, how many to skip where it is so, where it is not, and the value."""


def numbers(machine: str) -> dict[str, int]:
    """Of the system calls that the sandbox makes itself; empty for another kind of processor."""
    if machine not in AUDIT_ARCH:
        return {}
    return {name: pair[_place(machine)] for name, pair in CALLED.items()}


def program(machine: str) -> bytes:
    """For the kernel; empty for a kind of processor whose numbers are not here."""
    if machine not in AUDIT_ARCH:
        return b""
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in _instructions(machine))


def _place(machine: str) -> int:
    return list(AUDIT_ARCH).index(machine)


def _instructions(machine: str) -> list[Instruction]:
    """Another architecture's calls (32-bit ones, on the same processor) have other numbers: such a process is ended."""
    at = _place(machine)
    refused = [pair[at] for pair in REFUSED.values()]
    instructions = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, AUDIT_ARCH[machine]), (RETURN, 0, 0, KILL_PROCESS)]
    instructions += [(LOAD, 0, 0, NUMBER), (AT_LEAST, 0, 1, X32), _answer(errno.ENOSYS)]
    for number in refused:
        if number is not None:
            instructions += [(EQUAL, 0, 1, number), _answer(errno.EPERM)]
    instructions += [
        (EQUAL, 0, 1, CLONE3[at]),
        _answer(errno.ENOSYS),
    ]  # its flags are out of reach; libc then takes clone
    instructions += _looked_at(CLONE[at], FIRST_ARGUMENT, [(ANY_OF, 0, 1, NEW_NAMESPACES), _answer(errno.EPERM)])
    for socket in SOCKETS:
        among = [(EQUAL, len(FAMILIES) - place, 0, family) for place, family in enumerate(FAMILIES)]
        instructions += _looked_at(socket[at], FIRST_ARGUMENT, [*among, _answer(errno.EAFNOSUPPORT)])
    typing = [(EQUAL, 1, 0, TIOCSTI), (EQUAL, 0, 1, TIOCLINUX), _answer(errno.EPERM)]
    instructions += _looked_at(IOCTL[at], SECOND_ARGUMENT, typing)
    return [*instructions, (RETURN, 0, 0, ALLOW)]


def _answer(error: int) -> Instruction:
    return (RETURN, 0, 0, ERRNO | error)


def _looked_at(number: int, argument: int, rules: Sequence[Instruction]) -> list[Instruction]:
    """Rules on the lower half of an argument of one system call; what they let through is allowed."""
    return [
        (EQUAL, 0, len(rules) + 2, number),
        (LOAD, 0, 0, argument),
        *rules,
        (RETURN, 0, 0, ALLOW),
    ]
