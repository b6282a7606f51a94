"""Whether an answer ends in a loop: the model wrote the same again and again, until it stopped or was cut.

In: an answer's whole text. Out: yes or no. Only what repeats to the last character counts, for that is how a model that
is stuck ends. The trade-off: a loop that grows or counts up with each round is no exact repeat, and is not seen; lists,
tables and code whose lines are alike but not the same are never taken for one.
"""

from __future__ import annotations

LONG = 200
"""Characters that a loop must cover: shorter ones stand in right answers, as a rule of dashes or a row of zeros."""

ROUNDS = 3
"""Times that the same must stand there in whole; once more may be begun."""

WINDOW = 4000
"""Characters at the end that are looked at: one round of a loop has at most a third of them."""


def ends_in_loop(text: str) -> bool:
    """White space behind the loop is no end of it."""
    return any(_came_before(end) and _repeats(end) for end in {text[-WINDOW:], text.rstrip()[-WINDOW:]})


def _came_before(end: str) -> bool:
    """Whether the last characters, as many as are in any loop twice, stand there earlier: of most answers they do not,
    and no more has to be looked at."""
    return len(end) >= LONG and end.find(end[-(LONG // ROUNDS) :]) < len(end) - LONG // ROUNDS


def _repeats(end: str) -> bool:
    """Whether the last LONG characters or more are one piece, ROUNDS times or more. For every length of the end, its
    shortest period is that length less its longest border (Knuth, Morris & Pratt 1977, doi 10.1137/0206024)."""
    backwards = end[::-1]
    borders, border = [0] * len(backwards), 0
    for place in range(1, len(backwards)):
        while border and backwards[place] != backwards[border]:
            border = borders[border - 1]
        border += backwards[place] == backwards[border]
        borders[place] = border
        length = place + 1
        if length >= max(LONG, ROUNDS * (length - border)):
            return True
    return False
