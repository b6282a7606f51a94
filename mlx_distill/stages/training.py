"""The stage that trains: conversations in, the student's adapter and its metrics out.

In: teacher_data.jsonl or the user's own chat file. Out: distilled-student/, metrics.jsonl, training.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlx_distill import environment
from mlx_distill.config import TrainingConfig
from mlx_distill.errors import DataError
from mlx_distill.promptset import load_prompts
from mlx_distill.records import Completion, Conversation, Prompt, StepMetrics, digest
from mlx_distill.stages import ADAPTER, Job

if TYPE_CHECKING:
    from mlx_distill.students import Student
    from mlx_distill.students.adapter import Adapter
    from mlx_distill.train import SplitModel
    from mlx_distill.train.encode import Example


def _conversations(job: Job) -> list[Conversation]:
    from mlx_distill.train import load_conversations, refuse_leaks

    if job.config.training.data:
        conversations = load_conversations(Path(job.config.training.data), job.config.training.seed)
        refuse_leaks(conversations, load_prompts(job.config.prompts))
        return conversations
    return _collected(job)


def collected_digest(job: Job) -> str:
    """Of what is trained on and held out; the test prompts' answers do not count, so they may change."""
    return digest(repr(conversation) for conversation in _collected(job))


def _collected(job: Job) -> list[Conversation]:
    """What is trained on and held out: dataset.json says which answers are left out of training."""
    split = {prompt.id: prompt.split for prompt in job.run.stream("prompts.jsonl", Prompt)}
    completions = job.run.read("teacher_data.jsonl", Completion)
    if not completions:
        raise DataError(f"{job.run.path} has no teacher_data.jsonl: run `mlx-distill collect` first.")
    left_out = job.run.read_json("dataset.json")["left_out_lines"]
    return [
        Conversation(answer.prompt_id, _turns(answer, job.config.training), split[answer.prompt_id])
        for line, answer in enumerate(completions, 1)
        if str(line) not in left_out and split[answer.prompt_id] != "test"
    ]


def _turns(answer: Completion, config: TrainingConfig) -> tuple[dict[str, str], ...]:
    text = answer.trained(config.thinking)
    return ({"role": "user", "content": answer.prompt}, {"role": "assistant", "content": text})


def write_environment(job: Job) -> None:
    """The machine that trains; a report drawn again elsewhere keeps it."""
    job.run.write_json("environment.json", environment.describe() | {"seed": job.config.training.seed})


def train(job: Job) -> None:
    from mlx_distill import students
    from mlx_distill import train as training
    from mlx_distill.students import adapter as adapters

    config, folder = job.config.training, job.run / ADAPTER
    write_environment(job)
    conversations = _conversations(job)
    job.view.note(f"Loading {config.student}")
    student = students.load(config.student)
    parts = {
        split: training.encode_all(
            [c for c in conversations if c.split == split], student, config.system, config.window
        )
        for split in ("train", "valid")
    }
    adapter = adapters.attach(student.model, config)
    job.view.note(
        f"{adapter.parameter_count():,} trainable parameters of {adapters.total_parameters(student.model):,}; "
        f"{len(parts['train'])} examples, {sum(e.scored_count for e in parts['train']):,} scored tokens an epoch"
    )
    split = training.SplitModel(student.model, adapter.layers)
    steps = -(-len(parts["train"]) // config.batch_size) * config.epochs
    kept: list[StepMetrics] | None = None
    with job.view.tracking("train", steps) as update:
        for metrics in training.train(student, split, adapter, parts["train"], parts["valid"], config, folder):
            if kept is None:
                known = job.run.read_resumable("metrics.jsonl", StepMetrics)
                kept = [row for row in known if row.step < metrics.step]
                job.run.write_records("metrics.jsonl", kept)
            job.run.append("metrics.jsonl", metrics)
            update(metrics.step, describe_step(metrics))
    adapter.set_weights(adapters.read_weights(folder))
    job.run.write_json("training.json", _training_summary(student, split, adapter, parts, config))


def _training_summary(
    student: Student,
    split: SplitModel,
    adapter: Adapter,
    parts: dict[str, list[Example]],
    config: TrainingConfig,
) -> dict[str, Any]:
    """training.json: counts, lengths, and for each held-out example (nats, hits, tokens) of base and best."""
    from mlx_distill.students.adapter import total_parameters
    from mlx_distill.train import evaluate

    best = evaluate(split, parts["valid"], config)
    adapter.switch(False)
    base = evaluate(split, parts["valid"], config)
    lengths = [(len(example.tokens), example.scored_count) for part in parts.values() for example in part]
    return {
        "trainable_parameters": adapter.parameter_count(),
        "total_parameters": total_parameters(student.model),
        "examples": {name: len(examples) for name, examples in parts.items()},
        "tokens": [[length - scored, scored] for length, scored in lengths],
        "heldout": {"ids": [example.id for example in parts["valid"]], "base": base, "best": best},
    }


def describe_step(metrics: StepMetrics) -> str:
    loss = "" if metrics.loss is None else f"loss {metrics.loss:.3f}  {metrics.tokens_per_second:.0f} tok/s"
    heldout = "" if metrics.valid_loss is None else f"  held-out loss {metrics.valid_loss:.3f}"
    return f"{loss}{heldout}".strip()
