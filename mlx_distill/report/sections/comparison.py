"""The comparison on the run's own prompts: who was preferred, the scorecard, executed checks, how far to trust judges.

In: Results. Out: sections, empty where nothing was compared.
"""

from __future__ import annotations

from collections.abc import Iterable

from mlx_distill.report.document import Block, Bullets, Cell, Facts, Line, Measures, Section, Table, verdict
from mlx_distill.report.sections.measures import comparison_measures
from mlx_distill.run.results import Results
from mlx_distill.run.results.comparison import Agreement, Comparison, PairPreference, PromptedBase
from mlx_distill.run.wording import NOTHING, answers_made, estimate, p_value, percent, plural, share

PREFERRED = "The preference is the share of pairs won; a tie counts half."
SCORES = (
    "Scores go from 0 to 10. Verdicts are adjusted for "
    "looking at several measures (Holm). Detectable: the smallest difference that so many prompts, with so much "
    "scatter, would have shown with 80 % power, beside the other measures; needed to tell: how many more would show "
    "one as large as the one seen."
)


def scorecard(results: Results) -> Section:
    comparison = results.comparison
    measures = comparison_measures(comparison) if comparison else []
    if comparison is None or not any(measure.n for measure in measures):
        return Section("scorecard", "Scorecard")
    blocks: list[Block] = [
        Measures("Scorecard", "measure", measures),
        Line(f"{PREFERRED} {SCORES}" if comparison.primary else SCORES),
    ]
    blocks += [Line(text) for text in (from_checks(comparison), about_length(comparison)) if text]
    return Section("scorecard", "Scorecard", blocks, [_measured(comparison)])


def from_checks(comparison: Comparison) -> str:
    return " ".join(
        f"{row.name} of {plural(row.from_checks, 'prompt')} is the share of executed checks passed, whatever a judge "
        "says."
        for row in comparison.dimensions
        if row.from_checks
    )


def about_length(comparison: Comparison) -> str:
    """Longer answers and more Markdown please judges."""
    first = comparison.primary
    if first is None or first.length_ratio is None:
        return ""
    adjusted = estimate(first.adjusted, 2, "+") if first.adjusted else "not known (below 20 prompts)"
    return (
        "Longer answers and more Markdown please judges. Distilled answers are "
        f"{estimate(first.length_ratio)} times as long as the base's; at equal length and Markdown the difference "
        f"between won and lost is {adjusted} instead of {estimate(first.difference, 2, '+')}."
    )


def _measured(comparison: Comparison) -> Section:
    rows = list((comparison.measured or {}).items())
    return Section("measured", "What the static analysis measures", [Facts(rows)] if rows else [], folded=True)


# ---------------------------------------------------------------- preference and checks


def preference(results: Results) -> Section:
    entries = results.comparison.preferences if results.comparison else ()
    if not entries:
        return Section("preference", "Preference")
    columns = [_preference(entry) for entry in entries]
    header = ("", *(" against ".join(entry.pair) for entry in entries))
    rows = [(name, *(column[name] for column in columns)) for name in columns[0]]
    words = "Answers side by side. A judge whose answer changes with the order of the two has given a tie."
    return Section("preference", "Preference", [Line(words), Table(header, rows)])


def _preference(entry: PairPreference) -> dict[str, Cell | str]:
    return {
        "Verdict": verdict(entry.verdict) if entry.verdict else NOTHING,
        "Share preferred (ties count half)": percent(entry.share),
        "Won minus lost, −1 to 1": estimate(entry.difference, 2, "+"),
        "p": p_value(entry.p),
        "p (Holm)": p_value(entry.p_holm),
        "Prompts won, lost, tied": f"{entry.won}, {entry.lost}, {entry.tied} (n = {entry.n})",
        "At equal length and Markdown": estimate(entry.adjusted, 2, "+"),
        "Length, first over second": estimate(entry.length_ratio),
        "Questions asked, unscored": f"{entry.questions:,}, {entry.unscored:,}",
    }


def checks(results: Results) -> Section:
    passed = results.comparison.checks if results.comparison else None
    if passed is None or not any(counts.run or counts.not_run for counts in passed.roles.values()):
        return Section("checks", "Executed checks")
    rows = [(role, *map(str, (counts.passed, counts.run, counts.not_run))) for role, counts in passed.roles.items()]
    level = ", ".join(passed.sandbox) or "none that works here"
    words = f"Prompts whose checks an answer passed whole, in every sample. Sandbox: {level}."
    blocks: list[Block] = [Line(words), Table(("", "passed", "run", "not run"), rows)]
    if pairs := passed.pairs:
        counts = [str(count) for count in (pairs.gained, pairs.lost, pairs.both, pairs.neither)]
        figures = (estimate(pairs.difference, 2, "+"), p_value(pairs.p), p_value(pairs.p_holm), str(pairs.n))
        header = ("gained", "lost", "both", "neither", "difference", "p (exact McNemar)", "p (Holm)", "n", "verdict")
        blocks += [Line("Distilled against base, prompt by prompt:")]
        blocks += [Table(header, [(*counts, *figures, verdict(pairs.verdict))])]
    return Section("checks", "Executed checks", blocks)


def prompted(results: Results) -> Section:
    """What a prompt buys without training."""
    base = results.comparison.prompted if results.comparison else None
    if base is None:
        return Section("prompted", "The prompted base")
    header = ("", "prompted base", "prompted base − base", "distilled − prompted base", "n")
    rows = [
        (
            row.name,
            estimate(row.prompted),
            *(estimate(value, 2, "+") for value in (row.gain, row.ahead)),
            f"{row.prompted.n}",
        )
        for row in base.scores
    ]
    return Section("prompted", "The prompted base", [Line(about_prompted(base)), Table(header, rows)])


def about_prompted(base: PromptedBase) -> str:
    answers, examples = base.answers, plural(base.examples, "training example")
    ended = f"{answers.cut_off} cut at the cap, {answers.loops} in a loop"
    return (
        f"The untrained base under the teacher's system prompt, with {examples} before each question "
        f"({plural(answers.count, 'answer')}, {ended}). What a prompt buys needs no training. Static analysis and "
        "executed checks alone score it; nothing is tested."
    )


# ---------------------------------------------------------------- how far the judges can be trusted


def judges(results: Results) -> Section:
    comparison = results.comparison
    parts = [_pair(entry) for entry in comparison.preferences if entry.judges] if comparison else []
    blocks = _scoring_agreement(comparison) if comparison else []
    return Section("judges", "How far to trust the judges", blocks, parts)


def _pair(entry: PairPreference) -> Section:
    first, second = entry.pair
    asked = f"{first} against {second}: {plural(entry.questions, 'question')}, {entry.unscored:,} unscored"
    title = f"{asked}; {first} preferred in {percent(entry.share)}"
    return Section(f"judges-of-{second}", title, [judges_table(entry), *_agreement(entry.agreement)], folded=True)


def judges_table(entry: PairPreference) -> Table:
    rows = [
        (
            judge.judge + (" (a person)" if judge.person else ""),
            percent(judge.share),
            percent(judge.swap_consistency),
            percent(judge.first_slot),
            percent(judge.repeat_agreement),
            share(judge.ties),
            f"{judge.unscored} of {judge.questions}",
        )
        for judge in entry.judges
    ]
    header = (f"prefers {entry.pair[0]}", "same in both orders", "first shown wins", "repeats agree", "ties")
    return Table(("Judge", *header, "unscored"), rows)


def _agreement(agreement: Agreement | None) -> list[Block]:
    if agreement is None:
        return []
    lines = [Line(f"All judges: Krippendorff's alpha {estimate(agreement.alpha)}")]
    lines += [Line(f"{' and '.join(pair.judges)}: Cohen's kappa {estimate(pair.kappa)}") for pair in agreement.kappa]
    return [Line("Agreement on who won each prompt:"), Bullets(lines)]


def _scoring_agreement(comparison: Comparison) -> list[Block]:
    rows = [
        (row.name, estimate(row.agreement), percent(row.repeat_agreement))
        for row in comparison.dimensions
        if row.agreement is not None or row.repeat_agreement is not None
    ]
    if not rows:
        return []
    return [Line("On scores of single answers:"), Table(("Dimension", "alpha between judges", "repeats agree"), rows)]


# ---------------------------------------------------------------- answers


def answers(results: Results) -> Section:
    comparison = results.comparison
    if comparison is None:
        return Section("answers", "Answers")
    words = Line(f"{answers_made(comparison).capitalize()}.")
    return Section("answers", "Answers", [words, answers_table(comparison)])


def answers_table(comparison: Comparison) -> Table:
    header = ("", "answers", "cut at the cap", "end in a loop", "characters", "tokens", "tokens/s")
    return Table(header, list(_answer_rows(comparison)))


def _answer_rows(comparison: Comparison) -> Iterable[tuple[str, ...]]:
    for role, answered in comparison.answers.items():
        speed = answered.tokens_per_second
        yield (
            role,
            f"{answered.count:,}",
            f"{answered.cut_off} of {answered.count}",
            f"{answered.loops} of {answered.count}",
            estimate(answered.characters, 0),
            f"{answered.tokens:,}" if answered.tokens else NOTHING,  # nobody counted those of a recorded answer
            NOTHING if speed is None else f"{speed:,.0f}",
        )
