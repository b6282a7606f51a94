"""Prompt sets: what is asked of the teacher for training, and what is held out.

In: names of the bundled sets, or a user's file (any form of rows, TOML, or text of one prompt a line), or `hf:DATASET`.
Out: Prompts whose ids are hashes of their text; training prompts come one at a time, so millions of them need no
memory. No held-out prompt may overlap a training prompt: that is checked here for every set, by word shingles, because
a leaked test prompt turns the whole comparison into a memory test.
"""

from __future__ import annotations

import ast
import dataclasses
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlx_distill.run.config import PromptConfig
from mlx_distill.run.data.rows import FORMS, found_in
from mlx_distill.run.digest import content_id
from mlx_distill.run.errors import DataError, UsageError, words_of
from mlx_distill.run.folder import file_hash
from mlx_distill.run.records import Check, Prompt, Split
from mlx_distill.run.toml_file import toml_of

BUNDLED = (
    *("coding", "showcase", "validation", "heldout"),
    *("functions", "functions-validation", "functions-test", "general"),
)
SHINGLE = 5
"""Words in a shingle."""

LEAST = 3
"""Words of a text that may be part of another one and give it away: shorter ones must be the same."""

OVERLAP = 0.5
"""Share of a held-out prompt's shingles, found in one training prompt, from which the two overlap."""


def data_folder() -> Path:
    """Where the bundled prompts lie: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "prompts"
    return installed if installed.is_dir() else package.parent / "prompts"


def load_prompts(config: PromptConfig) -> list[Prompt]:
    """All prompts of a run, as `stream_prompts` hands them out."""
    return list(stream_prompts(config))


def stream_prompts(config: PromptConfig) -> Iterator[Prompt]:
    """Train, then valid, then test prompts, each split in the order of its sets.

    A training prompt may be there several times. Raises DataError for unreadable or empty prompts, duplicates among
    the held-out ones, and held-out prompts that overlap training ones; UsageError for a set that does not exist.
    """
    heldout = heldout_prompts(config)
    index = HeldOut(heldout)
    for trained in itertools.islice(_load_sets(config.train, "train"), config.limit):
        for held, share in index.overlapping(trained):
            raise DataError(
                f"The held-out prompt {shorten(held.text)!r} ({held.source}) overlaps the training prompt "
                f"{shorten(trained.text)!r} ({trained.source}) by {share:.0%}: remove one of them."
            )
        yield trained
    yield from heldout


def heldout_prompts(config: PromptConfig, splits: Sequence[Split] = ("valid", "test")) -> list[Prompt]:
    """The prompts that are never trained on. Raises DataError when one is there twice."""
    names = {"valid": config.valid, "test": config.test}
    prompts = [prompt for split in splits for prompt in itertools.islice(_load_sets(names[split], split), config.limit)]
    _refuse_duplicates(prompts)
    return prompts


def identity(config: PromptConfig) -> list[str]:
    """What the prompts are, without reading them one by one: the sets and the content of their files."""
    names = [*config.train, *config.valid, *config.test]
    return [set_identity(name) for name in names]


def _file_of(name: str) -> Path:
    bundled, _, part = name.partition(":")
    return data_folder() / f"{bundled}.toml" if bundled in BUNDLED and part in ("", "base") else Path(name)


def set_identity(name: str) -> str:
    """What a prompt set is: its name and the content of its file."""
    return f"{name} {file_hash(_file_of(name)) if not name.startswith('hf:') else ''}"


def set_rubric(name: str) -> Path | None:
    """The rubric that a prompt set names in its TOML file, beside which it lies; None where it names none."""
    file = _file_of(name)
    if name.startswith("hf:") or file.suffix.lower() != ".toml" or not file.is_file():
        return None
    rubric = toml_of(file).get("rubric")
    return file.parent / rubric if isinstance(rubric, str) and rubric else None


def _load_sets(names: Sequence[str], split: Split) -> Iterator[Prompt]:
    for name in names:
        yield from load_set(name, split)


def load_set(name: str, split: Split) -> Iterator[Prompt]:
    """The prompts of one set. Raises DataError for a set or prompt that is empty."""
    bundled, _, part = name.partition(":")
    prompts: Iterable[Prompt]
    if bundled == "hf":
        prompts = _from_dataset(part, split)
    elif bundled in BUNDLED and part in ("", "base"):
        prompts = _from_toml(_file_of(name), split, expanded=part != "base")
    else:
        prompts = _from_file(Path(name), split)
    empty = True
    for prompt in prompts:
        if not prompt.text.strip():
            raise DataError(f"The prompt set {name} has an empty prompt: remove it or write its text.")
        empty = False
        yield dataclasses.replace(prompt, source=name)
    if empty:
        raise DataError(f"The prompt set {name} is empty: give it at least one prompt.")


def _from_file(path: Path, split: Split) -> Iterable[Prompt]:
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file of prompts ({FORMS}, text of one prompt a line, TOML).")
    if not path.is_file():
        known = ", ".join(BUNDLED)
        raise UsageError(f"There is no prompt set {path}: give a file, hf:DATASET, or one of {known}.")
    if path.suffix.lower() == ".toml":
        return _from_toml(path, split, expanded=True)
    return (prompt_of(row.row, row.where, split) for row in found_in(path, "prompt"))


def _plain(text: str, split: Split) -> Prompt:
    return Prompt(id=content_id(text), text=text, split=split)


def prompt_of(row: Mapping[str, Any], path: Path | str, split: Split = "test") -> Prompt:
    """A row of `prompt` or `text`, with checks and the like if it has them. Raises DataError that names `path`."""
    text = row.get("prompt", row.get("text"))
    if isinstance(text, list):
        text = _asked(text)
    if not isinstance(text, str):
        names = shorten(", ".join(map(str, row)), 200)
        raise DataError(f"{path} has no 'prompt' or 'text' (it has {names}): every row needs one.")
    fields = {key: row[key] for key in ("title", "category", "language", "setup") if isinstance(row.get(key), str)}
    checks = row.get("checks") or []
    if isinstance(checks, str):
        checks = _in_cell(checks)
    if not isinstance(checks, list):
        raise DataError(f"{path}: checks is a list of {{run, expected}}: correct it.")
    checks = tuple(_check(check, path) for check in checks)
    return dataclasses.replace(_plain(text, split), checks=checks, **fields)


def _in_cell(text: str) -> Any:
    """Checks in a cell of a table are written as JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _asked(messages: list[Any]) -> str | None:
    """The text of a prompt that is written as one message of the user."""
    if len(messages) == 1 and isinstance(messages[0], Mapping) and messages[0].get("role") == "user":
        return messages[0].get("content")
    return None


def _check(check: Any, path: Path | str) -> Check:
    try:
        checked = Check(**check)
        ast.literal_eval(checked.expected)
        return checked
    except (TypeError, ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise DataError(f"{path}: a check is not {{run, expected}} with a literal ({error}): correct it.") from error


def _from_toml(path: Path, split: Split, *, expanded: bool) -> list[Prompt]:
    content = toml_of(path)
    rows = content.get("prompt", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path} has no [[prompt]] tables: write each prompt as one, with a text.")
    prompts = [prompt_of(row, path, split) for row in rows]
    if expanded:
        modifications = content.get("modifications", {})
        if not all(isinstance(row.get("expand", []), list) for row in rows) or not isinstance(modifications, dict):
            raise DataError(f"{path}: expand is a list of names that [modifications] declares: correct it.")
        for row, prompt in zip(rows, list(prompts), strict=True):
            prompts += [_expand(prompt, name, modifications, path) for name in row.get("expand", ())]
    return prompts


def _expand(prompt: Prompt, name: str, modifications: dict[str, str], path: Path) -> Prompt:
    if name not in modifications:
        raise DataError(f"{path}: the modification {name!r} is not declared: add it under [modifications].")
    text = f"{prompt.text}\n\n{modifications[name]}"
    return dataclasses.replace(prompt, id=content_id(text), text=text, title="", checks=(), setup="")


def _from_dataset(name: str, split: Split) -> Iterator[Prompt]:
    """`hf:NAME[:COLUMN]`: the column `prompt` (or the named one) of a dataset's train split."""
    from datasets import load_dataset

    repository, _, column = name.partition(":")
    try:
        rows = load_dataset(repository, split="train")
    except Exception as error:
        reason = words_of(error)
        raise DataError(
            f"The dataset {repository} cannot be loaded ({reason}): check its name and the network."
        ) from error
    column = column or "prompt"
    if column not in rows.column_names:
        raise DataError(
            f"{repository} has no column {column!r}: name one of {', '.join(rows.column_names)} "
            f"as hf:{repository}:COLUMN."
        )
    for row in rows.select_columns([column]):
        if not isinstance(row[column], str):
            raise DataError(f"The column {column!r} of {repository} holds more than text: name another column.")
        yield _plain(row[column], split)


# ---------------------------------------------------------------- held out means held out


def shingles(text: str, width: int = SHINGLE) -> frozenset[tuple[str, ...]]:
    """The sets of `width` consecutive lower-case words of a text (Broder 1997); a shorter text is one shingle."""
    words = re.findall(r"\w+", text.lower())
    width = min(width, len(words))
    return frozenset(tuple(words[i : i + width]) for i in range(len(words) - width + 1))


class HeldOut:
    """An index of held-out prompts by their shingles, which finds those that overlap a training prompt.

    A text of fewer words than a shingle is compared with every other, at its own width.
    """

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self._prompts = prompts
        self._short = [prompt for prompt in prompts if _is_short(prompt)]
        self._owners: dict[tuple[str, ...], list[Prompt]] = defaultdict(list)
        for prompt in prompts:
            for shingle in shingles(prompt.text):
                self._owners[shingle].append(prompt)

    def overlapping(self, trained: Prompt) -> Iterator[tuple[Prompt, float]]:
        """(held-out prompt, share of the shorter text's shingles that both have), from OVERLAP upwards."""
        near = [held for shingle in shingles(trained.text) for held in self._owners.get(shingle, ())]
        candidates = self._prompts if _is_short(trained) else [*near, *self._short]
        for held in {prompt.id: prompt for prompt in candidates}.values():
            if (share := overlap(held.text, trained.text)) >= OVERLAP:
                yield held, share


def overlaps(heldout: Sequence[Prompt], training: Iterable[Prompt]) -> list[tuple[Prompt, Prompt, float]]:
    """Every overlapping pair: (held-out, training, share)."""
    index = HeldOut(heldout)
    return [(held, trained, share) for trained in training for held, share in index.overlapping(trained)]


def overlap(a: str, b: str) -> float:
    """The share of the shorter text's shingles that both texts have, at the shorter text's width."""
    width = min(SHINGLE, *(len(re.findall(r"\w+", text)) for text in (a, b)))
    if width < LEAST:
        return float(a.split() == b.split())
    first, second = shingles(a, width), shingles(b, width)
    return len(first & second) / min(len(first), len(second))


def _is_short(prompt: Prompt) -> bool:
    return len(re.findall(r"\w+", prompt.text)) < SHINGLE


def _refuse_duplicates(prompts: Iterable[Prompt]) -> None:
    seen: dict[str, Prompt] = {}
    for prompt in prompts:
        if prompt.id in seen:
            where = " and ".join(sorted({prompt.source, seen[prompt.id].source}))
            raise DataError(f"The prompt {shorten(prompt.text)!r} is there twice (in {where}): remove one.")
        seen[prompt.id] = prompt


def shorten(text: str, width: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"
