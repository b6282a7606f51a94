"""What a training for one domain did to the others, and whether it helped most where it taught most.

In: Asked benchmarks, the training prompts. Out: the gate's table of domains, the items of a domain's benchmarks pooled;
and the rank correlation between a category's share of the training and its improvement.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from mlx_distill.evaluate.domains import DOMAINS, domain
from mlx_distill.run.folder import PROMPTS, RunDir
from mlx_distill.run.records import Estimate, Prompt
from mlx_distill.run.results.benchmarks import Coverage, CoverageCategory, DomainRow
from mlx_distill.run.results.part import fields_of
from mlx_distill.run.wording import estimate, tested
from mlx_distill.stats import inference as stats
from mlx_distill.stats import ranks
from mlx_distill.stats.proportions import wilson
from mlx_distill.summarise.scored import ScoredBenchmark


def forgetting_part(asked: Sequence[ScoredBenchmark], own: Sequence[str]) -> tuple[DomainRow, ...]:
    """A row for each domain with scored items: every item weighs the same, whichever benchmark it is of. The domains
    are a family of their own: together they say again what the benchmarks say singly."""
    by_domain: dict[str, list[ScoredBenchmark]] = defaultdict(list)
    for one in asked:
        if one.pairs:
            by_domain[domain(one.protocol, own)].append(one)
    names = [name for name in DOMAINS if name in by_domain]
    rows = [_pooled(by_domain[name]) for name in names]
    decided = stats.decide_together([measure for *_, measure in rows])
    return tuple(
        DomainRow(
            **fields_of(tested),
            domain=name,
            benchmarks=tuple(one.title for one in by_domain[name]),
            base=base,
            distilled=distilled,
        )
        for name, (base, distilled, _), tested in zip(names, rows, decided, strict=True)
    )


def _pooled(asked: Sequence[ScoredBenchmark]) -> tuple[Estimate, Estimate, stats.Measure]:
    """Shares of base and distilled over all items, and their difference to be tested."""
    pairs = [pair for one in asked for pair in one.pairs.values()]
    whole = all(one.samples == 1 for one in asked)
    base, distilled = (_share([pair[index] for pair in pairs], whole) for index in range(2))
    if whole:
        return base, distilled, stats.pass_fail([(before == 1, after == 1) for before, after in pairs])[1]
    differences = [after - before for before, after in pairs]
    return base, distilled, stats.Measure(differences, stats.paired_p(differences), 1)


def _share(passed: Sequence[float], whole: bool) -> Estimate:
    return wilson(round(sum(passed)), len(passed)) if whole else stats.estimate(passed)


# ---------------------------------------------------------------- coverage


def coverage_part(run: RunDir, asked: Sequence[ScoredBenchmark]) -> Coverage | None:
    """Over the categories that training prompts and benchmarks share by name; None below five of them, or where all
    have one share or changed alike."""
    prompts = [prompt for prompt in run.stream(PROMPTS, Prompt) if prompt.split == "train"]
    trained = Counter(prompt.category.strip().casefold() for prompt in prompts)
    named = {prompt.category.strip().casefold(): prompt.category.strip() for prompt in prompts}
    rows = [
        CoverageCategory(
            name=named[category],
            share=trained[category] / len(prompts),
            difference=sum(differences) / len(differences),
            n=len(differences),
        )
        for category, differences in _by_category(asked).items()
        if category in trained
    ]
    correlation = ranks.spearman([row.share for row in rows], [row.difference for row in rows])
    if correlation is None:
        return None
    rows.sort(key=lambda row: -row.share)
    return Coverage(rho=correlation.rho, p=correlation.p, categories=tuple(rows), words=_words(correlation))


def _by_category(asked: Sequence[ScoredBenchmark]) -> Mapping[str, list[float]]:
    """Category in lower case → what its items changed by, over all benchmarks."""
    differences: dict[str, list[float]] = defaultdict(list)
    for one in asked:
        for item, (base, distilled) in one.pairs.items():
            if category := one.items[item]["category"].strip().casefold():
                differences[category].append(distilled - base)
    return differences


def _words(correlation: ranks.Correlation) -> str:
    if correlation.p >= 1 - stats.CONFIDENCE:
        sentence = "no evidence that categories with more training prompts changed otherwise than those with fewer"
    else:
        sentence = f"categories with more training prompts improved {'more' if correlation.rho.mean > 0 else 'less'}"
    rho = estimate(correlation.rho, sign="+")
    return f"{sentence} (Spearman's rho {rho}, {tested(correlation.p)}, {correlation.rho.n} categories)"
