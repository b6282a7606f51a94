"""How long examples will be, before they are rendered and encoded for training.

In: conversations as turns of text, and what counts a text's tokens. Out: sizes. Of many conversations a sample is
counted, and always the longest: they decide what fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

Size = tuple[int, int]
"""(tokens, tokens that are scored)."""

Turns = Sequence[tuple[str, str]]
"""(role, text)."""

FRAME_TOKENS = 5
"""What a chat template puts around a turn, about."""

SAMPLE = 1000
"""Conversations that are counted one by one; of more, each stands for some."""

LONGEST = 16
"""These are counted for themselves."""


def sizes_of(conversations: Iterable[Turns], system: str, count: Callable[[str], int]) -> list[Size]:
    """One for each conversation, the shortest first. A system message is added where there is none."""
    ordered = sorted(conversations, key=lambda turns: sum(len(text) for _, text in turns))
    before = count(system) + FRAME_TOKENS
    step = max(1, len(ordered) // SAMPLE)
    sizes: list[Size] = []
    for place in range(0, len(ordered) - LONGEST, step):
        sizes += [_size(ordered[place], before, count)] * min(step, len(ordered) - LONGEST - place)
    return sorted(sizes + [_size(turns, before, count) for turns in ordered[-LONGEST:]])


def _size(turns: Turns, before: int, count: Callable[[str], int]) -> Size:
    counted = [(role, count(text) + FRAME_TOKENS) for role, text in turns]
    own = any(role == "system" for role, _ in counted)
    scored = sum(tokens for role, tokens in counted if role == "assistant")
    return (0 if own else before) + sum(tokens for _, tokens in counted), scored
