"""The benchmarks in the order and the words of the page.

In: rows of results. Out: what the templates loop over; nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlx_distill.report.page.numbers import Table
from mlx_distill.report.page.strips import Strip, reach, strip
from mlx_distill.run.records import MODELS, Estimate
from mlx_distill.run.results import Results
from mlx_distill.run.results.benchmarks import Benchmark, DomainRow, Gate, Group
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
    worth,
)


@dataclass(frozen=True)
class Line:
    """A benchmark, or a domain's benchmarks together. `counts`: items gained, unchanged and lost, where each is one of
    these. `told`: what no difference shown is worth."""

    name: str
    notes: Sequence[str]
    warnings: Sequence[str]
    lanes: Sequence[tuple[str, Strip | None, str]]
    counts: Sequence[tuple[str, int]]
    difference: str
    strip: Strip | None
    p_holm: float | None
    verdict: str
    told: str


def scores(rows: Sequence[Benchmark]) -> list[Line]:
    return [_line(row, row.title, _notes(row), _warnings(row), _reach(rows)) for row in rows]


def domains(gate: Gate) -> list[Line]:
    rows = gate.forgetting
    return [_line(row, row.domain, [", ".join(row.benchmarks), _items(row.n)], [], _reach(rows)) for row in rows]


def _line(row: Benchmark | DomainRow, name: str, notes: Sequence[str], warnings: Sequence[str], most: float) -> Line:
    lanes = [(role, strip(row.of(role), (0, 1)), points(row.of(role))) for role in MODELS]
    shown = strip(_points(row.difference), (-most, most), 0)
    difference = points(row.difference, sign="+")
    return Line(name, notes, warnings, lanes, _counts(row), difference, shown, row.p_holm, row.verdict, worth(row))


def _points(found: Estimate | None) -> Estimate | None:
    return found and found.times(100)


def _reach(rows: Sequence[Benchmark | DomainRow]) -> float:
    return reach(_points(row.difference) for row in rows)


def _counts(row: Benchmark | DomainRow) -> list[tuple[str, int]]:
    if not row.n or not isinstance(row, Benchmark) or row.gained is None or row.lost is None:
        return []
    return [("gained", row.gained), ("unchanged", row.n - row.gained - row.lost), ("lost", row.lost)]


def _items(count: int) -> str:
    return plural(count, "item")


def _notes(row: Benchmark) -> list[str]:
    of = "" if row.n == row.items else f" of {row.items:,}"
    several = f", {plural(row.samples, 'answer')} each" if row.samples else ""
    formed = f"in the asked format: {form(row)} %" if form(row) else ""
    return [
        f"{row.domain}, {row.n:,}{of} item{'' if row.n == 1 else 's'}{several}",
        row.subset or "",
        formed,
    ]


def _warnings(row: Benchmark) -> list[str]:
    floor = ["the base passes below 5 %: nothing can be lost here"] if row.at_floor else []
    return [*row.degraded, *floor]


def verdicts(rows: Sequence[Benchmark], word: str) -> int:
    return sum(row.verdict == word for row in rows)


def undecided(rows: Sequence[Benchmark]) -> int:
    return len(rows) - verdicts(rows, "better") - verdicts(rows, "worse")


# ---------------------------------------------------------------- what a score is made of


def tables(row: Benchmark) -> list[tuple[str, Table]]:
    """Headings and tables of one benchmark; only what there is."""
    found = [
        ("Answers", _answers(row)),
        ("Parts of the score", _parts(row)),
        ("In the asked format", _format(row)),
        ("By category", _groups(row.categories)),
        ("By difficulty", _groups(row.difficulties)),
        ("Several answers an item", _at_k(row)),
        ("Lengths by category", _lengths(row)),
    ]
    return [(title, table) for title, table in found if table.rows]


def _answers(row: Benchmark) -> Table:
    names = ("answers", "cut_off", "no_answer", "not_run", "missing")
    rows = [
        (role, *(f"{getattr(found, name):,}" for name in names), estimate(found.characters, 0))
        for role in MODELS
        for found in (row.roles[role],)
    ]
    return Table(("", "answers", "cut at the cap", "none to be read", "not scored", "missing", "characters"), rows)


def _parts(row: Benchmark) -> Table:
    rows = [
        (part.name, *(points(part.of(role)) for role in MODELS), points(part.difference, sign="+"))
        for part in row.parts
    ]
    return Table(("part", *MODELS, "difference"), rows)


def _format(row: Benchmark) -> Table:
    """The share of answers that followed it strictly, tested as what passes is; it decides no mark."""
    found = row.format
    header = ("n", *MODELS, "difference", "gained", "lost", "p (Holm)")
    if not found:
        return Table(header, [])
    counts = (NOTHING if count is None else str(count) for count in (found.gained, found.lost))
    shares = (points(found.of(role)) for role in MODELS)
    difference = points(found.difference, sign="+")
    return Table(header, [(f"{found.n:,}", *shares, difference, *counts, p_value(found.p_holm))])


def _groups(groups: Sequence[Group]) -> Table:
    rows = [
        (
            group.name,
            f"{group.n:,}",
            *(f"{100 * share:.1f}" for share in (group.base, group.distilled)),
            points(group.difference, sign="+"),
            *(NOTHING if count is None else str(count) for count in (group.gained, group.lost)),
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


def facts(row: Benchmark) -> list[tuple[str, str]]:
    """How it was asked."""
    strength = "" if row.strength in (None, 1) else f", adapter at strength {row.strength:g} of 1"
    checked = (row.overlap.checked if row.overlap else None) or 0
    found = [
        ("Items", row.subset or f"all {plural(row.size or row.items, 'item')}"),
        ("Source", row.source),
        ("Scorer", row.scorer),
        ("Cap", f"{row.max_tokens:,} tokens" if row.max_tokens else ""),
        ("Answers an item", answers_an_item(row) + strength),
        ("Answers", row.answers),
        ("Length", f"{estimate(row.length_ratio)} times the base's" if row.length_ratio else ""),
        ("Overlap", overlapping(row) or f"none with {checked:,} training prompts"),
        ("Overlapping", ", ".join(row.overlap.items) if row.overlap else ""),
    ]
    return [(name, text) for name, text in found if text]


def coverage(gate: Gate) -> Table:
    found = gate.coverage.categories if gate.coverage else ()
    rows = [(row.name, f"{row.share:.1%}", f"{row.n:,}", f"{100 * row.difference:+.1f}") for row in found]
    return Table(("category", "share of the training prompts", "items", "difference"), rows)


def others(results: Results) -> Table:
    """What others published; nobody tested it."""
    rows = [
        (entry.model, row.title, f"{100 * entry.score:.1f}", entry.source or NOTHING)
        for row in results.benchmarks
        for entry in published(row, results)
    ]
    return Table(("model", "benchmark", "published, %", "source"), rows)
