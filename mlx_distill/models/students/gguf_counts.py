"""Whether the counts in a GGUF file's header can be true, before they are believed.

In: a file. Out: nothing, or DataError. The gguf package reads as many values as a count says, also behind the end of
the file: 300 bytes with absurd counts take all memory. Here the header is walked through once, and each count is held
against what is left of the file. Format: the GGUF specification v3 of the ggml project.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from mlx_distill.run.errors import DataError

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value, by the number of its type."""
STRING, ARRAY = 8, 9

LEAST_PAIR, LEAST_TENSOR = 13, 24
"""Bytes of the shortest key and value, and of the shortest description of a tensor."""

MOST_VALUES = 1 << 23
"""Of an array: vocabularies have a quarter of a million, their merges half a million."""


class _Impossible(Exception):
    pass


def check_counts(path: Path) -> None:
    """Raises DataError for what is no GGUF file, or counts more than it can hold."""
    try:
        with path.open("rb") as file:
            _walk(file, os.fstat(file.fileno()).st_size, path)
    except (_Impossible, struct.error) as error:
        raise DataError(f"{path} is damaged or cut short ({error}): download it again.") from error


def _walk(file: BinaryIO, size: int, path: Path) -> None:
    magic, version = file.read(4), file.read(4)
    if magic != b"GGUF" or size < 24:
        raise DataError(f"{path} is not a GGUF file: download it again.")
    if version[:2] == b"\0\0":
        raise DataError(f"{path} is a big-endian GGUF file: download the little-endian one.")
    tensors, pairs = struct.unpack("<QQ", file.read(16))
    if pairs * LEAST_PAIR + tensors * LEAST_TENSOR > size - 24:
        raise _Impossible(f"{pairs} settings and {tensors} tensors in {size} bytes")
    for _ in range(pairs):
        _string(file, size)
        _value(file, size, _number(file, "<I"))


def _value(file: BinaryIO, size: int, kind: int) -> None:
    if kind == STRING:
        _string(file, size)
    elif kind == ARRAY:
        of, count = _number(file, "<I"), _number(file, "<Q")
        least = 8 if of == STRING else SIZES.get(of, 0)
        if not least or count > MOST_VALUES or count * least > size - file.tell():
            raise _Impossible(f"an array of {count} values of type {of}")
        if of == STRING:
            for _ in range(count):
                _string(file, size)
        else:
            file.seek(count * least, os.SEEK_CUR)
    elif kind in SIZES:
        file.seek(SIZES[kind], os.SEEK_CUR)
    else:
        raise _Impossible(f"a value of type {kind}")
    if file.tell() > size:
        raise _Impossible("a value behind its end")


def _string(file: BinaryIO, size: int) -> None:
    length = _number(file, "<Q")
    if length > size - file.tell():
        raise _Impossible(f"a text of {length} bytes")
    file.seek(length, os.SEEK_CUR)


def _number(file: BinaryIO, form: str) -> int:
    return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])
