"""The model card of a distilled student: what a hub shows of it, whether to use it first of all.

In: results. Out: Markdown with a YAML front matter, as Hugging Face reads it
(https://huggingface.co/docs/hub/model-cards). Losses stand where gains do; nothing that others wrote is rendered.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from mlx_distill.models.students import STUDENTS
from mlx_distill.report.document import Bullets, Line, Section
from mlx_distill.report.markdown import document, line, section
from mlx_distill.report.markdown_text import inline
from mlx_distill.report.sections import benchmarks, comparison, findings, making, selection
from mlx_distill.run.results import Results, Teacher
from mlx_distill.run.results.selection import Selection
from mlx_distill.run.results.training import Training
from mlx_distill.run.wording import counts, estimate, plural

FOLDER, CHOSEN = "distilled-student", "kept-student"
"""Where a run keeps the adapter of its training, and the one that a selection chose."""

REPOSITORY = re.compile(r"\w[\w.-]*/[\w.-]+", re.ASCII)
TERMS = (
    "The teacher was Claude. Anthropic's terms restrict using Claude's outputs to train models without authorisation; "
    "whether you may train, use or share this model is for you to find out: https://www.anthropic.com/legal."
)
NOT_BENCHMARKED = "**Not benchmarked:** nobody knows what this model lost against its base."


def model_card(results: Results) -> str:
    """README.md of the adapter; of one whose training is not finished without how it was made."""
    parts = [
        _front_matter(results),
        f"# {inline(results.run.name)}",
        *map(line, findings.beforehand(results)),
        section(findings.gate_section(results)) or f"{NOT_BENCHMARKED}",
        section(findings.verdict_section(results)) if results.comparison else "",
        section(benchmarks.scores(results)),
        section(comparison.prompted(results)),
        section(_selected(results.selection)),
        section(findings.changes_section(results)),
        section(findings.warnings_section(results)),
        section(_made(results)),
        _use(results.training) if results.training else "",
        f"## Terms\n\n{TERMS}" if _from_claude(results.teacher) else "",
        f"Written by mlx-distill {inline(results.run.versions.get('mlx-distill') or '')} from its results.json.",
    ]
    return document(parts)


def card_folder(results: Results, run: Path) -> Path | None:
    """Of the adapter that the card describes; None where there is none."""
    chosen = results.selection and results.selection.chosen
    folders = [run / name for name in ((CHOSEN, FOLDER) if chosen else (FOLDER,)) if (run / name).is_dir()]
    trained = results.training is not None or results.unfinished
    return folders[0] if folders and trained else None


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


# ---------------------------------------------------------------- what it is


def _selected(chosen: Selection | None) -> Section:
    """Which candidate the adapter is."""
    if not chosen:
        return Section("selected", "Which checkpoint this is")
    if chosen.chosen is None:
        words = (
            f"Use the base: this adapter is step {chosen.heldout_best} at full strength, which has the lowest held-out "
            "loss, and was not chosen."
        )
    else:
        words = "The strength is folded into the adapter's own weights: load it as it is, at its full scale."
    lines = [selection.headline(chosen), Line(words), Line(selection.unreported(chosen))]
    return Section("selected", "Which checkpoint this is", lines)


def _made(results: Results) -> Section:
    training, teacher = results.training, results.teacher
    if training is None:
        return Section("made", "How it was made")
    loss = training.heldout_loss
    facts = [
        ("Student", _repository(training) or training.student),
        ("Teacher", ", ".join(teacher.models) if teacher else "not known"),
        ("Examples", counts(training.examples)),
        ("Trained", f"{making.trained(training)}; {training.trainable_parameters:,} of "
         f"{training.total_parameters:,} parameters"),
        ("Settings", f"{training.epochs:g} epochs, {plural(training.steps, 'step')}, learning rate "
         f"{training.learning_rate:g}, batch size {training.batch_size}, seed {results.run.seed}"),
        ("Held-out loss", f"{estimate(loss.base, 3)} → {estimate(loss.best, 3)} nats per token"),
    ]  # fmt: skip
    return Section("made", "How it was made", [Bullets([Line(text, f"{name}:") for name, text in facts])])


def _use(training: Training) -> str:
    base = _repository(training)
    words = "" if base else "Put the base model that it was trained on where BASE stands.\n\n"
    command = f'mlx_lm.generate --model {base or "BASE"} --adapter-path . --prompt "..."'
    return f"## How to use it\n\n{words}```bash\npip install mlx-lm\n{command}\n```"


def _from_claude(teacher: Teacher | None) -> bool:
    named = [teacher.spec, *teacher.models] if teacher else []
    return any("claude" in str(name).casefold() for name in named)
