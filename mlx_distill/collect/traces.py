"""Existing traces: prompts and answers that a teacher gave earlier, from a data set or a file, row by row.

In: `hf:DATASET[:CONFIG][@SPLIT]` or `traces:FILE`. Out: pairs of Prompt and Completion, as if they had just been
collected. Nothing is loaded whole: a row is read, mapped and handed on. Columns are guessed from the first row
when they are not named; a row that does not have them is an error and never a silent gap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from mlx_distill import reasoning
from mlx_distill.errors import DataError, UsageError, words_of
from mlx_distill.promptset import shorten
from mlx_distill.records import Completion, Prompt, content_id
from mlx_distill.rows import rows_of

FIELDS = ("prompt", "completion", "messages", "reasoning", "stop_reason", "model")

_CONVERSATIONS = ("messages", "conversations")
_PROMPTS = ("prompt", "problem", "question", "instruction", "input")
_COMPLETIONS = ("completion", "response", "output", "answer", "solution", "generations.0")
_ROLES = {"human": "user", "gpt": "assistant"}
_STOPS = {"length": "max_tokens", "stop": "end_turn", "eos": "end_turn", "content_filter": "refusal"}
_ADVICE = "name them with --columns prompt=COLUMN,completion=COLUMN (a.0.b reaches into lists and objects)"


def parse_columns(text: str | None) -> dict[str, str]:
    """`prompt=problem,completion=generations.0` as a mapping. Raises UsageError when it is not one."""
    columns: dict[str, str] = {}
    for part in (text or "").split(",") if text else ():
        field, _, path = (side.strip() for side in part.partition("="))
        if field not in FIELDS or not path or field in columns:
            raise UsageError(
                f"--columns {text}: {part!r} is not FIELD=COLUMN. Name each of {', '.join(FIELDS)} at most once, "
                "as in prompt=problem,completion=generations.0."
            )
        columns[field] = path
    return columns


def read_traces(
    spec: str, columns: Mapping[str, str], limit: int | None, skipped: Counter[str] | None = None
) -> Iterator[tuple[Prompt, Completion]]:
    """The first `limit` pairs of a spec, in its order; ids repeat where prompts do.

    A conversation counts when it is one exchange; a longer one is counted in `skipped` as "multi-turn". A system
    message is not kept, since the run has its own, and is counted as "system message". A leading <think> block
    becomes the completion's reasoning. Raises DataError for what cannot be read, and for a row without text.
    """
    rows = _hub_rows(spec) if spec.startswith("hf:") else rows_of(Path(spec.removeprefix("traces:")))
    pairs = _pairs(rows, spec, columns, Counter() if skipped is None else skipped)
    return islice(pairs, limit)


def _pairs(
    rows: Iterable[dict[str, Any]], spec: str, columns: Mapping[str, str], skipped: Counter[str]
) -> Iterator[tuple[Prompt, Completion]]:
    mapping: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        mapping = mapping or _mapping(row, columns)
        try:
            texts = _texts(row, mapping, skipped)
        except LookupError as error:
            raise DataError(
                f"{spec}, row {number} has no {error.args[0]}. Its columns are "
                f"{shorten(', '.join(row), 200)}: {_ADVICE}, or remove the row."
            ) from error
        if texts is not None:
            yield _pair(row, *texts, spec, mapping)


# ---------------------------------------------------------------- one row


def _mapping(row: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, str]:
    """Where each field stands: as named, else as the columns of the first row suggest."""
    candidates = {"messages": _CONVERSATIONS, "prompt": _PROMPTS, "completion": _COMPLETIONS}
    candidates |= {"stop_reason": ("stop_reason", "finish_reason"), "model": ("model",)}
    found = {
        field: path for field, paths in candidates.items() for path in reversed(paths) if _at(row, path) is not None
    }
    mapping = found | dict(columns)
    if "messages" not in columns and ("prompt" in columns or "completion" in columns):
        mapping.pop("messages", None)
    return mapping


def _at(row: Any, path: str) -> Any:
    """The value at a dotted path (`generations.0`), or None. A column of just that name comes first."""
    if isinstance(row, Mapping) and path in row:
        return row[path]
    for step in path.split("."):
        if isinstance(row, Mapping):
            row = row.get(step)
        elif isinstance(row, list) and step.isdecimal() and int(step) < len(row):
            row = row[int(step)]
        else:
            return None
    return row


def _texts(row: Mapping[str, Any], mapping: Mapping[str, str], skipped: Counter[str]) -> tuple[str, str] | None:
    """Prompt and completion, or None for a conversation of several turns; LookupError names what is not there."""
    if "messages" in mapping:
        texts = _exchange(_at(row, mapping["messages"]), skipped)
        if texts is None:
            return None
    else:
        texts = (_asked(row, mapping), _at(row, mapping.get("completion", "")))
    for field, text in zip(("prompt", "completion"), texts, strict=True):
        if not isinstance(text, str) or (field == "prompt" and not text.strip()):
            raise LookupError(f"text for its {field}")
    return texts


def _asked(row: Mapping[str, Any], mapping: Mapping[str, str]) -> Any:
    """The prompt; an instruction stands with the input that it is about, where there is one (as in Alpaca)."""
    path = mapping.get("prompt", "")
    text, about = _at(row, path), row.get("input")
    if path == "instruction" and mapping.get("completion") != "input" and isinstance(about, str) and about.strip():
        return f"{text}\n\n{about}"
    return text


def _exchange(messages: Any, skipped: Counter[str]) -> tuple[Any, Any] | None:
    if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
        raise LookupError("list of messages")
    turns = [(_role(message), message.get("content", message.get("value"))) for message in messages]
    spoken = [turn for turn in turns if turn[0] != "system"]
    if len(spoken) > 2:
        skipped["multi-turn"] += 1
        return None
    if [role for role, _ in spoken] != ["user", "assistant"]:
        raise LookupError("user's message with an assistant's answer")
    skipped.update("system message" for role, text in turns if role == "system" and text)
    return spoken[0][1], spoken[1][1]


def _role(message: Mapping[str, Any]) -> str:
    role = str(message.get("role", message.get("from")))
    return _ROLES.get(role, role)


def _pair(
    row: Mapping[str, Any], asked: str, answered: str, spec: str, mapping: Mapping[str, str]
) -> tuple[Prompt, Completion]:
    prompt = Prompt(content_id(asked), asked, source=spec)
    stop = _at(row, mapping.get("stop_reason", "")) or "stop"
    model = _at(row, mapping.get("model", ""))
    given = _at(row, mapping.get("reasoning", ""))
    thought = reasoning.split(answered)
    completion = Completion(
        prompt_id=prompt.id,
        prompt=asked,
        completion=thought.answer,
        stop_reason="max_tokens" if not thought.finished else _STOPS.get(str(stop), str(stop)),
        model=model if isinstance(model, str) and model else spec,
        reasoning=given if isinstance(given, str) and given else thought.reasoning,
    )
    return prompt, completion


# ---------------------------------------------------------------- rows


def _hub_rows(spec: str) -> Iterator[dict[str, Any]]:
    """The rows of a data set of the hub, or of a folder, as they arrive."""
    from datasets import load_dataset

    place, _, split = spec.removeprefix("hf:").partition("@")
    name, _, config = place.partition(":")
    try:
        splits = load_dataset(name, config or None, streaming=True)
        yield from splits[_split(split, list(splits), spec)]
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
