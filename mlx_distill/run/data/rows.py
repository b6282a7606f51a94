"""The one reader of other people's files: whatever form the rows have, it is told by the content, not by the name.

In: a path. Out: rows and where each stands, one at a time: JSON lines, a JSON array, a CSV or TSV table with a header,
Parquet, plain or gzipped, with or without a byte-order mark; for prompts also plain text, one a line. What is broken is
named by its line, and what is no table is named as what it is. Only a JSON array is read whole: its end says that it is
one. The files that this package writes itself are never guessed at: `lines_of` reads those.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from mlx_distill.run.errors import DataError, words_of

FORMS = "JSON lines, a JSON array or CSV with a header (each also gzipped), or Parquet"

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt", ".gz")
"""What a file of rows may be called."""

TOO_MUCH = "is nested too deeply, or holds a number of thousands of digits"
"""What Python's reader of JSON refuses, though it is JSON."""

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_SNIFFED = 1 << 16
"""Bytes at a file's beginning, which say what it is."""

_FOREIGN = {
    _PARQUET: "gzipped Parquet: unpack it with gunzip",
    b"PK\x03\x04": "a zip archive (or a spreadsheet): unpack it, or save it as CSV",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: unpack it with zstd -d",
    b"\xfd7zXZ": "compressed with xz: unpack it with xz -d",
    b"BZh": "compressed with bzip2: unpack it with bunzip2",
    b"ARROW1": "an Arrow file: save it as Parquet",
    b"%PDF": "a PDF document: save its rows as CSV or JSON lines",
    b"SQLite format 3": "a SQLite database: export the table as CSV",
    codecs.BOM_UTF16_LE: "UTF-16 text: convert it, e.g. with iconv -f UTF-16 -t UTF-8",
    codecs.BOM_UTF16_BE: "UTF-16 text: convert it, e.g. with iconv -f UTF-16 -t UTF-8",
}
_DOCUMENTS = {
    (".yaml", ".yml"): "YAML",
    (".md", ".markdown", ".rst"): "a text document",
    (".html", ".htm", ".xml"): "a page",
    (".toml",): "TOML",
}

Row = dict[str, Any]


class Found(NamedTuple):
    """A row, and where it stands: FILE, line 12."""

    where: str
    row: Row


def rows_of(path: Path) -> Iterator[Row]:
    """The rows of a file, in its order. Raises DataError, naming the place, for what is not one of FORMS."""
    return (row.row for row in found_in(path))


def stem(path: Path) -> str:
    """A file's name without what says its form: mine of mine.jsonl.gz."""
    name = path.name
    while name.lower().endswith(SUFFIXES) and "." in name[1:]:
        name = name.rpartition(".")[0]
    return name


def count_rows(path: Path) -> int:
    return sum(1 for _ in found_in(path))


def found_in(path: Path, text: str | None = None) -> Iterator[Found]:
    """The rows of a file with their places. Where lines of plain text are meant, too, `text` names the key that they
    stand under. Raises DataError as `rows_of`."""
    try:
        with path.open("rb") as raw:
            if raw.peek(len(_PARQUET)).startswith(_PARQUET):
                yield from _table(path)
                return
            packed = raw.peek(len(_GZIP)).startswith(_GZIP)
            with io.BufferedReader(gzip.open(raw) if packed else raw, _SNIFFED) as file:
                yield from _form(path, file, text)(path, file)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: check the path.") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a folder: name a file in it.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({words_of(error)}): is it whole?") from error


Form = Callable[[Path, IO[bytes]], Iterator[Found]]


def _form(path: Path, file: io.BufferedReader[Any], text: str | None) -> Form:
    """What reads a file that begins like this."""
    head = file.peek(_SNIFFED)
    for mark, words in _FOREIGN.items():
        if head.startswith(mark):
            raise DataError(f"{path} is {words}.")
    if head.startswith(codecs.BOM_UTF8):
        file.read(len(codecs.BOM_UTF8))
        head = head[len(codecs.BOM_UTF8) :]
    if b"\0" in head.partition(b"\n")[0]:
        raise DataError(f"{path} is no text: give {FORMS}.")
    begun = head.lstrip()
    if begun[:1] == b"{":
        return _lines
    suffix = path.suffix.lower()
    if name := next((name for suffixes, name in _DOCUMENTS.items() if suffix in suffixes), None):
        raise DataError(
            f"{path} is {name}: {'write one prompt a line in a .txt file, or ' if text else ''}give {FORMS}."
        )
    if begun[:1] == b"[" and not (text and _is_prose(begun)):
        return _array
    if separator := _separator(path, begun, text):
        return lambda path, file: _cells(path, file, separator)
    return _plain(path, begun, text)


def _is_prose(begun: bytes) -> bool:
    """Text that opens with a bracket, and no array of JSON."""
    return begun[1:].lstrip()[:1] not in (b"{", b"]", b"[", b'"') or begun.startswith(b"[[")


def _plain(path: Path, begun: bytes, text: str | None) -> Form:
    if path.suffix.lower() == ".parquet":
        raise DataError(f"{path} is not a Parquet file: is it whole?")
    if not begun:
        return lambda path, file: iter(())
    if text is None or path.suffix.lower() in (".json", ".jsonl", ".ndjson"):
        return _lines  # which names the line that is no JSON
    return lambda path, file: _texts(path, file, text)


_SPLITS = {"train": "train", "valid": "valid", "validation": "valid", "dev": "valid", "eval": "valid", "test": "test"}


def split_files(folder: Path) -> dict[str, Path]:
    """The files of a folder by what their names say that they are for: train, valid, test. Raises DataError where none
    is for training, or two are for the same."""
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        split = _SPLITS.get(path.name.partition(".")[0].partition("-")[0].lower())
        if split is None or not path.name.lower().endswith(SUFFIXES):
            continue
        if split in files:
            raise DataError(f"{folder} has {files[split].name} and {path.name}, both for {split}: name a file instead.")
        files[split] = path
    if "train" not in files:
        raise DataError(
            f"{folder} is a folder without a train file (train.jsonl, or .json, .csv, .parquet): name a file."
        )
    return files


# ---------------------------------------------------------------- JSON


def _lines(path: Path, file: IO[bytes]) -> Iterator[Found]:
    for number, line in enumerate(file, 1):
        if line.strip():
            where = f"{path}, line {number}"
            if number == 1 and line.strip() == b"{":
                raise DataError(f"{path} is one JSON object over several lines: write one object a line, or an array.")
            yield Found(where, _object(line, where))


def _array(path: Path, file: IO[bytes]) -> Iterator[Found]:
    rows = _json(file.read(), str(path))
    for number, row in enumerate(rows, 1):
        where = f"{path}, item {number}"
        if not isinstance(row, dict):
            raise DataError(f"{where} is not a JSON object: the array holds one object a row.")
        yield Found(where, row)


def _object(line: bytes, where: str) -> Row:
    row = _json(line, where)
    if not isinstance(row, dict):
        raise DataError(f"{where} is not a JSON object: write one object a line.")
    return row


def _decoded(text: bytes, where: str) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8 (byte {error.start}): convert it, e.g. with iconv -t UTF-8.") from error


def _json(text: bytes, where: str) -> Any:
    try:
        value = json.loads(_decoded(text, where))
        if b"\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is JSON, but no text
    except UnicodeEncodeError as error:
        raise DataError(f"{where} holds half a character (\\ud800 …): remove it.") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{where} is not JSON ({error.msg}): mend or remove it.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} {TOO_MUCH}: remove it.") from error
    return value


def lines_of(path: Path, skip: int = 0, step: int = 1) -> Iterator[Row]:
    """The objects of a JSON-lines file that this package wrote: after the first `skip` lines, of `step` lines one.

    Raises DataError naming the line that is not one.
    """
    try:
        with path.open("rb") as file:
            for number, line in itertools.islice(enumerate(file, 1), skip, None, step):
                if line.strip():
                    yield _object(line, f"{path}, line {number}")
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: check the path.") from error


# ---------------------------------------------------------------- tables


def _table(path: Path) -> Iterator[Found]:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            numbers = itertools.count(1)
            for batch in file.iter_batches(batch_size=256):
                for row in batch.to_pylist():
                    yield Found(f"{path}, row {next(numbers)}", row)
    except pyarrow.ArrowException as error:
        raise DataError(f"{path} is not a Parquet file ({words_of(error)}): is it whole?") from error


def _separator(path: Path, begun: bytes, text: str | None) -> str:
    """What stands between the cells of a table with a header; "" for a file that is none.

    Lines of text may hold commas: a file that is not called a table is one where its first line is a row of names.
    """
    header = begun.split(b"\n", 1)[0].decode(errors="replace").strip()
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    called = name.suffix.lower() in (".csv", ".tsv")
    most = max("\t;,", key=header.count)
    if called:
        return most if most in header else ","
    names = [cell.strip().strip('"') for cell in header.split(most)]
    known = text is None or any(cell.lower() in ("prompt", text) for cell in names)
    return most if len(names) > 1 and known and all(cell.isidentifier() for cell in names) else ""


def _cells(path: Path, file: IO[bytes], separator: str) -> Iterator[Found]:
    csv.field_size_limit(1 << 30)
    lines = io.TextIOWrapper(file, "utf-8", newline="")
    try:
        reader = csv.reader(lines, delimiter=separator, strict=True)
        names = [name.strip() for name in next(reader, [])]
        while names and not names[-1]:
            names.pop()
        if len(set(names)) < len(names) or not all(names):
            raise DataError(f"{path}: its first line names its columns, each once: it has {', '.join(names)}.")
        for number, cells in enumerate(reader, 2):
            where = f"{path}, row {number}"
            if any(cells[len(names) :]):
                raise DataError(f"{where} has {len(cells)} cells under {len(names)} names: put quotes around commas.")
            if any(cell.strip() for cell in cells):
                yield Found(where, dict(itertools.zip_longest(names, cells[: len(names)], fillvalue="")))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num} is no row of a table ({error}): mend it.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}): save it as CSV UTF-8.") from error


# ---------------------------------------------------------------- text


def _texts(path: Path, file: IO[bytes], key: str) -> Iterator[Found]:
    """One a line; a line ends at a line feed and at nothing else that Unicode would end it at."""
    for number, line in enumerate(file, 1):
        where = f"{path}, line {number}"
        if text := _decoded(line, where).strip():
            yield Found(where, {key: text})
