"""How a run was made, in RESULTS.md: stages, teacher, training, cost, machine, and the run before it.

In: results. Out: sections, empty where a stage has not run; pipeline_diagram is a file of its own too.
"""

from __future__ import annotations

import re

from mlx_distill.report.markdown_text import inline, section, table
from mlx_distill.run.results import Results, RunSummary
from mlx_distill.run.results.training import Training
from mlx_distill.run.wording import NOTHING, dataset, dollars, duration, estimate, memory, money, percent
from mlx_distill.summarise import history


def pipeline_diagram(results: Results) -> str:
    """A Mermaid flow chart with this run's numbers."""
    teacher, training, comparison = results.teacher, results.training, results.comparison
    collected = f"{teacher.completions} completions" if teacher else "not run"
    examples = f"{training.examples['train']} examples" if training else "not run"
    steps = f"{training.steps} steps" if training else "not run"
    judged = f"{len(comparison.prompts)} test prompts" if comparison else "not run"
    verdict = re.sub(r"[^\w ,.-]", "", comparison.verdict) if comparison else "not run"
    return f"""flowchart LR
    prompts[Prompts] -->|collect| completions["Teacher data: {collected}"]
    completions -->|encode| examples["{examples}"]
    examples -->|train| adapter["Adapter: {steps}"]
    heldout["{judged}"] -->|generate| answers[teacher / base / distilled]
    adapter --> answers
    answers -->|check and judge| verdict["Verdict: {verdict}"]
    verdict -->|report| charts[Charts, RESULTS.md]
"""


def pipeline(results: Results) -> str:
    rows = [(inline(name), f"{seconds:,.1f}") for name, seconds in results.run.stages.items()]
    return section("Pipeline", f"```mermaid\n{pipeline_diagram(results)}```", table(("Stage", "Seconds"), rows))


def collecting(results: Results) -> str:
    teacher = results.teacher
    if teacher is None:
        return ""
    counted = teacher.input_tokens + teacher.output_tokens > 0
    tokens = f"{teacher.input_tokens:,} / {teacher.output_tokens:,}" if counted else "not counted"
    models = ", ".join(inline(model) for model in teacher.models)
    rows = [
        ("Teacher", f"{inline(teacher.spec)} ({models})"),
        ("Prompts", _counts(teacher.prompts)),
        ("Completions", f"{teacher.completions:,}"),
        ("Left out of training", _counts(teacher.left_out) or "none"),
        ("Tokens in / out", tokens),
        ("Cost", "nothing" if teacher.usd is None else money(teacher.usd)),
    ]
    return section("Step 1: collecting", table(("", ""), rows))


def _counts(found: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {inline(name)}" for name, count in found.items())


def _trained(training: Training) -> str:
    layers = training.layers
    where = "all layers" if layers == "all" else f"top {inline(layers)} layers"
    if training.fine_tune == "full":
        return f"every weight of the {where}"
    kind = {"lora": "LoRA", "dora": "DoRA"}.get(training.fine_tune, inline(training.fine_tune))
    return f"{kind} of rank {training.rank} and scale {training.scale:g} on the {where}"


def _settings(training: Training) -> list[tuple[str, str]]:
    trained, total = training.trainable_parameters, training.total_parameters
    early = " (stopped early)" if training.stopped_early else ""
    speed = training.tokens_per_second
    return [
        ("Student", inline(training.student)),
        ("Trainable parameters", f"{trained:,} of {total:,} ({trained / total:.2%})"),
        ("Examples", _counts(training.examples)),
        *((name, inline(words)) for name, words in dataset(training.dataset)),
        ("Trained", _trained(training)),
        ("Epochs, steps", f"{training.epochs:g}, {training.steps}{early}"),
        ("Time in steps", duration(training.seconds) + (f", {speed:,.0f} scored tokens/s" if speed else "")),
        ("Peak memory", f"{training.peak_memory_bytes / 2**30:.2f} GiB"),
        ("Kept", f"step {training.best_step}"),
    ]


def training(results: Results) -> str:
    found = results.training
    if found is None:
        return ""
    measured = [
        (title, *(estimate(value, 3) for value in (measure.base, measure.best, measure.last)))
        for title, measure in (("Held-out loss", found.heldout_loss), ("Token accuracy", found.token_accuracy))
    ]
    change = estimate(found.heldout_loss.change, 3, "+")
    return section(
        "Step 2: training",
        table(("", ""), _settings(found)),
        f"On {found.heldout_prompts} prompts that were not trained on (change of the loss: {change}):",
        table(("", "base", "kept", "last step"), measured),
    )


def cost(results: Results) -> str:
    rows = results.cost_scaling
    usd = results.comparison.judge_usd if results.comparison else None
    judged = "" if usd is None else f"The judges' answers cost {money(usd)} when they were first asked for."
    if not rows:
        return section("Cost", judged)
    cells = [(inline(row.label), f"{row.prompts:,}", dollars(row.usd), dollars(row.usd_batch)) for row in rows]
    scaled = table(("", "Prompts", "Online, USD", "Batch, USD"), cells)
    return section("Cost at scale", f"Basis: {inline(rows[0].basis)}.", scaled, judged)


def environment(results: Results) -> str:
    run = results.run
    hardware = run.hardware
    versions = ", ".join(f"{inline(name)} {inline(version)}" for name, version in run.versions.items() if version)
    rows = [
        ("Date", inline(run.created)),
        ("Preset, seed", f"{inline(run.preset)}, {run.seed}"),
        ("Hardware", f"{inline(hardware.chip)}, {hardware.cores} cores, {memory(hardware.memory_bytes)}"),
        ("System", inline(f"{hardware.os}, {hardware.backend}, BLAS {hardware.blas or 'of MLX'}")),
        ("Versions", versions),
    ]
    return section("Machine and versions", table(("", ""), rows))


# ---------------------------------------------------------------- other runs


def previous(results: Results) -> str:
    """This run beside the one before it in the same folder."""
    before = results.previous
    if before is None:
        return ""
    now = history.summary(results)
    names = [*dict.fromkeys([*now.dimensions, *before.dimensions])]
    rows = [
        *_what(now, before),
        ("Preferred to its base", *(percent(run.preference) for run in (now, before))),
        *(
            (f"{inline(name)}, distilled", *(estimate(run.dimensions.get(name)) for run in (now, before)))
            for name in names
        ),
        ("Cost of teacher and judges", *(money(run.usd) for run in (now, before))),
        ("Time", *(duration(run.seconds) for run in (now, before))),
    ]
    other = [f"{what} differ" for what in ("judges", "samples") if getattr(now, what) != getattr(before, what)]
    care = f"Not to be compared number by number: {' and '.join(other)}." if other else ""
    return section("Previous run", table(("", "this run", inline(before.name)), rows), care)


def _what(now: RunSummary, before: RunSummary) -> list[tuple[str, ...]]:
    return [
        ("Date", *(inline(run.created) for run in (now, before))),
        ("Preset", *(inline(run.preset) for run in (now, before))),
        ("Student, epochs", *(_student(run) for run in (now, before))),
        ("Verdict", *(inline(run.verdict or NOTHING) for run in (now, before))),
        ("Held-out loss, kept", *(estimate(run.heldout_loss.best, 3) for run in (now, before))),
    ]


def _student(run: RunSummary) -> str:
    return NOTHING if run.student is None else f"{inline(run.student)}, {run.epochs:g}"


def self_check(results: Results) -> str:
    found = results.self_check
    if found is None:
        return ""
    words = f"{inline(found.verdict)} (n = {found.n}; {inline(found.verdict_in_words)})"
    return section("Self-check", f"The base compared with itself, by the same means: {words}.")
