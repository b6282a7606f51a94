"""What answers a prompt. A teacher is one class with one method; this file is the list of them.

In: a Request, which holds everything that decides the answer. Out: a Reply. A judge is a teacher that is asked
with a rubric. To add one, write the class and put its prefix into TEACHERS.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from mlx_distill.errors import TeacherError
from mlx_distill.prices import price_of
from mlx_distill.promptset import data_folder
from mlx_distill.rundir import file_hash


@dataclass(frozen=True)
class Request:
    """One question. `schema` (JSON) asks for an answer of that shape; `sample` tells repeats apart."""

    model: str
    prompt: str
    system: str
    max_tokens: int
    schema: str | None = None
    sample: int = 0

    @property
    def key(self) -> str:
        """SHA-256 of the canonical JSON: the same question has the same key in every run."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Reply:
    """What came back. `usd` is None where nothing is charged."""

    text: str
    stop_reason: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    usd: float | None = None
    reasoning: str = ""
    refusal_category: str | None = None
    message_id: str = ""
    request_id: str = ""


class Busy(Exception):
    """Not now: the same request may be sent again, after `retry_after` seconds when the server said so."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Teacher(Protocol):
    """`model` goes into each Request; `worst_usd` bounds what one can cost before it is sent."""

    model: str

    async def answer(self, request: Request) -> Reply:
        """Raises Busy when asking again may help, TeacherError when it will not."""
        ...

    def worst_usd(self, request: Request) -> float: ...

    async def close(self) -> None: ...


def _claude(model: str) -> Teacher:
    from mlx_distill.teachers.claude import ClaudeTeacher

    price_of(model)
    return ClaudeTeacher(model)


def _recorded(spec: str) -> Teacher:
    from mlx_distill.teachers.recorded import RecordedTeacher

    return RecordedTeacher(spec.partition(":")[2])


TEACHERS: dict[str, Callable[[str], Teacher]] = {"claude": _claude, "recorded": _recorded}
"""By kind: what stands before the colon of a spec; a spec without a known kind is a Claude model id."""


def kind_of(spec: str) -> str:
    kind = spec.partition(":")[0]
    return kind if kind in TEACHERS else "claude"


def open_teacher(spec: str) -> Teacher:
    """`claude-…`: a model id of the Messages API. `recorded` or `recorded:FILE`: answers from a file.

    Raises UsageError for a model without a price, TeacherError or DataError for one that cannot work here.
    """
    return TEACHERS[kind_of(spec)](spec)


def check(spec: str) -> None:
    """Raises what `open_teacher` would for a model without a price or a missing key, without opening anything."""
    if kind_of(spec) == "claude":
        price_of(spec)
        require_key(spec)


def require_key(model: str) -> None:
    """Raises TeacherError when the environment holds no key for the Messages API."""
    if not (os.environ.get("ANTHROPIC_API_KEY") or os.environ.get("ANTHROPIC_AUTH_TOKEN")):
        raise TeacherError(
            f"{model} needs a key: set ANTHROPIC_API_KEY, "
            "or use --teacher recorded and --judge static, which need none."
        )


def identity(spec: str) -> str:
    """What a teacher is, without opening it: its spec, and for a file the hash of its content."""
    if kind_of(spec) != "recorded":
        return spec
    name = spec.partition(":")[2]
    return f"recorded:{file_hash(Path(name) if name else data_folder() / 'recorded.jsonl')}"


def is_claude(spec: str) -> bool:
    """Whether this teacher is Claude over the Messages API, to which Anthropic's terms apply."""
    return spec.startswith("claude-")
