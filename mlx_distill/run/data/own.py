"""A user's own conversations: a file in any form that is read, or a folder with train, valid and test.

In: a path. Out: Conversations with a held-out split, and an account of the rows. Conversations that ask nearly the same
stay on one side of the split, so that the held-out loss is measured on what was not trained on; what very many rows
share, such as an instruction, does not count as the same. The work grows with the rows, not with their square.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlx_distill.run.data.conversations import dialogues
from mlx_distill.run.data.dialogue import Account, Dialogue, Turn
from mlx_distill.run.data.rows import found_in, split_files
from mlx_distill.run.digest import content_id
from mlx_distill.run.errors import DataError
from mlx_distill.run.prompts import OVERLAP, overlaps, shingles, shorten
from mlx_distill.run.reasoning import with_reasoning
from mlx_distill.run.records import Conversation, Prompt, Split, why_unusable

HELDOUT_SHARE = 0.1

COMMON = 10
"""Conversations that may share a shingle as their own; what more of them share is a form, such as an instruction."""


@dataclass(frozen=True)
class OwnData:
    """A user's conversations, and what became of their rows. `divided`: what is held out was chosen here."""

    conversations: list[Conversation]
    account: Account
    divided: bool = False


def load_conversations(
    path: Path,
    seed: int,
    *,
    valid: Path | None = None,
    columns: Mapping[str, str] | None = None,
    thinking: bool = False,
) -> OwnData:
    """`valid`: the file whose conversations are held out; without it a folder's, or a tenth of all.

    Raises DataError for a row that is no conversation, and when nothing can be trained on or held out.
    """
    account = Account()
    files = split_files(path) if path.is_dir() else {"train": path}
    if valid is not None:
        files["valid"] = valid
    by_split = {
        split: list(_unique(_read(files[split], columns or {}, thinking, account), account))
        for split in ("train", "valid")
        if split in files
    }
    train = by_split["train"]
    if "valid" in by_split:
        account.overlapping = _overlap(train, by_split["valid"])
        return OwnData([*train, *_marked(by_split["valid"], "valid")], account)
    if len(train) < 2:
        reasons = f" (left out: {account.reasons})" if account.left_out else ""
        raise DataError(
            f"{path} has {len(train)} different conversations to train on, of {account.rows} rows{reasons}: give at "
            "least two, because one is held out."
        )
    return OwnData(split(train, seed, path), account, divided=True)


def refuse_leaks(conversations: Sequence[Conversation], prompts: Sequence[Prompt]) -> None:
    """Raises DataError when a conversation overlaps a test prompt of the comparison."""
    tests = [prompt for prompt in prompts if prompt.split == "test"]
    asked = [Prompt(conversation.id, conversation.question) for conversation in conversations]
    for test, trained, share in overlaps(tests, asked):
        raise DataError(
            f"The test prompt {shorten(test.text)!r} overlaps the conversation {shorten(trained.text)!r} by "
            f"{share:.0%}: remove it, or name other --test-prompts."
        )


# ---------------------------------------------------------------- rows


def _read(path: Path, columns: Mapping[str, str], thinking: bool, account: Account) -> Iterator[Conversation]:
    for where, dialogue in dialogues(found_in(path), columns, account):
        answered = "".join(turn.text for turn in dialogue.turns if turn.role == "assistant" and turn.scored)
        if reason := why_unusable(dialogue.stop_reason, answered):
            account.leave_out(reason, where)
        else:
            yield _conversation(dialogue, where, thinking)


def _conversation(dialogue: Dialogue, where: str, thinking: bool) -> Conversation:
    def text(place: int, turn: Turn) -> str:
        thought = dialogue.thoughts.get(place, "") if thinking else ""
        return with_reasoning(thought, turn.text)

    messages = tuple({"role": turn.role, "content": text(place, turn)} for place, turn in enumerate(dialogue.turns))
    read = tuple(place for place, turn in enumerate(dialogue.turns) if turn.role == "assistant" and not turn.scored)
    return Conversation(content_id(repr((messages, read) if read else messages)), messages, unscored=read, where=where)


def _unique(conversations: Iterable[Conversation], account: Account) -> Iterator[Conversation]:
    seen: set[str] = set()
    for conversation in conversations:
        if conversation.id in seen:
            account.leave_out("duplicate", conversation.where)
        else:
            seen.add(conversation.id)
            yield conversation


# ---------------------------------------------------------------- the split


def _marked(conversations: Iterable[Conversation], split: Split) -> list[Conversation]:
    return [dataclasses.replace(conversation, split=split) for conversation in conversations]


def _overlap(train: Sequence[Conversation], valid: Sequence[Conversation]) -> int:
    """How many of the conversations that are held out ask what is trained on."""
    groups = _groups([*train, *valid])
    trained = {groups[conversation.id] for conversation in train}
    return sum(groups[conversation.id] in trained for conversation in valid)


def split(conversations: list[Conversation], seed: int, path: Path) -> list[Conversation]:
    """The conversations, a tenth of them held out. Raises DataError where all ask nearly the same."""
    members: dict[str, list[str]] = defaultdict(list)
    for name, root in _groups(conversations).items():
        members[root].append(name)
    groups = sorted(members.values())
    random.Random(seed).shuffle(groups)
    wanted = max(1, round(HELDOUT_SHARE * len(conversations)))
    heldout: set[str] = set()
    for group in groups:
        if len(heldout) + len(group) <= wanted or (not heldout and len(group) <= len(conversations) / 2):
            heldout.update(group)
        if len(heldout) >= wanted:
            break
    if not heldout:
        raise DataError(
            f"{path}: all conversations ask nearly the same, so none can be held out: add others, or name a file of "
            "conversations to hold out with --valid-data."
        )
    return [
        dataclasses.replace(conversation, split="valid" if conversation.id in heldout else "train")
        for conversation in conversations
    ]


def _groups(conversations: Sequence[Conversation]) -> dict[str, str]:
    """id → the name of its group: those whose first questions are the same, or overlap by OVERLAP, are together (single
    linkage), also through others.

    A question that most rows ask, and a shingle that more than COMMON have, are the form of the data and link nothing.
    """
    parent = {conversation.id: conversation.id for conversation in conversations}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    asked = Counter(conversation.question for conversation in conversations)
    first: dict[str, str] = {}
    for conversation in conversations:
        if asked[conversation.question] <= max(2, len(conversations) / 2):
            parent[root(conversation.id)] = root(first.setdefault(conversation.question, conversation.id))
    for name, other in _near({name: question for question, name in first.items()}):
        parent[root(name)] = root(other)
    return {name: root(name) for name in parent}


def _near(questions: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Pairs of names whose texts share OVERLAP of the shorter one's shingles that are not common."""
    import numpy as np

    names = list(questions)
    grams_of = [np.fromiter(map(hash, shingles(text)), np.int64) for text in questions.values()]
    owners = np.repeat(np.arange(len(names)), [len(hashes) for hashes in grams_of])
    hashes = np.concatenate([*grams_of, np.empty(0, np.int64)])
    order = np.argsort(hashes, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(hashes[order]) != 0]) if len(order) else order
    counts = np.diff(np.r_[starts, len(order)])
    sizes = np.bincount(owners[order][np.repeat(counts <= COMMON, counts)], minlength=len(names))
    together = Counter[tuple[int, int]]()
    shared = (counts > 1) & (counts <= COMMON)
    for start, count in zip(starts[shared], counts[shared], strict=True):
        together.update(itertools.combinations(owners[order[start : start + count]].tolist(), 2))
    for (one, other), count in together.items():
        if count / min(sizes[one], sizes[other]) >= OVERLAP:
            yield names[one], names[other]
