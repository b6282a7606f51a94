"""What answers a prompt. A teacher is one class with one method; this file is the list of them.

In: a Request, which holds everything that decides the answer. Out: a Reply. A judge is a teacher that is asked
with a rubric. To add one, write the class, put it into TEACHERS, and say in `traits` which specs are its own.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from mlx_distill.models.teachers.secrets import KEYS
from mlx_distill.models.teachers.traits import Kind, traits_of
from mlx_distill.run.config import Config, resolve
from mlx_distill.run.errors import TeacherError, UsageError
from mlx_distill.run.folder import file_hash
from mlx_distill.run.patience import BusyKind
from mlx_distill.run.prices import price_of
from mlx_distill.run.prompts import data_folder
from mlx_distill.run.records import Delivery


@dataclass(frozen=True)
class Request:
    """One question. `schema` (JSON) asks for an answer of that shape; `sample` tells repeats apart."""

    model: str
    prompt: str
    system: str
    max_tokens: int
    schema: str | None = None
    thinking: bool = False
    sample: int = 0

    @functools.cached_property
    def key(self) -> str:
        """SHA-256 of the canonical JSON: the same question has the same key in every run.

        The cap is not part of it: an answer that ended by itself is the answer under any larger cap too.
        """
        asked = self.asked()
        del asked["max_tokens"]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def asked(self) -> dict[str, Any]:
        """The fields, without copying what they hold."""
        return {name: value for name, value in vars(self).items() if name != "key"}


@dataclass(frozen=True)
class Reply(Delivery):
    """What came back."""

    text: str
    stop_reason: str
    model: str


CHARACTERS_PER_TOKEN = 4.0
"""Of English and code, about; for what is not known yet."""


class Busy(Exception):
    """Not now: the same request may be sent again, after `retry_after` seconds when the server said so.

    throttled: this client is too fast (429). overloaded: everybody is (529). fault: the server failed and charges
    nothing. lost: it was sent and no readable answer came, so it may be charged. unreachable: it was not sent.
    """

    def __init__(self, kind: BusyKind, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.kind = kind
        self.retry_after = retry_after


class Unreachable(Busy):
    """There is no way to the server. `certain`: nor will there be, as far as one can tell."""

    def __init__(self, reason: str, *, certain: bool = False) -> None:
        super().__init__("unreachable", reason)
        self.certain = certain


FIRST_TRIES = 4
"""Of a connection, before anything has been answered: a few seconds, for a network that is just coming up."""


def refuse_hopeless(model: str, unreachable: Unreachable, tries: int) -> None:
    """Raises TeacherError where nobody has answered yet and more tries are no use."""
    if unreachable.certain or tries >= FIRST_TRIES:
        raise TeacherError(
            f"{model} was not asked: {unreachable}. Nothing was sent. Check the network, {BASE_URL} and any proxy in "
            "the environment, then run the same command again."
        )


@dataclass(frozen=True)
class Limits:
    """What a server allows: per minute, and how much is left now; None where it does not say."""

    requests: tuple[float, float] | None = None
    input_tokens: tuple[float, float] | None = None
    output_tokens: tuple[float, float] | None = None


Ask = Callable[[Iterable[Request]], AsyncGenerator[tuple[Request, Reply], None]]
"""Puts questions to one teacher; hands out each with its reply, as they come."""


class Teacher(Protocol):
    """`model` goes into each Request; `limits` is what the last answer said of them, None where there are none."""

    model: str

    @property
    def limits(self) -> Limits | None: ...

    async def answer(self, request: Request) -> Reply:
        """Raises Busy when asking again may help, TeacherError when it will not."""
        ...

    def worst_usd(self, request: Request) -> float:
        """A bound of what the request can cost, before it is sent."""
        ...

    def different_answers(self, prompt: str) -> int | None:
        """How many it can give to one prompt; None where each `sample` is drawn anew."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Options:
    """How a paid teacher is asked. `price` ("in,out") is for a model without one in the table."""

    price: str | None = None
    cached: bool = False
    attempt_seconds: float = 600.0


def _claude(model: str, options: Options) -> Teacher:
    from mlx_distill.models.teachers.claude import ClaudeTeacher

    return ClaudeTeacher(model, price_of(model, options.price), options)


def _recorded(spec: str, options: Options) -> Teacher:
    from mlx_distill.models.teachers.recorded import RecordedTeacher

    return RecordedTeacher(traits_of(spec).name)


def _local(spec: str, options: Options) -> Teacher:
    from mlx_distill.models.teachers.local import LocalTeacher

    return LocalTeacher(traits_of(spec).name)


TEACHERS: dict[Kind, Callable[[str, Options], Teacher]] = {"claude": _claude, "recorded": _recorded, "mlx": _local}
"""By the kind that a spec's traits say."""


BASE_URL = "ANTHROPIC_BASE_URL"


def open_teacher(spec: str, options: Options = Options()) -> Teacher:
    """`claude-…`: a model id of the Messages API. `recorded` or `recorded:FILE`: answers from a file.
    `mlx:MODEL`: a local model, by hub id, folder or GGUF file.

    Raises UsageError for another spec and for a model without a price, TeacherError or DataError for a model that
    cannot work here.
    """
    check_name(spec)
    return TEACHERS[traits_of(spec).kind](spec, options)


def check(spec: str, price: str | None = None) -> None:
    """Raises what `open_teacher` would for a model without a price or a missing key, without opening anything."""
    check_name(spec)
    if traits_of(spec).paid:
        price_of(spec, price)
        require_key(spec)
        require_address()


def check_name(spec: str) -> None:
    """Raises UsageError for a spec of which nobody can be asked."""
    if traits_of(spec).kind not in TEACHERS:
        inside = spec[spec.index("claude-") :] if "claude-" in spec else "claude-sonnet-4-6"
        raise UsageError(
            f"There is no teacher or judge {spec!r}: give a Claude model id (such as {inside}), recorded:FILE or "
            "mlx:MODEL; existing answers are hf:DATASET or traces:FILE."
        )


def require_address() -> None:
    """Raises TeacherError for a base URL at which nobody can be asked."""
    address = os.environ.get(BASE_URL)
    if address is None:
        return
    try:
        parts = urlsplit(address)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
    except ValueError:
        wrong = True
    if not address.strip():
        raise TeacherError(f"{BASE_URL} is empty: unset it, or set it to an address such as https://api.anthropic.com.")
    if wrong or address != address.strip():
        raise TeacherError(f"{BASE_URL} is no address: it begins with https:// or http://, and then comes the host.")
    if parts.path.rstrip("/").endswith("/v1"):
        raise TeacherError(f"{BASE_URL} ends in /v1, which is added to it: leave that out.")


def require_key(model: str) -> None:
    """Raises TeacherError when the environment holds no key for the Messages API, or one that cannot be sent."""
    keys = [name for name in KEYS if os.environ.get(name)]
    if not keys:
        raise TeacherError(
            f"{model} needs a key: set ANTHROPIC_API_KEY, "
            "or use --teacher recorded and --judge static, which need none."
        )
    for name in keys:
        if not (os.environ[name].isascii() and os.environ[name].isprintable() and " " not in os.environ[name]):
            raise TeacherError(f"{name} holds a space or a line break: set it to the key alone.")


def identity(spec: str) -> str:
    """What a teacher is, without opening it: its spec, and for a file the hash of its content."""
    traits = traits_of(spec)
    if traits.kind == "recorded":
        return f"recorded:{file_hash(Path(traits.file) if traits.file else data_folder() / 'recorded.jsonl')}"
    if traits.local:
        from mlx_distill.models import students

        return f"mlx:{students.identity(traits.name)}"
    return spec


FAMILIES = {
    "Claude": ("claude", "sonnet", "opus", "haiku"),
    "Qwen": ("qwen", "qwq"),
    "Llama": ("llama",),
    "Mistral": ("mistral", "mixtral", "ministral", "devstral"),
    "Gemma": ("gemma", "gemini"),
    "DeepSeek": ("deepseek",),
    "GPT": ("gpt",),
    "Phi": ("phi-",),
    "SmolLM": ("smollm",),
}
"""Whose models a name tells of."""


def family(name: str) -> str | None:
    """Whose model this is, as far as its name says; a distilled one (DeepSeek-R1-Distill-Qwen) is its teacher's."""
    text = name.lower()
    makers = [(text.index(word), maker) for maker, words in FAMILIES.items() for word in words if word in text]
    return min(makers)[1] if makers else None


def is_chosen(config: Config) -> bool:
    """Whether a teacher takes part by its settings. Where the training data is the user's own, it does when it is not
    just the preset's, or compared with: base and distilled can be compared without one."""
    if config.training.data is None or config.comparison.against_teacher:
        return True
    return config.teacher.spec != resolve(config.preset).teacher.spec
