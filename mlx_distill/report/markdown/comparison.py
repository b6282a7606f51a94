"""The comparison in RESULTS.md: verdict first, then what it rests on, gains and losses under headings of one size.

In: results. Out: sections, empty where nothing was compared.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlx_distill.report.markdown_text import bullets, inline, section, strong, table
from mlx_distill.run.records import ROLES, Estimate
from mlx_distill.run.results import Results
from mlx_distill.run.results.benchmarks import Benchmark
from mlx_distill.run.results.comparison import Agreement, Comparison, ExecutedPairs, Measure, PairPreference
from mlx_distill.run.wording import (
    NOTHING,
    UNSHOWN,
    answers_made,
    changed,
    estimate,
    p_value,
    percent,
    plural,
    points,
    share,
    tested,
    worth,
)

UNDECIDED = UNSHOWN
BRACKETS = (
    "Brackets are 95 % intervals over whole prompts, for one number at a time; verdicts are adjusted for looking at "
    "several (Holm), so an interval beside zero can come with no verdict. Every number comes from this run's files."
)


def verdict(results: Results) -> str:
    comparison = results.comparison
    if comparison is None and results.gate:
        return f"No judge has compared the answers to the run's own prompts.\n\n{BRACKETS}"
    if comparison is None:
        return f"**No verdict: nothing has been compared yet.**\n\n{BRACKETS}"
    words = inline(comparison.verdict_in_words)
    return (
        f"**Verdict: {inline(comparison.verdict)}** (n = {comparison.n}; {words}).\n\n"
        f"{_basis(comparison)}\n\n{BRACKETS}"
    )


def _basis(comparison: Comparison) -> str:
    """What the verdict rests on, in one paragraph."""
    said = [f"It rests on {plural(comparison.n, 'test prompt')} that nothing was trained on"]
    said.append(answers_made(comparison))
    pairs, alone = comparison.pairs_judged, comparison.judgments
    asked = [f"{pairs:,} comparisons of two answers (each pair in both orders)"] if pairs else []
    asked += [f"{plural(alone, 'judgment')} of single answers"] if alone else []
    names = ", ".join(inline(judge) for judge in comparison.judges)
    said.append(f"{' and '.join(asked) or 'no judgments'} by {names or 'nobody'}")
    if comparison.repeats > 1:
        said.append(f"every question asked {comparison.repeats} times")
    if checked := comparison.checks.pairs:
        said.append(f"and the executed checks of {plural(checked.n, 'prompt')}")
    return "; ".join(said) + "."


def caveats(results: Results) -> str:
    found = [
        *(results.gate.caveats if results.gate else ()),
        *(results.comparison.caveats if results.comparison else ()),
    ]
    return section("Read with care", bullets(inline(caveat) for caveat in found))


# ---------------------------------------------------------------- better, worse, neither

TITLES = {
    "better": "What got better",
    "worse": "What got worse",
    UNDECIDED: "No difference shown",
}


def changes(results: Results) -> str:
    """Never left out, and of equal size, whatever there is to say. The benchmarks first: they are no opinion."""
    comparison, benchmarks = results.comparison, results.benchmarks
    if comparison is None and not benchmarks:
        return ""
    lines: dict[str, list[str]] = {name: [] for name in TITLES}
    for benchmark in (row for row in benchmarks if row.difference):
        lines[benchmark.verdict if benchmark.verdict in lines else UNDECIDED].append(_passed(benchmark))
    for row in (row for row in (comparison.measures if comparison else []) if row.difference):
        lines[row.verdict if row.verdict in lines else UNDECIDED].append(_change(row))
    if results.training is not None:
        change = results.training.heldout_loss.change
        lines[_direction(change)].append(f"Held-out loss: {estimate(change, 3, '+')} nats per token (less is better)")
    return "\n\n".join(
        section(title, bullets(lines[name], "Nothing that could be shown.")) for name, title in TITLES.items()
    )


def _passed(row: Benchmark) -> str:
    text = f"{inline(row.title)}: {points(row.difference, sign='+')} points; n = {row.n}, {tested(row.p_holm)}"
    if row.verdict in ("better", "worse"):
        return f"{text}; {changed(row)}"
    return "; ".join(filter(None, (f"{text}: {inline(row.verdict)}", worth(row))))


UNITS = {"Preference": " (won minus lost, −1 to 1)", "Executed checks": " (share of prompts passed whole)"}


def _change(row: Measure) -> str:
    unit = UNITS.get(row.name, " points of 10")
    by = f"n = {row.n}, {tested(row.p_holm)}"
    text = f"{inline(row.name)}: {estimate(row.difference, 2, '+')}{unit}; {by}"
    if row.verdict in ("better", "worse"):
        return text
    return f"{text}: {inline(row.verdict)}{_could_have(row)}"


def _could_have(row: Measure) -> str:
    if row.verdict != UNDECIDED or row.smallest is None:
        return ""
    return f"; {plural(row.n, 'prompt')} could have shown {row.smallest:.2f} or more"


def _direction(change: Estimate) -> str:
    """Of a loss: less is better."""
    if change.spans_zero:
        return UNDECIDED
    return "better" if change.mean < 0 else "worse"


def _smallest(row: Measure) -> str:
    return f"{row.smallest:.2f}" if row.verdict == UNDECIDED and row.smallest is not None else NOTHING


# ---------------------------------------------------------------- the measures

COULD = "could have shown"
EXPLAINED = (
    f"*{COULD.capitalize()}*: the smallest difference that so many prompts, scattering so, would have shown four "
    "times of five, beside the other measures."
)


def preference(results: Results) -> str:
    found = results.comparison.preferences if results.comparison else ()
    if not found:
        return ""
    columns = [_preference(entry) for entry in found]
    header = ("", *(" against ".join(inline(role) for role in entry.pair) for entry in found))
    return section(
        "Preference",
        "Answers side by side. A judge who says another thing when the order is changed has said nothing: a tie.",
        table(header, [(name, *(column[name] for column in columns)) for name in columns[0]]),
    )


def _preference(entry: PairPreference) -> Mapping[str, str]:
    return {
        "Verdict": strong(entry.verdict) if entry.verdict else NOTHING,
        "Share preferred (ties count half)": percent(entry.share),
        "Won minus lost, −1 to 1": estimate(entry.difference, 2, "+"),
        "p": p_value(entry.p),
        "p (Holm)": p_value(entry.p_holm),
        "Prompts won, lost, tied": f"{entry.won}, {entry.lost}, {entry.tied} (n = {entry.n})",
        COULD.capitalize(): _smallest(entry),
        "At equal length and Markdown": estimate(entry.adjusted, 2, "+"),
        "Length, first over second": estimate(entry.length_ratio),
        "Questions asked, unscored": f"{entry.questions:,}, {entry.unscored:,}",
    }


def scorecard(results: Results) -> str:
    comparison = results.comparison
    if comparison is None or not any(row.n for row in comparison.dimensions):
        return ""
    rows = [
        (
            inline(row.name),
            *(estimate(row.of(role), 1) for role in ROLES),
            estimate(row.difference, 2, "+"),
            p_value(row.p_holm),
            row.n,
            _smallest(row),
            strong(row.verdict),
        )
        for row in comparison.dimensions
    ]
    header = ("Dimension", *ROLES, "distilled − base", "p (Holm)", "n", COULD, "verdict")
    return section(
        "Scorecard",
        "Answers each alone, scores from 0 to 10.",
        table(header, rows),
        EXPLAINED if any(_smallest(row) != NOTHING for row in comparison.dimensions) else "",
        _from_checks(comparison),
        _measured(comparison),
    )


def _from_checks(comparison: Comparison) -> str:
    rows = [row for row in comparison.dimensions if row.from_checks]
    return " ".join(
        f"{inline(row.name)} of {plural(row.from_checks, 'prompt')} is the share of executed checks passed, "
        "whatever a judge says."
        for row in rows
    )


def _measured(comparison: Comparison) -> str:
    if not comparison.measured:
        return ""
    found = (f"{inline(name)}: {inline(what)}" for name, what in comparison.measured.items())
    return "What the static analysis measures:\n\n" + bullets(found)


def checks(results: Results) -> str:
    comparison = results.comparison
    if comparison is None:
        return ""
    found = comparison.checks
    if not any(found.roles[role].run or found.roles[role].not_run for role in ROLES):
        return ""
    rows = [(role, counts.passed, counts.run, counts.not_run) for role, counts in found.roles.items()]
    level = ", ".join(inline(level) for level in found.sandbox) or "none that works here"
    return section(
        "Executed checks",
        f"Prompts whose checks an answer passed whole, in every sample. Sandbox: {level}.",
        table(("", "passed", "run", "not run"), rows),
        _pairs(found.pairs),
    )


def _pairs(pairs: ExecutedPairs | None) -> str:
    if pairs is None:
        return ""
    counts = [pairs.gained, pairs.lost, pairs.both, pairs.neither]
    figures = (estimate(pairs.difference, 2, "+"), p_value(pairs.p), p_value(pairs.p_holm), pairs.n)
    header = ("gained", "lost", "both", "neither", "difference", "p (exact McNemar)", "p (Holm)", "n", COULD, "verdict")
    row = (*counts, *figures, _smallest(pairs), strong(pairs.verdict))
    return "Distilled against base, prompt by prompt:\n\n" + table(header, [row])


# ---------------------------------------------------------------- how far the judges can be trusted


def judges(results: Results) -> str:
    comparison = results.comparison
    if comparison is None:
        return ""
    parts = [_judge_table(entry) for entry in comparison.preferences if entry.judges]
    return section("Judges", *parts, _scoring_agreement(comparison))


def _judge_table(entry: PairPreference) -> str:
    rows = [
        (
            inline(judge.judge) + (" (a person)" if judge.person else ""),
            percent(judge.share),
            percent(judge.swap_consistency),
            percent(judge.first_slot),
            percent(judge.repeat_agreement),
            share(judge.ties),
            f"{judge.unscored} of {judge.questions}",
        )
        for judge in entry.judges
    ]
    header = ("Judge", "prefers", "same in both orders", "first shown wins", "repeats agree", "ties", "unscored")
    first, second = (inline(role) for role in entry.pair)
    return f"On {first} against {second}:\n\n{table(header, rows)}" + _agreement(entry.agreement)


def _agreement(found: Agreement | None) -> str:
    if found is None:
        return ""
    lines = [f"All judges: Krippendorff's alpha {estimate(found.alpha)}"]
    for pair in found.kappa:
        names = " and ".join(inline(judge) for judge in pair.judges)
        lines.append(f"{names}: Cohen's kappa {estimate(pair.kappa)}")
    return "\n\nAgreement on who won each prompt:\n\n" + bullets(lines)


def _scoring_agreement(comparison: Comparison) -> str:
    rows = [
        (inline(row.name), estimate(row.agreement), percent(row.repeat_agreement))
        for row in comparison.dimensions
        if row.agreement is not None or row.repeat_agreement is not None
    ]
    if not rows:
        return ""
    return "On scores of single answers:\n\n" + table(("Dimension", "alpha between judges", "repeats agree"), rows)


def answers(results: Results) -> str:
    comparison = results.comparison
    if comparison is None:
        return ""
    rows = []
    for role in ROLES:
        found = comparison.answers[role]
        speed = found.tokens_per_second
        rows.append(
            (
                role,
                found.count,
                f"{found.cut_off} of {found.count}",
                estimate(found.characters, 0),
                f"{found.tokens:,}",
                NOTHING if speed is None else f"{speed:,.0f}",
            )
        )
    header = ("", "answers", "cut at the cap", "characters", "tokens", "tokens/s")
    return section("Answers", f"{answers_made(comparison).capitalize()}.", table(header, rows))
