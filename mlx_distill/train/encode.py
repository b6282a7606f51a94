"""Conversations → examples: tokens, and which of them are learnt.

The chat template is rendered by the tokenizer itself, with the same system prompt in training and use (templates insert
their own otherwise). The rendering up to an answer must be a prefix of the rendering with it, and the answer must stand
in it as it is: both are looked at, never assumed. Where a template opens a thought, or throws thoughts away, the answer
is put in by hand; where it rewrites earlier turns, every answer becomes an example of its own. What stands before an
answer and the answer are tokenised apart, since that is how the student meets them in use: an answer that opens with a
line break does not merge with its prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mlx_distill.models.students import Student
from mlx_distill.run import reasoning
from mlx_distill.run.errors import DataError
from mlx_distill.run.records import Conversation

STAND_IN = "\ufdd1"
"""Stands for an answer where a template is asked what it writes around one; a character in no text that is meant."""


@dataclass(frozen=True)
class Example:
    """`scored` holds half-open spans of token positions: every assistant turn with its end-of-turn token."""

    id: str
    tokens: tuple[int, ...]
    scored: tuple[tuple[int, int], ...]

    @property
    def scored_count(self) -> int:
        return sum(stop - start for start, stop in self.scored)


@dataclass
class Encoded:
    """Examples, and what is to be said of the others: conversations left out (reason, place), those that became an
    example a turn, and those in which somebody's text names a control token."""

    examples: list[Example] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    divided: int = 0
    with_control_tokens: int = 0


@dataclass(frozen=True)
class _Piece:
    """A part of a rendered conversation; `scored` when it is an answer."""

    text: str
    scored: bool


class _RewritesEarlierTurns(Exception):
    pass


Parts = tuple[str, list[_Piece]]


def encode_all(conversations: Iterable[Conversation], student: Student, system: str, window: int) -> Encoded:
    """Conversations that the template refuses, or that are longer than the window, are left out: none is trained cut.

    Raises DataError where the template refuses all of them, and where it closes no answer.
    """
    encoded, rendered = Encoded(), list[tuple[str, Parts]]()
    refusal: DataError | None = None
    for conversation in conversations:
        try:
            parts = _rendered(conversation, student, system)
        except DataError as error:
            refusal = refusal or error
            encoded.left_out.append(("refused by the chat template", _place(conversation)))
            continue
        encoded.divided += len(parts) > 1
        encoded.with_control_tokens += any(student.control_names.search(m["content"]) for m in conversation.messages)
        rendered += [(_place(conversation), part) for part in parts]
    if refusal and not rendered:
        raise refusal
    _encode(rendered, student, window, encoded)
    return encoded


def _place(conversation: Conversation) -> str:
    return conversation.where or conversation.id


def _encode(rendered: Sequence[tuple[str, Parts]], student: Student, window: int, encoded: Encoded) -> None:
    tokens = iter(student.encode([piece.text for _, (_, pieces) in rendered for piece in pieces]))
    for place, (name, pieces) in rendered:
        example = _example(name, place, [(piece, next(tokens)) for piece in pieces], student)
        if len(example.tokens) > window:
            encoded.left_out.append(("too long", place))
        else:
            encoded.examples.append(example)


def _rendered(conversation: Conversation, student: Student, system: str) -> list[Parts]:
    """The rendered conversation up to its last answer, cut around every answer: one, or one for each answer."""
    messages = student.under(system, conversation.messages)
    skipped = len(messages) - len(conversation.messages)
    scored = [
        place
        for place, message in enumerate(messages)
        if message["role"] == "assistant"
        and message["content"].strip()
        and place - skipped not in conversation.unscored
    ]
    if not scored:
        raise DataError(f"{_place(conversation)} has no answer to learn from: give it one, or remove it.")
    try:
        return [(conversation.id, _pieces(messages, scored, student))]
    except _RewritesEarlierTurns:
        return [(f"{conversation.id}-{place}", _pieces(messages, [place], student)) for place in scored]


def _pieces(messages: list[dict[str, str]], scored: Sequence[int], student: Student) -> list[_Piece]:
    pieces, text = list[_Piece](), ""
    for place in scored:
        before = student.render(messages[:place], generate=True)
        if not before.startswith(text):
            raise _RewritesEarlierTurns
        after = _answered(messages[: place + 1], before, student)
        pieces += [_Piece(before[len(text) :], False), _Piece(after[len(before) :], True)]
        text = after
    return pieces


def _answered(messages: list[dict[str, str]], before: str, student: Student) -> str:
    """The rendering with the last message's answer, which goes on where `before` ends."""
    answer = student.marked(messages[-1]["content"])
    after = student.render(messages, generate=False)
    if after.startswith(before) and answer.strip() in after[len(before) :]:
        return after
    frame = student.render([*messages[:-1], {**messages[-1], "content": STAND_IN}], generate=False)
    around, stand_in, tail = frame.rpartition(STAND_IN)
    tag = reasoning.opening(before)
    if stand_in and tag and before.startswith(around):
        thought, spoken, _ = reasoning.split(answer)
        return f"{before}{thought}\n{reasoning.closing(tag)}\n\n{spoken}{tail}"
    if stand_in and around.startswith(before):
        return before + answer + tail
    asked = student.marked(messages[-2]["content"]).strip() if len(messages) > 1 else ""
    opening, written = (text.rpartition(asked)[2] if asked else text for text in (before, around))
    if stand_in and written.startswith(opening) and not written[len(opening) :].strip():
        return before + written[len(opening) :] + answer + tail  # what differs stands before the last question
    raise DataError(
        f"The chat template of {student.spec} writes an answer in another place than it opens one, so answers cannot "
        "be located: choose another student."
    )


def _example(name: str, place: str, parts: Sequence[tuple[_Piece, Sequence[int]]], student: Student) -> Example:
    tokens: list[int] = []
    scored = []
    for piece, is_scored in parts:
        if piece.scored:
            scored.append((len(tokens), len(tokens) + _turn_length(place, is_scored, student)))
        tokens += is_scored
    return Example(name, tuple(tokens[: scored[-1][1]]), tuple(scored))


def _turn_length(place: str, tokens: Sequence[int], student: Student) -> int:
    """Tokens of an answer with its end of turn: what a template puts behind that is not the student's to write."""
    ends = [at for at, token in enumerate(tokens, 1) if token in student.tokenizer.eos_token_ids]
    if not ends:
        raise DataError(
            f"{place}: the chat template of {student.spec} closes no answer with an end-of-turn token: "
            "choose another student."
        )
    return ends[-1]
