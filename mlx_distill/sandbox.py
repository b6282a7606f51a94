"""Runs code that a model wrote, where it can reach nothing.

In: a program and the files it may see. Out: how it ended and what it left in its one writable folder. Two ways in,
probed once: `seatbelt` (macOS sandbox-exec) and `namespaces` (Linux user, mount, network and process namespaces
through util-linux, on a root of its own). Where neither works the level is `none` and nothing is run: a check that
was not run is reported as such, which is better than running it in the open.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Level = Literal["seatbelt", "namespaces", "none"]

TIMEOUT_SECONDS = 10
MEMORY_BYTES = 1 << 30
OUTPUT_BYTES = 1 << 20

ENTER_NAMESPACES = """
set -e
root=$1 work=$2; shift 2
mount -t tmpfs -o size=16m,mode=755 tmpfs "$root"
for folder in /usr /bin /lib /lib64 "$PREFIX"; do
  [ -d "$folder" ] || continue
  mkdir -p "$root$folder"
  mount --rbind "$folder" "$root$folder"
  mount -o remount,bind,ro "$root$folder"
done
mkdir -p "$root/proc" "$root/dev" "$root/tmp" "$root/work" "$root/.old"
mount -t proc proc "$root/proc"
for device in null urandom; do touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
mount --bind "$work" "$root/work"
cd "$root"
pivot_root . .old
umount -l /.old
rmdir /.old
mount -o remount,ro /
cd /work
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""

SEATBELT = """
(version 1)
(allow default)
(deny network*)
(deny file-write*)
(deny file-read* (subpath "{home}"))
(allow file-read* (subpath "{prefix}") (subpath "{work}"))
(allow file-write* (subpath "{work}") (literal "/dev/null"))
"""

LIMITS = f"""
import resource
for kind, limit in (
    (resource.RLIMIT_CPU, {TIMEOUT_SECONDS}),
    (resource.RLIMIT_AS, {MEMORY_BYTES}),
    (resource.RLIMIT_FSIZE, {OUTPUT_BYTES}),
    (resource.RLIMIT_NOFILE, 64),
    (resource.RLIMIT_NPROC, 64),
):
    try:
        resource.setrlimit(kind, (limit, limit))
    except (ValueError, OSError):
        pass
"""
"""Set one by one: macOS refuses some, and one refusal must not fail the task."""


@dataclass(frozen=True)
class Outcome:
    """`result` is what the program wrote to result.json, or None; `ended`: ok, failed, timeout or not run."""

    ended: Literal["ok", "failed", "timeout", "not run"]
    detail: str = ""
    result: Any = None


@functools.cache
def level() -> Level:
    """The strongest way that works on this machine."""
    for candidate in _candidates():
        if _run(candidate, "open('result.json', 'w').write('1')", {}).result == 1:
            return candidate
    return "none"


def _candidates() -> list[Level]:
    if sys.platform == "darwin":
        return ["seatbelt"] if shutil.which("sandbox-exec") else []
    tools = ("unshare", "setpriv", "mount", "pivot_root", "sh")
    return ["namespaces"] if all(shutil.which(tool, path=_PATH) for tool in tools) else []


def run(program: str, task: Any = None) -> Outcome:
    """Runs a Python program with `task` in task.json; it answers by writing result.json."""
    return _run(level(), program, {"task.json": json.dumps(task)})


def _run(chosen: Level, program: str, files: dict[str, str]) -> Outcome:
    if chosen == "none":
        return Outcome("not run", "no sandbox on this machine")
    with tempfile.TemporaryDirectory(prefix="mlx-distill-") as folder:
        work, root = Path(folder, "work"), Path(folder, "root")
        work.mkdir()
        root.mkdir()
        for name, content in (files | {"program.py": LIMITS + program}).items():
            (work / name).write_text(content, encoding="utf-8")
        errors = Path(folder, "errors")
        with errors.open("wb") as stderr:  # a file: what a program writes there is bounded by its file-size limit
            process = subprocess.Popen(
                _enter(chosen, root, work),
                cwd=work,
                env={"PATH": _PATH, "PREFIX": sys.base_prefix, "HOME": "/work", "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
            )
        return _finish(process, work, errors)


_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def _enter(chosen: Level, root: Path, work: Path) -> list[str]:
    folder = "/work" if chosen == "namespaces" else str(work)
    python = [_python(), "-I", "-X", "utf8", f"{folder}/program.py"]
    if chosen == "seatbelt":
        profile = SEATBELT.format(home=Path.home(), prefix=sys.base_prefix, work=work.resolve())
        return ["sandbox-exec", "-p", profile, *python]
    namespaces = ["--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--uts"]
    script = ["sh", "-c", ENTER_NAMESPACES, "sh", str(root), str(work)]
    return ["unshare", *namespaces, "--fork", "--kill-child", *script, *python]


def _python() -> str:
    """The interpreter under the virtual environment: the environment's packages are not for models' code."""
    name = f"python{sysconfig.get_python_version()}"
    found = Path(sys.base_prefix, "bin", name)
    return str(found if found.exists() else Path(sys.executable).resolve())


def _finish(process: subprocess.Popen[bytes], work: Path, errors: Path) -> Outcome:
    try:
        process.wait(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        return Outcome("timeout", f"more than {TIMEOUT_SECONDS} s")
    finally:
        _kill_group(process)
    lines = errors.read_bytes()[-2000:].decode(errors="replace").strip().splitlines()
    detail = lines[-1][:200] if lines else ""
    return Outcome("ok" if process.returncode == 0 else "failed", detail, _read_result(work / "result.json"))


def _read_result(path: Path) -> Any:
    """What the program left, if it is a plain file of JSON: it may have left anything."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > OUTPUT_BYTES:
            return None
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
