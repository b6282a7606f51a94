"""How much of a text repeats itself, against looking at all of it."""

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_distill.run.overlap import word_hashes
from mlx_distill.run.repetition import longest_run, repeated_share


@given(st.lists(st.sampled_from("abc"), max_size=40), st.integers(0, 3))
def test_the_repeated_share_agrees_with_looking_at_every_pair(letters: list[str], copies: int) -> None:
    letters = letters * (copies + 1)
    covered = set()
    for start in range(len(letters) - 9):
        if any(letters[early : early + 10] == letters[start : start + 10] for early in range(start)):
            covered |= set(range(start, start + 10))
    assert repeated_share(word_hashes(" ".join(letters))) == pytest.approx(len(covered) / max(1, len(letters)))


@given(st.text(st.sampled_from("ab\n的"), max_size=30))
def test_the_longest_run_agrees_with_grouping(text: str) -> None:
    assert longest_run(text) == max((len(list(run)) for _, run in groupby(text)), default=0)
