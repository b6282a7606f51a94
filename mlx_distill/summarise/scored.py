"""One benchmark as a run asked it: its items, what was answered, and what that was worth.

In: the files of a run's `bench` folder. Out: an Asked for each benchmark. One item has one number for each role,
however many samples were answered; what could not be scored has none.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlx_distill.run.data.rows import lines_of
from mlx_distill.run.folder import RunDir
from mlx_distill.run.records import MODELS, Estimate, Generation, Role, Score
from mlx_distill.run.results.benchmarks import BenchProtocol
from mlx_distill.stats import inference as stats
from mlx_distill.stats.proportions import wilson

PROTOCOL, ITEMS = "bench/protocol.json", "bench/items.jsonl"
ANSWERS, SCORES = "bench/answers.jsonl", "bench/scores.jsonl"


Row = Mapping[str, Any]
Case = tuple[str, Role, int]
"""Item, role, sample."""


@dataclass(frozen=True)
class ScoredBenchmark:
    """`items` (id → row) are as the file has them; answers to other items are left out."""

    protocol: BenchProtocol
    items: Mapping[str, Row]
    answers: Mapping[Case, Generation]
    scores: Mapping[Case, Score]

    @property
    def title(self) -> str:
        return self.protocol.title

    @property
    def samples(self) -> int:
        """Answers that each role was asked for, an item."""
        return self.protocol.samples or 1

    @functools.cached_property
    def pairs(self) -> dict[str, tuple[float, float]]:
        """Item → the share of its scored answers that passed, (base, distilled), where both have any."""
        base, distilled = (self.shares(role) for role in MODELS)
        return {item: (base[item], distilled[item]) for item in self.items if item in base and item in distilled}

    @functools.cached_property
    def reached(self) -> list[tuple[float, float, float]]:
        """The shares of teacher, base and distilled, of each item that all three have a scored answer to."""
        teacher = self.shares("teacher")
        return [(teacher[item], *pair) for item, pair in self.pairs.items() if item in teacher]

    def shares(self, role: Role) -> dict[str, float]:
        scored = (score for (_, whose, _), score in self.scores.items() if whose == role)
        return stats.by_prompt((score.item_id, float(score.passed)) for score in scored if score.passed is not None)

    def scored(self, item: str, role: Role) -> list[Score]:
        """The scored answers of one role to one item."""
        scores = (self.scores.get((item, role, sample)) for sample in range(self.samples))
        return [score for score in scores if score is not None and score.passed is not None]

    def share(self, passed: Sequence[float]) -> Estimate | None:
        """Of items: with Wilson's interval where each has one answer, from resampled items where it has several."""
        if not passed:
            return None
        return wilson(round(sum(passed)), len(passed)) if self.samples == 1 else stats.estimate(passed)


def read_scored(run: RunDir) -> list[ScoredBenchmark]:
    """In the order of the protocol; none where no benchmark was asked."""
    if not (run / PROTOCOL).exists():
        return []
    items: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in lines_of(run / ITEMS):
        items[row["benchmark"]][row["id"]] = row
    keys = {f"{name}/{item}": (name, item) for name, rows in items.items() for item in rows}
    answers: dict[str, dict[Case, Generation]] = defaultdict(dict)
    for answer in run.stream(ANSWERS, Generation):
        if answer.prompt_id in keys:
            name, item = keys[answer.prompt_id]
            answers[name][item, answer.role, answer.sample] = answer
    scores: dict[str, dict[Case, Score]] = defaultdict(dict)
    for score in run.stream(SCORES, Score):
        if score.item_id in items[score.benchmark]:
            scores[score.benchmark][score.item_id, score.role, score.sample] = score
    return [_asked(protocol, items, answers, scores) for protocol in run.read_as(PROTOCOL, tuple[BenchProtocol, ...])]


def _asked(
    protocol: BenchProtocol,
    items: Mapping[str, Mapping[str, Row]],
    answers: Mapping[str, Mapping[Case, Generation]],
    scores: Mapping[str, Mapping[Case, Score]],
) -> ScoredBenchmark:
    name = protocol.name
    return ScoredBenchmark(protocol, items.get(name, {}), answers.get(name, {}), scores.get(name, {}))
