"""macOS's way in: the profile that sandbox-exec gives to the kernel.

In: the folder that is written to, the one that holds the program. Out: the profile. Everything is denied first, reading
too; what the dynamic loader and the interpreter read is then allowed by name. Written after what others found necessary
(the loader ends a process without a word that may not read "/" itself); it has not been run on a Mac by us.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

PROFILE = """
(version 1)
(deny default)
(allow process-fork)
(allow process-exec)
(allow signal (target same-sandbox))
(allow process-info* (target same-sandbox))
(allow sysctl-read)
(deny sysctl-read (sysctl-name-prefix "kern.proc"))
(allow ipc-posix-sem)
(allow file-map-executable)
(allow file-read-metadata)
(allow file-read* (literal "/"))
(allow file-read* {system})
(allow file-read* {libraries})
(allow file-read* {devices})
(allow file-read* {python} (subpath {given}) (subpath {work}))
(allow file-write* (subpath {work}))
(allow file-write-data (literal "/dev/null"))
"""
"""Later rules win. No network, no services (mach-lookup), no shared memory, no terminals. Of files elsewhere it can be
told that they are there, by their names; what is mapped as code must be readable too."""

SYSTEM = (
    "/System/Library",
    "/System/Cryptexes/OS",
    "/System/Volumes/Preboot/Cryptexes/OS",
    "/Library/Apple/System/Library",
    "/private/var/db/dyld",
    "/private/var/db/timezone",
    "/usr/lib",
    "/usr/share",
    "/usr/bin",
    "/bin",
)
"""The loader, its cache of libraries, time zones, and the commands that a program may start."""

LIBRARIES = (
    "/opt/homebrew/Cellar",
    "/opt/homebrew/opt",
    "/opt/homebrew/lib",
    "/usr/local/Cellar",
    "/usr/local/opt",
    "/usr/local/lib",
    "/opt/local/lib",
)
"""Where the interpreters of Homebrew and MacPorts have the libraries that they are linked to: not their `var` and
`etc`, which hold databases, logs and settings."""

DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/private/etc/localtime")


def profile(work: Path, given: Path, packages: Sequence[str] = ()) -> str:
    """`packages` are files and folders that may be read too."""
    text = PROFILE.format(
        system=_rules("subpath", SYSTEM),
        libraries=_rules("subpath", LIBRARIES),
        devices=_rules("literal", DEVICES),
        python=_rules("subpath", python_parts()),
        given=_quoted(str(given)),
        work=_quoted(str(work)),
    )
    return text + "".join(f"(allow file-read* (subpath {_quoted(path)}))\n" for path in packages)


def python_parts() -> list[str]:
    """Of the interpreter's installation: `share` and `etc` beside it may be the user's own, as in ~/.local."""
    prefixes = dict.fromkeys((Path(sys.base_prefix), Path(sys.base_exec_prefix)))
    parts = [str(prefix / part) for prefix in prefixes for part in ("bin", "lib", "Python", "Resources")]
    return sorted({*parts, *(str(Path(part).resolve()) for part in parts)})


def _rules(kind: str, paths: tuple[str, ...] | list[str]) -> str:
    return " ".join(f"({kind} {_quoted(path)})" for path in paths)


def _quoted(path: str) -> str:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
