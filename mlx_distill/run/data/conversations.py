"""What a row of training data says: a conversation, in any of the forms that people have.

In: rows. Out: for each a Dialogue, or the reason why it is left out, which is counted. Read are messages (with `role`
and `content`, or ShareGPT's `from` and `value`), a prompt and a completion (as texts or as lists of messages), and
Alpaca's instruction, input and output. Nothing that a row says is dropped in silence: what is known is used, what makes
a row unfit leaves it out under a name, and what is unknown is counted by its key.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from mlx_distill.run import reasoning
from mlx_distill.run.data.dialogue import Account, Dialogue, LeftOut, Said, Turn
from mlx_distill.run.data.rows import Found, Row
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.records import Completion

FIELDS = ("prompt", "completion", "messages", "context", "system", "reasoning", "stop_reason", "model")
"""What --columns can name."""

_KEYS: dict[str, tuple[str, ...]] = {
    "messages": ("messages", "conversations", "conversation"),
    "prompt": ("prompt", "problem", "question", "instruction", "query", "input"),
    "completion": ("completion", "response", "output", "answer", "solution", "generations.0", "answers.text.0"),
    "context": ("context",),
    "system": ("system", "system_prompt"),
    "reasoning": ("reasoning_content", "reasoning", "thinking"),
    "stop_reason": ("stop_reason", "finish_reason"),
    "model": ("model",),
}
"""Where each field stands when nobody says it: the first key that has a value, or else the first that is there."""

_ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bot", "model"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("tool", "function", "observation", "function_call", "tool_call", "tool_response"), "tool"),
}
_STOPS = {
    **dict.fromkeys(("", "stop", "eos", "eos_token", "end_turn"), "end_turn"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "truncated"), "max_tokens"),
    **dict.fromkeys(("content_filter", "refusal", "safety"), "refusal"),
}
"""The words of several APIs for why an answer ended, as the Messages API says it."""

_TOOLS = ("tools", "functions", "tool_calls", "function_call")
_WEIGHTS = ("weight", "train")
_OURS = {part.name for part in fields(Completion)} | {"id", "sample"}
"""Keys that say nothing that training could use, and are not worth a word."""

ADVICE = "name them with --columns prompt=COLUMN,completion=COLUMN (a.0.b reaches into lists and objects)"


def parse_columns(text: str | None) -> dict[str, str]:
    """`prompt=problem,completion=generations.0` as a mapping. Raises UsageError when it is not one."""
    columns: dict[str, str] = {}
    for part in (text or "").split(",") if text else ():
        name, _, path = (side.strip() for side in part.partition("="))
        if name not in FIELDS or not path or name in columns:
            raise UsageError(
                f"--columns {text}: {part!r} is not FIELD=COLUMN. Name each of {', '.join(FIELDS)} at most once, "
                "as in prompt=problem,completion=generations.0."
            )
        columns[name] = path
    return columns


def dialogues(rows: Iterable[Found], columns: Mapping[str, str], account: Account) -> Iterator[tuple[str, Dialogue]]:
    """(place, dialogue) of every row that is fit. Raises DataError for a row in which no conversation is found."""
    for where, row in rows:
        account.rows += 1
        try:
            yield where, _dialogue(_Reader(row, columns, account.unused))
        except LeftOut as reason:
            account.leave_out(str(reason), where)
        except LookupError as error:
            names = ", ".join(map(str, row))
            names = names if len(names) <= 200 else f"{names[:200]}…"
            raise DataError(f"{where} has no {error.args[0]}. Its columns are {names}: {ADVICE}.") from error


class _Reader:
    """A row, of which it is known what has been read."""

    def __init__(self, row: Row, columns: Mapping[str, str], unused: Counter[str]) -> None:
        self._row, self._columns, self._names = row, columns, tuple(row)
        self._read = {*_TOOLS, *_WEIGHTS}
        self._unused = unused
        self.path = ""

    def get(self, name: str) -> Any:
        """The value of a field, or None; `path` says where it stood, "" where there is no such column."""
        named = name in self._columns
        paths = (self._columns[name],) if named else _KEYS[name]
        self.path, value = "", None
        for path, head in _there(paths, self._names):
            if value is not None or (head in self._read and not named):
                continue
            value, leads = _walked(self._row, path)
            if value is not None or (not self.path and (leads or not named)):
                self.path, read = path, head
        if self.path:
            self._read.add(read)
        return value

    def also(self, key: str) -> Any:
        """The value of a key of its own, or None."""
        self._read.add(key)
        return self._row.get(key)

    def named(self, name: str) -> bool:
        return name in self._columns

    def finish(self) -> None:
        if unused := set(self._row) - self._read - _OURS:
            self._unused.update(unused)


@functools.lru_cache
def _there(paths: tuple[str, ...], names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Those of the paths that begin in a row of these names, and with which."""
    heads = ((path, path if path in names else path.partition(".")[0]) for path in paths)
    return tuple((path, head) for path, head in heads if head in names)


def _walked(row: Any, path: str) -> tuple[Any, bool]:
    """The value at a dotted path (`generations.0`), and whether the path leads anywhere: a null or an empty list on its
    way ends it, a name or number that is not there does not. A column of just that name comes first."""
    for step in [path] if path in row else path.split("."):
        if row in (None, []):
            return None, True
        if isinstance(row, Mapping) and step in row:
            row = row[step]
        elif isinstance(row, list) and step.isdecimal() and int(step) < len(row):
            row = row[int(step)]
        else:
            return None, False
    return row, True


def _dialogue(row: _Reader) -> Dialogue:
    asks_alone = (row.named("prompt") or row.named("completion")) and not row.named("messages")
    messages = None if asks_alone else row.get("messages")
    turns = _exchange(row) if messages is None else _messages(messages)
    if system := _text(row.get("system")):
        turns = [{"role": "system", "content": system, "scored": True}, *(t for t in turns if t["role"] != "system")]
    if thought := _text(row.get("reasoning")):
        turns[-1]["reasoning"] = turns[-1].get("reasoning") or thought
    stop = row.get("stop_reason") or turns[-1].get("finish_reason")
    model = row.get("model")
    _refuse(row, turns)
    row.finish()
    return _separated(turns, stop, model if isinstance(model, str) else "")


def _refuse(row: _Reader, turns: list[Said]) -> None:
    """Raises LeftOut for what cannot be trained on as it is meant."""
    if any(row.also(key) for key in _TOOLS) or any(t["role"] == "tool" or t.get("tools") for t in turns):
        raise LeftOut("with tools")
    if any(row.also(key) in (0, False) for key in _WEIGHTS):
        raise LeftOut("marked as not to be trained on")
    spoken = [turn for turn in turns if turn["role"] != "system"]
    answers = [turn for turn in spoken if turn["role"] == "assistant"]
    if not answers:
        raise LeftOut("without an answer")
    if spoken[0]["role"] == "assistant":
        raise LeftOut("beginning with an answer")
    if not any(turn["scored"] for turn in answers):
        raise LeftOut("marked as not to be trained on")
    if not any(turn["content"].strip() for turn in spoken if turn["role"] == "user"):
        raise LeftOut("without a question")


def _separated(turns: list[Said], stop: Any, model: str) -> Dialogue:
    """With the reasoning of every answer apart from it."""
    separated, thoughts, finished = [], {}, True
    for place, turn in enumerate(turns):
        text = turn["content"]
        if turn["role"] == "assistant":
            thought, text, finished = reasoning.split(text)
            thought = turn.get("reasoning") or thought
            if thought:
                thoughts[place] = thought
        separated.append(Turn(turn["role"], text, turn["scored"]))
    known = _STOPS.get(str(stop or "").lower(), str(stop))
    return Dialogue(tuple(separated), thoughts, known if finished else "max_tokens", model)


# ---------------------------------------------------------------- prompt and completion


def _exchange(row: _Reader) -> list[Said]:
    asked, asked_at = row.get("prompt"), row.path
    answered, answered_at = row.get("completion"), row.path
    for name, path in (("prompt", asked_at), ("completion", answered_at)):
        if not path:
            raise LookupError(name)
    about = row.get("context")
    if about is None and asked_at == "instruction" and answered_at != "input":
        about = row.also("input")
    return [*_side(asked, "prompt", "user", about), *_side(answered, "completion", "assistant")]


def _side(value: Any, name: str, role: str, about: Any = None) -> list[Said]:
    """One side of an exchange, as turns: a text, with the text that it is about, or a list of messages."""
    if isinstance(value, list):
        return _messages(value)
    if value is not None and not isinstance(value, str):
        raise LookupError(f"text for its {name}")
    text, more = value or "", _text(about)
    return [{"role": role, "content": f"{text}\n\n{more}" if more else text, "scored": True}]


# ---------------------------------------------------------------- messages


def _messages(value: Any) -> list[Said]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)  # in a cell of a table
        except (ValueError, RecursionError):
            raise LookupError("list of messages") from None
    if not isinstance(value, list) or not value or not all(isinstance(message, Mapping) for message in value):
        raise LookupError("list of messages")
    return [_message(message) for message in value]


def _message(message: Mapping[str, Any]) -> Said:
    role = str(message.get("role", message.get("from"))).lower()
    if role not in _ROLES:
        raise LookupError(f"known role in a message, but {role[:40]!r}")
    content = message.get("content", message.get("value", message.get("text")))
    return {
        "role": _ROLES[role],
        "content": _joined(content),
        "scored": _is_scored(message),
        "reasoning": _text(next((message[key] for key in _KEYS["reasoning"] if message.get(key)), None)),
        "tools": any(message.get(key) for key in _TOOLS),
        "finish_reason": message.get("finish_reason", message.get("stop_reason")),
    }


def _is_scored(message: Mapping[str, Any]) -> bool:
    """A weight of 0 or `train` false: an answer to be read and not to be learnt."""
    given = [message[key] for key in _WEIGHTS if message.get(key) is not None]
    if any(weight not in (0, 1) for weight in given):
        raise LeftOut("with a weight other than 0 and 1")
    return all(given)


def _joined(content: Any) -> str:
    """Text, or the texts of a list of parts."""
    if content is None:
        return ""
    if isinstance(content, list):
        return "".join(map(_part, content))
    if isinstance(content, str):
        return content
    raise LookupError("text in a message")


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and isinstance(part.get("text"), str) and part.get("type", "text") == "text":
        return str(part["text"])
    raise LeftOut("with more than text")


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value.strip() else ""
