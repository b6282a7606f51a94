"""What the quality filters cost: µs and resident bytes a completion, and a MinHash signature beside datasketch's.

    python perf/filters.py [COMPLETIONS]

The completions are made as they are read: texts of 150 words drawn with Zipf's frequencies, one in fifty a copy of
an earlier one with a few words changed, one in a hundred an exact copy. Each size runs in a process of its own; the
bytes are the difference of the peaks of two sizes, so the constant (numpy, the language model) drops out. The peer
(pip install datasketch) is left out where it is missing.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator

from mlx_distill.collect.duplicates import SHINGLE, signature
from mlx_distill.collect.filters import describe_dataset
from mlx_distill.run.config import FilterConfig
from mlx_distill.run.overlap import grams, word_hashes
from mlx_distill.run.records import Completion, Prompt

WORDS = 150
VOCABULARY = 30_000
SMALL = 20_000


def words_of(seed: int) -> list[str]:
    ranks = random.Random(seed)
    return [f"w{int(VOCABULARY ** ranks.random())}" for _ in range(WORDS)]


def completions(count: int) -> Iterator[Completion]:
    for number in range(count):
        words = words_of(number)
        if number % 100 == 99:
            words = words_of(number - 51)
        elif number % 50 == 49:
            words = [*words_of(number - 40)[:-2], "changed", "here"]
        text = " ".join(words)
        yield Completion(f"{number:012x}", text[:80], text[80:], "end_turn", "m")


def measure(count: int) -> None:
    started = time.perf_counter()
    for _ in completions(count):
        pass
    making = time.perf_counter() - started
    heldout = [Prompt(str(seed), " ".join(words_of(10**9 + seed)), split="test") for seed in range(100)]
    started = time.perf_counter()
    found = describe_dataset(
        completions(count),
        heldout,
        FilterConfig(),
        prompts={},
        categories={},
        window=4096,
        count_tokens=lambda text: len(text) // 4,
        system="",
    )
    seconds = time.perf_counter() - started - making
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(seconds, peak, found["left_out"].get("duplicate"), found["left_out"].get("near duplicate"))


def in_process(count: int) -> list[float]:
    command = [sys.executable, __file__, "--one", str(count)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [float(value) for value in shown.split()]


def microseconds(work: object, texts: list[list[str]]) -> float:
    rounds = []
    for _ in range(5):
        started = time.perf_counter()
        for text in texts:
            work(text)  # type: ignore[operator]
        rounds.append(time.perf_counter() - started)
    return min(rounds) / len(texts) * 1e6


def compare_signatures() -> None:
    texts = [words_of(seed) for seed in range(200)]
    joined = [" ".join(words) for words in texts]
    ours = microseconds(lambda text: signature(grams(word_hashes(text), SHINGLE)), joined)  # type: ignore[arg-type]
    print(f"signature of {WORDS} words, splitting and hashing included: {ours:.0f} µs")
    try:
        from datasketch import MinHash
    except ImportError:
        return

    def theirs(text: str) -> None:
        words = text.lower().split()
        shingles = [" ".join(words[i : i + SHINGLE]).encode() for i in range(len(words) - SHINGLE + 1)]
        MinHash(num_perm=64).update_batch(shingles)

    print(f"datasketch, the same: {microseconds(theirs, joined):.0f} µs")  # type: ignore[arg-type]


def main(count: int) -> None:
    small, large = in_process(SMALL), in_process(count)
    print(f"{count:,} completions: {large[0] / count * 1e6:.0f} µs each, {large[2]:.0f} exact and {large[3]:.0f} near")
    print(f"{(large[1] - small[1]) / (count - SMALL):.1f} resident bytes for each more; peak {large[1] / 1e6:.0f} MB")
    compare_signatures()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(int(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 200_000)
