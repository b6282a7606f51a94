"""The store of log-probabilities: for each scored position of an example the likeliest tokens of a model, and the token
that stands there.

In: arrays of one example, under a key of the model that gave them. Out: the same, also for other runs that share the
folder. A file an example, written and then renamed: a kill loses the example that was under way and no other; a file
that is damaged is not there. The trade-off of k tokens and one bucket for the rest: 6k + 6 bytes a position (126 for
k = 20), where a whole row of logits takes 196,608 for SmolLM2.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlx_distill.run.digest import digest
from mlx_distill.run.folder import write_atomic
from mlx_distill.train.encode import Example

HEADER = struct.Struct("<4sHHII")
"""Mark, version, columns, positions, checksum of what follows."""

MARK, VERSION = b"MLXD", 1

FOLDER = "logprobs"


@dataclass(frozen=True)
class TopLogprobs:
    """ids (n, k + 1) int32 and log-probabilities (n, k + 1) float16, the likeliest first; the last column is the token
    that stands there, which is among the k as well where it is likely."""

    ids: npt.NDArray[np.int32]
    logprobs: npt.NDArray[np.float16]

    def to_bytes(self) -> bytes:
        body = self.ids.astype("<i4").tobytes() + self.logprobs.astype("<f2").tobytes()
        rows, columns = self.ids.shape
        return HEADER.pack(MARK, VERSION, columns, rows, zlib.crc32(body)) + body

    @staticmethod
    def from_bytes(content: bytes) -> TopLogprobs | None:
        """None for what is no such file, or damaged."""
        if len(content) < HEADER.size:
            return None
        mark, version, columns, rows, checksum = HEADER.unpack_from(content)
        body = content[HEADER.size :]
        if (mark, version, len(body), checksum) != (MARK, VERSION, 6 * rows * columns, zlib.crc32(body)):
            return None
        ids: Any = np.frombuffer(body, "<i4", rows * columns).reshape(rows, columns)
        logprobs: Any = np.frombuffer(body, "<f2", rows * columns, 4 * rows * columns).reshape(rows, columns)
        return TopLogprobs(ids, logprobs)


class LogprobStore:
    """`scorer` says whose log-probabilities these are: its weights, and what else they depend on. Another scorer, or
    another k, has a folder of its own."""

    def __init__(self, folder: Path, scorer: str, k: int) -> None:
        self.k = k
        self._folder = folder / digest([scorer, str(k)])[:24]

    def get(self, example: Example) -> TopLogprobs | None:
        """None where it was not kept, or does not belong to this example."""
        try:
            top = TopLogprobs.from_bytes(self._path(example).read_bytes())
        except FileNotFoundError:
            return None
        return top if top is not None and top.ids.shape == (example.scored_count, self.k + 1) else None

    def put(self, example: Example, top: TopLogprobs) -> None:
        write_atomic(self._path(example), top.to_bytes())

    def _path(self, example: Example) -> Path:
        return self._folder / f"{name_of(example)}.bin"


def name_of(example: Example) -> str:
    """Of what the log-probabilities depend on beside the model: the tokens, and which of them are scored."""
    tokens = np.array(example.tokens, "<i8").tobytes()
    spans = np.array(example.scored, "<i8").tobytes()
    return hashlib.sha256(hashlib.sha256(tokens).digest() + spans).hexdigest()[:32]
