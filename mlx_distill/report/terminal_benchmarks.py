"""What the benchmarks of a run look like in the terminal: a table, what is doubtful, and whether the model may ship.

In: results.json's content. Out: what rich draws, nothing where no benchmark was asked. The gate comes last, where eyes
are, with a mark and words for each rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mlx_distill.report.terminal_text import WIDE, line, table, text, word
from mlx_distill.run.records import MODELS
from mlx_distill.run.results import Results
from mlx_distill.run.results.benchmarks import Benchmark, DomainRow, Gate
from mlx_distill.run.wording import NOTHING, form, p_value, points, tested, worth


def benchmarks(results: Results, width: int) -> Iterable[RenderableType]:
    rows = results.benchmarks
    if rows:
        yield text("")
        yield _table(rows, width)
        yield from _formed(rows)
        yield from _undecided(rows)
        degraded = [f"{row.title}, {sentence}." for row in rows for sentence in row.degraded]
        yield from (text(f"! {sentence}", "yellow") for sentence in degraded)
        if gate := results.gate:
            yield from _gate(gate, degraded)


def _table(rows: Sequence[Benchmark], width: int) -> Table:
    wide = width >= WIDE
    title = "Benchmarks, % passed" if wide else "Benchmarks, % passed: base → distilled"
    means = list(MODELS) if wide else ["passed"]
    header = ["", *(["n"] if wide else []), *means, "difference", "+ −", *(["p (Holm)"] if wide else []), "verdict"]
    made = table(title, header, left=("", "verdict"))
    for column in made.columns[1:-1]:
        column.no_wrap = True  # a long title folds instead
    for row in rows:
        made.add_row(*map(text, _cells(row, wide)), word(row.verdict))
    made.caption = text("+ −: items gained and lost; verdicts after Holm over all benchmarks", "dim")
    made.caption_justify = "left"
    return made


def _cells(row: Benchmark, wide: bool) -> list[str]:
    means = [f"{100 * found.mean:.1f}" if (found := row.of(role)) else NOTHING for role in MODELS]
    difference = [points(row.difference, sign="+"), _changed(row)]
    if not wide:
        return [row.title, " → ".join(means), *difference]
    return [row.title, str(row.n), *means, *difference, p_value(row.p_holm)]


def _changed(row: Benchmark) -> str:
    return NOTHING if row.gained is None else f"+{row.gained} −{row.lost}"


def _undecided(rows: Sequence[Benchmark]) -> Iterable[Text]:
    """No difference shown is not no difference."""
    said = [f"{row.title} {found}" for row in rows if (found := worth(row))]
    if said:
        yield text(f"No difference shown: {', '.join(said)}.", "dim")


def _formed(rows: Sequence[Benchmark]) -> Iterable[Text]:
    """How many answers kept to the asked format: it decides no mark."""
    said = [f"{row.title} {found} %" for row in rows if (found := form(row))]
    if said:
        yield text(f"In the asked format: {', '.join(said)} (read in any).", "dim")


def _gate(gate: Gate, told: Sequence[str]) -> Iterable[Text]:
    """`told`: caveats that stand above already."""
    yield from _domains(gate.forgetting)
    yield line("\nGate: ", gate.verdict, f". {gate.because}")
    for rule in gate.rules:
        mark, style, holds = ("✓", "green", "holds") if rule.holds else ("✗", "bold red", "does not hold")
        yield Text.assemble((f"  {mark} ", style), text(f"{rule.rule} ({holds}): {rule.because}"))
    if gate.coverage:
        yield text(f"Where the training taught most: {gate.coverage.words}.")
    yield from (text(f"! {caveat}", "yellow") for caveat in gate.caveats if caveat not in told)


def _domains(rows: Sequence[DomainRow]) -> Iterable[Text]:
    """Where several benchmarks were pooled, or there is more than one domain: what was forgotten."""
    if sum(len(row.benchmarks) for row in rows) < 2:
        return
    yield text("\nBy domain, its items pooled:")
    for row in rows:
        difference = f"  {row.domain}: {points(row.difference, sign='+')} points  "
        yield line(difference, row.verdict, f" (n = {row.n}, {tested(row.p_holm)})")
