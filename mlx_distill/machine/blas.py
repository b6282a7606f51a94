"""The fast BLAS on Linux: found, and preloaded by starting the command once more.

MLX's Linux wheel links a reference BLAS of about 2 GFLOP/s in float32; with MKL or OpenBLAS preloaded the same
calls are 20 to 100 times faster. A library can only be preloaded before a process starts, so the command line
replaces itself once, with the same arguments. On macOS nothing happens: Metal does the work.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

MARK = "MLX_DISTILL_BLAS"
"""Set for the second start, so that there is no third; set it to `off` to prevent the first."""


def find() -> Path | None:
    """The library to preload, or None where there is none or none is needed."""
    if sys.platform != "linux":
        return None
    triplet = sysconfig.get_config_var("MULTIARCH") or ""
    candidates = [
        Path(sys.prefix, "lib", "libmkl_rt.so.3"),
        Path(sys.prefix, "lib", "libmkl_rt.so.2"),
        Path("/usr/lib", triplet, "openblas-pthread", "libopenblas.so.0"),
        Path("/usr/lib", triplet, "libopenblas.so.0"),
        Path("/usr/lib64/libopenblasp.so.0"),
    ]
    return next((path for path in candidates if path.exists()), None)


def environment(library: Path) -> dict[str, str]:
    """The variables of a process that computes with `library`.

    KMP_BLOCKTIME=1: MKL's threads spin for 1 ms after each call. The default of 200 ms takes the core that MLX
    needs between calls; 0 makes decoding, with its many small calls, several times slower.
    """
    preloaded = " ".join(filter(None, [str(library), os.environ.get("LD_PRELOAD")]))
    return {
        "LD_PRELOAD": preloaded,
        "KMP_BLOCKTIME": os.environ.get("KMP_BLOCKTIME", "1"),
        MARK: str(library),
    }


def ensure() -> None:
    """Starts this command again with the fast BLAS, unless that has happened or there is none."""
    library = find()
    if library is None or MARK in os.environ:
        return
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | environment(library))


def preloaded() -> str | None:
    """The library that this process runs with."""
    return os.environ.get(MARK)


if __name__ == "__main__":
    found = find()
    print(" ".join(f"{name}={value}" for name, value in environment(found).items()) if found else "")
