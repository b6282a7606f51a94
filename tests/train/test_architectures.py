"""A small random model of every architecture that mlx-lm loads is trained, and answers."""

import importlib
import json
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx_lm.models
import pytest

from mlx_distill.models.students import Student
from mlx_distill.models.students.batching import why_alone
from mlx_distill.models.students.generate import Decoding, generate
from mlx_distill.run.config import TrainingConfig
from mlx_distill.train.encode import Example
from mlx_distill.train.loop import train
from mlx_distill.train.trainee import attach

FILE = Path(__file__).with_name("architectures.jsonl")
"""A configuration for each: what most ask for (the first line), and what one asks for beside, or otherwise."""

LEFT_OUT = {
    "bitnet": "needs Metal",
    "olmo": "needs another package",
    "deepseek_v41": "mlx-lm's has no gradient",
    "recurrent_gemma": "mlx-lm's cannot be frozen",
    "phi3small": "mlx-lm's ends the process on the CPU",
    "rwkv7": "random weights have no gradient",
    "prism_hadamard_qwen35": "is only there packed",
    **dict.fromkeys(("gemma3n", "kimi_k3", "minimax_m3_vl", "muse_spark"), "has no small form here"),
}
ALONE = {
    "afm7",
    "bailing_moe_linear",
    "gemma2",
    "gpt_bigcode",
    "jamba",
    "llama4",
    "longcat_flash_ngram",
    "mamba",
    "olmo_hybrid",
}
"""Those whose batches fail or are wrong; see `students.batching`."""


@dataclass(frozen=True)
class Small(Student):
    """Its vocabulary is smaller than its tokenizer's."""

    def tokens(self, messages: Any) -> list[int]:
        return [3 + ord(character) % 200 for character in messages[-1]["content"]]


def configurations() -> dict[str, dict[str, Any]]:
    (_, shape), *rows = [json.loads(line).values() for line in FILE.read_text().splitlines()]
    named = {name: {"model_type": name} | shape | more for name, more in rows}
    modules = {module.name for module in pkgutil.iter_modules(mlx_lm.models.__path__)}
    others = {
        name: {"model_type": name} | shape for name in modules - set(named) if name not in LEFT_OUT and is_model(name)
    }
    return {name: config for name, config in (named | others).items() if name not in LEFT_OUT}


def is_model(name: str) -> bool:
    module = importlib.import_module(f"mlx_lm.models.{name}")
    return hasattr(module, "Model") and hasattr(module, "ModelArgs")


def small(config: dict[str, Any], tokenizer: Any) -> Student:
    kind = {"mistral": "llama"}.get(config["model_type"], config["model_type"])
    module = importlib.import_module(f"mlx_lm.models.{kind}")
    mx.random.seed(0)
    model = module.Model(module.ModelArgs.from_dict(config))
    model.eval()
    mx.eval(model.parameters())
    return Small(kind, Path(kind), model, tokenizer)


def tried(name: str, config: dict[str, Any], tokenizer: Any, folder: Path) -> str:
    """What went wrong; "" where nothing did."""
    examples = [Example(str(n), tuple(range(3 + n, 20 + 2 * n)), ((5, 17 + n),)) for n in range(6)]
    try:
        student = small(config, tokenizer)
        trainee = attach(student, TrainingConfig(layers=2, batch_size=2, steps=2, rank=4))
        first, *_, last = train(trainee, examples[:4], examples[4:], folder)
        prompts = {"a": "Hi", "b": "Name three rivers of Europe, please.", "c": "2 + 2?"}
        made = [answer for batch in generate(student, "base", prompts, Decoding("", 3, 3)) for answer in batch]
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if len(made) != 3 or first.valid_loss is None or last.valid_loss is None:
        return "it did not answer or was not measured"
    return "" if bool(why_alone(student, 3)) == (name in ALONE) else why_alone(student, 3) or "answers in batches now"


@pytest.mark.long
def test_every_architecture_can_be_trained_and_answers(smollm: Student, tmp_path: Path) -> None:
    found = {
        name: wrong
        for name, config in configurations().items()
        if (wrong := tried(name, config, smollm.tokenizer, tmp_path / name))
    }
    assert len(configurations()) > 100
    assert found == {}
