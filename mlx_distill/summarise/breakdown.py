"""What a benchmark's one number is made of: parts of the score, several samples, categories, single items.

In: an Asked. Out: lists of results.json, over items that both models have a scored answer to. None of them is tested: a
table of twenty categories shows a difference by chance.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from mlx_distill.run.prompts import shorten
from mlx_distill.run.records import FORMAT, MODELS, Estimate, Score
from mlx_distill.run.results.benchmarks import ChangedItem, Changes, Group, PassAtK, ScorePart
from mlx_distill.stats import inference as stats
from mlx_distill.stats.proportions import pass_at_k, wilson
from mlx_distill.summarise.scored import ScoredBenchmark

INSTRUCTION = re.compile(r"(strict|loose) \d+ ")
"""The part of a score that is one instruction of a prompt, e.g. "strict 0 punctuation:no_comma" (IFEval)."""

SHOWN_CHANGES = 50
TITLE = 60

Counted = tuple[float, float]
"""What held and of how much, for one item and role: means over its samples."""


# ---------------------------------------------------------------- parts of a score


def parts_part(asked: ScoredBenchmark) -> tuple[ScorePart, ...]:
    """Shares by name. Instructions are counted singly, and resampled with the prompt that they belong to."""
    parts: dict[str, dict[str, tuple[Counted, Counted]]] = defaultdict(dict)
    for item in asked.pairs:
        base, distilled = (_counted(asked.scored(item, role)) for role in MODELS)
        for name in base:
            if name in distilled:
                parts[name][item] = (base[name], distilled[name])
    return tuple(_part(asked, name, list(rows.values())) for name, rows in parts.items())


def _counted(scores: Sequence[Score]) -> dict[str, Counted]:
    """Part → what held and of how much."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for score in scores:
        for part, held in score.parts.items():
            if part == FORMAT:
                continue  # it is tested, and told beside the score
            kind = INSTRUCTION.match(part)
            total = sums[f"instructions, {kind[1]}" if kind else part]
            total[0] += held / len(scores)
            total[1] += 1 / len(scores)
    return {name: (held, of) for name, (held, of) in sums.items()}


def _part(asked: ScoredBenchmark, name: str, rows: Sequence[tuple[Counted, Counted]]) -> ScorePart:
    """`n` counts prompts."""
    base, distilled = (_held([row[index] for row in rows], asked.samples) for index in range(2))
    gained = [of * (after / of - held / before) for (held, before), (after, of) in rows]
    difference = stats.ratio(gained, [of for _, (_, of) in rows])
    return ScorePart(name=name, base=base, distilled=distilled, difference=difference)


def _held(counts: Sequence[Counted], samples: int) -> Estimate:
    held, of = [row[0] for row in counts], [row[1] for row in counts]
    whole = samples == 1 and all(total == 1 for total in of)
    return wilson(round(sum(held)), len(held)) if whole else stats.ratio(held, of)


# ---------------------------------------------------------------- several samples


def pass_at_k_part(asked: ScoredBenchmark) -> tuple[PassAtK, ...]:
    """One answer, half of them and all of them, over the items with so many scored ones of both models; () for one
    sample."""
    samples = asked.samples
    ks = sorted({1, samples // 2, samples}) if samples > 1 else []
    return tuple(row for k in ks if (row := _at_k(asked, k)).base)


def _at_k(asked: ScoredBenchmark, k: int) -> PassAtK:
    scored = {role: {item: asked.scored(item, role) for item in asked.pairs} for role in MODELS}
    items = [item for item in asked.pairs if all(len(scored[role][item]) >= k for role in MODELS)]
    base, distilled = (_estimate([_chance(scored[role][item], k) for item in items]) for role in MODELS)
    return PassAtK(k=k, base=base, distilled=distilled)


def _chance(scores: Sequence[Score], k: int) -> float:
    return pass_at_k(len(scores), sum(bool(score.passed) for score in scores), k)


def _estimate(values: Sequence[float]) -> Estimate | None:
    return stats.estimate(values) if values else None


# ---------------------------------------------------------------- categories and items


def groups_part(asked: ScoredBenchmark, key: str) -> tuple[Group, ...]:
    """By `category` or `difficulty`; () where the data has not two of them."""
    groups: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    for item, pair in asked.pairs.items():
        if asked.items[item][key]:
            groups[str(asked.items[item][key])][item] = pair
    return tuple(_group(asked, name, list(groups[name].values())) for name in sorted(groups)) if len(groups) > 1 else ()


def _group(asked: ScoredBenchmark, name: str, pairs: Sequence[tuple[float, float]]) -> Group:
    whole = asked.samples == 1
    return Group(
        name=name,
        n=len(pairs),
        base=sum(base for base, _ in pairs) / len(pairs),
        distilled=sum(distilled for _, distilled in pairs) / len(pairs),
        gained=sum(distilled > base for base, distilled in pairs) if whole else None,
        lost=sum(distilled < base for base, distilled in pairs) if whole else None,
        difference=stats.estimate([distilled - base for base, distilled in pairs]),
    )


def changes_part(asked: ScoredBenchmark) -> Changes:
    """The items that changed, the most changed first."""
    changed = {item: distilled - base for item, (base, distilled) in asked.pairs.items()}
    return Changes(gained=_changed(asked, changed, 1), lost=_changed(asked, changed, -1))


def _changed(asked: ScoredBenchmark, changed: Mapping[str, float], sign: int) -> tuple[ChangedItem, ...]:
    items = sorted((item for item in changed if changed[item] * sign > 0), key=lambda item: -abs(changed[item]))
    shown = items[:SHOWN_CHANGES]
    return tuple(ChangedItem(id=item, title=shorten(asked.items[item]["prompt"], TITLE)) for item in shown)
