"""results.json in the order and the words of the page.

In: results. Out: what the templates loop over. Nothing is measured here; only sorted, named and put side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlx_distill.report.page.numbers import Table
from mlx_distill.report.page.strips import Strip, reach, strip
from mlx_distill.run.records import MODELS, ROLES, Estimate, Role
from mlx_distill.run.results import Results, RunPart, Teacher
from mlx_distill.run.results.comparison import (
    CheckCounts,
    Comparison,
    ExecutedPairs,
    Measure,
    PairPreference,
    PromptResult,
    RoleOnPrompt,
)
from mlx_distill.run.results.training import Training
from mlx_distill.run.wording import (
    NOTHING,
    UNSHOWN,
    counts,
    dataset,
    duration,
    estimate,
    memory,
    money,
    percent,
    plural,
    points,
    worth,
)
from mlx_distill.summarise import history

Facts = list[tuple[str, str]]
OVERALL, CHECKS = "overall", "Executed checks"
MOST = 5


@dataclass(frozen=True)
class Row:
    """One measure of the scorecard. `lanes`: a strip and a number for each role."""

    measure: Measure
    lanes: Sequence[tuple[str, Strip | None, str]]
    counts: Sequence[tuple[str, int]]
    difference: str
    unit: str
    strip: Strip | None
    could: str


def scorecard(comparison: Comparison) -> list[Row]:
    most = reach(row.difference for row in comparison.dimensions)
    return [_row(row, comparison, most) for row in comparison.measures]


def _row(row: Measure, comparison: Comparison, most: float) -> Row:
    if isinstance(row, PairPreference):
        counts = [("won", row.won), ("tied", row.tied), ("lost", row.lost)]
        could = f"{row.smallest / 2:.0%} from even" if row.smallest is not None else ""
        return Row(row, (), counts, percent(row.share), "won", strip(row.share, (0, 1), 0.5), could)
    if isinstance(row, ExecutedPairs):
        counts = [("gained", row.gained), ("lost", row.lost)]
        could = f"{100 * row.smallest:.0f} points" if row.smallest is not None else ""
        lanes, shown = _passed(comparison.checks.roles), strip(row.difference, (-1, 1), 0)
        return Row(row, lanes, counts, points(row.difference, 0, "+"), "% points", shown, could)
    lanes = [(role, strip(row.of(role), (0, 10)), estimate(row.of(role), 1)) for role in ROLES]
    could = f"{row.smallest:.1f}" if row.smallest is not None else ""
    difference = estimate(row.difference, 2, "+")
    return Row(row, lanes, (), difference, "", strip(row.difference, (-most, most), 0), could)


def _passed(roles: Mapping[Role, CheckCounts]) -> list[tuple[str, Strip | None, str]]:
    def lane(found: CheckCounts) -> tuple[Strip | None, str]:
        if not found.run:
            return None, "not run"
        share = Estimate(found.passed / found.run, found.run)
        return strip(share, (0, 1)), f"{found.passed} of {found.run}"

    return [(role, *lane(roles[role])) for role in ROLES]


# ---------------------------------------------------------------- what changed


def changes(results: Results) -> dict[str, list[tuple[str, str]]]:
    """Measures by verdict: gains and losses under headings of one size, whatever there is to say."""
    found: dict[str, list[tuple[str, str]]] = {"better": [], "worse": [], "undecided": []}
    for benchmark in results.benchmarks:
        word, told = benchmark.verdict, worth(benchmark)
        text = f"{points(benchmark.difference, sign='+')} points, n = {benchmark.n}"
        beside = f": {word}" if word not in (*found, UNSHOWN) else f": {told}" if told else ""
        found[word if word in found else "undecided"].append((benchmark.title, text + beside))
    for row in scorecard(results.comparison) if results.comparison else []:
        word = row.measure.verdict
        beside = "" if word in (*found, UNSHOWN) else f": {word}"
        found[word if word in found else "undecided"].append(
            (row.measure.name, f"{row.difference}, n = {row.measure.n}{beside}")
        )
    if results.training:
        change = results.training.heldout_loss.change
        word = "undecided" if change.spans_zero else "better" if change.mean < 0 else "worse"
        found[word].append(("Held-out loss", f"{estimate(change, 3, '+')} nats per token: likeness to the teacher"))
    return found


def extremes(prompts: Sequence[PromptResult]) -> dict[str, list[tuple[int, PromptResult]]]:
    """The prompts that gained most and those that lost most, as many of each."""
    found = sorted(enumerate(prompts, 1), key=lambda pair: _size(pair[1]), reverse=True)
    return {word: [pair for pair in found if pair[1].outcome == word][:MOST] for word in ("better", "worse")}


def _size(prompt: PromptResult) -> tuple[float, float]:
    return abs(change(prompt) or 0), abs(prompt.difference or 0)


def change(prompt: PromptResult) -> float | None:
    """What the outcome rests on: the preference, or the mean scores where nobody compared the answers."""
    value: float | None = prompt.difference if prompt.preference is None else prompt.preference
    return value


# ---------------------------------------------------------------- prompt by prompt


def filters(comparison: Comparison) -> list[str]:
    """By what prompts can be told better from worse."""
    names = [row.name for row in comparison.dimensions if row.n]
    return [OVERALL, *names, *([CHECKS] if comparison.checks.pairs else [])]


def outcome(prompt: PromptResult, measure: str) -> str:
    """better, worse, same or unscored, of one prompt."""
    if measure == OVERALL:
        return str(prompt.outcome)
    value = _all_passed if measure == CHECKS else lambda role: (role.scores or {}).get(measure)
    base, distilled = (value(prompt.of(role)) for role in MODELS)
    if base is None or distilled is None:
        return "unscored"
    return "better" if distilled > base else "worse" if distilled < base else "same"


def _all_passed(role: RoleOnPrompt) -> bool | None:
    """In every sample; None where they were not run."""
    found = [answer.checks for answer in role.answers if answer.checks and answer.checks.run]
    return all(checks.passed == checks.of for checks in found) if found else None


# ---------------------------------------------------------------- how it was made


def making(results: Results) -> list[tuple[str, Facts]]:
    parts = [("Teacher", _teacher(results.teacher)), ("Training", _training(results.training))]
    parts += [("Comparison", _compared(results.comparison)), ("Cost", _cost(results)), ("Run", _run(results.run))]
    stages = [(name, duration(seconds)) for name, seconds in results.run.stages.items()]
    return [(title, facts) for title, facts in [*parts, ("Time", stages)] if facts]


def _teacher(teacher: Teacher | None) -> Facts:
    if teacher is None:
        return []
    counted = teacher.input_tokens + teacher.output_tokens > 0
    tokens = f"{teacher.input_tokens:,} in, {teacher.output_tokens:,} out" if counted else "not counted"
    return [
        ("Teacher", teacher.spec),
        ("Models", ", ".join(teacher.models)),
        ("Prompts", counts(teacher.prompts)),
        ("Completions", f"{teacher.completions:,}"),
        ("Left out of training", counts(teacher.left_out) or "none"),
        ("Tokens", tokens),
    ]


def _training(training: Training | None) -> Facts:
    if training is None:
        return []
    loss, accuracy = training.heldout_loss, training.token_accuracy
    moved, total = training.trainable_parameters, training.total_parameters
    return [
        ("Student", training.student),
        ("Trained", trained(training)),
        ("Parameters", f"{moved:,} of {total:,} ({moved / total:.2%})"),
        ("Examples", counts(training.examples)),
        *dataset(training.dataset),
        (
            "Epochs, steps",
            f"{training.epochs:g}, {training.steps}{' (stopped early)' * training.stopped_early}",
        ),
        ("Rate, batch", f"{training.learning_rate:g}, {training.batch_size}"),
        ("Held-out loss", f"{estimate(loss.base, 3)} → {estimate(loss.best, 3)}"),
        ("Token accuracy", f"{estimate(accuracy.base, 3)} → {estimate(accuracy.best, 3)}"),
        ("Kept", f"step {training.best_step}"),
        ("Peak memory", f"{training.peak_memory_bytes / 2**30:.2f} GiB"),
    ]


def trained(training: Training) -> str:
    """Which weights, and how."""
    layers = "all layers" if training.layers == "all" else f"top {training.layers} layers"
    if training.fine_tune == "full":
        return f"every weight of {layers}"
    kind = {"lora": "LoRA", "dora": "DoRA"}.get(training.fine_tune, training.fine_tune)
    return f"{kind}, rank {training.rank}, scale {training.scale:g}, {layers}"


def _compared(comparison: Comparison | None) -> Facts:
    if comparison is None:
        return []
    how = "one greedy answer" if comparison.samples is None else plural(comparison.samples, "sampled answer")
    at = "" if comparison.temperature is None else f" at temperature {comparison.temperature:g}"
    return [
        ("Judges", ", ".join(comparison.judges)),
        ("Answers a prompt", how + at),
        ("Repeats", str(comparison.repeats)),
        ("Judgments", f"{comparison.judgments:,}, {comparison.unscored.answers} unscored"),
        ("Pairs judged", f"{comparison.pairs_judged:,}, {comparison.unscored.pairs} unscored"),
        ("Sandbox", ", ".join(comparison.checks.sandbox) or "no checks were run"),
    ]


def _cost(results: Results) -> Facts:
    teacher, comparison = results.teacher, results.comparison
    paid = [("Teacher", teacher.usd)] if teacher else []
    paid += [("Judges", comparison.judge_usd)] if comparison else []
    facts = [(name, "nothing" if usd is None else money(usd)) for name, usd in paid]
    return facts + ([("Prices of", teacher.prices_dated)] if teacher and teacher.usd is not None else [])


def _run(run: RunPart) -> Facts:
    hardware = run.hardware
    return [
        ("Date", run.created[:16].replace("T", " ")),
        ("Preset, seed", f"{run.preset}, {run.seed}"),
        ("Chip", f"{hardware.chip}, {hardware.cores} cores, {memory(hardware.memory_bytes)}"),
        ("System", f"{hardware.os}, {hardware.backend}, BLAS {hardware.blas or 'of MLX'}"),
        *((name, version) for name, version in run.versions.items() if version),
    ]


def previous(results: Results) -> Table | None:
    """This run beside the one before it in the same folder."""
    before = results.previous
    if before is None:
        return None
    runs = (history.summary(results), before)
    names = [*dict.fromkeys(name for run in runs for name in run.dimensions)]
    rows = [
        ("Date", *(run.created[:10] for run in runs)),
        ("Preset", *(run.preset for run in runs)),
        ("Student, epochs", *(f"{run.student}, {run.epochs:g}" if run.student else NOTHING for run in runs)),
        ("Verdict", *(run.verdict or NOTHING for run in runs)),
        ("Held-out loss, kept", *(estimate(run.heldout_loss.best, 3) for run in runs)),
        ("Preferred to its base", *(percent(run.preference) for run in runs)),
        *((f"{name}, distilled", *(estimate(run.dimensions.get(name)) for run in runs)) for name in names),
        ("Cost of teacher and judges", *(money(run.usd) for run in runs)),
        ("Time", *(duration(run.seconds) for run in runs)),
    ]
    return Table(("", "this run", before.name), rows)
