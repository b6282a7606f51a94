"""What two sides of a measurement share: one machine, the same weights, the same fast BLAS.

In: a student. Out: its float32 folder, an environment for both sides' processes, and what else the machine did.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from mlx_distill.machine import blas

ROOT = Path(__file__).parents[1]
STAT = Path("/proc/stat")


def float32_folder(student: str, target: Path) -> Path:
    """On the CPU backend ours computes in float32, so stock is given the same weights in that."""
    import mlx.core as mx

    from mlx_distill.models import students
    from mlx_distill.models.students.gguf import convert

    source = students.locate(student)
    source = convert(source) if source.is_file() else source
    target.mkdir(parents=True)
    for file in source.iterdir():
        if file.suffix == ".safetensors":
            weights: Any = mx.load(str(file))
            cast = {name: array.astype(mx.float32) for name, array in weights.items()}
            mx.save_safetensors(str(target / file.name), cast, metadata={"format": "mlx"})
        elif file.is_file():
            (target / file.name).write_bytes(file.read_bytes())
    mx.clear_cache()  # this process waits beside the measured ones
    return target


def environment() -> dict[str, str]:
    """The same for both: the fast BLAS, and on the CPU no compiled kernels, which gain nothing there."""
    found = blas.find()
    if found is None:
        return dict(os.environ)
    fast = {} if blas.preloaded() else blas.environment(found)
    return os.environ | fast | {"MLX_DISABLE_COMPILE": "1"}


class Elsewhere:
    """What other work of this machine took since this was made: two sides are seldom slowed down alike."""

    def __init__(self) -> None:
        self._started, self._others = time.monotonic(), self._seconds()

    def said(self) -> str:
        """Only where the kernel tells it: on Linux."""
        whole = (time.monotonic() - self._started) * (os.cpu_count() or 1)
        took = self._seconds() - self._others
        return f"; other work took {max(0.0, took) / whole:.0%} of the machine" if STAT.exists() else ""

    def _seconds(self) -> float:
        """Of processors, that neither this process nor one that it has waited for has used."""
        if not STAT.exists():
            return 0.0
        user, nice, system, _idle, _wait, *rest = map(int, STAT.read_text().splitlines()[0].split()[1:])
        busy = (user + nice + system + sum(rest[:3])) / os.sysconf("SC_CLK_TCK")
        return busy - sum(os.times()[:4])
