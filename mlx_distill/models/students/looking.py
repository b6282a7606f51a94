"""A look at a student before anything is paid: can it be had, does it speak, is there what shall be trained?

In: a student's spec, settings of training. Out: a Student whose weights are not read, or an error in words. Where the
student is not on this machine yet, only its tokenizer and configuration are downloaded, into a folder of their own: a
snapshot without weights in the hub's cache would look like a student.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mlx_distill.models import students
from mlx_distill.models.students import STUDENTS, Student
from mlx_distill.models.students.cache import cache_folder
from mlx_distill.models.students.files import check_headers, read_config, unreadable
from mlx_distill.run.config import TrainingConfig
from mlx_distill.run.errors import DataError, DistillError, UsageError, words_of

SMALL = ("*.json", "tokenizer.model", "*.txt", "*.jinja")
"""Of a repository: everything but weights."""

HUB_SECONDS = 10.0
"""Until the hub counts as out of reach."""


class Unreachable(DataError):
    """The hub does not answer: nothing is known of a student that is not here."""


def look(spec: str) -> Student:
    """Without its weights: they stay unread where they are here, and where they are not `model` is None.

    Raises DataError for a student that cannot be had or has no chat template, Unreachable where nobody can tell.
    """
    if not students.is_local(spec):
        return _from_hub(spec)
    folder = students.model_folder(spec)
    assert folder is not None
    check_headers(folder)
    return students.load(spec, lazy=True)


def check_trainable(student: Student, config: TrainingConfig) -> None:
    """Raises UsageError for layers, targets or a rank that the student does not have."""
    if student.model is not None:
        from mlx_distill.models.students.adapter import check_settings

        check_settings(student.model, config)
        return
    layers = read_config(student.folder).get("num_hidden_layers")
    if isinstance(layers, int) and isinstance(config.layers, int) and config.layers > layers:
        raise UsageError(f"The student has {layers} layers, not {config.layers}: lower --layers.")


def _from_hub(spec: str) -> Student:
    students.check_name(spec)
    folder = _fetched(STUDENTS.get(spec, spec))
    from mlx_lm.tokenizer_utils import load as load_tokenizer

    config = read_config(folder)
    try:
        tokenizer: Any = load_tokenizer(folder, {"trust_remote_code": False}, config.get("eos_token_id"))
    except Exception as error:  # a foreign tokenizer can raise anything
        raise unreadable(folder, error) from error
    if not tokenizer.chat_template:
        raise DataError(f"{spec} has no chat template: choose an instruct model.")
    return Student(spec, folder, None, tokenizer)


def _fetched(repository: str) -> Path:
    """A folder with everything but the weights, which have to be there on the hub."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    folder = cache_folder() / "looked-at" / repository.replace("/", "--")
    try:
        known = HfApi().model_info(repository, timeout=HUB_SECONDS).siblings or []  # other calls try again for long
        snapshot_download(repository, allow_patterns=list(SMALL), local_dir=folder)
    except GatedRepoError as error:
        raise DataError(f"{repository} is gated: accept its terms on the hub and log in (`hf auth login`).") from error
    except RepositoryNotFoundError as error:
        raise DataError(
            f"There is no model {repository} on the hub, or it is private: check its id, or log in (`hf auth login`)."
        ) from error
    except DistillError:
        raise
    except Exception as error:
        raise Unreachable(
            f"{repository} is not on this machine and cannot be downloaded ({words_of(error, named=True)[:80]}): "
            f"{students.works()}."
        ) from error
    if not any(fnmatchcase(file.rfilename, "model*.safetensors") for file in known):
        raise DataError(f"{repository} has no weights (model*.safetensors): choose another model, or convert it.")
    return folder


def download_bytes(spec: str) -> int:
    """What has to be downloaded still; 0 where it is here or nobody can tell."""
    if students.is_local(spec):
        return 0
    index = cache_folder() / "looked-at" / STUDENTS.get(spec, spec).replace("/", "--") / "model.safetensors.index.json"
    try:
        return int(json.loads(index.read_text(encoding="utf-8"))["metadata"]["total_size"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
