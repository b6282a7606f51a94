"""What a finished run, a list of runs and two runs side by side look like in the terminal.

In: results.json's content, or what history made of several. Out: what rich draws; console.py prints it. Everything
is Text and no markup, so names and judges' words cannot colour, move or hide anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mlx_distill.report import terminal_benchmarks, terminal_selection
from mlx_distill.report.terminal_text import WIDE
from mlx_distill.report.terminal_text import line as _line
from mlx_distill.report.terminal_text import table as _table
from mlx_distill.report.terminal_text import text as _text
from mlx_distill.report.terminal_text import word as _word
from mlx_distill.run.records import MODELS, ROLES
from mlx_distill.run.results import Results, RunSummary
from mlx_distill.run.results.comparison import Comparison, ExecutedPairs, JudgeOfPairs, PairPreference
from mlx_distill.run.results.training import Training
from mlx_distill.run.wording import (
    NOTHING,
    UNSHOWN,
    answers_made,
    duration,
    estimate,
    money,
    p_value,
    percent,
    plural,
    share,
    tested,
)
from mlx_distill.summarise.history import Diff, Entry, Paired

UNDECIDED = UNSHOWN


def summary(results: Results, folder: str, width: int) -> Iterable[RenderableType]:
    """A finished run: what was measured, gains and losses in the same place and size."""
    yield from (_text(f"\n! {sentence}", "bold red") for sentence in results.unfinished)
    if training := results.training:
        yield _text("")
        yield _heldout(training)
    if comparison := results.comparison:
        yield from _preference(comparison)
        if any(row.n for row in comparison.dimensions):
            yield _text("")
            yield _scorecard(comparison, width)
        yield from _checks(comparison)
        yield from _judges(comparison)
        yield _verdict(comparison)
        yield from (_text(f"! {caveat}", "yellow") for caveat in comparison.caveats)
    yield from terminal_selection.selection(results, width)
    yield from terminal_benchmarks.benchmarks(results, width)
    yield from _beside(results)
    yield _text(f"\n{folder}/RESULTS.md, results.json and visuals/ hold it all.")


def _heldout(training: Training) -> Text:
    loss = training.heldout_loss
    return _text(
        f"Held-out loss {loss.base.mean:.3f} → {loss.best.mean:.3f} nats per token "
        f"({estimate(loss.change, 3, '+')}) on {training.heldout_prompts} prompts never trained on."
    )


def _preference(comparison: Comparison) -> Iterable[Text]:
    for entry in comparison.preferences:
        yield _text("")
        counts = f"{entry.won} won, {entry.lost} lost, {entry.tied} tied"
        who = f"{entry.pair[0].capitalize()} preferred to {entry.pair[1]}: {percent(entry.share)}"
        if entry.verdict:
            yield _line(f"{who}  ", entry.verdict, f" ({tested(entry.p_holm)}, {counts}){_could_have(entry)}")
        else:
            yield _text(f"{who} ({counts})")
        if entry.adjusted:
            yield _text(
                f"  won minus lost {estimate(entry.difference, 2, '+')}; at equal length and Markdown "
                f"{estimate(entry.adjusted, 2, '+')}; length ratio {estimate(entry.length_ratio)}"
            )


def _could_have(row: ExecutedPairs | PairPreference) -> str:
    if row.verdict != UNDECIDED or row.smallest is None:
        return ""
    return f"; {plural(row.n, 'prompt')} could have shown {row.smallest:.2f}"


# ---------------------------------------------------------------- scorecard


def _scorecard(comparison: Comparison, width: int) -> Table:
    rows, wide = comparison.dimensions, width >= WIDE
    counts = {row.n for row in rows}
    title = f"Scorecard, 0-10, n = {counts.pop()}" if len(counts) == 1 else "Scorecard, 0-10"
    roles = ROLES if wide else MODELS
    header = ["", *roles, "difference", *(["n", "p (Holm)"] if wide else []), "verdict"]
    table = _table(title, header, left=("", "verdict"))
    for row in rows:
        means = [f"{found.mean:.1f}" if (found := row.of(role)) else NOTHING for role in roles]
        more = [str(row.n), p_value(row.p_holm)] if wide else []
        cells = (row.name, *means, estimate(row.difference, 2, "+"), *more)
        table.add_row(*map(_text, cells), _word(row.verdict))
    if known := [row.smallest for row in rows if row.verdict == UNDECIDED and row.smallest is not None]:
        reach = f"{min(known):.2f} to {max(known):.2f}"
        table.caption = _text(f"No difference shown: {reach} points would have been, 4 times of 5.", "dim")
        table.caption_justify = "left"
    return table


# ---------------------------------------------------------------- checks, judges, verdict


def _checks(comparison: Comparison) -> Iterable[Text]:
    checks = comparison.checks
    roles, pairs = checks.roles, checks.pairs
    if any(roles[role].run for role in roles):
        passed = ", ".join(f"{role} {roles[role].passed}/{roles[role].run}" for role in roles)
        yield _text(f"Executed checks passed: {passed} (sandbox: {', '.join(checks.sandbox)})")
    if pairs:
        changed = f"  gained {pairs.gained}, lost {pairs.lost}, of {pairs.n}, {tested(pairs.p_holm)}  "
        yield _line(changed, pairs.verdict, _could_have(pairs))


def _judges(comparison: Comparison) -> Iterable[Text]:
    """A line for each judge of the primary pair, and one for what they agree on."""
    for entry in [comparison.primary] if comparison.primary else []:
        for judge in entry.judges:
            yield _text(f"{'' if judge.person else 'Judge '}{judge.judge}: {_trust(judge)}")
        if entry.agreement:
            yield _text(f"Agreement between judges: alpha {estimate(entry.agreement.alpha)}")


def _trust(judge: JudgeOfPairs) -> str:
    figures = {
        "same in both orders": judge.swap_consistency,
        "first shown wins": judge.first_slot,
        "repeats agree": judge.repeat_agreement,
    }
    said = [f"{name} {found.mean:.0%}" for name, found in figures.items() if found]
    return ", ".join([*said, f"ties {share(judge.ties)}", f"unscored {judge.unscored}/{judge.questions}"])


def _verdict(comparison: Comparison) -> Text:
    more = f" (n = {comparison.n}; {comparison.verdict_in_words}; {answers_made(comparison)})."
    return _line("\nVerdict: ", comparison.verdict, more)


def _beside(results: Results) -> Iterable[Text]:
    if found := results.self_check:
        yield _line("\nThe base compared with itself: ", found.verdict, f" (n = {found.n}).")
    if before := results.previous:
        student = f", {before.student}, {before.epochs:g} epochs" if before.student else ""
        loss = f", held-out loss {best.mean:.3f}" if (best := before.heldout_loss.best) else ""
        yield _line(f"\nPrevious run: {before.name}{student}{loss}, ", before.verdict or "not compared", ".")


# ---------------------------------------------------------------- several runs


def runs(entries: Sequence[Entry], folder: str, width: int) -> Table:
    """One line a run."""
    more = ["n", "student"] if width >= WIDE else []
    header = ["run", "verdict", "worse", "held-out loss", "cost", "time", *more, "date"]
    table = _table(f"Runs in {folder}", header, left=("run", "verdict", "student", "date"))
    for entry in entries:
        verdict, cells = (_text(entry.state, "dim"), {}) if entry.run is None else _run(entry.run)
        table.add_row(_text(entry.name), verdict, *(_text(cells.get(name, NOTHING)) for name in header[2:]))
    return table


def _run(run: RunSummary) -> tuple[Text, dict[str, str]]:
    """The verdict, and what stands under each heading."""
    loss = run.heldout_loss
    cells = {"cost": money(run.usd), "time": duration(run.seconds), "date": run.created[:10]}
    if run.student:
        cells["student"] = run.student
    if loss.base and loss.best:
        cells["held-out loss"] = f"{loss.base.mean:.3f} → {loss.best.mean:.3f}"
    if run.verdict:
        cells |= {"n": str(run.n), "worse": str(run.worse)}
    return _word(run.verdict or "not compared"), cells


def diff(found: Diff) -> Iterable[RenderableType]:
    """Two runs side by side, then one against the other."""
    table = _table("", ["", found.a, found.b], left=("", found.a, found.b))
    part = ""
    for row in found.rows:
        if row.part != part:
            table.add_section()
            table.add_row(_text(row.part.capitalize(), "bold"))
        table.add_row(_text(f"  {row.name}"), _text(row.a), _text(row.b, "" if row.a == row.b else "bold"))
        part = row.part
    yield table
    whose = f"The distilled model of {found.b} against that of {found.a}"
    if found.paired:
        yield _paired(f"{whose}, prompt by prompt", found.paired)
    if found.benchmarks:
        yield _paired(f"{whose}, item by item (share passed)", found.benchmarks)
    yield from (_text(f"! {note}", "yellow") for note in found.notes)


def _paired(title: str, rows: Sequence[Paired]) -> Table:
    table = _table(title, ["", "difference", "n", "p (Holm)", "could show", "verdict"], left=("", "verdict"))
    for row in rows:
        smallest = NOTHING if row.verdict != UNDECIDED or row.smallest is None else f"{row.smallest:.2f}"
        n = str(row.difference.n if row.difference else 0)
        cells = (row.name, estimate(row.difference, 2, "+"), n, p_value(row.p_holm), smallest)
        table.add_row(*map(_text, cells), _word(row.verdict))
    return table
