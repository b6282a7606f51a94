"""Which benchmarks there are, and their items: from the hub at a pinned revision, or from a file.

In: names and files. Out: benchmarks with their items, where these came from, and a digest of them. A file is known by
its columns; one that no published format fits is the user's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlx_distill.evaluate.benchmarks.aime import AIME24, AIME25
from mlx_distill.evaluate.benchmarks.benchmark import Benchmark, Item, Source
from mlx_distill.evaluate.benchmarks.gsm8k import GSM8K
from mlx_distill.evaluate.benchmarks.humaneval import HUMANEVAL_PLUS
from mlx_distill.evaluate.benchmarks.ifeval import IFEVAL
from mlx_distill.evaluate.benchmarks.livecodebench import LIVECODEBENCH, within
from mlx_distill.evaluate.benchmarks.math500 import MATH500
from mlx_distill.evaluate.benchmarks.mbpp import MBPP_PLUS
from mlx_distill.evaluate.benchmarks.own import COLUMNS, SCORER, own
from mlx_distill.run.data.rows import rows_of, stem
from mlx_distill.run.digest import digest
from mlx_distill.run.errors import DataError, UsageError

BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark
    for benchmark in (HUMANEVAL_PLUS, MBPP_PLUS, MATH500, GSM8K, IFEVAL, AIME24, AIME25, LIVECODEBENCH)
}

SCORERS = (*(benchmark.scorer for benchmark in BENCHMARKS.values()), SCORER)
"""Of all that can be asked: marks of another version are made anew."""

DEFAULT = "default"
"""The name of the default suite."""


@dataclass(frozen=True)
class Loaded:
    """`source`: where the items came from, at which revision. `digest`: of the items as they are asked and scored."""

    benchmark: Benchmark
    items: list[Item]
    source: str

    @property
    def digest(self) -> str:
        return digest(json.dumps(vars(item), sort_keys=True, default=str) for item in self.items)[:12]


def load(names: Sequence[str], files: Sequence[str], since: str, until: str) -> list[Loaded]:
    """The named benchmarks, from their files where there are any, and those of the files. Each once, in a fixed order.

    Raises UsageError for an unknown name, DataError for a file that cannot be read or a hub that cannot be reached.
    """
    by_name = {loaded.benchmark.name: loaded for loaded in map(_from_file, files)}
    if len(by_name) < len(files):
        raise UsageError("Two files are of one benchmark: give one of them.")
    for name in named(names):
        if name not in by_name:
            by_name[name] = _from_hub(BENCHMARKS[name])
    order = [*BENCHMARKS, *by_name]
    return [_window(by_name[name], since, until) for name in sorted(by_name, key=order.index)]


def named(names: Sequence[str]) -> list[str]:
    """Each once, the default suite spelled out. Raises UsageError for a name that there is not."""
    known: list[str] = []
    for name in names:
        if name != DEFAULT and name not in BENCHMARKS:
            raise UsageError(
                f"There is no benchmark {name!r}: choose {', '.join(BENCHMARKS)} or {DEFAULT}; give a file of your own "
                "with --data."
            )
        known += [b.name for b in BENCHMARKS.values() if b.default] if name == DEFAULT else [name]
    return list(dict.fromkeys(known))


def _window(loaded: Loaded, since: str, until: str) -> Loaded:
    if loaded.benchmark is not LIVECODEBENCH:
        return loaded
    return Loaded(loaded.benchmark, within(loaded.items, since, until), f"{loaded.source}, {since} to {until}")


# ---------------------------------------------------------------- files


def _from_file(file: str) -> Loaded:
    rows = list(rows_of(Path(file)))
    if not rows:
        raise DataError(f"{file} is empty: remove it, or download it again.")
    fitting = [b for b in BENCHMARKS.values() if any(columns <= rows[0].keys() for columns in b.columns)]
    readable, problems = [], []
    for benchmark in fitting:
        try:
            readable.append(Loaded(benchmark, benchmark.read(rows), f"file {Path(file).name}"))
        except DataError as error:
            problems.append(str(error))
    if readable:
        return _only(readable, file)
    if problems:
        raise DataError(f"{file}: {problems[-1]}")
    if not any(columns <= rows[0].keys() for columns in COLUMNS):
        raise DataError(
            f"{file} has none of the published formats; its columns are {', '.join(map(str, rows[0]))}. A benchmark of "
            "your own has prompt and checks, or prompt and answer."
        )
    benchmark = own(stem(Path(file)))
    return Loaded(benchmark, benchmark.read(rows), f"file {Path(file).name}")


def _only(readable: Sequence[Loaded], file: str) -> Loaded:
    if len(readable) > 1:
        titles = " or ".join(loaded.benchmark.title for loaded in readable)
        raise DataError(f"{file} could be {titles}: add an `id` or `year` column.")
    return readable[0]


# ---------------------------------------------------------------- the hub


def _from_hub(benchmark: Benchmark) -> Loaded:
    source = benchmark.source
    rows = _hub_rows(benchmark, source)
    return Loaded(benchmark, benchmark.read(rows), f"{source.repository}@{source.revision[:12]}")


def _hub_rows(benchmark: Benchmark, source: Source) -> list[Mapping[str, Any]]:
    from datasets import load_dataset

    try:
        if source.files:
            data = load_dataset("json", data_files=_addresses(source), split="train")
        else:
            data = load_dataset(source.repository, source.name, revision=source.revision, split=source.split)
        return [dict(row) for row in data]
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{benchmark.title} cannot be loaded from the hub ({source.repository}: {reason}): check the network, or "
            "give its file with --data."
        ) from error


def _addresses(source: Source) -> list[str]:
    """Of the JSON files of a repository whose loading script no longer runs."""
    return [f"hf://datasets/{source.repository}@{source.revision}/{name}" for name in source.files]
