"""Conversations → examples: tokens, and which of them are learnt.

The chat template is rendered by the tokenizer itself, with one explicit system message in training and use alike
(templates insert their own otherwise). What is scored is found by token positions: the rendering up to an
assistant's turn must be a prefix of the rendering with it, which is verified, never assumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlx_distill.errors import DataError
from mlx_distill.records import Conversation
from mlx_distill.students import Student


@dataclass(frozen=True)
class Example:
    """`scored` holds half-open spans of token positions: every assistant turn with its end-of-turn token."""

    id: str
    tokens: tuple[int, ...]
    scored: tuple[tuple[int, int], ...]

    @property
    def scored_count(self) -> int:
        return sum(stop - start for start, stop in self.scored)


def encode_all(conversations: Iterable[Conversation], student: Student, system: str, window: int) -> list[Example]:
    """Raises DataError for conversations longer than the window or without anything to score, by name."""
    examples = [encode(conversation, student, system) for conversation in conversations]
    long = [example for example in examples if len(example.tokens) > window]
    if long:
        worst = max(long, key=lambda example: len(example.tokens))
        raise DataError(
            f"{len(long)} of {len(examples)} examples are longer than the training window of {window} tokens "
            f"(longest: {worst.id}, {len(worst.tokens)}): set --window {len(worst.tokens)}, or remove them. "
            "Nothing is trained cut."
        )
    return examples


def encode(conversation: Conversation, student: Student, system: str) -> Example:
    messages = with_system(conversation.messages, system)
    whole = student.tokens(messages, generate=False)
    scored = tuple(
        _span(messages[: index + 1], whole, student, conversation.id)
        for index, message in enumerate(messages)
        if message["role"] == "assistant" and message["content"].strip()
    )
    if not scored:
        raise DataError(f"{conversation.id} has no answer to learn from: give it one, or remove it.")
    return Example(conversation.id, tuple(whole[: scored[-1][1]]), scored)


def with_system(messages: Sequence[dict[str, str]], system: str) -> list[dict[str, str]]:
    """The messages under an explicit system message, unless they bring their own."""
    if messages[0]["role"] == "system":
        return list(messages)
    return [{"role": "system", "content": system}, *messages]


def _span(messages: Sequence[dict[str, str]], whole: list[int], student: Student, name: str) -> tuple[int, int]:
    """Where the last message's answer stands in `whole`, from its first token past its end of turn."""
    before = student.tokens(messages[:-1], generate=True)
    after = student.tokens(messages, generate=False)
    ends = [index for index in range(len(before), len(after)) if after[index] in student.tokenizer.eos_token_ids]
    if not ends:
        raise DataError(f"{name}: the chat template closes no answer with an end-of-turn token.")
    stop = ends[-1] + 1
    if after[: len(before)] != before or whole[:stop] != after[:stop]:
        raise DataError(
            f"{name}: the chat template rewrites earlier turns, so answers cannot be located; train on single turns."
        )
    return len(before), stop
