"""Benchmarks: published questions whose answers can be checked, put to base and distilled."""

from mlx_distill.evaluate.benchmarks.benchmark import Benchmark, Capability, Case, Item, Mark, Scoring, Source
from mlx_distill.evaluate.benchmarks.elsewhere import Given, read_answers
from mlx_distill.evaluate.benchmarks.load import BENCHMARKS, DEFAULT, SCORERS, Loaded, load, named
from mlx_distill.evaluate.benchmarks.subset import Parts, most_held, parts, subset, words

__all__ = [
    "BENCHMARKS",
    "DEFAULT",
    "SCORERS",
    "Benchmark",
    "Capability",
    "Case",
    "Given",
    "Item",
    "Loaded",
    "Mark",
    "Parts",
    "Scoring",
    "Source",
    "load",
    "most_held",
    "named",
    "parts",
    "read_answers",
    "subset",
    "words",
]
