"""Conversations → examples: tokens, and which of them are learnt.

The chat template is rendered by the tokenizer itself, with one explicit system message in training and use alike
(templates insert their own otherwise). The rendering up to an assistant's turn must be a prefix of the rendering
with it: that is verified, never assumed. What stands before an answer and the answer are tokenised apart, since that
is how the student meets them in use: an answer that opens with a line break does not merge with its prompt.
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


@dataclass(frozen=True)
class _Piece:
    """A part of a rendered conversation; `scored` when it is an answer."""

    text: str
    scored: bool


def encode_all(conversations: Iterable[Conversation], student: Student, system: str, window: int) -> list[Example]:
    """Raises DataError for conversations longer than the window or without anything to score, by name."""
    conversations = list(conversations)
    pieces = [_pieces(conversation, student, system) for conversation in conversations]
    tokens = iter(student.encode([piece.text for parts in pieces for piece in parts]))
    examples = [
        _example(conversation.id, [(piece, next(tokens)) for piece in parts], student)
        for conversation, parts in zip(conversations, pieces, strict=True)
    ]
    long = [example for example in examples if len(example.tokens) > window]
    if long:
        worst = max(long, key=lambda example: len(example.tokens))
        raise DataError(
            f"{len(long)} of {len(examples)} examples are longer than the training window of {window} tokens "
            f"(longest: {worst.id}, {len(worst.tokens)}): set --window {len(worst.tokens)}, or remove them. "
            "Nothing is trained cut."
        )
    return examples


def with_system(messages: Sequence[dict[str, str]], system: str) -> list[dict[str, str]]:
    """The messages under an explicit system message, unless they bring their own."""
    if messages[0]["role"] == "system":
        return list(messages)
    return [{"role": "system", "content": system}, *messages]


def _pieces(conversation: Conversation, student: Student, system: str) -> list[_Piece]:
    """The rendered conversation up to its last answer, cut before and after every answer."""
    messages = with_system(conversation.messages, system)
    pieces, text = [], ""
    for index, message in enumerate(messages):
        if message["role"] == "assistant" and message["content"].strip():
            before = student.render(messages[:index], generate=True)
            after = student.render(messages[: index + 1], generate=False)
            if not before.startswith(text) or not after.startswith(before):
                raise DataError(
                    f"{conversation.id}: the chat template rewrites earlier turns, so answers cannot be located; "
                    "train on single turns."
                )
            pieces += [_Piece(before[len(text) :], False), _Piece(after[len(before) :], True)]
            text = after
    if not pieces:
        raise DataError(f"{conversation.id} has no answer to learn from: give it one, or remove it.")
    return pieces


def _example(name: str, parts: Sequence[tuple[_Piece, Sequence[int]]], student: Student) -> Example:
    tokens: list[int] = []
    scored = []
    for piece, found in parts:
        if piece.scored:
            scored.append((len(tokens), len(tokens) + _turn_length(name, found, student)))
        tokens += found
    return Example(name, tuple(tokens[: scored[-1][1]]), tuple(scored))


def _turn_length(name: str, tokens: Sequence[int], student: Student) -> int:
    """Tokens of an answer with its end of turn: what a template puts behind that is not the student's to write."""
    ends = [place for place, token in enumerate(tokens, 1) if token in student.tokenizer.eos_token_ids]
    if not ends:
        raise DataError(f"{name}: the chat template closes no answer with an end-of-turn token.")
    return ends[-1]
