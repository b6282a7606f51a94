"""The ways into the sandbox, as command lines.

In: a level, a folder that holds `work` (the program) and `root` (empty). Out: the command that runs the
program with that folder as all it can write. `namespaces` needs util-linux, `bubblewrap` its bwrap (which some systems
let in where unshare is not), `seatbelt` is macOS's sandbox-exec; `none` is the bare interpreter.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from mlx_distill.sandbox.packages import INSIDE
from mlx_distill.sandbox.watch import Limits

Level = Literal["seatbelt", "namespaces", "bubblewrap", "none"]

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

SYSTEM = ("/usr", "/bin", "/lib", "/lib64")

NAMESPACES = """
set -e
root=$1 work=$2 prefix=$3 bytes=$4 owner=$5 packages=$6; shift 6
mount -t tmpfs -o size=1m,mode=755 tmpfs "$root"
for folder in /usr /bin /lib /lib64 "$prefix"; do
  [ -d "$folder" ] || continue
  mkdir -p "$root$folder"
  mount --rbind "$folder" "$root$folder"
done
mkdir "$root/packages"
printf '%s' "$packages" | while IFS= read -r entry; do
  if [ -d "$entry" ]; then mkdir "$root/packages/${entry##*/}"; else : > "$root/packages/${entry##*/}"; fi
  mount --bind "$entry" "$root/packages/${entry##*/}"
done
while read -r _ _ _ _ point _; do
  case $point in "$root"/*) mount -o remount,bind,ro "$point" ;; esac
done < /proc/self/mountinfo
mkdir "$root/dev" "$root/work" "$root/proc" "$root/.old"
mount --rbind /proc "$root/proc"
ln -s work "$root/tmp"
ln -s ../work "$root/dev/shm"
for device in null urandom; do : > "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
mount -t tmpfs -o "size=$bytes,nr_inodes=4096,mode=755,uid=$owner,gid=$owner" tmpfs "$root/work"
cp "$work/program.py" "$root/work"
[ "$owner" != 0 ] || echo 0 > /proc/sys/user/max_user_namespaces
cd "$root"
pivot_root . .old
umount -l /.old
rmdir /.old
mount -o remount,ro /
umount -l /proc
cd /work
drop="--no-new-privs --bounding-set=-all --inh-caps=-all"
[ "$owner" = 0 ] || drop="--reuid=$owner --regid=$owner --clear-groups --pdeathsig KILL $drop"
exec setpriv $drop "$@"
"""
"""A root of its own; /work is memory of a fixed size. /proc is there for mount alone, and gone before the program
starts: no other process can be looked into."""

SEATBELT = """
(version 1)
(deny default)
(allow process-fork)
(allow process-exec)
(allow signal (target same-sandbox))
(allow process-info* (target same-sandbox))
(allow sysctl-read)
(deny sysctl-read (sysctl-name-prefix "kern.proc"))
(allow ipc-posix-sem)
(allow file-read*)
(deny file-read* {private})
(allow file-read-metadata)
(allow file-read* (subpath {prefix}) (subpath {work}))
(allow file-write* (subpath {work}))
(allow file-write-data (literal "/dev/null"))
"""
"""Later rules win. Everything is denied first: the network, other processes, services, and writing."""

PRIVATE = ("/Users", "/Volumes", "/private/tmp", "/private/var/folders", "/private/var/root", "/Library/Keychains")


def candidates() -> list[Level]:
    """The ways that this machine has the tools for, the quickest first."""
    if sys.platform == "darwin":
        return ["seatbelt"] if shutil.which("sandbox-exec", path=PATH) else []
    found: list[Level] = []
    if all(shutil.which(tool, path=PATH) for tool in ("unshare", "setpriv", "mount", "pivot_root", "sh")):
        found.append("namespaces")
    if shutil.which("bwrap", path=PATH) and os.geteuid():  # it has no way to make root somebody else
        found.append("bubblewrap")
    return found


def command(level: Level, folder: Path, limits: Limits, packages: Sequence[str] = ()) -> list[str]:
    """`packages` are folders and files that the program sees in /packages, or by links beside it."""
    inside = level in ("namespaces", "bubblewrap")
    python = [_python(), "-I", "-S", "-X", "utf8", f"{'/work' if inside else folder / 'work'}/program.py"]
    if level == "seatbelt":
        return ["sandbox-exec", "-p", seatbelt_profile(folder / "work", packages), *python]
    if level == "namespaces":
        return [*_namespaces(folder, limits, packages), *python]
    return [*_bubblewrap(folder, limits, packages), *python] if level == "bubblewrap" else python


def seatbelt_profile(work: Path, packages: Sequence[str] = ()) -> str:
    private = " ".join(f"(subpath {_quoted(path)})" for path in (*PRIVATE, str(Path.home().resolve())))
    profile = SEATBELT.format(private=private, prefix=_quoted(sys.base_prefix), work=_quoted(str(work)))
    shown = [*packages, str(work.parent / "packages")] if packages else []
    return profile + "".join(f"(allow file-read* (subpath {_quoted(path)}))\n" for path in shown)


def _quoted(path: str) -> str:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


NOBODY = 65534


def _namespaces(folder: Path, limits: Limits, packages: Sequence[str]) -> list[str]:
    """Root needs no namespace of users to enter the others, and becomes nobody inside: the kernel does not count
    root's processes, by whatever name a namespace calls it, so that nothing would hold a fork bomb."""
    owner = 0 if os.geteuid() else NOBODY
    users = [] if owner else ["--user", "--map-root-user"]
    kinds = [*users, "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"]
    given = [str(folder / "root"), str(folder / "work"), sys.base_prefix, str(limits.disk_bytes), str(owner)]
    given.append("".join(f"{path}\n" for path in packages))
    return ["unshare", *kinds, "sh", "-c", NAMESPACES, "sh", *given]


def _bubblewrap(folder: Path, limits: Limits, packages: Sequence[str]) -> list[str]:
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--cap-drop", "ALL"]
    for path in (*SYSTEM, sys.base_prefix):
        command += ["--ro-bind-try", path, path]
    for path in ("/dev/null", "/dev/urandom"):
        command += ["--dev-bind", path, path]
    for path in packages:
        command += ["--ro-bind", path, f"{INSIDE}/{Path(path).name}"]
    command += ["--size", str(limits.disk_bytes), "--tmpfs", "/work"]
    command += ["--ro-bind", str(folder / "work" / "program.py"), "/work/program.py"]
    command += ["--symlink", "work", "/tmp", "--symlink", "../work", "/dev/shm"]
    return [*command, "--remount-ro", "/", "--chdir", "/work"]


def _python() -> str:
    """The interpreter under the virtual environment: the environment's packages are not for models' code."""
    name = f"python{sysconfig.get_python_version()}"
    found = Path(sys.base_prefix, "bin", name)
    return str(found if found.exists() else Path(sys.executable).resolve())
