"""What is trained on: the run's completions, or the user's own rows, as conversations.

In: teacher_data.jsonl or chosen_data.jsonl, with dataset.json, or the file that `training.data` names. Out:
Conversations of each split.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlx_distill.run.config import Config
from mlx_distill.run.data.conversations import parse_columns
from mlx_distill.run.data.own import OwnData, load_conversations
from mlx_distill.run.digest import digest
from mlx_distill.run.errors import DataError
from mlx_distill.run.files import DatasetFile
from mlx_distill.run.folder import CHOSEN_DATA, DATASET, PROMPTS, TEACHER_DATA, RunDir
from mlx_distill.run.records import Completion, Conversation, Prompt, Split


def own_data(config: Config) -> OwnData:
    """The user's own conversations, read again only when a file is another one. Raises DataError for what is none."""
    training = config.training
    files = tuple(Path(name) for name in (training.data, training.valid_data) if name)
    return _read(files, training.seed, config.teacher.columns, training.thinking, tuple(map(_state, files)))


@functools.lru_cache(maxsize=1)
def _read(files: tuple[Path, ...], seed: int, columns: str | None, thinking: bool, state: Any) -> OwnData:
    valid = files[1] if len(files) > 1 else None
    return load_conversations(files[0], seed, valid=valid, columns=parse_columns(columns), thinking=thinking)


def _state(path: Path) -> tuple[tuple[str, int, int], ...]:
    """What tells a file, or a folder's files, from what it was."""
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
    return tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)


def digest_of(config: Config, run: RunDir) -> str:
    """Of what is trained on and held out; the test prompts' answers do not count, so they may change."""
    conversations = own_data(config).conversations if config.training.data else collected(run, config)
    return digest(repr(conversation) for conversation in conversations)


def answers_file(config: Config) -> str:
    """Of the answers that are filtered and trained on: the teacher's, or those that were chosen among several."""
    return CHOSEN_DATA if config.choice.wanted else TEACHER_DATA


def collected(run: RunDir, config: Config) -> list[Conversation]:
    """What is trained on and held out: dataset.json says which answers are left out of training."""
    split = {prompt.id: prompt.split for prompt in run.stream(PROMPTS, Prompt)}
    file = answers_file(config)
    completions = run.read(file, Completion)
    if not completions:
        raise DataError(f"{run.path} has no answers to train on: run `mlx-distill collect` first.")
    left_out = run.read_as(DATASET, DatasetFile).left_out_lines
    if left_out is None:
        raise DataError(f"{run / DATASET} does not say which answers are left out: run `mlx-distill collect` again.")
    return [
        conversation_of(answer, split[answer.prompt_id], config.training.thinking, f"{run.path}/{file}, line {line}")
        for line, answer in enumerate(completions, 1)
        if str(line) not in left_out and split[answer.prompt_id] != "test"
    ]


def conversation_of(answer: Completion, split: Split, thinking: bool, where: str) -> Conversation:
    """An answer as it is trained on."""
    return Conversation(answer.prompt_id, _turns(answer, thinking), split, where=where)


def _turns(answer: Completion, thinking: bool) -> tuple[dict[str, str], ...]:
    exchange = (("user", answer.prompt), ("assistant", answer.trained(thinking)))
    turns = (("system", answer.system), *exchange) if answer.system else exchange
    return tuple({"role": role, "content": text} for role, text in turns)


def counted_texts(config: Config, run: RunDir) -> tuple[list[Conversation], list[Conversation]]:
    """What is trained on and held out, as far as it is known: nothing before it is collected and filtered."""
    if config.training.data:
        conversations: Iterable[Conversation] = own_data(config).conversations
    else:
        conversations = collected(run, config) if (run / DATASET).exists() and (run / PROMPTS).exists() else ()
    conversations = list(conversations)
    return [c for c in conversations if c.split == "train"], [c for c in conversations if c.split == "valid"]
