"""The benchmarks in RESULTS.md: the gate's verdict first of all, then every score, what it is made of and how it came.

In: results. Out: sections, empty where no benchmark was asked. What is published of other models is marked as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlx_distill.report.markdown_text import bullets, inline, section, strong, table
from mlx_distill.run.records import MODELS, Role
from mlx_distill.run.results import Results
from mlx_distill.run.results.benchmarks import Benchmark, ChangedItem, Coverage, RuleResult
from mlx_distill.run.wording import (
    NOTHING,
    answers_an_item,
    equivalence,
    estimate,
    form,
    overlapping,
    p_value,
    plural,
    points,
    published,
    worth,
)

COULD = "could have shown"
SHOWN_ITEMS = 10
EXPLAINED = (
    "Shares passed in percent, differences in points; brackets are 95 % intervals (Wilson's for shares, resampled "
    "items for differences). p is McNemar's exact one, or of sign flips for several answers an item; verdicts rest on "
    "p (Holm). *Equivalent*: shown to differ by less than 3 points; no difference shown is not that. *Could have "
    "shown*: the smallest difference that so many items would have shown four times of five."
)
FORMAT = "in the asked format, %"
FORMED = (
    "*In the asked format*: answers that followed it strictly, base → distilled; what passes is read in any format."
)
POOLED = (
    "All items of a domain's benchmarks together; the domains are adjusted for each other, as a family of their own."
)


def gate(results: Results) -> str:
    """The first lines of the report: verdict and reason, then each rule."""
    found = results.gate
    if not found:
        return ""
    rules = (f"{'✓' if rule.holds else '✗'} {_rule(rule)}" for rule in found.rules)
    return f"**Gate: {inline(found.verdict)}.** {inline(found.because)}\n\n{bullets(rules)}"


def _rule(rule: RuleResult) -> str:
    holds = "holds" if rule.holds else "does not hold"
    return f"{inline(rule.rule)} ({holds}): {inline(rule.because)}"


def _rows(results: Results) -> Sequence[Benchmark]:
    return results.benchmarks


# ---------------------------------------------------------------- scores


def scores(results: Results) -> str:
    rows = _rows(results)
    if not rows:
        return ""
    counts = ("gained", "lost", "both", "neither")
    header = ("Benchmark", "n", *MODELS, "distilled − base", *counts, "p", "p (Holm)", "verdict", "equivalent", COULD)
    formed = any(map(form, rows))
    found = ((*_score(row), *((form(row) or NOTHING,) if formed else ())) for row in rows)
    return section(
        "Benchmarks",
        table((*header, FORMAT) if formed else header, found),
        f"{EXPLAINED} {FORMED}" if formed else EXPLAINED,
        bullets(f"{inline(row.title)}, {inline(sentence)}." for row in rows for sentence in row.degraded),
        _others(results),
    )


def _score(row: Benchmark) -> Sequence[Any]:
    counts = [row.gained, row.lost, row.both, row.neither]
    smallest = NOTHING if row.smallest is None else f"{100 * row.smallest:.1f}"
    return (
        inline(row.title),
        f"{row.n} of {row.items}",
        *(points(row.of(role)) for role in MODELS),
        points(row.difference, sign="+"),
        *counts,
        p_value(row.p),
        p_value(row.p_holm),
        strong(row.verdict),
        equivalence(row),
        smallest,
    )


def _others(results: Results) -> str:
    rows = [
        (
            inline(entry.model),
            inline(row.title),
            f"{100 * entry.score:.1f}",
            inline(entry.source) or NOTHING,
        )
        for row in _rows(results)
        for entry in published(row, results)
    ]
    if not rows:
        return ""
    words = "Scores that others published, as they gave them: nobody asked these models here, and nothing was tested."
    return f"{words}\n\n{table(('Model', 'Benchmark', 'published', 'source'), rows)}"


# ---------------------------------------------------------------- what they are made of


def details(results: Results) -> str:
    """Only what is there."""
    rows = _rows(results)
    return section(
        "What the scores are made of",
        _answers(rows),
        _several(rows, "Parts of a score", "part", "parts"),
        _groups(rows, "By category", "categories"),
        _groups(rows, "By difficulty", "difficulties"),
        _at_k(rows),
        _lengths(rows),
        _items(rows),
    )


def _answers(rows: Sequence[Benchmark]) -> str:
    names = ("answers", "cut_off", "no_answer", "not_run", "missing")
    found = [
        (inline(row.title), role, *(getattr(row.roles[role], name) for name in names), _characters(row, role))
        for row in rows
        for role in MODELS
    ]
    header = ("Benchmark", "", "answers", "cut at the cap", "none to be read", "not scored", "missing", "characters")
    return section("Answers", table(header, found), level=3) if found else ""


def _characters(row: Benchmark, role: Role) -> str:
    return estimate(row.roles[role].characters, 0)


def _several(rows: Sequence[Benchmark], title: str, name: str, key: str) -> str:
    found = [
        (
            inline(row.title),
            inline(part.name),
            *(points(part.of(role)) for role in MODELS),
            points(part.difference, sign="+"),
        )
        for row in rows
        for part in getattr(row, key)
    ]
    header = ("Benchmark", name, *MODELS, "distilled − base")
    return section(title, table(header, found), level=3) if found else ""


def _groups(rows: Sequence[Benchmark], title: str, key: str) -> str:
    found = [
        (
            inline(row.title),
            inline(group.name),
            group.n,
            *(f"{100 * share:.1f}" for share in (group.base, group.distilled)),
            points(group.difference, sign="+"),
            group.gained,
            group.lost,
        )
        for row in rows
        for group in getattr(row, key)
    ]
    header = ("Benchmark", "", "n", *MODELS, "distilled − base", "gained", "lost")
    words = "None of these differences was tested: among twenty of them one is shown by chance."
    return section(title, table(header, found), words, level=3) if found else ""


def _at_k(rows: Sequence[Benchmark]) -> str:
    found = [
        (inline(row.title), f"pass@{entry.k}", *(points(entry.of(role)) for role in MODELS))
        for row in rows
        for entry in row.pass_at_k
    ]
    return section("Several answers an item", table(("Benchmark", "", *MODELS), found), level=3) if found else ""


def _lengths(rows: Sequence[Benchmark]) -> str:
    lines = [
        f"{inline(row.title)}: distilled answers are {estimate(row.length_ratio)} times as long as the base's"
        f"{_by_category(row)}."
        for row in rows
        if row.length_ratio
    ]
    return section("Lengths", bullets(lines), level=3)


def _by_category(row: Benchmark) -> str:
    found = [f"{inline(group.name)} {estimate(group.ratio)}" for group in row.length_by_category]
    return f" ({', '.join(found)})" if found else ""


def _items(rows: Sequence[Benchmark]) -> str:
    """The first of them; report.html has more."""
    lines = [
        f"{inline(row.title)}, {word}: {_names(getattr(row.changes, word), getattr(row, word))}"
        for row in rows
        for word in ("lost", "gained")
        if getattr(row.changes, word)
    ]
    return section("Items that changed", bullets(lines), level=3)


def _names(items: Sequence[ChangedItem], count: int | None) -> str:
    rest = (len(items) if count is None else count) - SHOWN_ITEMS
    more = f" and {rest} more" if rest > 0 else ""
    return ", ".join(inline(item.id) for item in items[:SHOWN_ITEMS]) + more


# ---------------------------------------------------------------- forgetting, protocol


def forgetting(results: Results) -> str:
    found = results.gate
    if not found or not found.forgetting:
        return ""
    rows = [
        (
            inline(row.domain),
            ", ".join(inline(name) for name in row.benchmarks),
            row.n,
            *(points(row.of(role)) for role in MODELS),
            points(row.difference, sign="+"),
            p_value(row.p),
            p_value(row.p_holm),
            "; ".join(filter(None, (strong(row.verdict), worth(row)))),
        )
        for row in found.forgetting
    ]
    header = ("Domain", "benchmarks", "n", *MODELS, "distilled − base", "p", "p (Holm)", "verdict")
    coverage = found.coverage
    said = f"Where the training taught most: {inline(coverage.words)}." if coverage else ""
    return section("What was forgotten", table(header, rows), POOLED, said, _coverage(coverage))


def _coverage(coverage: Coverage | None) -> str:
    if not coverage:
        return ""
    rows = [
        (inline(row.name), f"{row.share:.1%}", row.n, f"{100 * row.difference:+.1f}") for row in coverage.categories
    ]
    return table(("Category", "share of the training prompts", "items", "distilled − base"), rows)


def protocol(results: Results) -> str:
    rows = _rows(results)
    if not rows:
        return ""
    found = [
        (
            inline(row.title),
            inline(row.subset or f"all {plural(row.size or row.items, 'item')}"),
            inline(row.source),
            inline(row.scorer),
            NOTHING if row.max_tokens is None else f"{row.max_tokens:,}",
            _asked(row),
            inline(row.answers or NOTHING),
        )
        for row in rows
    ]
    header = ("Benchmark", "items", "source", "scorer", "cap, tokens", "answers an item", "answers")
    overlap = (f"{inline(row.title)}: {_overlap(row)}." for row in rows if overlapping(row))
    deviations = (f"{inline(row.title)}: {inline(sentence)}" for row in rows for sentence in row.deviations)
    return section(
        "How the benchmarks were asked",
        table(header, found),
        section("Overlap with the training prompts", bullets(overlap), level=3),
        section("Deviations from the published protocol", bullets(deviations, "None that is known."), level=3),
    )


def _asked(row: Benchmark) -> str:
    how = answers_an_item(row)
    strength = row.strength
    return how if strength in (None, 1) else f"{how}; adapter at strength {strength:g}"


def _overlap(row: Benchmark) -> str:
    """With the items' names."""
    names = ", ".join(inline(name) for name in row.overlap.items) if row.overlap else ""
    return f"{overlapping(row)}: {names}" if names else overlapping(row)
