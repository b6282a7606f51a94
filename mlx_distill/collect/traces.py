"""Existing traces: prompts and answers that a teacher gave earlier, from a data set or a file, row by row.

In: `hf:DATASET[:CONFIG][@SPLIT]` or `traces:FILE`. Out: pairs of Prompt and Completion, as if they had just been
collected. Nothing is loaded whole: a row is read and handed on. What a row says is read as in the user's own data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from mlx_distill.models.teachers.traits import traits_of
from mlx_distill.run.data.conversations import dialogues
from mlx_distill.run.data.dialogue import Account, Dialogue
from mlx_distill.run.data.rows import Found, found_in, split_files
from mlx_distill.run.digest import content_id
from mlx_distill.run.errors import DataError, words_of
from mlx_distill.run.records import Completion, Prompt


def read_traces(
    spec: str, columns: Mapping[str, str], limit: int | None, account: Account | None = None
) -> Iterator[tuple[Prompt, Completion]]:
    """The first `limit` pairs of a spec, in its order; ids repeat where prompts do.

    A conversation of several turns is left out, and `account` counts it. A leading <think> block becomes the
    completion's reasoning. Raises DataError for what cannot be read, and for a row without prompt and completion.
    """
    account = account or Account()
    traits = traits_of(spec)
    rows = _hub_rows(spec) if traits.on_hub else found_in(_file(traits.name))
    return islice(_pairs(dialogues(rows, columns, account), spec, account), limit)


def _file(name: str) -> Path:
    path = Path(name)
    return split_files(path)["train"] if path.is_dir() else path


def _pairs(read: Iterator[tuple[str, Dialogue]], spec: str, account: Account) -> Iterator[tuple[Prompt, Completion]]:
    for where, dialogue in read:
        spoken = [turn for turn in dialogue.turns if turn.role != "system"]
        if len(spoken) > 2:
            account.leave_out("several turns", where)
        else:
            yield _pair(dialogue, spec)


def _pair(dialogue: Dialogue, spec: str) -> tuple[Prompt, Completion]:
    texts = {turn.role: turn.text for turn in dialogue.turns}
    prompt = Prompt(content_id(texts["user"]), texts["user"], source=spec)
    completion = Completion(
        prompt_id=prompt.id,
        prompt=prompt.text,
        completion=texts["assistant"],
        stop_reason=dialogue.stop_reason,
        model=dialogue.model or spec,
        reasoning=dialogue.thoughts.get(len(dialogue.turns) - 1, ""),
        system=texts.get("system", ""),
    )
    return prompt, completion


# ---------------------------------------------------------------- rows


def _hub_rows(spec: str) -> Iterator[Found]:
    """The rows of a data set of the hub, or of a folder, as they arrive."""
    from datasets import load_dataset

    place, _, split = spec.removeprefix("hf:").partition("@")
    name, _, config = place.partition(":")
    try:
        splits = load_dataset(name, config or None, streaming=True)
        for number, row in enumerate(splits[_split(split, list(splits), spec)], 1):
            yield Found(f"{spec}, row {number}", row)
    except DataError:
        raise
    except Exception as error:
        reason = words_of(error)
        raise DataError(
            f"{spec} cannot be read ({reason}): check the name, hf:DATASET[:CONFIG][@SPLIT], and the network."
        ) from error


def _split(wanted: str, there: list[str], spec: str) -> str:
    if wanted in there:
        return wanted
    if not wanted and ("train" in there or len(there) == 1):
        return "train" if "train" in there else there[0]
    raise DataError(f"{spec} has the splits {', '.join(there)}: name one, as in {spec.partition('@')[0]}@{there[0]}.")
