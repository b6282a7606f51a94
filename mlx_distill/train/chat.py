"""A user's own chat data: JSON lines of `messages`, or of `prompt` and `completion`.

In: a file. Out: Conversations with a held-out split. Conversations that share text with each other stay on one
side of the split, so that the held-out loss is measured on what was not trained on.
"""

from __future__ import annotations

import dataclasses
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlx_distill.errors import DataError
from mlx_distill.promptset import OVERLAP, overlaps, shingles, shorten
from mlx_distill.records import SCORED_STOPS, Conversation, Prompt, content_id, read_rows

HELDOUT_SHARE = 0.1
ROLES = ("system", "user", "assistant")


def load_conversations(path: Path, seed: int) -> list[Conversation]:
    """Rows that say they were cut or refused are left out, as everywhere.

    Raises DataError for a row that is neither form, and when nothing can be held out.
    """
    conversations = [
        _conversation(row, path, number)
        for number, row in enumerate(read_rows(path), 1)
        if row.get("stop_reason", SCORED_STOPS[0]) in SCORED_STOPS
    ]
    unique = list({conversation.id: conversation for conversation in conversations}.values())
    if len(unique) < 2:
        raise DataError(f"{path} has {len(unique)} different conversations: two are the least to hold one out.")
    return _split(unique, seed, path)


def refuse_leaks(conversations: Sequence[Conversation], prompts: Sequence[Prompt]) -> None:
    """Raises DataError when a conversation overlaps a test prompt of the comparison."""
    tests = [prompt for prompt in prompts if prompt.split == "test"]
    asked = [Prompt(conversation.id, _question(conversation)) for conversation in conversations]
    for test, trained, share in overlaps(tests, asked):
        raise DataError(
            f"The test prompt {shorten(test.text)!r} overlaps the conversation {shorten(trained.text)!r} by "
            f"{share:.0%}: remove it, or name other --test-prompts."
        )


def _question(conversation: Conversation) -> str:
    return next((message["content"] for message in conversation.messages if message["role"] == "user"), "")


def _conversation(row: dict[str, Any], path: Path, number: int) -> Conversation:
    messages = row.get("messages")
    if messages is None and isinstance(row.get("prompt"), str) and isinstance(row.get("completion"), str):
        messages = [
            {"role": "user", "content": row["prompt"]},
            {"role": "assistant", "content": row["completion"]},
        ]
    if not isinstance(messages, list) or not messages or not all(_is_message(item) for item in messages):
        raise DataError(
            f"{path}, row {number} has neither 'messages' of role and content, "
            "nor 'prompt' and 'completion': correct it."
        )
    clean = tuple({"role": item["role"], "content": item["content"]} for item in messages)
    return Conversation(content_id(repr(clean)), clean)


def _is_message(item: Any) -> bool:
    return isinstance(item, dict) and item.get("role") in ROLES and isinstance(item.get("content"), str)


def _split(conversations: list[Conversation], seed: int, path: Path) -> list[Conversation]:
    groups = _related(conversations)
    random.Random(seed).shuffle(groups)
    wanted = max(1, round(HELDOUT_SHARE * len(conversations)))
    heldout: set[str] = set()
    for group in groups:
        if len(heldout) + len(group) <= max(wanted, 1) or (not heldout and len(group) <= len(conversations) / 2):
            heldout.update(group)
        if len(heldout) >= wanted:
            break
    if not heldout:
        raise DataError(f"{path}: all conversations share their text, so none can be held out: add others.")
    return [
        dataclasses.replace(conversation, split="valid" if conversation.id in heldout else "train")
        for conversation in conversations
    ]


def _related(conversations: list[Conversation]) -> list[list[str]]:
    """Ids grouped so that first user messages that overlap by OVERLAP are together (single linkage)."""
    parent = {conversation.id: conversation.id for conversation in conversations}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    seen: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    for conversation in conversations:
        present = shingles(_question(conversation))
        common: dict[tuple[str, int], int] = defaultdict(int)
        for shingle in present:
            for other in seen[shingle]:
                common[other] += 1
            seen[shingle].append((conversation.id, len(present)))
        for (other_id, size), count in common.items():
            if count / min(size, len(present)) >= OVERLAP:
                parent[root(conversation.id)] = root(other_id)
    groups: dict[str, list[str]] = defaultdict(list)
    for conversation in conversations:
        groups[root(conversation.id)].append(conversation.id)
    return sorted(groups.values())
