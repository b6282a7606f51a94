"""What is there twice, in two completions.

In: word hashes. Out: lines. No text is kept, so a completion needs 12 bytes in memory while its
duplicates are sought and 172 in a temporary file; near duplicates are found from MinHash signatures, which estimate
a Jaccard similarity of 0.8 with a standard error of 0.05. They are computed here, in numpy: 100 µs for a text of 150
words, its splitting and hashing included, where datasketch 2.0 took 420 µs in the same run (perf/filters.py).
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from mlx_distill.run.overlap import Hashes, grams, mixed
from mlx_distill.run.records import Completion

SHINGLE = 5
PERMUTATIONS = 64
REACH = 4096
"""In a group of candidates each is compared with this many before it, so that a template shared by all
completions costs linear time."""

_BLOCK = 128
_CHUNK = 8192
_ROW = np.dtype([("line", "<u4"), ("prompt_id", "S32"), ("key", "<u8"), ("signature", "<u2", PERMUTATIONS)])


def signature(shingles: Hashes) -> npt.NDArray[np.uint16]:
    """The MinHash signature of a set (Broder 1997), 16 bits of each minimum (Li & König 2010).

    The permutations are multiplications by odd numbers, modulo 2**64, of hashes that are mixed already.
    """
    low = np.full(PERMUTATIONS, np.iinfo(np.uint64).max, np.uint64)
    for start in range(0, len(shingles), 4 * _BLOCK):
        block = _FACTORS[:, None] * shingles[None, start : start + 4 * _BLOCK]
        np.minimum(low, block.min(axis=1), out=low)
    return (low >> np.uint64(32)).astype(np.uint16)


_FACTORS = mixed(np.arange(PERMUTATIONS, dtype=np.uint64)) | np.uint64(1)


class Duplicates:
    """Completions that repeat an earlier one: exactly but for white space, or nearly.

    `file`, a temporary one, keeps what is compared. Two completions are near when at least `needed` of their 64
    minima agree. At most 64 - needed differ, so of one band more than that one agrees whole (pigeonhole):
    comparing only completions that share a band misses no pair. (Below a threshold of 0.52 that would take bands
    of one row; there are 32 of two, and a pair at the threshold is missed once in a thousand times.)
    """

    def __init__(self, threshold: float, file: IO[bytes]) -> None:
        self.needed = math.ceil(threshold * PERMUTATIONS)
        self.bands = min(PERMUTATIONS - self.needed + 1, PERMUTATIONS // 2)
        self.rows = PERMUTATIONS // self.bands
        self._file = file
        self._count = 0

    def add(self, line: int, completion: Completion, asked: Hashes, answered: Hashes) -> None:
        """`asked` and `answered` are the words of prompt and completion; fewer than SHINGLE are one shingle."""
        texts = (" ".join(text.split()) for text in (completion.prompt, completion.completion))
        digest = hashlib.blake2b("\0".join(texts).encode(), digest_size=8).digest()
        words = np.concatenate([asked, answered])
        key = np.frombuffer(digest, np.uint64)
        shingles = grams(words, min(SHINGLE, len(words))) if len(words) else key
        row = np.array([(line, completion.prompt_id.encode(), key[0], signature(mixed(shingles)))], _ROW)
        self._file.write(row.tobytes())
        self._count += 1

    def found(self) -> Iterator[tuple[int, str, str]]:
        """(line, prompt id, "duplicate" or "near duplicate") of each that repeats an earlier one, by line."""
        exact = self._exact()
        near = self._near(exact)
        for place in np.flatnonzero(exact | near).tolist():
            row = self._read([place])[0]
            yield (
                int(row["line"]),
                row["prompt_id"].decode(errors="replace"),
                "duplicate" if exact[place] else "near duplicate",
            )

    def _exact(self) -> npt.NDArray[np.bool_]:
        again = np.zeros(self._count, np.bool_)
        for rows in _groups(self._column(lambda block: block["key"])):
            first = np.unique(self._read(rows)["key"], return_index=True)[1]
            again[np.delete(rows, first)] = True
        return again

    def _near(self, exact: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        near = np.zeros(self._count, np.bool_)
        for band in range(self.bands):
            columns = slice(band * self.rows, (band + 1) * self.rows)
            for rows in _groups(self._column(functools.partial(_band_key, columns=columns))):
                self._compare(rows, exact, near)
        return near

    def _compare(self, rows: npt.NDArray[np.intp], exact: npt.NDArray[np.bool_], near: npt.NDArray[np.bool_]) -> None:
        """Marks the rows of a group that are near one of the REACH before them."""
        for at in range(0, len(rows), _BLOCK):
            later = rows[max(at, 1) : at + _BLOCK]
            later = later[~(exact[later] | near[later])]
            mine = self._read(later)["signature"]
            for back in range(max(0, at - REACH), at + _BLOCK, _BLOCK):
                if not len(later):
                    break
                earlier = rows[back : back + _BLOCK]
                same = np.count_nonzero(mine[:, None] == self._read(earlier)["signature"][None], axis=2)
                hit = ((same >= self.needed) & (earlier[None] < later[:, None])).any(axis=1)
                near[later[hit]] = True
                later, mine = later[~hit], mine[~hit]

    def _read(self, rows: Iterable[int]) -> npt.NDArray[Any]:
        parts = []
        for row in rows:
            self._file.seek(int(row) * _ROW.itemsize)
            parts.append(self._file.read(_ROW.itemsize))
        return np.frombuffer(b"".join(parts), _ROW)

    def _column(self, pick: Callable[[npt.NDArray[Any]], Hashes]) -> Hashes:
        """One number of each row, read in file order."""
        column = np.empty(self._count, np.uint64)
        self._file.seek(0)
        for start in range(0, self._count, _CHUNK):
            block = np.frombuffer(self._file.read(_CHUNK * _ROW.itemsize), _ROW)
            column[start : start + len(block)] = pick(block)
        return column


def _band_key(block: npt.NDArray[Any], columns: slice) -> Hashes:
    key = np.zeros(len(block), np.uint64)
    for column in block["signature"][:, columns].T:
        key = mixed(key ^ column)
    return key


def _groups(keys: Hashes) -> Iterator[npt.NDArray[np.intp]]:
    """Rows, ascending, whose keys agree in all but the lowest bits, which make room for the row number.

    So one array of eight bytes a row is sorted in place. Rows that fall together by chance (44 bits are left
    at a million rows) are for the caller to tell apart.
    """
    mask = (1 << len(keys).bit_length()) - 1
    keys &= np.uint64(~mask % 2**64)
    keys |= np.arange(len(keys), dtype=np.uint32)
    keys.sort()
    same = np.zeros(len(keys) + 1, np.bool_)
    for start in range(0, len(keys), _CHUNK):
        part = keys[start : start + _CHUNK + 1]
        same[start + 1 : start + len(part)] = (part[1:] ^ part[:-1]) <= mask
    starts = np.flatnonzero(same[1:] & ~same[:-1])
    stops = np.flatnonzero(same[:-1] & ~same[1:])
    for first, last in zip(starts.tolist(), stops.tolist(), strict=True):
        yield (keys[first : last + 1] & np.uint64(mask)).astype(np.intp)
