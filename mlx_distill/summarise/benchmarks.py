"""The benchmarks of results.json: what base and distilled model passed, item by item, and whether they may ship.

In: the files of a run's `bench` folder. Out: a row for each benchmark, and the gate over them. Only items that both
have a scored answer to are compared; all benchmarks of a run are one family, adjusted together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlx_distill.evaluate.domains import domain
from mlx_distill.evaluate.selection import read_selection
from mlx_distill.run.config import Config
from mlx_distill.run.folder import RunDir
from mlx_distill.run.records import MODELS, Role
from mlx_distill.run.results.benchmarks import Benchmark, Equivalence, Gate
from mlx_distill.run.results.part import fields_of
from mlx_distill.run.unfinished import unfinished_training
from mlx_distill.run.wording import ELSEWHERE
from mlx_distill.stats import inference as stats
from mlx_distill.stats.gap import teacher_gap
from mlx_distill.stats.proportions import bound, equivalence
from mlx_distill.summarise.answered import degraded, lengths_part, roles_part
from mlx_distill.summarise.breakdown import changes_part, groups_part, parts_part, pass_at_k_part
from mlx_distill.summarise.forgetting import coverage_part, forgetting_part
from mlx_distill.summarise.form import formats_part, packages_part
from mlx_distill.summarise.gate import gate_part
from mlx_distill.summarise.scored import ScoredBenchmark, read_scored


def benchmarks_part(run: RunDir, config: Config) -> tuple[tuple[Benchmark, ...], Gate | None]:
    """The rows, and the gate over them; ((), None) where no benchmark was asked. Raises UsageError for a rule
    that there is not."""
    own, rules = config.bench.own, config.bench.rules
    asked = read_scored(run)
    if not asked:
        return (), None
    rows = rows_part(asked, own)
    return rows, gate_part(
        rows,
        rules,
        forgetting_part(asked, own),
        coverage_part(run, asked),
        _sandboxes(asked),
        read_selection(run),
        unfinished_training(run, config) if any(row.answers != ELSEWHERE for row in rows) else (),
        packages_part(score for one in asked for score in one.scores.values()),
    )


def rows_part(asked: Sequence[ScoredBenchmark], own: Sequence[str]) -> tuple[Benchmark, ...]:
    """`own`: the capabilities and benchmarks that the training was for."""
    tested = [_tested(one) for one in asked]
    decided = stats.decide_together([test for _, test in tested])
    formats = formats_part(asked, [test.verdict for test in decided])
    return tuple(
        Benchmark(
            **_row(one, own),
            **_counted(counts),
            **fields_of(decision),
            equivalence=_equivalence(measure.differences),
            format=form,
        )
        for one, (counts, measure), decision, form in zip(asked, tested, decided, formats, strict=True)
    )


def _tested(asked: ScoredBenchmark) -> tuple[stats.PairCounts | None, stats.Measure]:
    """One answer an item: McNemar on what changed. Several: sign flips of what items changed by."""
    pairs = list(asked.pairs.values())
    if asked.samples == 1:
        return stats.pass_fail([(base == 1, distilled == 1) for base, distilled in pairs])
    differences = [distilled - base for base, distilled in pairs]
    return None, stats.Measure(differences, stats.paired_p(differences), 1)


def _counted(counts: stats.PairCounts | None) -> dict[str, Any]:
    return counts._asdict() if counts else dict.fromkeys(stats.PairCounts._fields)


def _equivalence(differences: Sequence[float]) -> Equivalence | None:
    gained, lost = (sum(max(0.0, sign * value) for value in differences) for sign in (1, -1))
    return equivalence(gained, lost, len(differences)) if differences else None


def _row(asked: ScoredBenchmark, own: Sequence[str]) -> dict[str, Any]:
    """All that is not decided together with the other benchmarks. Where only one model was scored, its share is that
    of all its items."""
    shares = {
        role: asked.share([pair[index] for pair in asked.pairs.values()] or list(asked.shares(role).values()))
        for index, role in enumerate(MODELS)
    }
    roles, base, teacher = roles_part(asked), shares["base"], list(asked.shares("teacher").values())
    length_ratio, length_by_category = lengths_part(asked)
    return {
        **fields_of(asked.protocol),
        "base": shares["base"],
        "distilled": shares["distilled"],
        "domain": domain(asked.protocol, own),
        "roles": roles,
        "degraded": degraded(asked, roles),
        "bound": bound(base.mean) if base else "",
        "teacher": asked.share(teacher),
        "teacher_gap": teacher_gap(asked.reached),
        "parts": parts_part(asked),
        "pass_at_k": pass_at_k_part(asked),
        "categories": groups_part(asked, "category"),
        "difficulties": groups_part(asked, "difficulty"),
        "changes": changes_part(asked),
        "passed": {role: _marks(asked, role) for role in MODELS},
        "length_ratio": length_ratio,
        "length_by_category": length_by_category,
    }


def _marks(asked: ScoredBenchmark, role: Role) -> str:
    """An item a character, in the items' order, for comparing two runs: 1 passed, 0 did not, . has no score, and with
    several samples ~ passed in some."""
    shares = asked.shares(role)
    return "".join({0.0: "0", 1.0: "1", None: "."}.get(shares.get(item), "~") for item in asked.items)


def _sandboxes(asked: Sequence[ScoredBenchmark]) -> set[str]:
    return {score.sandbox for one in asked for score in one.scores.values() if score.sandbox}
