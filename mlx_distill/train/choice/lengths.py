"""Whether the answers are too long for the student that shall learn them.

In: the student's size and the lengths of what it is trained on. Out: a warning, or nothing. Small models learn less
from long answers than from short ones (Li et al. 2025, arXiv 2502.12143).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

SMALL = 3_000_000_000
"""Parameters up to which that was measured."""

LONG = 1500
"""Tokens of the median answer from which the warning is given."""


def long_answers(parameters: int, lengths: Sequence[int], *, own_data: bool) -> list[str]:
    """`lengths`: scored tokens of each example. `own_data`: no teacher is asked, so none can be asked for less."""
    median = statistics.median(lengths) if lengths else 0
    if parameters > SMALL or median <= LONG:
        return []
    advice = (
        "train on shorter ones"
        if own_data
        else "try --answers-per-prompt 4 --choose shortest, or ask for short answers in --teacher-system"
    )
    return [
        f"The median answer that is trained on has {median:,.0f} tokens, and students of up to 3 billion parameters "
        f"learn badly from long ones (arXiv 2502.12143): {advice}."
    ]
