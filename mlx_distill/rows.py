"""The rows of published data files: JSON lines, plain or gzipped, and Parquet.

In: a path. Out: rows, one at a time, so that a file of any size can be read. What is broken is named by its line.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlx_distill.errors import DataError, words_of

JSON_LINES = (".jsonl", ".ndjson", ".json")


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSON-lines file, plain or gzipped, or a Parquet file. Raises DataError naming the broken line."""
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix not in (*JSON_LINES, ".parquet") or path.name.endswith(".parquet.gz"):
        raise DataError(f"{path} is neither .jsonl, .jsonl.gz nor .parquet: convert it to one of them.")
    try:
        yield from _parquet_rows(path) if suffix == ".parquet" else _json_rows(path)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: check the path.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}): is it whole?") from error


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=256):
                yield from batch.to_pylist()
    except pyarrow.ArrowException as error:
        raise DataError(f"{path} is not a Parquet file ({words_of(error)}): is it whole?") from error


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _json_row(line, f"{path}, line {number}")


def _json_row(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode())
        json.dumps(row, ensure_ascii=False).encode()  # a lone surrogate is JSON, but no text
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8: convert it, e.g. with iconv -t UTF-8.") from error
    except UnicodeEncodeError as error:
        raise DataError(f"{where} holds half a character (\\ud800 …): remove it.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not JSON: mend or remove the line.") from error
    if not isinstance(row, dict):
        raise DataError(f"{where} is not a JSON object: write one object a line.")
    return row
