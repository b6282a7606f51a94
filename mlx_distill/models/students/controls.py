"""Control tokens in texts of others: what opens and closes turns is the chat template's alone.

In: the contents of messages, and a tokenizer. Out: contents in which no control token is written, for the template to
render, and the tokens of what it rendered, as if the contents had stood there as they are. A mark is put into every
name of a control token, so that none is taken for one, and its tokens are taken out again: all else is encoded as
ever. A student's own words about `<|im_end|>`, a teacher's or a judged answer's, then are words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

MARK = "\ufdd0"
"""A character that is none, in no text that is meant (Unicode, chapter 23.7)."""

Message = Mapping[str, str]


def control_names(tokenizer: Any) -> re.Pattern[str]:
    """What matches the names of all tokens that only the template may write: special ones, those that end an answer,
    and those that its template writes around a message. The tags of reasoning are not among them: answers have them."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    names = {str(token) for token in added.values() if getattr(token, "special", False)}
    names |= {str(name) for name in getattr(tokenizer, "all_special_tokens", ())}
    ends = list(getattr(tokenizer, "eos_token_ids", None) or ())
    names |= {str(name) for name in tokenizer.convert_ids_to_tokens(ends)}
    template = str(tokenizer.chat_template)
    tags = {getattr(tokenizer, "think_start", None), getattr(tokenizer, "think_end", None), "<think>", "</think>"}
    names |= {str(token) for token in added.values() if str(token) in template}
    ordered = sorted((name for name in names - tags if len(name) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, ordered)) or r"(?!)")


def marked(messages: Sequence[Message], names: re.Pattern[str]) -> list[dict[str, str]]:
    """The messages with a mark in every name of a control token."""
    return [{**message, "content": _marked(message["content"], names)} for message in messages]


def _marked(text: str, names: re.Pattern[str]) -> str:
    if MARK not in text and not names.search(text):
        return text
    text = text.replace(MARK, "")
    while names.search(text):  # again: names may overlap
        text = names.sub(lambda match: f"{match[0][0]}{MARK}{match[0][1:]}", text)
    return text


def encode(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """The tokens of rendered texts, which bring their own special tokens along, without those of the marks."""
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is None:
        return [_encode_slowly(tokenizer, text) for text in texts]
    quick = iter(fast.encode_batch_fast([text for text in texts if MARK not in text], add_special_tokens=False))
    return [_without_marks(fast, text) if MARK in text else list(next(quick).ids) for text in texts]


def _without_marks(fast: Any, text: str) -> list[int]:
    encoding = fast.encode(text, add_special_tokens=False)
    return [
        token
        for token, (start, stop) in zip(encoding.ids, encoding.offsets, strict=True)
        if MARK not in text[start:stop] or text[start:stop].strip(MARK)
    ]


def _encode_slowly(tokenizer: Any, text: str) -> list[int]:
    """Without offsets: what stands between two marks on its own."""
    parts = text.split(MARK)
    return [token for part in parts for token in tokenizer.encode(part, add_special_tokens=False)]
