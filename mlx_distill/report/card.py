"""The model card of a distilled student: what a hub shows of it, whether to use it first of all.

In: results. Out: Markdown with a YAML front matter, as Hugging Face reads it
(https://huggingface.co/docs/hub/model-cards). Losses stand where gains do; nothing that others wrote is rendered.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from mlx_distill.models.students import STUDENTS
from mlx_distill.report.markdown import benchmarks, comparison, unfinished
from mlx_distill.report.markdown.selection import unreported
from mlx_distill.report.markdown_text import bullets, inline, section, strong, table
from mlx_distill.report.page.views import trained
from mlx_distill.run.records import MODELS
from mlx_distill.run.results import Results, Teacher
from mlx_distill.run.results.selection import Selection
from mlx_distill.run.results.training import Training
from mlx_distill.run.wording import NOTHING, capital, estimate, kept, plural, points, reason, worth

FOLDER, CHOSEN = "distilled-student", "kept-student"
"""Where a run keeps the adapter of its training, and the one that a selection chose."""

REPOSITORY = re.compile(r"\w[\w.-]*/[\w.-]+", re.ASCII)
TERMS = (
    "The teacher was Claude. Anthropic's terms restrict using Claude's outputs to train models without authorisation; "
    "whether you may train, use or share this model is for you to find out: https://www.anthropic.com/legal."
)


def model_card(results: Results) -> str:
    """README.md of the adapter; of one whose training is not finished without how it was made."""
    parts = [
        _front_matter(results),
        f"# {inline(results.run.name)}",
        unfinished(results),
        _verdict(results),
        _judged(results),
        _scores(results),
        _selected(results.selection),
        comparison.changes(results),
        comparison.caveats(results),
        _made(results, results.training) if results.training else "",
        _use(results.training) if results.training else "",
        section("Terms", TERMS if _from_claude(results.teacher) else ""),
        f"Written by mlx-distill {inline(results.run.versions.get('mlx-distill') or '')} from its results.json.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def card_folder(results: Results, run: Path) -> Path | None:
    """Of the adapter that the card describes; None where there is none."""
    chosen = results.selection.chosen if results.selection else None
    found = [run / name for name in ((CHOSEN, FOLDER) if chosen else (FOLDER,)) if (run / name).is_dir()]
    trained = results.training is not None or results.unfinished
    return found[0] if found and trained else None


def _front_matter(results: Results) -> str:
    """A base that is no repository of the hub has no place in it."""
    base = _repository(results.training) if results.training else ""
    lines = [f"base_model: {json.dumps(base)}", "base_model_relation: adapter"] if base else []
    lines += ["library_name: mlx", "pipeline_tag: text-generation", "license: other", "tags:"]
    tags = ["mlx", "lora", "distillation", "mlx-distill"]
    return "\n".join(["---", *lines, *(f"- {tag}" for tag in tags), "---"])


def _repository(training: Training) -> str:
    """On the hub, as its owner writes it; "" for a folder or a file."""
    student = STUDENTS.get(training.student, str(training.student))
    return student if REPOSITORY.fullmatch(student) and not student.endswith(".gguf") else ""


# ---------------------------------------------------------------- how good it is


def _verdict(results: Results) -> str:
    found = results.gate
    if found is None:
        return "**Not benchmarked:** nobody knows what this model lost against its base."
    return benchmarks.gate(results)


def _judged(results: Results) -> str:
    found = results.comparison
    if found is None:
        return ""
    return (
        f"Judged against its base on {plural(found.n, 'test prompt')}: {inline(found.verdict)} "
        f"({inline(found.verdict_in_words)})."
    )


def _scores(results: Results) -> str:
    rows = [
        (
            inline(row.title),
            row.n,
            *(points(row.of(role)) for role in MODELS),
            points(row.difference, sign="+"),
            NOTHING if row.gained is None else f"{row.gained} / {row.lost}",
            "; ".join(filter(None, (strong(row.verdict), worth(row)))),
        )
        for row in results.benchmarks
    ]
    header = ("Benchmark", "n", "base, %", "this model, %", "difference", "gained / lost", "verdict")
    words = "Brackets are 95 % intervals. No difference shown is not the same as no difference."
    return section("Benchmarks", table(header, rows), words) if rows else ""


def _selected(found: Selection | None) -> str:
    """Which candidate the adapter is."""
    if not found:
        return ""
    words = f"**{kept(found)}.** {inline(capital(reason(found)))}."
    if found.chosen is None:
        words += (
            f" Use the base: this adapter is step {found.heldout_best} at full strength, which has the lowest "
            "held-out loss, and was not chosen."
        )
    else:
        words += " The strength is folded into the adapter's own weights: load it as it is, at its full scale."
    return section("Which checkpoint this is", words, unreported(found))


# ---------------------------------------------------------------- how it was made


def _made(results: Results, training: Training) -> str:
    teacher = results.teacher
    loss, examples = training.heldout_loss, training.examples
    counts = ", ".join(f"{count:,} {inline(name)}" for name, count in examples.items())
    lines = [
        f"Student: {inline(_repository(training) or training.student)}",
        f"Teacher: {', '.join(inline(model) for model in teacher.models)}" if teacher else "Teacher: not known",
        f"Examples: {counts}",
        f"Trained: {inline(trained(training))}; {training.trainable_parameters:,} of "
        f"{training.total_parameters:,} parameters",
        f"Settings: {training.epochs:g} epochs, {plural(training.steps, 'step')}, learning rate "
        f"{training.learning_rate:g}, batch size {training.batch_size}, seed {results.run.seed}",
    ]
    lines.append(f"Held-out loss: {estimate(loss.base, 3)} → {estimate(loss.best, 3)} nats per token")
    return section("How it was made", bullets(lines))


def _use(training: Training) -> str:
    base = _repository(training)
    words = "" if base else "Put the base model that it was trained on where BASE stands.\n\n"
    command = f'mlx_lm.generate --model {base or "BASE"} --adapter-path . --prompt "..."'
    return section("How to use it", f"{words}```bash\npip install mlx-lm\n{command}\n```")


def _from_claude(teacher: Teacher | None) -> bool:
    named = [teacher.spec, *teacher.models] if teacher else []
    return any("claude" in str(name).casefold() for name in named)
