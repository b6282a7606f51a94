"""The temporary folders of programs.

In: nothing. Out: a folder, gone again afterwards. A process that is killed leaves its own behind; one is known by the
lock on it, which the kernel takes away with the process, and is swept by the next process that needs a folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = "mlx-distill-"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

YOUNG_SECONDS = 3600
"""A folder without a lock is one that an earlier version left, if it is older than a program may run."""


@contextlib.contextmanager
def fresh() -> Iterator[Path]:
    """Of one program, with `work` (what it may write to), `given` and `root` (empty) in it."""
    _swept(tempfile.gettempdir())
    folder = Path(tempfile.mkdtemp(prefix=f".{PREFIX}")).resolve()
    lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = folder.rename(folder.with_name(folder.name[1:]))  # locked before it has the name that others look for
        for name in ("work", "given", "root"):
            (folder / name).mkdir()
        yield folder
    finally:
        remove(folder)
        os.close(lock)


@functools.cache
def _swept(temporary: str) -> None:
    """Once a process."""
    sweep(Path(temporary))


def sweep(temporary: Path) -> None:
    """Removes what processes of this user left that are no more."""
    for folder in (*temporary.glob(f"{PREFIX}*"), *temporary.glob(f".{PREFIX}*")):
        with contextlib.suppress(OSError):
            state = folder.lstat()
            if state.st_uid == os.getuid() and not folder.is_symlink() and _is_left(folder, state.st_mtime):
                remove(folder)


def _is_left(folder: Path, changed: float) -> bool:
    if folder.name.startswith("."):  # in the making
        return time.time() - changed > YOUNG_SECONDS
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return time.time() - changed > YOUNG_SECONDS
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def remove(folder: Path) -> None:
    """What a program leaves may be nested too deeply for Python, or closed to reading; the system's tools manage."""
    with contextlib.suppress(OSError, RecursionError):
        shutil.rmtree(folder)
    if folder.exists():
        script = 'rm -rf "$1" 2>/dev/null || { chmod -R u+rwX "$1"; rm -rf "$1"; }'
        subprocess.run(["sh", "-c", script, "sh", os.fspath(folder)], env={"PATH": PATH}, stderr=subprocess.DEVNULL)
