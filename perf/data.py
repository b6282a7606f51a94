"""Reading a user's rows: ours (parsed, understood, grouped, split) beside `datasets`, which only parses them, in turn.

Rows share an instruction of twenty words, as classification data does: that is what made grouping slow once. Printed
are medians of three readings of each side, and how the time grows with the rows.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mlx_distill.run.data.own import load_conversations

SIZES = (1_000, 20_000, 200_000)
REPEATS = 3
INSTRUCTION = (
    "Classify the sentiment of the following customer review as positive, negative or neutral. "
    "Answer with one word and nothing else. Review:"
)


def write(path: Path, count: int) -> None:
    draw = random.Random(0)
    words = [f"word{number}" for number in range(5_000)]
    with path.open("w") as file:
        for _ in range(count):
            asked, answered = (" ".join(draw.choices(words, k=length)) for length in (40, 60))
            file.write(json.dumps({"prompt": f"{INSTRUCTION} {asked}", "completion": answered}) + "\n")


def ours(path: Path) -> int:
    return len(load_conversations(path, 0).conversations)


def theirs(path: Path) -> int:
    from datasets import load_dataset

    with tempfile.TemporaryDirectory() as cache:
        return len(load_dataset("json", data_files=str(path), split="train", cache_dir=cache))


def seconds(read: Callable[[Path], int], path: Path, count: int) -> float:
    started = time.perf_counter()
    assert read(path) == count
    return time.perf_counter() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for count in SIZES:
            path = Path(folder) / f"{count}.jsonl"
            write(path, count)
            taken: dict[str, list[float]] = {"ours": [], "datasets": []}
            for _ in range(REPEATS):
                taken["ours"].append(seconds(ours, path, count))
                taken["datasets"].append(seconds(theirs, path, count))
            mine, other = (statistics.median(found) for found in taken.values())
            print(f"{count:>9,} rows: ours {mine:.2f} s, datasets {other:.2f} s, ratio {mine / other:.1f}", flush=True)


if __name__ == "__main__":
    main()
