"""What a run ran on: chip, memory, operating system, versions. In: nothing. Out: plain values for the run."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

from mlx_distill import __version__
from mlx_distill.machine import blas, sandbox
from mlx_distill.run.errors import DataError
from mlx_distill.run.folder import file_hash
from mlx_distill.run.results.hardware import Hardware
from mlx_distill.run.results.part import fields_of

PACKAGES = ("mlx", "mlx-lm", "anthropic", "datasets", "matplotlib", "gguf")


def now() -> str:
    """ISO 8601, UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def hash_of(path: str | None) -> str | None:
    """The hash of a user's file. Raises DataError when it does not exist."""
    if path is None:
        return None
    if not Path(path).is_file():
        raise DataError(f"{path} does not exist: check the path.")
    return file_hash(Path(path))


def sandbox_level() -> sandbox.Level:
    """How models' code is shut in on this machine; "none" where it is not run unless told."""
    return sandbox.level()


def sandbox_trials() -> dict[str, str]:
    """Every level of this system, and why it does not work here; empty where it does."""
    return {level: sandbox.trial(level) for level in sandbox.levels()}


def hardware() -> Hardware:
    """What decides how much fits and how fast it is."""
    return Hardware(
        chip=chip(),
        cores=os.cpu_count(),
        memory_bytes=memory_bytes(),
        os=f"{platform.system()} {platform.release().partition('-')[0]}",
        backend="Metal" if sys.platform == "darwin" else "CPU",
        blas=Path(name).name if (name := blas.preloaded()) else None,
    )


def describe() -> dict[str, object]:
    """environment.json. No user name, host name or path."""
    return fields_of(hardware()) | {
        "created": now(),
        "python": platform.python_version(),
        "sandbox": sandbox_level(),
        "versions": {"mlx-distill": __version__, **{name: version(name) for name in PACKAGES}},
        "revision": _revision(),
    }


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def chip() -> str:
    """The processor's name as the operating system gives it."""
    if sys.platform == "darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def launched_rank() -> int | None:
    """This process's number among those that `mlx.launch` or mpirun started; None where it was started alone."""
    ranks = (os.environ.get(name) for name in ("MLX_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK"))
    return next((int(rank) for rank in ranks if rank is not None), None)


def memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _revision() -> str | None:
    """The git revision of the checkout that this package runs from, if it is one."""
    root = Path(__file__).parents[2]
    return _output("git", "-C", str(root), "rev-parse", "HEAD") if (root / ".git").exists() else None


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
