"""Texts that overlap: n-grams of word hashes that training data shares with what may not be trained on.

In: texts. Out: names of sets or questions. No text is kept, only hashes.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

OVERLAP = 13
"""Words in the n-grams by which training data overlaps a held-out set (Brown et al. 2020, appendix C)."""

SHORTEST_OVERLAP = 8
"""A held-out text of fewer words is too ordinary to say anything about leaking."""

BOILERPLATE = 3
"""Texts of one set that may share an n-gram before it says nothing about leaking (Brown et al. allow ten)."""

BASE = np.uint64(0x9E3779B97F4A7C15)


def word_hashes(text: str) -> Hashes:
    """One hash for each `\\w+` of the lower-cased text, the same on every machine and in every run."""
    words = re.findall(r"\w+", text.lower())
    return mixed(np.fromiter(map(zlib.crc32, map(str.encode, words)), np.uint64, len(words)))


def grams(hashes: Hashes, width: int) -> Hashes:
    """The polynomial hash of every `width` consecutive words (Karp & Rabin 1987), modulo 2**64."""
    count = max(0, len(hashes) - width + 1)
    total = np.zeros(count, np.uint64)
    for place in range(width):
        total *= BASE
        total += hashes[place : place + count]
    return total


def mixed(values: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014): every input bit reaches every output bit."""
    values = values + BASE
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class Protected:
    """The n-grams of texts that may not be trained on, by the name of their set.

    A text of SHORTEST_OVERLAP to OVERLAP - 1 words is one n-gram of its own width; a shorter one is ignored. An
    n-gram that more than BOILERPLATE texts of a set have is the form in which its questions are put, not a question.
    `sizes` counts the texts of each set and the ignored ones.
    """

    def __init__(self, sets: Mapping[str, Iterable[str]]) -> None:
        self.sizes = {name: {"texts": 0, "ignored": 0} for name in sets}
        self._names = list(sets)
        by_size: dict[int, list[tuple[Hashes, int]]] = defaultdict(list)
        for owner, (name, texts) in enumerate(sets.items()):
            for text in texts:
                words = word_hashes(text)
                self.sizes[name]["texts"] += 1
                if len(words) < SHORTEST_OVERLAP:
                    self.sizes[name]["ignored"] += 1
                    continue
                width = min(OVERLAP, len(words))
                by_size[width].append((np.unique(grams(words, width)), owner))
        self._grams = {width: _sorted_with_owner(parts) for width, parts in by_size.items()}

    def overlapped(self, words: Hashes) -> set[str]:
        """The names of the sets that share an n-gram with a text."""
        names = set()
        for width, (protected, owners) in self._grams.items():
            own = grams(words, width)
            places = np.searchsorted(protected, own)
            hits = own[protected[np.minimum(places, len(protected) - 1)] == own]
            for hit in hits:
                first, last = np.searchsorted(protected, hit, "left"), np.searchsorted(protected, hit, "right")
                holders = Counter(owners[first:last].tolist())
                names |= {self._names[owner] for owner, texts in holders.items() if texts <= BOILERPLATE}
        return names


def overlapping(questions: Mapping[str, str], texts: Iterable[str]) -> list[str]:
    """The names of the questions that share an n-gram with one of the texts; the form of the questions is no overlap.

    As `Protected`, with the sides changed: there the texts are left out, here the questions are named.
    """
    words = {name: word_hashes(text) for name, text in questions.items()}
    protected = {name: np.unique(grams(own, OVERLAP)) for name, own in words.items()}
    held, counts = np.unique(np.concatenate([np.empty(0, np.uint64), *protected.values()]), return_counts=True)
    held = held[counts <= BOILERPLATE]
    shared = [held[np.isin(held, grams(word_hashes(text), OVERLAP))] for text in texts]
    hits = np.unique(np.concatenate([np.empty(0, np.uint64), *shared]))
    return [name for name, own in protected.items() if np.isin(own, hits).any()]


def _sorted_with_owner(parts: list[tuple[Hashes, int]]) -> tuple[Hashes, npt.NDArray[np.int32]]:
    hashes = np.concatenate([part for part, _ in parts])
    owners = np.repeat(np.array([owner for _, owner in parts], np.int32), [len(part) for part, _ in parts])
    order = np.argsort(hashes)
    return hashes[order], owners[order]
