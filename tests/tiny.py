"""A random model of a few thousand weights with a real tokenizer: for what does not depend on what a model knows."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_lm.models import llama

from mlx_distill.models.students import Student

DIM, LAYERS, HEADS, INNER, VOCABULARY = 32, 4, 4, 64, 49152


def tiny(smollm: Student, *, seed: int = 0, bits: int | None = None, dtype: Any = mx.float32) -> Student:
    """A student of its own: tests may do to it what they like."""
    mx.random.seed(seed)
    shape = llama.ModelArgs(
        model_type="llama",
        hidden_size=DIM,
        num_hidden_layers=LAYERS,
        intermediate_size=INNER,
        num_attention_heads=HEADS,
        num_key_value_heads=2,
        rms_norm_eps=1e-5,
        vocab_size=VOCABULARY,
        tie_word_embeddings=True,
    )
    model: Any = llama.Model(shape)
    if bits:
        nn.quantize(model, group_size=32, bits=bits)
    model.set_dtype(dtype)
    model.eval()
    mx.eval(model.parameters())
    return Student("tiny", Path("tiny"), model, smollm.tokenizer)


def tiny_folder(smollm: Student, folder: Path) -> Path:
    """The same on disk, as `--student FOLDER` takes it."""
    student = tiny(smollm)
    shutil.copytree(smollm.folder, folder, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    shape = {name: value for name, value in dataclasses.asdict(student.model.args).items() if value is not None}
    (folder / "config.json").write_text(json.dumps(shape))
    mx.save_safetensors(str(folder / "model.safetensors"), dict(tree_flatten(student.model.parameters())))
    return folder
