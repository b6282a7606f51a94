"""The run directory: the names of its files, and writing them so that a crash never leaves half of one.

In: records and values. Out: files. What is paid for lives in the ledger; everything here is written to a
temporary file and renamed, or appended a line at a time. A lock keeps a second process out, and a stage
remembers the fingerprint of what it was made from, so that the same command goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec

from mlx_distill.run.decode import RESULTS as RESULTS
from mlx_distill.run.decode import Typed, typed
from mlx_distill.run.digest import digest
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.files import Stage
from mlx_distill.run.lines import Record, read_records, stream_records, to_line

# ---------------------------------------------------------------- the files of a run

CONFIG = "config.toml"
ENVIRONMENT = "environment.json"
TERMS = "terms.json"
LEDGER = "ledger.sqlite"
STAGE_STATES = "stages.json"

PROMPTS = "prompts.jsonl"
TEACHER_DATA = "teacher_data.jsonl"
TRACES = "traces.json"
"""What became of the rows of existing traces."""
CHOICES = "choices.jsonl"
CHOSEN_DATA = "chosen_data.jsonl"
"""The answers that are trained on, where there were several to choose from."""
DATASET = "dataset.json"

METRICS = "metrics.jsonl"
TRAINING = "training.json"
STUDENT = "student.json"
DATE = "date.json"
REPLAY = "replay.jsonl"
"""The base's own answers to general prompts."""
SELECTION = "selection.json"

GENERATIONS = "generations.jsonl"
SCORES = "scores.jsonl"
JUDGMENTS = "judgments.jsonl"
PREFERENCES = "preferences.jsonl"

PROMPTED = "prompted/answers.jsonl"
PROMPTED_EXAMPLES = "prompted/examples.jsonl"
PROMPTED_SCORES = "prompted/scores.jsonl"
PROMPTED_JUDGMENTS = "prompted/judgments.jsonl"

BENCH_PROTOCOL = "bench/protocol.json"
BENCH_ITEMS = "bench/items.jsonl"
BENCH_ANSWERS = "bench/answers.jsonl"
BENCH_SCORES = "bench/scores.jsonl"
BENCH_MADE = "bench/made.json"
BENCH_PUBLISHED = "bench/published.json"

HEADROOM = "headroom.json"
SEEDS = "seeds"
VISUALS = "visuals"
EXPORTS = "exports"

SWEEP_RUN = "sweep-run.json"
LOG = "run.log"


def write_atomic(path: Path, content: str | bytes | Iterable[str]) -> None:
    """Replaces a file whole: after a crash it holds either the old or the new content. Lines may come one by one."""
    chunks = [content] if isinstance(content, str | bytes) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                file.write(chunk.encode() if isinstance(chunk, str) else chunk)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def opened(path: Path, mode: str) -> IO[Any]:
    """As `path.open(mode)`, for a file that is written in place, in a folder that may come from somebody else: never
    through a link, or into a pipe. A mode of "w" empties nothing. Raises DataError for what is no file of its own."""
    flags = os.O_RDONLY if mode[0] == "r" and "+" not in mode else os.O_RDWR | os.O_CREAT
    flags |= os.O_APPEND if mode[0] == "a" else 0
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if path.is_symlink() or error.errno in (errno.ELOOP, errno.ENXIO):
            raise _foreign(path) from error
        raise
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode) or (state.st_nlink > 1 and mode[0] != "r"):
        os.close(descriptor)
        raise _foreign(path)
    return os.fdopen(descriptor, mode.replace("w", "r+") if mode[0] == "w" else mode, encoding=_encoding(mode))


def _encoding(mode: str) -> str | None:
    return None if "b" in mode else "utf-8"


def refuse_links(folder: Path) -> None:
    """Raises DataError where a folder holds anything but files and folders: it may come from somebody else, and what is
    written through a link lands in a file of the user's."""
    folders = [os.fspath(folder)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif not entry.is_file(follow_symlinks=False):
                    raise _foreign(Path(entry.path))


def _foreign(path: Path) -> DataError:
    return DataError(
        f"{path} is a link, or no file of its own: what is written to it would land elsewhere. Put the file or folder "
        "itself in its place, or remove it."
    )


BLOCK = 1 << 20


@dataclass(frozen=True)
class Content:
    """What a file holds: the SHA-256 of its bytes ('missing' without a file), and how many lines."""

    sha256: str
    lines: int


def read_content(path: Path) -> Content:
    """Both in one reading: a million prompts are hundreds of megabytes."""
    if not path.exists():
        return Content("missing", 0)
    total, lines = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            total.update(block)
            lines += block.count(b"\n")
    return Content(total.hexdigest(), lines)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, or 'missing'."""
    return read_content(path).sha256


class RunDir:
    """One run's folder. Use as a context manager: it is locked while open, so what was read of a file holds until
    this process replaces or extends it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._contents: dict[str, tuple[tuple[int, int, int], Content]] = {}
        self._stages: dict[str, Any] | None = None

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @contextlib.contextmanager
    def locked(self) -> Iterator[RunDir]:
        """Holds the run for this process. Raises UsageError when another process has it, DataError for a link in it."""
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path} is a file: give --run a folder.")
        self.path.mkdir(parents=True, exist_ok=True)
        refuse_links(self.path)
        with opened(self / ".lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    f"{self.path} is in use by another process: wait for it, or choose another --run."
                ) from error
            yield self

    # ---- files

    def write_text(self, name: str, text: str) -> None:
        write_atomic(self / name, text)

    def write_json(self, name: str, value: Any) -> None:
        if name == STAGE_STATES:
            self._stages = value
        write_atomic(self / name, json.dumps(msgspec.to_builtins(value), indent=1, ensure_ascii=False) + "\n")

    def read_json(self, name: str) -> Any:
        try:
            return json.loads((self / name).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DataError(f"{self / name} is missing: run the stage that writes it first.") from error
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{self / name} is not JSON ({error}): delete it, then run the same command again."
            ) from error

    def read_as(self, name: str, kind: type[Typed]) -> Typed:
        """As `read_json`, of the shape that it should have. Raises DataError, naming the place, for another."""
        return typed(kind, self.read_json(name), str(self / name), "delete it, then run the same command again")

    def find(self, name: str, kind: type[Typed]) -> Typed | None:
        """As `read_as`; None where there is no such file."""
        return self.read_as(name, kind) if (self / name).exists() else None

    def write_records(self, name: str, records: Iterable[Any]) -> None:
        """Streams: the records are never all in memory."""
        write_atomic(self / name, (to_line(record) + "\n" for record in records))

    def append(self, name: str, record: Any) -> None:
        with opened(self / name, "a") as file:
            file.write(to_line(record) + "\n")

    def read(self, name: str, kind: type[Record]) -> list[Record]:
        return read_records(self / name, kind) if (self / name).exists() else []

    def stream(self, name: str, kind: type[Record], skip: int = 0, step: int = 1) -> Iterator[Record]:
        """As `read`, one at a time: after the first `skip` lines, of `step` lines one."""
        return stream_records(self / name, kind, skip, step) if (self / name).exists() else iter(())

    def content(self, name: str) -> Content:
        """Of a file, read again only when it is another one, or longer, or later."""
        path = self / name
        if not path.exists():
            return read_content(path)
        status = path.stat()
        state = (status.st_ino, status.st_size, status.st_mtime_ns)
        if name not in self._contents or self._contents[name][0] != state:
            self._contents[name] = (state, read_content(path))
        return self._contents[name][1]

    def read_resumable(self, name: str, kind: type[Record]) -> list[Record]:
        """As `read`, for an appended file: a last line that a crash tore off is dropped, also on disk."""
        path = self / name
        if path.exists():
            content = path.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            if whole != content:
                write_atomic(path, whole)
        return self.read(name, kind)

    # ---- stages

    def stages(self) -> dict[str, Stage]:
        """By name. Read once, because nobody else writes the file meanwhile."""
        if self._stages is None:
            self._stages = self.find(STAGE_STATES, dict[str, Stage]) or {}
        return self._stages

    def stage(self, name: str) -> Stage | None:
        """None where it was never begun."""
        return self.stages().get(name)

    def fingerprint(self, settings: Any, inputs: Iterable[str]) -> str:
        """Of a stage: its part of the configuration and the content of the files that it reads."""
        rows = [json.dumps(settings, sort_keys=True, default=str)]
        return digest(rows + [self.content(name).sha256 for name in inputs])

    def is_current(self, stage: str, fingerprint: str, outputs: Iterable[str]) -> bool:
        known = self.stage(stage)
        done = known is not None and (known.state, known.fingerprint) == ("done", fingerprint)
        return done and all((self / name).exists() for name in outputs)

    def started_from(self, stage: str, fingerprint: str) -> bool:
        """Whether what an earlier attempt at this stage left behind was made from the same inputs."""
        known = self.stage(stage)
        return known is not None and known.fingerprint == fingerprint

    def mark(self, stage: str, fingerprint: str, state: str, seconds: float) -> None:
        entry = Stage(fingerprint=fingerprint, state=state, seconds=round(seconds, 3))
        self.write_json(STAGE_STATES, self.stages() | {stage: entry})
