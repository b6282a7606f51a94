"""How a run was made: stages, teacher, training, comparison, cost, machine, and the run before it.

In: Results. Out: sections, empty where a stage has not run; `pipeline_diagram` is a file of its own too.
"""

from __future__ import annotations

import re

from mlx_distill.report.document import Block, Diagram, Facts, Line, Section, Table
from mlx_distill.run.records import MODELS
from mlx_distill.run.results import Results, RunSummary
from mlx_distill.run.results.choice import AnswerChoice
from mlx_distill.run.results.training import Training
from mlx_distill.run.wording import (
    NOTHING,
    against_first,
    answers_made,
    choice_source,
    counts,
    dataset,
    dollars,
    drift_in_words,
    duration,
    estimate,
    money,
    percent,
)
from mlx_distill.summarise import history


def pipeline_diagram(results: Results) -> str:
    """A Mermaid flow chart with this run's numbers."""
    teacher, training, comparison = results.teacher, results.training, results.comparison
    collected = f"{teacher.completions} completions" if teacher else "not run"
    examples = f"{training.examples['train']} examples" if training else "not run"
    steps = f"{training.steps} steps" if training else "not run"
    judged = f"{len(comparison.prompts)} test prompts" if comparison else "not run"
    answering = " / ".join(comparison.roles if comparison else MODELS)
    verdict = re.sub(r"[^\w ,.-]", "", comparison.verdict) if comparison else "not run"
    return f"""flowchart LR
    prompts[Prompts] -->|collect| completions["Teacher data: {collected}"]
    completions -->|encode| examples["{examples}"]
    examples -->|train| adapter["Adapter: {steps}"]
    heldout["{judged}"] -->|generate| answers[{answering}]
    adapter --> answers
    answers -->|check and judge| verdict["Verdict: {verdict}"]
    verdict -->|report| charts[Charts, RESULTS.md]
"""


def making(results: Results) -> Section:
    parts = [_pipeline(results), _collecting(results), choice(results), _training(results)]
    parts += [_comparison(results), _cost(results)]
    parts += [_machine(results), _heldout(results), _more_answers(results), previous(results)]
    return Section("making", "How it was made", sections=parts)


def _pipeline(results: Results) -> Section:
    rows = [(name, duration(seconds)) for name, seconds in results.run.stages.items()]
    return Section("time", "Stages", [Diagram(pipeline_diagram(results)), Facts(rows)])


def _collecting(results: Results) -> Section:
    teacher = results.teacher
    if teacher is None:
        return Section("teacher", "Teacher")
    counted = teacher.input_tokens + teacher.output_tokens > 0
    facts = [
        ("Teacher", teacher.spec),
        ("Models", ", ".join(teacher.models)),
        ("Prompts", counts(teacher.prompts)),
        ("Completions", f"{teacher.completions:,}"),
        ("Left out of training", counts(teacher.left_out) or "none"),
        ("Tokens in / out", f"{teacher.input_tokens:,} / {teacher.output_tokens:,}" if counted else "not counted"),
    ]
    return Section("teacher", "Teacher", [Facts(facts)])


def choice(results: Results) -> Section:
    """Which answers were trained on, and how they differ from the teacher's first ones."""
    chosen = results.choice
    if chosen is None:
        return Section("choice", "Choice among answers")
    own = f"Its own, distilled in {chosen.answers_of}" if chosen.answers_of else "The student's own"
    sides = (("The teacher's answers", chosen.teacher), (own, chosen.student))
    facts = [
        ("Rule", chosen.rule),
        *((name, choice_source(side, chosen.prompts)) for name, side in sides if side.candidates),
        ("Prompts without a choice", counts(chosen.left_out) or "none"),
    ]
    if chosen.nats and chosen.tokens:
        facts.append(("Nats a token under the base", against_first(chosen.nats, 2)))
        facts.append(("Tokens of an answer", against_first(chosen.tokens, 0)))
    return Section("choice", "Choice among answers", [Facts([*facts, ("Cost of all answers", _cost_of(chosen))])])


def _cost_of(chosen: AnswerChoice) -> str:
    return "nothing" if chosen.teacher.usd is None else money(chosen.teacher.usd)


def trained(training: Training) -> str:
    """Which weights, and how."""
    layers = "all layers" if training.layers == "all" else f"the top {training.layers} layers"
    if training.fine_tune == "full":
        return f"every weight of {layers}"
    kind = {"lora": "LoRA", "dora": "DoRA"}.get(training.fine_tune, training.fine_tune)
    return f"{kind} of rank {training.rank} and scale {training.scale:g} on {layers}"


def _training(results: Results) -> Section:
    training = results.training
    if training is None:
        return Section("training", "Training")
    some, total, speed = training.trainable_parameters, training.total_parameters, training.tokens_per_second
    facts = [
        ("Student", training.student),
        ("Trained", trained(training)),
        ("Trainable parameters", f"{some:,} of {total:,} ({some / total:.2%})"),
        ("Examples", counts(training.examples)),
        *dataset(training.dataset),
        *_replay(training),
        ("Epochs, steps", f"{training.epochs:g}, {training.steps}{' (stopped early)' * training.stopped_early}"),
        ("Learning rate, batch size", f"{training.learning_rate:g}, {training.batch_size}"),
        ("Time in steps", duration(training.seconds) + (f", {speed:,.0f} scored tokens/s" if speed else "")),
        ("Peak memory", f"{training.peak_memory_bytes / 2**30:.2f} GiB"),
        ("Kept", f"step {training.best_step}"),
    ]
    return Section("training", "Training", [Facts(facts)])


def _replay(training: Training) -> list[tuple[str, str]]:
    replay = training.replay
    if replay is None:
        return []
    answers = f"{replay.examples} of the base's answers to the prompts `{replay.prompts}`"
    words = f"{replay.share:.0%} of each batch's tokens, {replay.tokens:,} in all, from {answers}"
    return [("Replay", f"{words}; weight {replay.kl_coef:g}")]


def _drift(training: Training) -> list[Block]:
    drift = training.drift
    if drift is None:
        return []
    rows = [
        (title, "0", estimate(measure.best, 3), estimate(measure.last, 3))
        for title, measure in (("On held-out answers", drift.own), ("On general prompts", drift.general))
    ]
    words = (
        f"{drift_in_words(training)}. Drift is KL(base ‖ student), in nats per token; the less, the less is forgotten."
    )
    return [Line(words), Table(("Drift", "base", "kept", "last step"), rows)]


def _heldout(results: Results) -> Section:
    training = results.training
    if training is None:
        return Section("heldout", "Likeness to the teacher")
    rows = [
        (title, *(estimate(value, 3) for value in (measure.base, measure.best, measure.last)))
        for title, measure in (("Held-out loss", training.heldout_loss), ("Token accuracy", training.token_accuracy))
    ]
    change = estimate(training.heldout_loss.change, 3, "+")
    words = f"On {training.heldout_prompts} prompts that were not trained on (change of the loss: {change}):"
    table = Table(("", "base", "kept", "last step"), rows)
    return Section("heldout", "Likeness to the teacher", [Line(words), table, *_drift(training)])


def _comparison(results: Results) -> Section:
    comparison = results.comparison
    if comparison is None:
        return Section("comparison", "Comparison")
    facts = [
        ("Judges", ", ".join(comparison.judges)),
        ("Answers", answers_made(comparison)),
        ("Repeats", str(comparison.repeats)),
        ("Judgments", f"{comparison.judgments:,}, {comparison.unscored.answers} unscored"),
        ("Pairs judged", f"{comparison.pairs_judged:,}, {comparison.unscored.pairs} unscored"),
        ("Sandbox", ", ".join(comparison.checks.sandbox) or "no checks were run"),
    ]
    return Section("comparison", "Comparison", [Facts(facts)])


def _cost(results: Results) -> Section:
    teacher, comparison = results.teacher, results.comparison
    paid = [("Teacher", teacher.usd)] if teacher else []
    paid += [("Judges", comparison.judge_usd)] if comparison else []
    facts = [(name, "nothing" if usd is None else money(usd)) for name, usd in paid]
    if teacher and teacher.usd is not None:
        facts.append(("Prices of", teacher.prices_dated))
    return Section("cost", "Cost", [Facts(facts)])


def _more_answers(results: Results) -> Section:
    rows = results.cost_scaling
    blocks: list[Block] = [Line(f"Basis: {rows[0].basis}."), cost_table(results)] if rows else []
    return Section("more-answers", "Cost of more answers", blocks)


def cost_table(results: Results) -> Table:
    rows = [(row.label, f"{row.prompts:,}", dollars(row.usd), dollars(row.usd_batch)) for row in results.cost_scaling]
    return Table(("", "prompts", "one by one, USD", "as batches, USD"), rows)


def _machine(results: Results) -> Section:
    run, hardware = results.run, results.run.hardware
    memory = f", {hardware.memory_bytes / 2**30:.0f} GiB" if hardware.memory_bytes else ""
    facts = [
        ("Date", run.created[:16].replace("T", " ")),
        ("Preset, seed", f"{run.preset}, {run.seed}"),
        ("Hardware", f"{hardware.chip}, {hardware.cores} cores{memory}"),
        ("System", f"{hardware.os}, {hardware.backend}, BLAS {hardware.blas or 'of MLX'}"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in run.versions.items() if version)),
    ]
    return Section("machine", "Machine and versions", [Facts(facts)])


# ---------------------------------------------------------------- the run before


def previous(results: Results) -> Section:
    """This run beside the one before it in the same folder."""
    before = results.previous
    if before is None:
        return Section("previous", "Previous run")
    now = history.summary(results)
    runs = (now, before)
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
    blocks: list[Block] = [Table(("", "this run", before.name), rows)]
    if care := incomparable(now, before):
        blocks.append(Line(care, "Not to be compared number by number:"))
    return Section("previous", "Previous run", blocks)


def incomparable(now: RunSummary, before: RunSummary) -> str:
    """Why two runs' numbers are on different scales; "" where they are on one."""
    ways = (("judges", now.judges, before.judges), ("samples", now.samples, before.samples))
    differing = [name for name, mine, other in ways if mine != other]
    return f"{' and '.join(differing)} differ." if differing else ""
