"""The processes that train together: one, or as many as `mlx.launch` started.

In and out: values, summed over the processes or handed from the first to all. Data-parallel: each process works on
its share of every batch, and the gradients are summed by MLX's own engine (ring, JACCL or MPI), so the result is that
of one process with the whole batch.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from mlx_distill.machine.environment import launched_rank
from mlx_distill.run.errors import DataError


class Group:
    """`rank` 0 reads, writes and shows; the others only compute. Without a world: this process alone."""

    def __init__(self, world: Any = None) -> None:
        self._world = world
        self.rank: int = world.rank() if world else 0
        self.size: int = world.size() if world else 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share_of(self, items: Sequence[Any]) -> Sequence[Any]:
        return items[self.rank :: self.size]

    def sum(self, arrays: Mapping[str, mx.array]) -> dict[str, mx.array]:
        """Of each array over all processes, which must all call it."""
        from mlx.nn.utils import average_gradients

        if self.size == 1:
            return dict(arrays)
        averages: list[mx.array] = average_gradients(list(arrays.values()), self._world)
        return {name: array * self.size for name, array in zip(arrays, averages, strict=True)}

    def from_first(self, arrays: Mapping[str, mx.array]) -> dict[str, mx.array]:
        """The first process's arrays, bit for bit; every process gives some of the same shapes and types."""
        if self.size == 1:
            return dict(arrays)
        mine = arrays if self.leads else {name: mx.zeros_like(array) for name, array in arrays.items()}
        totals = {name: self._total(mine[name]) for name in sorted(mine)}  # what was loaded has another order
        return {name: totals[name] for name in arrays}

    def broadcast(self, value: Any = None) -> Any:
        """Broadcasts a JSON value from rank 0."""
        if self.size == 1:
            return value
        raw = json.dumps(value).encode() if self.leads else b""
        length: Any = self._total(mx.array([len(raw)])).item()
        content = mx.array(np.frombuffer(raw, np.uint8)) if self.leads else mx.zeros((length,), mx.uint8)
        return json.loads(np.array(self._total(content)).tobytes())

    def _total(self, array: mx.array) -> mx.array:
        """Evaluated at once: every process must send in the same order."""
        total: mx.array = mx.distributed.all_sum(array, group=self._world, stream=mx.cpu)
        mx.eval(total)
        return total


@functools.cache
def launched() -> Group:
    """The processes that were started together; nothing of the network is touched where a launcher did not."""
    rank = launched_rank()
    group = Group(None if rank is None else mx.distributed.init())
    if rank and group.size == 1:
        raise DataError(f"Process {rank} does not reach the others: start all of them with mlx.launch.")
    return group
