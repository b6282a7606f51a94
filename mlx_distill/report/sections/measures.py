"""Rows of what was tested, one kind for all: preference, dimensions, executed checks, benchmarks, domains.

In: parts of Results. Out: Measures, which every renderer draws in its own way from the same values and words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mlx_distill.report.document import Measure
from mlx_distill.run.records import Estimate, Role
from mlx_distill.run.results.benchmarks import Benchmark, DomainRow
from mlx_distill.run.results.comparison import CheckCounts, Comparison, Dimension, ExecutedPairs, PairPreference
from mlx_distill.run.results.comparison import Measure as Measured
from mlx_distill.run.results.part import MOST_NEEDED, TeacherGap
from mlx_distill.run.wording import (
    BOUNDS,
    NOTHING,
    UNSHOWN,
    equivalence,
    estimate,
    form,
    percent,
    plural,
    points,
)

FORM = "in the asked format, %"
MODELS: tuple[Role, Role] = ("base", "distilled")


def comparison_measures(comparison: Comparison) -> list[Measure]:
    """Everything that was tested together, the preference first."""
    reach = whole_reach(row.difference for row in comparison.dimensions)
    return [_measure(row, comparison, reach) for row in comparison.measures if row.verdict is not None]


def _measure(row: PairPreference | Dimension | ExecutedPairs, comparison: Comparison, reach: float) -> Measure:
    if isinstance(row, PairPreference):
        return _preference(row)
    if isinstance(row, ExecutedPairs):
        return _checks(row, comparison)
    return _dimension(row, comparison.roles, reach)


def _preference(row: PairPreference) -> Measure:
    return Measure(
        name="Preference",
        n=row.n,
        values=(),
        scale=(0, 1),
        difference=row.share,
        difference_text=percent(row.share),
        unit="won",
        reach=0.5,
        middle=0.5,
        p=row.p,
        p_holm=row.p_holm,
        verdict=str(row.verdict),
        detectable=_detectable(row.verdict, row.smallest and row.smallest / 2, "{:.0%} from even"),
        needed=_needed(row),
        counts=(("won", row.won), ("tied", row.tied), ("lost", row.lost)),
    )


def _checks(row: ExecutedPairs, comparison: Comparison) -> Measure:
    return Measure(
        name="Executed checks",
        n=row.n,
        values=[(role, *_passed(comparison.checks.roles[role])) for role in comparison.roles],
        scale=(0, 1),
        difference=row.difference and row.difference.times(100),
        difference_text=points(row.difference, 0, "+"),
        unit="% points",
        reach=100,
        p=row.p,
        p_holm=row.p_holm,
        verdict=row.verdict,
        detectable=_detectable(row.verdict, row.smallest and 100 * row.smallest, "{:.0f} points"),
        needed=_needed(row),
        closed=closed(row.teacher_gap),
        counts=(("gained", row.gained), ("lost", row.lost)),
        warnings=[BOUNDS[row.bound]] if row.bound in BOUNDS else [],
    )


def _passed(counts: CheckCounts) -> tuple[Estimate | None, str]:
    if not counts.run:
        return None, "not run"
    return Estimate(counts.passed / counts.run, counts.run), f"{counts.passed} of {counts.run}"


def _dimension(row: Dimension, roles: Sequence[Role], reach: float) -> Measure:
    by_checks = [f"{row.from_checks} by executed checks"] if row.from_checks else []
    return Measure(
        name=row.name,
        n=row.n,
        values=[(role, row.of(role), estimate(row.of(role), 1)) for role in roles],
        scale=(0, 10),
        difference=row.difference,
        difference_text=estimate(row.difference, 2, "+"),
        unit="of 10",
        reach=reach,
        p=row.p,
        p_holm=row.p_holm,
        verdict=row.verdict,
        detectable=_detectable(row.verdict, row.smallest, "{:.2f}"),
        needed=_needed(row),
        closed=closed(row.teacher_gap),
        notes=by_checks,
    )


def _needed(row: Measured | Benchmark | DomainRow, of: str = "prompt") -> str:
    """How many more would show a difference as large as the one seen."""
    if row.verdict != UNSHOWN:
        return ""
    return (
        f"over {MOST_NEEDED:,} more {of}s"
        if row.needed is None
        else f"about {plural(row.needed - row.n, f'more {of}')}"
    )


def closed(gap: TeacherGap | None) -> str:
    if gap is None:
        return ""
    if gap.closed:
        return percent(gap.closed)
    behind = gap.gap.high is not None and gap.gap.high < 0
    return f"not defined, for the teacher is {'worse' if behind else 'not shown to be better'} than the base"


def _detectable(verdict: str | None, smallest: float | None, words: str) -> str:
    return words.format(smallest) if verdict == UNSHOWN and smallest is not None else ""


# ---------------------------------------------------------------- benchmarks


def benchmark_measures(rows: Sequence[Benchmark]) -> list[Measure]:
    reach = whole_reach(row.difference and row.difference.times(100) for row in rows)
    return [_benchmark(row, reach) for row in rows]


def _benchmark(row: Benchmark, reach: float) -> Measure:
    stands = [BOUNDS[row.bound]] if row.bound in BOUNDS else []
    return _of_both(
        row,
        row.title,
        reach,
        counts=() if row.gained is None or not row.n else _counts(row),
        notes=_notes(row),
        warnings=[*row.degraded, *stands],
        closed=closed(row.teacher_gap),
        teacher=row.teacher,
        whole=row.items,
        equivalent=_equivalent(row),
        further=(
            *_alike(row),
            ("equivalent", equivalence(row)),
            *([(FORM, followed)] if (followed := form(row)) else []),
        ),
    )


def _equivalent(row: Benchmark) -> str:
    tested = row.equivalence
    shown = tested is not None and tested.shown and row.verdict == UNSHOWN
    return f"equivalent within ±{100 * tested.margin:.0f} points" if tested and shown else ""


def _counts(row: Benchmark) -> list[tuple[str, int]]:
    unchanged = (row.both or 0) + (row.neither or 0)
    return [("gained", row.gained or 0), ("unchanged", unchanged), ("lost", row.lost or 0)]


def _alike(row: Benchmark) -> list[tuple[str, str]]:
    """Items of which both models are of one mind; several answers an item have none that simply is."""
    alike = (("both pass", row.both), ("neither passes", row.neither))
    return [(name, NOTHING if count is None else f"{count:,}") for name, count in alike]


def _notes(row: Benchmark) -> list[str]:
    several = f"{plural(row.samples, 'answer')} an item" if row.samples else ""
    return [note for note in (row.domain, several, row.subset) if note]


def domain_measures(rows: Sequence[DomainRow]) -> list[Measure]:
    reach = whole_reach(row.difference and row.difference.times(100) for row in rows)
    return [_of_both(row, row.domain, reach, notes=[", ".join(row.benchmarks)]) for row in rows]


def worth(row: Benchmark | DomainRow) -> str:
    """What "no difference shown" is worth, for a chart of one row."""
    measures = benchmark_measures([row]) if isinstance(row, Benchmark) else domain_measures([row])
    return measures[0].worth


def _of_both(
    row: Benchmark | DomainRow,
    name: str,
    reach: float,
    *,
    counts: Sequence[tuple[str, int]] = (),
    notes: Sequence[str] = (),
    warnings: Sequence[str] = (),
    further: Sequence[tuple[str, str]] = (),
    equivalent: str = "",
    closed: str = "",
    teacher: Estimate | None = None,
    whole: int | None = None,
) -> Measure:
    taught: list[tuple[Role, Estimate | None, str]] = [("teacher", teacher, points(teacher))] if teacher else []
    return Measure(
        name=name,
        n=row.n,
        values=[*taught, *((role, row.of(role), points(row.of(role))) for role in MODELS)],
        scale=(0, 1),
        difference=row.difference and row.difference.times(100),
        difference_text=points(row.difference, sign="+"),
        unit="points",
        reach=reach,
        p=row.p,
        p_holm=row.p_holm,
        verdict=row.verdict,
        detectable=_detectable(row.verdict, row.smallest and 100 * row.smallest, "{:.0f} points"),
        needed=_needed(row, "item"),
        closed=closed,
        equivalent=equivalent,
        counts=counts,
        notes=notes,
        warnings=warnings,
        further=further,
        of="item",
        whole=whole,
    )


def whole_reach(differences: Iterable[Estimate | None]) -> float:
    """A whole number that all of these differences and their intervals lie within, on both sides of zero."""
    ends = [abs(end) for difference in differences if difference for end in difference.ends]
    return float(max(1, *(int(end) + (end > int(end)) for end in ends))) if ends else 1.0
