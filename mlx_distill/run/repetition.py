"""Whether a text says the same again and again, as a model does that is stuck.

In: a text with the hashes of its words. Out: yes or no. Such text is trained on never; a model finds it likely, so that
nothing may choose it by that either. The thresholds lie between what good answers reach and what loops do.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlx_distill.run.overlap import Hashes

GRAM = 10
"""Words in the n-grams by which a text repeats itself (the longest of Rae et al. 2021, table A1)."""

WORDS = 50
SHARE = 0.5
"""Of a text's words, in 10-grams that came before. The bundled answers reach 0.07, MATH-500's solutions 0.46; of
238 answers of a 135M student half lie above, and none between 0.3 and 0.4. (Rae et al. 2021 cut web pages at 0.1,
which would take every eighth of MATH-500's longer solutions.)"""

LINES, CHARACTERS = 10, 300
"""The same in a row, blank lines not counted. Bundled answers, benchmarks and library code reach 5 and 192."""


def repeats(text: str, words: Hashes) -> bool:
    """`words`: the text's, as `word_hashes` has them."""
    lines = (line.rstrip() for line in text.split("\n"))
    return (
        (len(words) >= WORDS and repeated_share(words) > SHARE)
        or max((len(list(run)) for _, run in groupby(filter(None, lines))), default=0) >= LINES
        or longest_run(text) >= CHARACTERS
    )


def repeated_share(words: Hashes) -> float:
    """The share of a text's words that lie in a GRAM-gram which has occurred earlier in the text."""
    import numpy as np

    from mlx_distill.run.overlap import grams

    again = grams(words, GRAM)
    first = np.unique(again, return_index=True)[1]
    if len(first) == len(again):
        return 0.0
    starts = np.delete(np.arange(len(again)), first)
    edges = np.zeros(len(words) + 1, np.int64)
    edges[starts] += 1
    edges[starts + GRAM] -= 1
    return float(np.mean(np.cumsum(edges[:-1]) > 0))


def longest_run(text: str) -> int:
    """The length of the longest run of one character."""
    import numpy as np

    characters = np.frombuffer(text.encode("utf-32-le"), "<u4")
    changes = np.flatnonzero(characters[1:] != characters[:-1])
    edges = np.concatenate([[-1], changes, [len(characters) - 1]])
    return int((edges[1:] - edges[:-1]).max())
