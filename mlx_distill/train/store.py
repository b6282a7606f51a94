"""Arrays that are computed once and read in every epoch: in memory while they fit, then in one memory-mapped file.

In: arrays by name. Out: the same arrays, bit for bit, also after the process was killed: the file says what made it,
each array's line is written after its bytes, and a torn or altered one is simply not there. The trade-off: disk, up
to half of what is free, for computing it again; what fits neither is not kept.
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from mlx_distill.run.folder import refuse_links

DISK_SHARE = 0.5
"""Of the disk that is free at the start."""

BITS: dict[int, Any] = {2: mx.uint16, 4: mx.uint32}
"""numpy has no bfloat16: arrays are written as whole numbers of the same size."""


@dataclass(frozen=True)
class _Entry:
    offset: int
    shape: Sequence[int]
    dtype: str
    crc: int

    @property
    def size(self) -> int:
        return math.prod(self.shape) * int(getattr(mx, self.dtype).size)


UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


class Store:
    """`memory`: bytes kept in memory. `folder`: where the rest goes, or None; `key` says what made the arrays.
    `shared`: everything goes there, for other trainings, and stays."""

    def __init__(self, memory: int, folder: Path | None = None, key: str = "", shared: bool = False) -> None:
        self._memory, self._bytes, self._shared = memory, 0, shared
        self._held: dict[str, mx.array] = {}
        self._entries: dict[str, _Entry] = {}
        self._folder = folder
        self._end = self._room = 0
        if folder is not None:
            self._open(folder, key)

    def get(self, name: str) -> mx.array | None:
        """The array as it was put; None where it was not kept, or its bytes are damaged."""
        if name in self._held:
            return self._held[name]
        entry = self._entries.get(name)
        if entry is None:
            return None
        raw: Any = np.memmap(self._data, np.uint8, "r", entry.offset, (entry.size,))
        if zlib.crc32(raw) != entry.crc:
            del self._entries[name]
            return None
        dtype = getattr(mx, entry.dtype)
        whole = raw.view(f"u{dtype.size}").reshape(entry.shape)
        array = mx.array(whole).view(dtype)
        self._hold(name, array)
        return array

    def put(self, name: str, array: mx.array) -> None:
        held = self._hold(name, array)
        if (self._shared or not held) and self._folder is not None and self._end + array.nbytes <= self._room:
            self._append(name, array)

    def _hold(self, name: str, array: mx.array) -> bool:
        """In memory, where there is room."""
        fits = self._bytes + array.nbytes <= self._memory
        if fits:
            self._held[name] = array
            self._bytes += array.nbytes
        return fits

    def remove(self) -> None:
        """Training is done: deletes the file, unless others share it."""
        self._entries.clear()
        if self._folder is not None and not self._shared:
            shutil.rmtree(self._folder, ignore_errors=True)

    # ---- the file

    def _open(self, folder: Path, key: str) -> None:
        self._data, self._index = folder / "arrays.bin", folder / "index.jsonl"
        if folder.is_dir():
            refuse_links(folder)
        lines = self._index.read_bytes().splitlines(keepends=True) if self._index.exists() else []
        if not lines or lines[0] != _line({"key": key}):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self._index.write_bytes(_line({"key": key}))
            lines = []
        if lines and not lines[-1].endswith(b"\n"):  # torn: what is written next would follow it
            self._index.write_bytes(b"".join(lines := lines[:-1]))
        size = self._data.stat().st_size if self._data.exists() else 0
        for line in lines[1:]:
            with contextlib.suppress(
                ValueError, TypeError, KeyError, AttributeError, RecursionError
            ):  # torn, or zeros after a crash
                row = json.loads(line)
                name = row.pop("name")
                entry = _Entry(**row)
                if entry.offset + entry.size <= size:
                    self._entries[name] = entry
        self._end = max((entry.offset + entry.size for entry in self._entries.values()), default=0)
        self._room = self._end + int(shutil.disk_usage(folder).free * DISK_SHARE)

    def _append(self, name: str, array: mx.array) -> None:
        raw = np.array(array.view(BITS[array.dtype.size])).tobytes()
        with self._data.open("r+b" if self._data.exists() else "w+b") as file:
            file.seek(self._end)
            file.write(raw)
        entry = _Entry(self._end, tuple(array.shape), str(array.dtype).rpartition(".")[2], zlib.crc32(raw))
        with self._index.open("ab") as file:
            file.write(_line({"name": name, **vars(entry)}))
        self._entries[name] = entry
        self._end += len(raw)


def _line(row: dict[str, Any]) -> bytes:
    return (json.dumps(row) + "\n").encode()
