"""Text, files and folders of others: nothing of them acts, and none of them is a fault of ours."""

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import invoke
from rich.console import Console
from tables import every

from mlx_distill.cli.terminal import Terminal
from mlx_distill.evaluate.judges.blind import blinded
from mlx_distill.machine.lexers import LONGEST, OWN_LONGEST, tokens
from mlx_distill.models.asking.ledger import Ledger
from mlx_distill.models.students.gguf_counts import check_counts
from mlx_distill.models.teachers import secrets
from mlx_distill.models.teachers.claude import reason
from mlx_distill.report.markdown_text import fence, inline
from mlx_distill.report.page.answers import pieces
from mlx_distill.run import folder as rundir
from mlx_distill.run.data.rows import rows_of
from mlx_distill.run.errors import DataError
from mlx_distill.run.folder import RunDir
from mlx_distill.run.lines import read_records
from mlx_distill.run.records import Prompt

# ---------------------------------------------------------------- links in a run's folder


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    path = tmp_path / "precious.txt"
    path.write_text("my only copy")
    return path


LINKED = (".lock", "ledger.sqlite", "metrics.jsonl", "visuals/losses.png", ".adapters.partial.safetensors")


@every("name", LINKED)
def test_no_link_in_a_runs_folder_is_written_through(tmp_path: Path, precious: Path, name: str) -> None:
    run = tmp_path / f"run of {Path(name).name}"
    (run / name).parent.mkdir(parents=True)
    (run / name).symlink_to(precious)
    for act in (
        lambda: RunDir(run).locked().__enter__(),
        lambda: RunDir(run).append(name, Prompt("p", "x")),
        lambda: Ledger(run / name),
        lambda: rundir.opened(run / name, "a"),
        lambda: rundir.opened(run / name, "w"),
    ):
        with pytest.raises(DataError, match="is a link"):
            act()
    assert precious.read_text() == "my only copy"


def test_a_second_name_of_a_file_is_not_written_to_either(tmp_path: Path, precious: Path) -> None:
    """What an archive brings may be a hard link."""
    (tmp_path / "run").mkdir()
    os.link(precious, tmp_path / "run" / ".lock")
    with pytest.raises(DataError, match=r"\.lock"), RunDir(tmp_path / "run").locked():
        pass
    with pytest.raises(DataError, match=r"\.lock"):
        RunDir(tmp_path / "run").append(".lock", Prompt("p", "x"))
    assert precious.read_text() == "my only copy"


def test_linked_folders_pipes_and_ledgers_beside_are_refused(tmp_path: Path, precious: Path) -> None:
    run = tmp_path / "run"
    (run / "visuals").mkdir(parents=True)
    with RunDir(run).locked():
        RunDir(run).append("metrics.jsonl", Prompt("p", "x"))
        RunDir(run).append("metrics.jsonl", Prompt("q", "x"))
    assert len(RunDir(run).read("metrics.jsonl", Prompt)) == 2
    for name, make in {
        "linked": lambda path: path.symlink_to(tmp_path),
        "pipe": os.mkfifo,
        "visuals/deeper": lambda path: path.symlink_to(precious),
        "dangling": lambda path: path.symlink_to(tmp_path / "nowhere"),
    }.items():
        make(run / name)
        with pytest.raises(DataError, match=Path(name).name), RunDir(run).locked():
            pass
        (run / name).unlink()
    (tmp_path / "ledger.sqlite-wal").symlink_to(precious)
    with pytest.raises(DataError, match=r"ledger\.sqlite-wal"):
        Ledger(tmp_path / "ledger.sqlite")
    assert precious.read_text() == "my only copy"


def test_a_run_that_is_itself_named_by_a_link_is_the_users_own_choice(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with RunDir(tmp_path / "link").locked() as run:
        run.write_json("a.json", 1)
    assert json.loads((tmp_path / "run" / "a.json").read_text()) == 1


def test_a_command_says_which_link_it_was(tmp_path: Path, precious: Path) -> None:
    (tmp_path / "stranger").mkdir()
    (tmp_path / "stranger" / ".lock").symlink_to(precious)
    done = invoke("export", "votes", "--run", tmp_path / "stranger")
    assert done.returncode == 3
    assert "is a link" in done.stderr
    assert precious.read_text() == "my only copy"


# ---------------------------------------------------------------- JSON that Python does not read

DEEP, LONG = "[" * 100_000 + "]" * 100_000, "1" * 5000


@every("value", [DEEP, LONG, '{"a":' * 5000 + "1" + "}" * 5000])
def test_deep_json_and_endless_numbers_are_the_files_fault(tmp_path: Path, value: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(f'{{"prompt": "a b c d e f", "x": {value}}}\n')
    with pytest.raises(DataError, match="line 1"):
        read_records(file, Prompt)
    with pytest.raises(DataError, match="line 1"):
        list(rows_of(file))
    (tmp_path / "stages.json").write_text(value)
    with pytest.raises(DataError, match=r"stages\.json"):
        RunDir(tmp_path).stages()
    done = invoke("run", "--preset", "demo", "--prompts", file, "--run", tmp_path / "run", "--yes")
    assert done.returncode == 3
    assert "fault of mlx-distill" not in done.stderr


# ---------------------------------------------------------------- what is shown

ACTING = "a\x1b[2Jb\x1b]52;c;aGk=\x07c\x00d\x9be\u202eevil\u202c\u2066x\u2069\r```\rg\x7f"


def test_no_control_and_no_override_is_in_any_report() -> None:
    shown = [fence(ACTING), inline(ACTING), *(piece.html for piece in pieces(f"{ACTING}\n```python\n{ACTING}\n```"))]
    for text in map(str, shown):
        assert not [letter for letter in text if letter != "\n" and (ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0)]
        assert not set(text) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert "e\ufffdevil\ufffd" in shown[0]
    assert fence("a\r\nb\tc") == "```text\na\nb\tc\n```"


@every("text", ["x[/bold]y", "[red]x", "x\\[/bold]y", "[link=file:///etc/passwd]x[/link]", "\\", "[/]", "[bold"])
def test_the_terminal_reads_no_markup(text: str) -> None:
    screen = io.StringIO()
    view = Terminal(Console(file=screen, width=200), Console(file=screen, width=200))
    for tell in (view.note, view.warn, view.error, view.line):
        tell(text)
    view.table(text, (text, "b"), [(text, text)])
    assert screen.getvalue().count(text) == 8


def test_a_run_may_be_named_like_markup(tmp_path: Path) -> None:
    done = invoke("plan", "--preset", "demo", "--run", tmp_path / "x[/bold]y")
    assert done.returncode == 0
    assert "x[/bold]y" in done.stdout.replace("\n", "")


# ---------------------------------------------------------------- blinding


HOSTILE = ("\n", "\n ", "a ", "/*\n", "if a\n", "\"'`{[(<")


@pytest.mark.real
@every("tag", ["autohotkey", "", "c", "css", "java"])  # the slowest of the list, and one that is not on it
def test_no_block_keeps_a_lexer_busy(tag: str) -> None:
    """Of as many characters as are looked at: on version 0.1 a single one of these took half a minute."""
    began = time.process_time()
    for part in HOSTILE:
        block = f"```{tag}\nx\n{part * (OWN_LONGEST.get(tag, LONGEST) // len(part) - 2)}\n```"
        blinded(block)
        pieces(block)
    assert time.process_time() - began < 20


def test_what_is_not_like_code_is_not_lexed() -> None:
    for code in ("x\n" + "\n" * 300 + "y", "x" * 2000, "x = 1\n" * LONGEST):
        assert tokens("c", code) is None
    assert tokens("autohotkey", "x = 1\n") is None
    assert "".join(text for _, text in tokens("PY", "x = 1  # one\n") or ()) == "x = 1  # one\n"


def test_comments_are_still_blinded_and_code_is_not() -> None:
    code = "class Claude:\n    pass  # Written by Claude\n"
    assert blinded(f"```python\n{code}```") == f"```python\n{code.replace('Written by Claude', '[name removed]')}```"
    assert "[name removed]" in blinded("```rs\n// Written by Claude\nlet x = 1;\n```")
    assert "[name removed]" in blinded("```brainfuck\nWritten by Claude\n```")
    assert "[name removed]" in blinded("```python\n# Written by Claude\n" + "x = 1\n" * LONGEST + "```")


# ---------------------------------------------------------------- keys

KEY = "sk-ant-api03-Q7rT9xLmZ2vB4nKpW8sDfGhJ-yU6iOaE1cXqA"


@every(
    "said, kept",
    [
        (f"bad key {KEY}", "bad key …"),
        (f"bad key {KEY[:30]}", "bad key …"),
        (f"bad key {KEY[20:40]}!", "bad key …!"),
        (f"bad key {KEY[:16]}****{KEY[-4:]}", "bad key …"),
        (f"bad key ending in {KEY[-4:]}.", "bad key ending in …."),
        (f"bad key …{KEY[-8:]}", "bad key ……"),
        ("bad key sk-ant-…abcd", "bad key …"),
        ("bad key sk-proj-****", "bad key …"),
        ("overloaded, ask later", "overloaded, ask later"),
        ("the model writes sketches", "the model writes sketches"),
    ],
)
def test_no_part_of_a_key_is_shown(monkeypatch: pytest.MonkeyPatch, said: str, kept: str) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    assert reason(said) == kept


def test_an_answer_keeps_no_part_of_a_key_and_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    assert secrets.of_answer(f"Your key: {KEY}, or {KEY[15:30]}.") == "Your key: sk-ant-api03-…, or …."
    for text in ("export ANTHROPIC_API_KEY=sk-ant-api03-…", "secret", KEY[:13], "x" * 100_000):
        assert secrets.of_answer(text) == text


# ---------------------------------------------------------------- GGUF files


def gguf(pairs: bytes = b"", *, tensors: int = 0, count: int = 0, version: int = 3) -> bytes:
    head = b"GGUF" + version.to_bytes(4, "little") + tensors.to_bytes(8, "little") + count.to_bytes(8, "little")
    return (head + pairs).ljust(300, b"\0")


def pair(kind: int, value: bytes) -> bytes:
    return (1).to_bytes(8, "little") + b"k" + kind.to_bytes(4, "little") + value


def array(of: int, count: int) -> bytes:
    return of.to_bytes(4, "little") + count.to_bytes(8, "little")


@every(
    "content, words",
    [
        (gguf(count=2**63), "settings"),
        (gguf(tensors=2**40), "tensors"),
        (gguf(pair(9, array(4, 2**60)), count=1), "an array of"),
        (gguf(pair(9, array(8, 2**31)), count=1), "an array of"),
        (gguf(pair(9, array(0, 2**20)), count=1), "an array of"),
        (gguf(pair(9, array(9, 1)), count=1), "of type 9"),
        (gguf(pair(8, (2**62).to_bytes(8, "little")), count=1), "a text of"),
        (gguf(pair(77, b""), count=1), "a value of type 77"),
        (gguf(version=0x03000000), "big-endian"),
        (b"GGUF", "not a GGUF"),
        (b"\0" * 300, "not a GGUF"),
    ],
)
def test_absurd_counts_are_held_against_the_files_size(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.gguf").write_bytes(content)
    with pytest.raises(DataError, match=words):
        check_counts(tmp_path / "a.gguf")


# ---------------------------------------------------------------- code in a student's folder


@pytest.mark.real
def test_no_code_of_a_students_folder_runs_even_if_somebody_says_yes(tmp_path: Path, smollm: Any) -> None:
    from tiny import tiny_folder

    folder = tiny_folder(smollm, tmp_path / "student")
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: pass\n")
    for name, row in {
        "tokenizer_config.json": {"auto_map": {"AutoTokenizer": ["own.Own", "own.Own"]}, "tokenizer_class": "Own"},
        "config.json": {
            "auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"},
            "model_file": "own.py",
        },
    }.items():
        kept = (folder / name).read_text()
        (folder / name).write_text(json.dumps(json.loads(kept) | row))
        code = f"from mlx_distill.models import students; students.load({str(folder)!r})"
        done = subprocess.run([sys.executable, "-c", code], input="y\n" * 20, capture_output=True, text=True)
        assert not (tmp_path / "ran").exists()
        assert done.returncode == 0 or "DataError" in done.stderr
        (folder / name).write_text(kept)
