"""What a run would take, before anything starts: prompts, tokens, dollars, memory, time.

In: a configuration. Out: rows for a table. Bounds are computed; what cannot be known beforehand (how long answers
are, how fast this machine is) comes from earlier runs beside this one, or is called unknown.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlx_distill import prices, students
from mlx_distill.config import Config
from mlx_distill.promptset import heldout_prompts, stream_prompts
from mlx_distill.records import ROLES, Prompt
from mlx_distill.teachers import is_claude, is_traces

KNOWN_SHAPES: dict[str, dict[str, Any]] = {
    "qwen2.5-0.5b": {
        "hidden_size": 896,
        "num_hidden_layers": 24,
        "intermediate_size": 4864,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
    },
    "qwen2.5-1.5b": {
        "hidden_size": 1536,
        "num_hidden_layers": 28,
        "intermediate_size": 8960,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
    },
}
"""Published configurations of students that may not be on this machine yet."""

TYPICAL_TOKENS = 1000
"""Length of an example with an answer of a page or two."""

LOGIT_CHUNK_ROWS = 512
ACTIVATIONS_PER_LAYER = 14
"""Arrays of (tokens, dim) that one layer keeps for its backward pass, in multiples of dim: rough."""


def plan(config: Config, runs_folder: Path) -> list[tuple[str, str]]:
    """(what, how much) rows. Raises UsageError and DataError for prompts or models that are not there."""
    rows: list[tuple[str, str]] = []
    if config.training.data:
        rows.append(("Training data", config.training.data))
    asked = _Asked()
    for prompt in _prompts(config):
        asked.add(prompt)
    rows.append(("Prompts", ", ".join(f"{count:,} {split}" for split, count in asked.counts.items())))
    rows += _teaching(config, asked)
    rows += _judging(config, asked)
    rows += _memory(config)
    rows.append(("Training time", _time(config, asked, runs_folder)))
    return rows


class _Asked:
    """How many prompts there are, and how long they are."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.bytes = 0

    def add(self, prompt: Prompt) -> None:
        self.counts[prompt.split] += 1
        self.bytes += len(prompt.text.encode())


def _prompts(config: Config) -> Iterable[Prompt]:
    if config.training.data or is_traces(config.teacher.spec):
        return heldout_prompts(config.prompts, ("test",))
    return stream_prompts(config.prompts)


def _teaching(config: Config, asked: _Asked) -> list[tuple[str, str]]:
    count = asked.counts.total()
    tokens = asked.bytes + count * len(config.teacher.system.encode())
    if is_traces(config.teacher.spec):
        return [("Teacher", f"{config.teacher.spec}: existing answers, nothing is asked")]
    rows = [
        ("Teacher", config.teacher.spec),
        ("Tokens in, at most", f"{tokens:,}"),
        ("Tokens out, at most", f"{count * config.teacher.max_tokens:,}"),
    ]
    if not is_claude(config.teacher.spec):
        return [*rows, ("Teacher's cost", "nothing")]
    price = prices.price_of(config.teacher.spec, config.collect.price)
    size = tokens + count * prices.FRAME_TOKENS
    usage = prices.Usage(size, count * config.teacher.max_tokens)
    most = prices.cost(price, usage, batch=config.collect.batch)
    return [*rows, ("Teacher's cost, at most", f"${most:,.2f} (list prices of {prices.DATED})")]


def _judging(config: Config, asked: _Asked) -> list[tuple[str, str]]:
    judge = config.comparison.judge
    if not is_claude(judge):
        return [("Judge", judge), ("Judge's cost", "nothing")]
    questions = len(ROLES) * asked.counts["test"]
    tokens = questions * (config.comparison.max_tokens + 1000)
    bound = prices.list_cost(judge, tokens, questions * config.comparison.judge_max_tokens, config.collect.price)
    bound *= prices.BATCH_FACTOR if config.collect.batch else 1.0
    return [("Judge", f"{judge}, {questions} answers"), ("Judge's cost, about at most", f"${bound:,.2f}")]


def _memory(config: Config) -> list[tuple[str, str]]:
    shape = students.model_config(config.training.student) or KNOWN_SHAPES.get(config.training.student)
    if shape is None:
        return [("Memory", f"unknown: {config.training.student} is not on this machine yet")]
    weights = parameter_count(shape)
    adapter = adapter_count(shape, config.training.layers, config.training.rank)
    typical, most = (_training_bytes(config, shape, length) for length in (TYPICAL_TOKENS, config.training.window))
    return [
        ("Student", f"{config.training.student}, {weights / 1e6:,.0f} M weights"),
        ("Trainable parameters", f"{adapter:,}"),
        (
            "Training memory, about",
            f"{typical / 2**30:.1f} GiB for examples of {TYPICAL_TOKENS:,} tokens, "
            f"{most / 2**30:.1f} GiB if all filled the window of {config.training.window:,}",
        ),
    ]


def _training_bytes(config: Config, shape: dict[str, Any], length: int) -> int:
    """Weights, adapter with gradient and two moments, activations of one batch, one chunk of logits."""
    each = students.bytes_per_weight()
    layers = trained_layers(shape, config.training.layers)
    tokens = config.training.batch_size * length
    activations = tokens * layers * shape["hidden_size"] * ACTIVATIONS_PER_LAYER * each
    adapter = adapter_count(shape, config.training.layers, config.training.rank) * 4 * 4
    logits = 3 * LOGIT_CHUNK_ROWS * shape["vocab_size"] * 4
    return int(parameter_count(shape) * each + adapter + activations + logits)


def trained_layers(shape: dict[str, Any], layers: int | str) -> int:
    whole = int(shape["num_hidden_layers"])
    return whole if isinstance(layers, str) else min(layers, whole)


def parameter_count(shape: dict[str, Any]) -> int:
    """Weights of the matrices of a qwen2 or llama model, from its configuration."""
    layer = sum(rows * columns for rows, columns in _matrices(shape).values())
    embeddings = 1 if shape["tie_word_embeddings"] else 2
    return int(layer * shape["num_hidden_layers"] + embeddings * shape["vocab_size"] * shape["hidden_size"])


def adapter_count(shape: dict[str, Any], layers: int | str, rank: int) -> int:
    """LoRA parameters: rank · (rows + columns) for each matrix of each trained layer."""
    layers = trained_layers(shape, layers)
    return layers * sum(rank * (rows + columns) for rows, columns in _matrices(shape).values())


def _matrices(shape: dict[str, Any]) -> dict[str, tuple[int, int]]:
    dim, inner = shape["hidden_size"], shape["intermediate_size"]
    head = shape.get("head_dim") or dim // shape["num_attention_heads"]
    queries, keys = head * shape["num_attention_heads"], head * shape["num_key_value_heads"]
    return {
        "q": (queries, dim),
        "k": (keys, dim),
        "v": (keys, dim),
        "o": (dim, queries),
        "gate": (inner, dim),
        "up": (inner, dim),
        "down": (dim, inner),
    }


def _time(config: Config, asked: _Asked, runs_folder: Path) -> str:
    """From the tokens per second of the newest earlier run with this student, on this machine's runs folder."""
    known = _earlier(runs_folder, config.training.student)
    if known is None:
        return f"unknown: no earlier run with {config.training.student} in {runs_folder}"
    training, name = known
    examples = asked.counts["train"] or training["examples"]["train"]
    each = training["scored_tokens"] / max(1, training["epochs"] * training["examples"]["train"])
    minutes = examples * each * config.training.epochs / training["tokens_per_second"] / 60
    return f"about {minutes:.0f} minutes, at the {training['tokens_per_second']:.0f} scored tokens/s of {name}"


def _earlier(runs_folder: Path, student: str) -> tuple[dict[str, Any], str] | None:
    files = sorted(runs_folder.glob("*/results.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files:
        try:
            training = json.loads(path.read_text(encoding="utf-8"))["training"]
        except (OSError, ValueError, KeyError):
            continue
        if training and training["student"] == student and training["tokens_per_second"]:
            return training, path.parent.name
    return None
