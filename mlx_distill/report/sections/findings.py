"""What a reader must know first: whether the work is finished, the verdict, what it rests on, gains and losses, doubts.

In: Results. Out: sections and lines. Every renderer shows all of them: a warning that stands in one report stands in
all. Nothing here is ever left out because it is unpleasant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlx_distill.report.document import Block, Bullets, Line, Measure, Section
from mlx_distill.report.sections.measures import benchmark_measures, comparison_measures
from mlx_distill.run.records import Estimate
from mlx_distill.run.results import Results
from mlx_distill.run.results.benchmarks import Gate, RuleResult
from mlx_distill.run.results.comparison import Comparison
from mlx_distill.run.wording import BOUNDS, UNSHOWN, answers_made, drift_in_words, estimate, plural, tested

BRACKETS = (
    "Brackets are 95 % intervals over whole prompts, for one number at a time. Verdicts are adjusted for looking at "
    "several measures (Holm), so an interval beside zero can come with no verdict. Every number comes from this run's "
    "files."
)


@dataclass(frozen=True)
class Headline:
    """The one verdict of a run, and why. `word` is "" where nothing was compared."""

    word: str
    title: str
    because: str


def beforehand(results: Results) -> list[Line]:
    """What is said before anything else: what follows may rest on a part of the work, or on a test that can show
    nothing."""
    return [*(Line(lead=sentence, word="worse") for sentence in results.unfinished), *_bounds(results)]


def _bounds(results: Results) -> list[Line]:
    """Tests that the base passes nearly never, or nearly always."""
    pairs = results.comparison.checks.pairs if results.comparison else None
    lines = []
    if pairs:
        lines.append(
            _bound("Executed checks", pairs.bound, f"{pairs.lost + pairs.both} of {plural(pairs.n, 'prompt')}")
        )
    lines += [
        _bound(row.title, row.bound, f"{100 * row.base.mean:.1f} % of {plural(row.n, 'item')}")
        for row in results.benchmarks
        if row.base
    ]
    return [line for line in lines if line]


def _bound(name: str, bound: str, passed: str) -> Line | None:
    if bound not in BOUNDS:
        return None
    advice = "Ask easier ones." if bound == "floor" else "Ask harder ones."
    return Line(f"The base passes {passed}. {advice}", f"{name} {BOUNDS[bound]}.")


def headline(results: Results) -> Headline:
    """The gate's verdict where benchmarks were asked, or else that over all training seeds, or else the judges'."""
    gate, comparison, seeds = results.gate, results.comparison, results.seeds
    if gate:
        return Headline(gate.verdict, "Gate", gate.because)
    if seeds:
        return Headline(seeds.verdict, f"Verdict over {plural(len(seeds.seeds), 'training seed')}", seeds.words)
    if comparison:
        return Headline(comparison.verdict, "Verdict", f"n = {comparison.n}; {comparison.verdict_in_words}")
    return Headline("", "Not compared yet", "Nothing is known yet about the student's answers.")


def rules(gate: Gate) -> Bullets:
    return Bullets([_rule(rule) for rule in gate.rules])


def _rule(rule: RuleResult) -> Line:
    holds = "holds" if rule.holds else "does not hold"
    return Line(f"({holds}): {rule.because}.", rule.rule, "ship" if rule.holds else "do not ship")


def gate_section(results: Results) -> Section:
    gate = results.gate
    blocks: list[Block] = [Line(gate.because, f"Gate: {gate.verdict}.", gate.verdict), rules(gate)] if gate else []
    return Section("gate", "", blocks)


def verdict_section(results: Results) -> Section:
    """The judges' verdict on the run's own prompts, and what it rests on."""
    comparison = results.comparison
    if comparison:
        words = f"(n = {comparison.n}; {comparison.verdict_in_words})."
        blocks = [Line(words, f"Verdict: {comparison.verdict}", comparison.verdict), Line(basis(comparison))]
    elif results.gate:
        blocks = [Line("No judge has compared the answers to the run's own prompts.")]
    else:
        blocks = [Line(lead="No verdict: nothing has been compared yet.")]
    if results.training and (words := drift_in_words(results.training)):
        blocks.append(Line(f"{words}."))
    return Section("verdict", "", [*blocks, Line(BRACKETS)])


def basis(comparison: Comparison) -> str:
    """What the verdict rests on."""
    pairs, alone = comparison.pairs_judged, comparison.judgments
    asked = [f"{pairs:,} comparisons of two answers (each pair in both orders)"] if pairs else []
    asked += [f"{plural(alone, 'judgment')} of single answers"] if alone else []
    parts = [
        f"It rests on {plural(comparison.n, 'test prompt')} that nothing was trained on",
        answers_made(comparison),
        f"{' and '.join(asked) or 'no judgments'} by {', '.join(comparison.judges) or 'nobody'}",
    ]
    if comparison.repeats > 1:
        parts.append(f"every question asked {comparison.repeats} times")
    if executed := comparison.checks.pairs:
        parts.append(f"and the executed checks of {plural(executed.n, 'prompt')}")
    return "; ".join(parts) + "."


def warnings(results: Results) -> list[str]:
    """Everything that makes a number doubtful, the gravest first."""
    gate, comparison, training = results.gate, results.comparison, results.training
    caveats = [*(gate.caveats if gate else ()), *(comparison.caveats if comparison else ())]
    return [*caveats, *(training.warnings if training else ())]


def warnings_section(results: Results) -> Section:
    return Section("warnings", "Read with care", [Bullets([Line(warning) for warning in warnings(results)])])


def self_check_section(results: Results) -> Section:
    self_check = results.self_check
    if self_check is None:
        return Section("self-check", "Self-check")
    words = f"(n = {self_check.n}; {self_check.verdict_in_words})."
    lead = f"The base compared with itself, by the same means: {self_check.verdict}"
    return Section("self-check", "Self-check", [Line(words, lead, self_check.verdict)])


# ---------------------------------------------------------------- better, worse, neither

CHANGES = {"better": "What got better", "worse": "What got worse", UNSHOWN: "No difference shown"}
NOTHING_SHOWN = "Nothing that could be shown."


def changes(results: Results) -> dict[str, list[Line]]:
    """By verdict, gains and losses under headings of one size; the benchmarks first, for they are no opinion."""
    lines: dict[str, list[Line]] = {word: [] for word in CHANGES}
    measures = benchmark_measures(results.benchmarks)
    measures += comparison_measures(results.comparison) if results.comparison else []
    for measure in measures:
        if measure.difference is not None:
            lines[measure.verdict if measure.verdict in lines else UNSHOWN].append(_change(measure))
    if results.training is not None:
        change = results.training.heldout_loss.change
        text = f"{estimate(change, 3, '+')} nats per token (less is better: likeness to the teacher)"
        lines[_direction(change)].append(Line(text, "Held-out loss:"))
    return lines


def changes_section(results: Results) -> Section:
    if results.comparison is None and not results.benchmarks:
        return Section("changes", "What changed")
    sentences = changes(results)
    parts = [
        Section("", title, [Bullets(sentences[word], NOTHING_SHOWN)], word=word) for word, title in CHANGES.items()
    ]
    return Section("changes", "What changed", sections=parts)


def _change(measure: Measure) -> Line:
    counts = ", ".join(f"{count} {word}" for word, count in measure.counts if word != "unchanged")
    beside = "" if measure.verdict in CHANGES else measure.verdict
    text = f"{measure.difference_text} {measure.unit}".strip()
    parts = [text, f"n = {measure.n}, {tested(measure.p_holm)}", counts, beside, measure.worth, measure.to_tell]
    parts.append(measure.share_closed)
    return Line("; ".join(part for part in parts if part), f"{measure.name}:")


def prompted(comparison: Comparison) -> list[str]:
    """What distilled is ahead of the prompted base, in one sentence."""
    rows = comparison.prompted.scores if comparison.prompted else ()
    ahead = [f"{row.name} {estimate(row.ahead, 2, '+')}" for row in rows]
    return (
        [f"Distilled less the prompted base, which took no training: {', '.join(ahead)} (untested)."] if ahead else []
    )


def worth(rows: Sequence[Measure]) -> list[str]:
    """What "no difference shown" is worth, in sentences; it is never the same as no difference."""
    detectable = [f"{row.name} {row.detectable}" for row in rows if row.detectable and not row.equivalent]
    alike = [f"{row.name} {row.equivalent}" for row in rows if row.equivalent]
    sentences = [f"No difference shown. Detectable with 80 % power: {', '.join(detectable)}."] if detectable else []
    needed = [f"{row.name} {row.needed}" for row in rows if row.to_tell]
    sentences += (
        [f"To tell whether a difference as large as the one seen is real: {', '.join(needed)}."] if needed else []
    )
    return sentences + ([f"No difference shown: {', '.join(alike)}."] if alike else [])


def shares_closed(rows: Sequence[Measure]) -> list[str]:
    """How much of the teacher's lead over the base was gained, in one sentence."""
    shares = [f"{row.name} {row.closed}" for row in rows if row.closed]
    return [f"Share of the teacher gap closed: {'; '.join(shares)}."] if shares else []


def _direction(change: Estimate) -> str:
    """Of a loss: less is better."""
    if change.spans_zero:
        return UNSHOWN
    return "better" if change.mean < 0 else "worse"
