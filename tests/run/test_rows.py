"""The one reader: every form of a file gives the same rows, whatever it is called, and what is none is named."""

from __future__ import annotations

import csv
import gzip
import io
import json
import string
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import every

from mlx_distill.run.data.rows import count_rows, found_in, rows_of, split_files
from mlx_distill.run.errors import DataError
from mlx_distill.run.toml_file import toml_of

Row = dict[str, Any]


def json_lines(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def json_array(rows: list[Row]) -> bytes:
    return json.dumps(rows, indent=1).encode()


def table(rows: list[Row], separator: str = ",", end: str = "\n") -> bytes:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]), delimiter=separator, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def parquet(rows: list[Row]) -> bytes:
    import pyarrow
    from pyarrow.parquet import write_table

    file = io.BytesIO()
    write_table(pyarrow.Table.from_pylist(rows), file)
    return file.getvalue()


FORMS: dict[str, Callable[[list[Row]], bytes]] = {
    "JSON lines": json_lines,
    "JSON lines with CRLF": lambda rows: json_lines(rows).replace(b"\n", b"\r\n"),
    "JSON lines with blank lines": lambda rows: b"\n\n" + json_lines(rows).replace(b"\n", b"\n\n"),
    "JSON lines without a last line end": lambda rows: json_lines(rows).rstrip(b"\n"),
    "a JSON array": json_array,
    "CSV": table,
    "CSV with semicolons and CRLF": lambda rows: table(rows, ";", "\r\n"),
    "tabs": lambda rows: table(rows, "\t"),
    "Parquet": parquet,
}

words = st.text(string.ascii_letters + ' \n,;"\u2028\x0c\u00e9\u6f22{}[]', min_size=1).filter(str.strip)


@pytest.mark.parametrize("form", FORMS)
@given(rows=st.lists(st.fixed_dictionaries({"prompt": words, "completion": words}), min_size=1, max_size=5))
def test_every_form_gives_the_same_rows_whatever_its_name(form: str, rows: list[Row]) -> None:
    plain = FORMS[form](rows)
    contents = [plain] if form == "Parquet" else [plain, gzip.compress(plain), b"\xef\xbb\xbf" + plain]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("data", "data.JSONL", "data.txt", "data.csv" if "CSV" in form else "data.json"):
            for content in contents:
                (Path(folder) / name).write_bytes(content)
                assert list(rows_of(Path(folder) / name)) == rows
                assert count_rows(Path(folder) / name) == len(rows)


@every(
    "content, places",
    [
        (b'{"a": 1}\n\n{"a": 2}\n', ["line 1", "line 3"]),
        (b'[{"a": 1}, {"a": 2}]', ["item 1", "item 2"]),
        (b'a,b\n1,"two\nlines"\n2,x\n', ["row 2", "row 3"]),
    ],
)
def test_each_row_knows_where_it_stands(tmp_path: Path, content: bytes, places: list[str]) -> None:
    path = tmp_path / "data"
    path.write_bytes(content)
    assert [found.where for found in found_in(path)] == [f"{path}, {place}" for place in places]


@every(
    "name, content, complaint",
    [
        ("a.parquet.gz", gzip.compress(b"PAR1..."), "is gzipped Parquet: unpack it"),
        ("a.xlsx", b"PK\x03\x04...", "is a zip archive"),
        ("a.jsonl.zst", b"\x28\xb5\x2f\xfd...", "compressed with zstd: unpack it with zstd -d"),
        ("a.jsonl", "{}".encode("utf-16"), "is UTF-16 text: convert it"),
        ("a.bin", b"abc\0def", "is no text"),
        ("a.yaml", b"- prompt: x\n", "is YAML: give JSON lines"),
        ("a.md", b"# Prompts\n", "is a text document: give JSON lines"),
        ("a.toml", b"[x]\n", "is TOML: give JSON lines"),
        ("a.json", b'{\n "a": 1\n}\n', "is one JSON object over several lines"),
        ("a.csv", b"a,b\n1,2,3\n", "row 2 has 3 cells under 2 names"),
        ("a.csv", b"a,a\n1,2\n", "names its columns, each once"),
        ("a.csv", b'a,b\n"x"y,2\n', "is no row of a table"),
        ("a.csv", b"a,b\n\xff,2\n", "is not UTF-8"),
        ("a.parquet", b"PAR1 and no more", "is not a Parquet file"),
        ("a.jsonl", b'{"a": 1e999}\n{"a"', "line 2 is not JSON"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=complaint) as raised:
        list(rows_of(tmp_path / name))
    assert str(tmp_path / name) in str(raised.value)
    assert "\n" not in str(raised.value)


@every("name", ["a.jsonl", "a.json", "a.csv", "a.txt", "a"])
def test_an_empty_file_has_no_rows(tmp_path: Path, name: str) -> None:
    for content in (b"", b"\n", b"\xef\xbb\xbf", gzip.compress(b"")):
        (tmp_path / name).write_bytes(content)
        assert list(rows_of(tmp_path / name)) == []


def test_text_is_one_a_line_and_ends_nowhere_else(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes("\ufeffWhy do cats purr?\r\n\n One\u2028line,\x0c and more \n[Be brief] Why?\n".encode())
    assert [found.row["prompt"] for found in found_in(path, "prompt")] == [
        "Why do cats purr?",
        "One\u2028line,\x0c and more",
        "[Be brief] Why?",
    ]


@every("first", ["[INST] What is this?", "[[prompt]] and such", "one, two, three", "Name three cities, please"])
def test_text_that_looks_like_something_else_is_text(tmp_path: Path, first: str) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text(f"{first}\nnext\n")
    assert [found.row["prompt"] for found in found_in(path, "prompt")] == [first, "next"]


@every("name", ["prompts.json", "prompts.csv", "prompts.md", "prompts.yaml", "prompts.jsonl"])
def test_nothing_that_is_called_a_table_is_taken_for_text(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("prompt: What is this?\n")
    if name.endswith("csv"):
        assert [found.row for found in found_in(path, "prompt")] == []
    else:
        with pytest.raises(DataError):
            list(found_in(path, "prompt"))


def test_a_folder_is_known_by_the_names_in_it(tmp_path: Path) -> None:
    for name in ("train-00000.parquet", "validation.jsonl.gz", "test.csv", "README.md", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert {split: path.name for split, path in split_files(tmp_path).items()} == {
        "train": "train-00000.parquet",
        "valid": "validation.jsonl.gz",
        "test": "test.csv",
    }
    (tmp_path / "dev.json").write_bytes(b"")
    with pytest.raises(DataError, match=r"dev\.json and validation\.jsonl\.gz, both for valid"):
        split_files(tmp_path)
    with pytest.raises(DataError, match="is a folder: name a file in it"):
        list(rows_of(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="a folder without a train file"):
        split_files(tmp_path / "empty")


def test_toml_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert toml_of(path) == {"a": 1}
    for content, complaint in ((b"a = \xff", "is not UTF-8"), (b"a = ", "is not valid TOML")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=complaint):
            toml_of(path)
