"""The gate: may this model ship? Rules over the benchmarks' rows, a verdict, and the sentence that decided it.

In: rows of results.json. Out: results["gate"]. Losses are said first. A rule that asks for the absence of something
holds only where it could have been seen: what has too few items, was not scored, or has nothing to lose is named.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mlx_distill.evaluate.domains import OWN
from mlx_distill.run.errors import GateError, UsageError
from mlx_distill.run.records import Estimate
from mlx_distill.run.results import Results
from mlx_distill.run.results.benchmarks import Benchmark, Coverage, DomainRow, Gate, RuleResult
from mlx_distill.run.results.comparison import Packages
from mlx_distill.run.results.selection import Selection
from mlx_distill.run.wording import NOTHING, plural, points
from mlx_distill.stats import inference as stats
from mlx_distill.stats.proportions import MARGIN
from mlx_distill.summarise.form import packages_words

Judged = TypeVar("Judged", Benchmark, DomainRow)

FINISHED = "the training is finished"
"""That, too: what was trained in part is another model than the one that was wanted."""

A_CANDIDATE = "the selection kept a candidate"
"""The rule that none has to declare: who chooses among candidates ships none that was not chosen."""

BETTER, WORSE, UNSCORED = "better", "worse", "not scored"


@dataclass(frozen=True)
class Finding:
    """Whether a rule holds, and why: clauses without a full stop."""

    holds: bool
    clauses: tuple[str, ...]


def check_gate(results: Results) -> None:
    """Raises GateError unless the benchmarks say that the student may be shipped."""
    gate = results.gate
    if gate is None:
        raise GateError("Nothing is known yet: no benchmark was asked for. Name some with --benchmark.")
    if gate.verdict != "ship":
        raise GateError(f"{gate.verdict.capitalize()}: {gate.because}")


def gate_part(
    rows: Sequence[Benchmark],
    rules: Sequence[str],
    forgetting: Sequence[DomainRow] = (),
    coverage: Coverage | None = None,
    sandboxes: Collection[str] = (),
    selection: Selection | None = None,
    unfinished: Sequence[str] = (),
    packages: Packages | None = None,
) -> Gate:
    """ship where every rule holds, else mixed where a benchmark is better, else do not ship; that too where the
    selection kept the base or something is `unfinished`. Raises UsageError for a rule that is not in RULES, and for
    none at all."""
    check_rules(rules)
    kept = {FINISHED: Finding(False, tuple(sentence.rstrip(".") for sentence in unfinished))} if unfinished else {}
    kept |= {A_CANDIDATE: Finding(bool(selection.chosen), (selection.words,))} if selection else {}
    findings = kept | {rule: RULES[rule](rows, forgetting) for rule in rules}
    ship = all(finding.holds for finding in findings.values())
    mixed = bool(_with(rows, BETTER)) and all(finding.holds for finding in kept.values())
    return Gate(
        verdict="ship" if ship else "mixed" if mixed else "do not ship",
        because=" ".join([_because(rows, forgetting, findings), *_about_format(rows)]),
        rules=tuple(
            RuleResult(rule=rule, holds=finding.holds, because="; ".join(finding.clauses))
            for rule, finding in findings.items()
        ),
        forgetting=tuple(forgetting),
        coverage=coverage,
        packages=packages,
        caveats=(*caveats(rows, forgetting, sandboxes), *packages_words(packages)),
    )


def check_rules(rules: Sequence[str]) -> None:
    """Before hours of work, too."""
    known = ", ".join(f'"{rule}"' for rule in RULES)
    if not rules:
        raise UsageError(f"bench.rules is empty, and anything would ship: choose among {known}.")
    for rule in rules:
        if rule not in RULES:
            raise UsageError(f'There is no rule "{rule}": choose among {known}.')


def _because(rows: Sequence[Benchmark], domains: Sequence[DomainRow], findings: Mapping[str, Finding]) -> str:
    """What is not finished, losses, then what did not hold (or, where all does, what held), then gains."""
    failed = [finding for finding in findings.values() if not finding.holds]
    worse, better = ([_moved(row) for row in _with(rows, word)] for word in (WORSE, BETTER))
    held = [clause for finding in failed or findings.values() for clause in finding.clauses]
    first = unfinished.clauses if (unfinished := findings.get(FINISHED)) else ()
    clauses = "; ".join(dict.fromkeys([*first, *worse, *_lost_together(rows, domains), *held, *better]))
    named = clauses.startswith(tuple(row.title for row in rows))  # as its owner writes it
    return f"{clauses if named else clauses[0].upper() + clauses[1:]}."


def _about_format(rows: Sequence[Benchmark]) -> list[str]:
    """Where format and ability differ in one of the two alone, so that none is taken for the other."""
    return [row.format.words for row in rows if row.format and row.format.words]


def _lost_together(rows: Sequence[Benchmark], domains: Sequence[DomainRow]) -> list[str]:
    """Domains that are worse with their benchmarks pooled, though none of these is alone."""
    alone = {row.domain for row in _with(rows, WORSE)}
    return [_pooled(row) for row in _with(domains, WORSE) if row.domain not in alone]


def _pooled(row: DomainRow) -> str:
    """A domain of one benchmark can be worse where that is not: there are fewer domains to adjust for."""
    *others, last = row.benchmarks
    over = f"over {', '.join(others)} and {last} pooled" if others else f"by domain, with {last} alone"
    return f"{over}, {row.domain} is {row.verdict}: {_percent(row.base)} → {_percent(row.distilled)} %"


def _with(rows: Sequence[Judged], verdict: str) -> list[Judged]:
    return [row for row in rows if row.verdict == verdict]


def _moved(row: Benchmark) -> str:
    return f"{row.title} is {row.verdict}: {_percent(row.base)} → {_percent(row.distilled)} %"


def _percent(estimate: Estimate | None) -> str:
    return NOTHING if estimate is None else f"{100 * estimate.mean:.1f}"


# ---------------------------------------------------------------- rules


def why_undetectable(row: Benchmark, tests: int) -> str:
    """Why a loss would not have been seen on this benchmark; "" where it would."""
    if row.verdict == UNSCORED:
        return f"{row.title} was not scored for both models"
    if row.verdict == stats.UNTOLD:
        return f"{row.title} has too few items to tell (n = {row.n})"
    passed = round(row.base.mean * row.n) if row.base else 0
    if stats.verdict(0.0, passed, 1.0, tests) == stats.UNTOLD:
        return f"{row.title} had next to nothing to lose (the base passed {passed} of {row.n})"
    return ""


def _absent(rows: Sequence[Benchmark], of: str, tests: int) -> Finding:
    """None of some rows is worse, as far as could be seen."""
    if worse := _with(rows, WORSE):
        return Finding(False, tuple(_moved(row) for row in worse))
    undetectable = [why for row in rows if (why := why_undetectable(row, tests))]
    if len(undetectable) == len(rows):
        return Finding(False, (f"no {of} could have shown a loss", *undetectable))
    shown = f"none of {plural(len(rows), of)} is" if len(rows) > 1 else f"{rows[0].title} is not"
    return Finding(True, (f"{shown} shown to be worse", *undetectable))


def _tests(rows: Sequence[Benchmark]) -> int:
    return sum(row.p is not None for row in rows)


def _own(rows: Sequence[Benchmark]) -> list[Benchmark]:
    return [row for row in rows if row.domain == OWN]


NO_OWN = Finding(False, ("no benchmark of the own domain was asked",))


def no_benchmark_worse(rows: Sequence[Benchmark], domains: Sequence[DomainRow]) -> Finding:
    """None is significantly worse after Holm, and one at least could have been."""
    return _absent(rows, "benchmark", _tests(rows))


def no_domain_worse(rows: Sequence[Benchmark], domains: Sequence[DomainRow]) -> Finding:
    """None is worse with its benchmarks pooled, which shows what each alone has too few items for."""
    if worse := _with(domains, WORSE):
        return Finding(False, tuple(_pooled(row) for row in worse))
    undetectable = [f"{row.domain} has too few items to tell" for row in _with(domains, stats.UNTOLD)]
    if len(undetectable) == len(domains):
        return Finding(False, ("no domain could have shown a loss", *undetectable))
    return Finding(True, ("no domain is shown to be worse", *undetectable))


def own_domain_not_worse(rows: Sequence[Benchmark], domains: Sequence[DomainRow]) -> Finding:
    return _absent(_own(rows), "own-domain benchmark", _tests(rows)) if _own(rows) else NO_OWN


def own_domain_better(rows: Sequence[Benchmark], domains: Sequence[DomainRow]) -> Finding:
    """One at least is better, and none worse."""
    own = _own(rows)
    if not own:
        return NO_OWN
    if worse := _with(own, WORSE):
        return Finding(False, tuple(_moved(row) for row in worse))
    undetectable = [why for row in own if (why := why_undetectable(row, _tests(rows)))]
    if better := _with(own, BETTER):
        return Finding(True, (*(_moved(row) for row in better), *undetectable))
    return Finding(False, ("no benchmark of the own domain is better", *undetectable))


def no_loss_beyond_the_margin(rows: Sequence[Benchmark], domains: Sequence[DomainRow]) -> Finding:
    """Every benchmark that is not better rules out, at 5 %, a loss of MARGIN or more: as one side of the test of
    equivalence does, which an interval from resampled items would not where hardly an item changed."""
    open_ = [row for row in rows if row.verdict != BETTER and not _loss_ruled_out(row)]
    if open_:
        return Finding(False, tuple(_may_have_lost(row) for row in open_))
    return Finding(True, (f"a loss of {100 * MARGIN:.0f} points or more is ruled out on every benchmark",))


def _loss_ruled_out(row: Benchmark) -> bool:
    return row.equivalence is not None and row.equivalence.no_loss_p < 1 - stats.CONFIDENCE


def _may_have_lost(row: Benchmark) -> str:
    if row.difference is None:
        return f"{row.title} was not scored for both models"
    change = points(row.difference, sign="+")
    return f"{row.title} may have lost {100 * MARGIN:.0f} points or more ({change}, n = {row.n})"


def nothing_degraded(rows: Sequence[Benchmark], domains: Sequence[DomainRow]) -> Finding:
    sentences = [f"{row.title}, {sentence}" for row in rows for sentence in row.degraded]
    return Finding(not sentences, tuple(sentences) or ("no benchmark is degraded",))


RULES: dict[str, Callable[[Sequence[Benchmark], Sequence[DomainRow]], Finding]] = {
    "no benchmark worse": no_benchmark_worse,
    "no domain worse": no_domain_worse,
    "own domain better": own_domain_better,
    "own domain not worse": own_domain_not_worse,
    "no loss beyond the margin": no_loss_beyond_the_margin,
    "nothing degraded": nothing_degraded,
}


# ---------------------------------------------------------------- caveats


def caveats(rows: Sequence[Benchmark], domains: Sequence[DomainRow] = (), sandboxes: Collection[str] = ()) -> list[str]:
    """What a reader must know before believing the gate, the gravest first."""
    sentences = [f"No benchmark shows it alone, but {clause}." for clause in _lost_together(rows, domains)]
    sentences += [f"{row.title}, {sentence}." for row in rows for sentence in row.degraded]
    sentences += [f"{why}." for row in rows if (why := why_undetectable(row, _tests(rows)))]
    sentences += _about_what_is_not_shown(rows) + _about_overlap(rows)
    sentences += [f"{row.title} was asked in part: {row.subset}." for row in rows if row.subset]
    sentences += [
        f"{row.title}: the distilled model answered with its adapter at strength {row.strength:g} of 1."
        for row in rows
        if row.strength is not None and row.strength != 1
    ]
    if "none" in sandboxes:
        sentences.append("Models' code was run without a sandbox: it could have forged its results.")
    return sentences


def _about_what_is_not_shown(rows: Sequence[Benchmark]) -> list[str]:
    """No difference shown is no proof that there is none."""
    open_ = [
        f"{100 * row.smallest:.0f} points ({row.title})"
        for row in rows
        if row.smallest is not None and not (row.equivalence and row.equivalence.shown)
    ]
    if not open_:
        return []
    return [f"No difference shown does not mean that there is none. Detectable (80 % power): from {', '.join(open_)}."]


def _about_overlap(rows: Sequence[Benchmark]) -> list[str]:
    sentences = []
    for row in rows:
        if row.overlap and row.overlap.items:
            count = len(row.overlap.items)
            sentences.append(f"{plural(count, 'item')} of {row.title} share 13 words in a row with a training prompt.")
    unchecked = [row.title for row in rows if not row.overlap or row.overlap.checked is None]
    if unchecked:
        sentences.append(f"Not checked for items among the training prompts: {', '.join(unchecked)}.")
    return sentences
