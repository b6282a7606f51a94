"""Sections as the terminal shows them: a finished run.

In: Results. Out: what rich draws; cli/terminal.py prints it. Everything is Text and no
markup, so names and judges' words cannot colour, move or hide anything. The widest tables are left to RESULTS.md; no
verdict and no warning is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.text import Text

from mlx_distill.report.document import LOUD, Bullets, Cell, Line, Measure, Section, Table, sign_of, text_of
from mlx_distill.report.sections import findings
from mlx_distill.report.sections import selection as selecting
from mlx_distill.report.sections.making import incomparable
from mlx_distill.report.sections.measures import benchmark_measures, comparison_measures, domain_measures
from mlx_distill.report.sections.seeds import training_seeds
from mlx_distill.report.terminal_text import STYLES, WIDE
from mlx_distill.report.terminal_text import line as _line
from mlx_distill.report.terminal_text import table as _table
from mlx_distill.report.terminal_text import text as _text
from mlx_distill.report.terminal_text import word as _word
from mlx_distill.run.records import ROLES, Role
from mlx_distill.run.results import Results
from mlx_distill.run.results.comparison import Comparison, JudgeOfPairs
from mlx_distill.run.results.selection import CandidateRow, Selection
from mlx_distill.run.results.training import Training
from mlx_distill.run.wording import (
    NOTHING,
    answers_made,
    choice,
    drift_in_words,
    estimate,
    form,
    p_value,
    percent,
    share,
    standing,
)
from mlx_distill.run.wording import selecting as items_selecting
from mlx_distill.summarise import history

MOST_CANDIDATES = 4
"""RESULTS.md has them all."""
SHORT = 20
"""Characters of a name that does not fold."""


def summary(results: Results, folder: str, width: int) -> Iterable[RenderableType]:
    """A finished run: what was measured, gains and losses in the same place and size."""
    yield from map(_shown, findings.beforehand(results))
    if results.choice:
        yield _text(f"\n{choice(results.choice)}")
    if results.training:
        yield _text("")
        yield _heldout(results.training)
        if drift := drift_in_words(results.training):
            yield _text(f"{drift}.")
    if results.comparison:
        yield from _comparison(results.comparison, width)
    if results.selection:
        yield from _selection(results.selection, width)
    if results.benchmarks:
        yield from _benchmarks(results, width)
    yield from _seeds(training_seeds(results))
    yield from (_text(f"! {warning}", "yellow") for warning in findings.warnings(results))
    yield from _beside(results)
    yield _text(f"\n{folder}/RESULTS.md, results.json and visuals/ hold it all.")


def _shown(line: Line) -> Text:
    """A line with its lead in the verdict's colour."""
    lead = " ".join(part for part in (sign_of(line.word, line.lead), line.lead) if part)
    parts = (_text(lead, STYLES.get(line.word, "bold")), _text(line.text))
    return Text(" ").join(part for part in parts if part)


def _heldout(training: Training) -> Text:
    loss = training.heldout_loss
    return _text(
        f"Held-out loss {loss.base.mean:.3f} → {loss.best.mean:.3f} nats per token ({estimate(loss.change, 3, '+')}) "
        f"on {training.heldout_prompts} prompts never trained on."
    )


# ---------------------------------------------------------------- measures


def _measures(title: str, rows: Sequence[Measure], width: int, note: str = "") -> Iterable[RenderableType]:
    """A table of what was tested, and what "no difference shown" is worth."""
    wide = width >= WIDE
    roles = [role for role in ROLES if any(role == mine for row in rows for mine, *_ in row.values)]
    roles = roles if wide else [role for role in roles if role != "teacher"]
    counted = all(row.counts for row in rows)
    header = ["", *roles, "difference", *(["+ −"] if counted else []), *(["n", "p (Holm)"] if wide else []), "verdict"]
    drawn = _table(title, header, left=("", "verdict"))
    drawn.columns[0].min_width = min(SHORT, max(map(len, (row.name for row in rows))))
    for column in drawn.columns[1:-1]:
        column.no_wrap = True  # a long title folds instead
    for row in rows:
        drawn.add_row(*map(_text, _cells(row, roles, counted, wide)), _word(row.verdict))
    if note:
        drawn.caption = _text(note, "dim")
        drawn.caption_justify = "left"
    yield drawn
    if not counted:
        yield from map(_counts, (row for row in rows if row.counts))
    yield from (_text(sentence, "dim") for sentence in [*findings.worth(rows), *findings.shares_closed(rows)])


def _counts(row: Measure) -> Text:
    """Where the table has no column for them."""
    return _text(f"{row.name}: {', '.join(f'{count} {word}' for word, count in row.counts)}, of {row.counted}")


def _cells(row: Measure, roles: Sequence[Role], counted: bool, wide: bool) -> list[str]:
    values = {role: _mean(row, score) for role, score in ((role, value) for role, value, _ in row.values)}
    counts = dict(row.counts)
    gained, lost = counts.get("gained", counts.get("won")), counts.get("lost")
    changed = NOTHING if gained is None else f"+{gained} −{lost}"
    unit = " won" if row.unit == "won" else ""
    cells = [row.name, *(values.get(role, NOTHING) for role in roles), f"{row.difference_text}{unit}"]
    return cells + ([changed] if counted else []) + ([str(row.n), p_value(row.p_holm)] if wide else [])


def _mean(row: Measure, value: object) -> str:
    mean = getattr(value, "mean", None)
    return NOTHING if mean is None else f"{mean:.1f}" if row.scale == (0, 10) else f"{100 * mean:.1f}"


# ---------------------------------------------------------------- the comparison


def _comparison(comparison: Comparison, width: int) -> Iterable[RenderableType]:
    rows = comparison_measures(comparison)
    if any(row.n for row in rows):
        yield _text("")
        note = "Scores 0-10; executed checks in % of prompts; verdicts after Holm"
        yield from _measures("Scorecard", rows, width, note)
    for entry in comparison.preferences:
        if entry is not comparison.primary:
            counts = f"{entry.won} won, {entry.lost} lost, {entry.tied} tied"
            yield _text(f"{entry.pair[0].capitalize()} preferred to {entry.pair[1]}: {percent(entry.share)} ({counts})")
    if first := comparison.primary:
        yield from map(_trust, first.judges)
        if first.agreement:
            yield _text(f"Agreement between judges: alpha {estimate(first.agreement.alpha)}")
        if first.adjusted:
            yield _text(
                f"Won minus lost {estimate(first.difference, 2, '+')}; at equal length and Markdown "
                f"{estimate(first.adjusted, 2, '+')}; length ratio {estimate(first.length_ratio)}"
            )
    yield from (_text(sentence, "dim") for sentence in findings.prompted(comparison))
    more = f" (n = {comparison.n}; {comparison.verdict_in_words}; {answers_made(comparison)})."
    yield _line("\nVerdict: ", comparison.verdict, more)


def _trust(judge: JudgeOfPairs) -> Text:
    figures = {
        "same in both orders": judge.swap_consistency,
        "first shown wins": judge.first_slot,
        "repeats agree": judge.repeat_agreement,
    }
    known = [f"{name} {figure.mean:.0%}" for name, figure in figures.items() if figure]
    words = ", ".join([*known, f"ties {share(judge.ties)}", f"unscored {judge.unscored}/{judge.questions}"])
    return _text(f"{'' if judge.person else 'Judge '}{judge.judge}: {words}")


# ---------------------------------------------------------------- benchmarks


def _benchmarks(results: Results, width: int) -> Iterable[RenderableType]:
    yield _text("")
    note = "+ −: items gained and lost; verdicts after Holm over all benchmarks"
    yield from _measures("Benchmarks, % passed", benchmark_measures(results.benchmarks), width, note)
    formed = [f"{row.title} {shares} %" for row in results.benchmarks if (shares := form(row))]
    if formed:
        yield _text(f"In the asked format: {', '.join(formed)} (read in any).", "dim")
    gate = results.gate
    if gate is None:
        return
    if sum(len(row.benchmarks) for row in gate.forgetting) > 1:
        yield _text("")
        yield from _measures("By domain, its items pooled, % passed", domain_measures(gate.forgetting), width)
    yield _line("\nGate: ", gate.verdict, f". {gate.because}")
    yield from _bullets(findings.rules(gate))
    if gate.coverage:
        yield _text(f"Where the training taught most: {gate.coverage.words}.")


def _bullets(bullets: Bullets) -> Iterable[Text]:
    return (Text.assemble("  ", _shown(line)) for line in bullets.lines)


# ---------------------------------------------------------------- selection


def _selection(selection: Selection, width: int) -> Iterable[RenderableType]:
    yield _text("")
    candidates = selecting.candidates(selection)
    drawn = _table("Selection, points against the base", list(candidates.header), left=("loses on", ""))
    for column in drawn.columns[:4]:
        column.no_wrap = True
    for place in _best(selection):
        drawn.add_row(
            *(_cell(cell, place < WIDE) for cell, place in zip(candidates.rows[place], [width] * 6, strict=True))
        )
    rest = len(selection.candidates) - drawn.row_count
    asked = f"on {items_selecting(selection)} that are not among the reported ones"
    drawn.caption = _text(f"{f'and {rest} more, ' if rest > 0 else ''}{asked}", "dim")
    drawn.caption_justify = "left"
    yield drawn
    yield _shown(selecting.headline(selection))


def _cell(content: Cell | str, narrow: bool) -> Text:
    """Without its interval where there is no room."""
    cell = text_of(content)
    words = cell.text.partition(" [")[0] if narrow and not cell.word else cell.text
    style = STYLES.get(cell.word, "bold" if cell.word in LOUD else "")
    return _text(words, style)


def _best(selection: Selection) -> list[int]:
    """Places of what was put to confirmation, of the lowest held-out loss, and of those that gain most."""
    ranked = sorted(
        range(len(selection.candidates)), key=lambda place: _gain(selection.candidates[place]), reverse=True
    )
    first = [place for place in ranked if standing(selection, selection.candidates[place])]
    shown = [*first, *(place for place in ranked if place not in first)][:MOST_CANDIDATES]
    return [place for place in ranked if place in shown]


def _gain(row: CandidateRow) -> float:
    return row.gain.mean if row.gain else float("-inf")


# ---------------------------------------------------------------- beside it


def _seeds(section: Section) -> Iterable[RenderableType]:
    for block in section.blocks[:2]:
        if isinstance(block, Table):
            drawn = _table("", block.header, left=("difference", ""))
            for row in block.rows:
                drawn.add_row(*(_cell(cell, narrow=False) for cell in row))
            yield drawn
        elif isinstance(block, Line):
            yield _text("")
            yield _shown(block)


def _beside(results: Results) -> Iterable[Text]:
    if self_check := results.self_check:
        yield _line("\nThe base compared with itself: ", self_check.verdict, f" (n = {self_check.n}).")
    if before := results.previous:
        student = f", {before.student}, {before.epochs:g} epochs" if before.student else ""
        loss = f", held-out loss {best.mean:.3f}" if (best := before.heldout_loss.best) else ""
        yield _line(f"\nPrevious run: {before.name}{student}{loss}, ", before.verdict or NOTHING, ".")
        if care := incomparable(history.summary(results), before):
            yield _text(f"! Not to be compared with it number by number: {care}", "yellow")
