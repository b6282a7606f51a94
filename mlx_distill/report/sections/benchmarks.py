"""The benchmarks: every score, what it is made of, what was forgotten, how they were asked, what others published.

In: Results. Out: sections, empty where no benchmark was asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mlx_distill.report.document import Block, Bullets, Facts, Line, Measures, Section, Table, verdict
from mlx_distill.report.sections.measures import MODELS, benchmark_measures, domain_measures
from mlx_distill.run.results import Results
from mlx_distill.run.results.benchmarks import Benchmark, ChangedItem, Group
from mlx_distill.run.wording import (
    NOTHING,
    answers_an_item,
    estimate,
    form,
    overlapping,
    p_value,
    plural,
    points,
    published,
)

SCORES = (
    "Shares passed in percent, differences in points, over the items that both models have a scored answer to; "
    "brackets are 95 % intervals (Wilson's for shares, resampled items for differences). p is McNemar's exact one, or "
    "of sign flips for several answers an item; verdicts rest on p (Holm), adjusted for looking at several benchmarks. "
    "No difference shown is not the same as no difference. Equivalent: shown to differ by less than 3 points. "
    "Detectable: the smallest difference that so many items would have shown with 80 % power; needed to tell: how many "
    "more would show one as large as the one seen."
)
FORMATS = "In the asked format: answers that followed it strictly; what passes is read in any format."
POOLED = "All items of a domain's benchmarks together; the domains are adjusted for each other."
UNTESTED = "These differences are not tested: of twenty, one looks real by chance."
NOBODY_ASKED = "As they gave them: nobody asked these models here, and nothing was tested."


def scores(results: Results) -> Section:
    rows = results.benchmarks
    if not rows:
        return Section("benchmarks", "Benchmarks")
    measures = Measures("Benchmarks", "benchmark", benchmark_measures(rows))
    words = [SCORES, FORMATS] if any(map(form, rows)) else [SCORES]
    return Section("benchmarks", "Benchmarks", [measures, *map(Line, words)])


def forgetting(results: Results) -> Section:
    gate = results.gate
    if not gate or not gate.forgetting:
        return Section("forgetting", "What was forgotten")
    blocks: list[Block] = [Measures("What was forgotten", "domain", domain_measures(gate.forgetting)), Line(POOLED)]
    if coverage := gate.coverage:
        blocks.append(Line(f"Where the training taught most: {coverage.words}."))
    return Section("forgetting", "What was forgotten", blocks, [_coverage(results)])


def _coverage(results: Results) -> Section:
    coverage = results.gate.coverage if results.gate else None
    rows = [
        (row.name, f"{row.share:.1%}", f"{row.n:,}", f"{100 * row.difference:+.1f}")
        for row in (coverage.categories if coverage else ())
    ]
    table = Table(("category", "share of the training prompts", "items", "difference"), rows)
    return Section("coverage", "Training and improvement by category", [table], folded=True)


# ---------------------------------------------------------------- items that changed


def changed_items(results: Results) -> Section:
    return Section("changed-items", "Items that changed", sections=[_changed(row) for row in results.benchmarks])


def _changed(row: Benchmark) -> Section:
    counts = "" if row.gained is None else f": {row.lost} lost, {row.gained} gained"
    parts = [
        Section("", title, _items(items, whole), word=word)
        for word, title, items, whole in (
            ("worse", "Lost", row.changes.lost, row.lost),
            ("better", "Gained", row.changes.gained, row.gained),
        )
    ]
    return Section(f"changed-{row.name}", f"{row.title}{counts}", sections=parts, folded=True)


def _items(items: Sequence[ChangedItem], whole: int | None) -> list[Block]:
    blocks: list[Block] = [Bullets([Line(item.title, item.id) for item in items], "No item.")]
    if whole is not None and whole > len(items) > 0:
        blocks.append(Line(f"The first {len(items)} of {whole}."))
    return blocks


# ---------------------------------------------------------------- what a score is made of


def details(results: Results) -> Section:
    """One section a benchmark: its parts, and how it was asked."""
    title = "What each score is made of, and how it was asked"
    return Section("details", title, sections=[detail(row) for row in results.benchmarks])


def detail(row: Benchmark) -> Section:
    untested = [Line(UNTESTED)]
    parts = [
        Section("", "Answers", [_answers(row)]),
        Section("", "Parts of the score", [_parts(row)]),
        Section("", "In the asked format", [_format(row)]),
        Section("", "By category", [_groups(row.categories), *untested] if row.categories else []),
        Section("", "By difficulty", [_groups(row.difficulties), *untested] if row.difficulties else []),
        Section("", "Several answers an item", [_at_k(row)]),
        Section("", "Lengths by category", [_lengths(row)]),
        Section("", "How it was asked", [Facts(list(_protocol(row)))]),
        Section("", "Deviations from the published protocol", [_deviations(row)]),
    ]
    return Section(f"benchmark-{row.name}", row.title, sections=parts, folded=True)


def _deviations(row: Benchmark) -> Bullets:
    return Bullets([Line(sentence) for sentence in row.deviations], "No deviation is known.")


def _answers(row: Benchmark) -> Table:
    rows = [
        (
            role,
            *(
                NOTHING if n is None else f"{n:,}"
                for n in (
                    answers.answers,
                    answers.cut_off,
                    answers.loops,
                    answers.no_answer,
                    answers.not_run,
                    answers.missing,
                )
            ),
            estimate(answers.characters, 0),
        )
        for role, answers in row.roles.items()
    ]
    header = ("", "answers", "cut at the cap", "end in a loop", "none to be read", "not scored", "missing")
    return Table((*header, "characters"), rows)


def _parts(row: Benchmark) -> Table:
    rows = [
        (part.name, *(points(part.of(role)) for role in MODELS), points(part.difference, sign="+"))
        for part in row.parts
    ]
    return Table(("part", *MODELS, "difference"), rows)


def _format(row: Benchmark) -> Table:
    """The share of answers that followed it strictly, tested as what passes is; it decides no mark."""
    header = ("n", *MODELS, "difference", "gained", "lost", "p (Holm)", "verdict")
    asked_format = row.format
    if not asked_format:
        return Table(header, [])
    shares = (points(asked_format.of(role)) for role in MODELS)
    difference = points(asked_format.difference, sign="+")
    counts = (_count(asked_format.gained), _count(asked_format.lost))
    return Table(
        header,
        [
            (
                f"{asked_format.n:,}",
                *shares,
                difference,
                *counts,
                p_value(asked_format.p_holm),
                verdict(asked_format.verdict),
            )
        ],
    )


def _count(count: int | None) -> str:
    return NOTHING if count is None else f"{count:,}"


def _groups(groups: Sequence[Group]) -> Table:
    rows = [
        (
            group.name,
            f"{group.n:,}",
            *(f"{100 * share:.1f}" for share in (group.base, group.distilled)),
            points(group.difference, sign="+"),
            *map(_count, (group.gained, group.lost)),
        )
        for group in groups
    ]
    return Table(("", "n", *MODELS, "difference", "gained", "lost"), rows)


def _at_k(row: Benchmark) -> Table:
    rows = [(f"pass@{entry.k}", *(points(entry.of(role)) for role in MODELS)) for entry in row.pass_at_k]
    return Table(("", *MODELS), rows)


def _lengths(row: Benchmark) -> Table:
    rows = [
        (
            group.name,
            f"{group.n:,}",
            *(f"{length:,.0f}" for length in (group.base, group.distilled)),
            estimate(group.ratio),
        )
        for group in row.length_by_category
    ]
    return Table(("", "n", *(f"{role}, characters" for role in MODELS), "ratio"), rows)


def _protocol(row: Benchmark) -> Iterable[tuple[str, str]]:
    """How it was asked."""
    strength = "" if row.strength in (None, 1) else f", adapter at strength {row.strength:g} of 1"
    length = f"distilled answers are {estimate(row.length_ratio)} times as long as the base's"
    checked = row.overlap.checked if row.overlap else 0
    facts = (
        ("Items", row.subset or f"all {plural(row.size or row.items, 'item')}"),
        ("Source", row.source),
        ("Scorer", row.scorer),
        ("Cap", f"{row.max_tokens:,} tokens" if row.max_tokens else ""),
        ("Answers an item", answers_an_item(row) + strength),
        ("Answers", row.answers),
        ("Length", length if row.length_ratio else ""),
        ("Overlap", overlapping(row) or f"none with {checked or 0:,} training prompts"),
        ("Overlapping items", ", ".join(row.overlap.items) if row.overlap else ""),
    )
    return ((name, text) for name, text in facts if text)


# ---------------------------------------------------------------- what others published


def others(results: Results) -> Section:
    rows = [
        (entry.model, row.title, f"{100 * entry.score:.1f}", entry.source or NOTHING)
        for row in results.benchmarks
        for entry in published(row, results)
    ]
    table = Table(("model", "benchmark", "published, %", "source"), rows)
    return Section("published", "What others published", [Line(NOBODY_ASKED), table] if rows else [])
