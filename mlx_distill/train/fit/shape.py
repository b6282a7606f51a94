"""What a student is made of, from its config.json and the headers of its weight files: no weight is read.

In: a student's name. Out: a Shape, or None where it is not on this machine and nobody has published one here. Other
architectures than llama's and qwen's are taken as if they were built like these, as far as they name the same parts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlx_distill.models import students
from mlx_distill.models.students.files import read_config
from mlx_distill.run.config import TrainingConfig, is_target

CUTTABLE = frozenset({"llama", "mistral", "olmo2", "phi3", "qwen2", "qwen3", "smollm3"})
"""Model types that are known to be embeddings, equal layers, a norm and a head: these train in parts."""

MOST_HEADER = 1 << 27
"""Bytes of a safetensors header that are read, whatever a damaged file says."""

_QWEN2 = {"model_type": "qwen2", "vocab_size": 151936, "num_key_value_heads": 2, "tie_word_embeddings": True}

KNOWN_SHAPES: dict[str, dict[str, Any]] = {
    "qwen2.5-0.5b": _QWEN2
    | {"hidden_size": 896, "num_hidden_layers": 24, "intermediate_size": 4864, "num_attention_heads": 14},
    "qwen2.5-1.5b": _QWEN2
    | {"hidden_size": 1536, "num_hidden_layers": 28, "intermediate_size": 8960, "num_attention_heads": 12},
    "smollm2-135m": {
        "model_type": "llama",
        "hidden_size": 576,
        "num_hidden_layers": 30,
        "intermediate_size": 1536,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
        "tie_word_embeddings": True,
    },
}
"""Published configurations of students that may not be on this machine yet."""


@dataclass(frozen=True)
class Shape:
    """`stored`: bytes of a floating-point weight as it is stored. `bits` and `group` of packed weights, 0 where they
    are not. `floats`, `packed`: floating-point weights in the files, and bytes of packed ones; 0 without files."""

    family: str
    dim: int
    layers: int
    inner: int
    heads: int
    kv_heads: int
    head: int
    vocabulary: int
    tied: bool
    stored: int
    bits: int = 0
    group: int = 0
    floats: int = 0
    packed: int = 0

    @property
    def cuttable(self) -> bool:
        return self.family in CUTTABLE

    @property
    def queries(self) -> int:
        return self.heads * self.head

    @property
    def keys(self) -> int:
        return self.kv_heads * self.head

    def matrices(self) -> dict[str, tuple[int, int]]:
        """(rows, columns) of a layer's linear modules, by the names that mlx-lm gives them."""
        dim, inner, queries, keys = self.dim, self.inner, self.queries, self.keys
        return {
            "self_attn.q_proj": (queries, dim),
            "self_attn.k_proj": (keys, dim),
            "self_attn.v_proj": (keys, dim),
            "self_attn.o_proj": (dim, queries),
            "mlp.gate_proj": (inner, dim),
            "mlp.up_proj": (inner, dim),
            "mlp.down_proj": (dim, inner),
        }

    def layer_weights(self) -> int:
        return sum(rows * columns for rows, columns in self.matrices().values())

    def weights(self) -> int:
        """Of all matrices."""
        embeddings = 1 if self.tied else 2
        return self.layer_weights() * self.layers + embeddings * self.vocabulary * self.dim


def find(student: str) -> Shape | None:
    """Raises DataError for a student that does not exist."""
    folder = students.model_folder(student)
    if folder is None:
        return shape_of(KNOWN_SHAPES.get(student, {}))
    return shape_of(read_config(folder), folder)


def shape_of(config: Mapping[str, Any], folder: Path | None = None) -> Shape | None:
    """None where config.json does not name the parts."""
    try:
        heads = int(config["num_attention_heads"])
        quantised = config.get("quantization") or {}
        floats, packed = _in_files(folder)
        return Shape(
            family=str(config["model_type"]),
            dim=int(config["hidden_size"]),
            layers=int(config["num_hidden_layers"]),
            inner=int(config["intermediate_size"]),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head=int(config.get("head_dim") or config["hidden_size"] // heads),
            vocabulary=int(config["vocab_size"]),
            tied=bool(config.get("tie_word_embeddings", True)),
            stored=4 if (config.get("torch_dtype") or config.get("dtype")) == "float32" else 2,
            bits=int(quantised.get("bits", 0)),
            group=int(quantised.get("group_size", 0)),
            floats=floats,
            packed=packed,
        )
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
        return None


def _in_files(folder: Path | None) -> tuple[int, int]:
    """(floating-point numbers, bytes of the rest), from the headers alone; zeros where they cannot be read."""
    floats = packed = 0
    try:
        for path in sorted(folder.glob("model*.safetensors")) if folder else ():
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(min(length, MOST_HEADER)))
            for entry in (entry for name, entry in header.items() if name != "__metadata__"):
                start, stop = entry["data_offsets"]
                if entry["dtype"].startswith(("F", "BF")):
                    floats += math.prod(entry["shape"])
                else:
                    packed += stop - start
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return 0, 0
    return floats, packed


def trained_layers(shape: Shape, layers: int | str) -> int:
    return shape.layers if isinstance(layers, str) else min(layers, shape.layers)


def targeted(shape: Shape, config: TrainingConfig) -> dict[str, tuple[int, int]]:
    """The matrices of a layer that are trained."""
    matrices = shape.matrices()
    if not config.targets or config.fine_tune == "full":
        return matrices
    return {name: size for name, size in matrices.items() if any(is_target(target, name) for target in config.targets)}


def trainable(shape: Shape, config: TrainingConfig) -> int:
    """Trained numbers: LoRA has rank · (rows + columns) for each matrix, DoRA a magnitude for each row beside."""
    sizes = targeted(shape, config).values()
    if config.fine_tune == "full":
        biases = shape.queries + 2 * shape.keys if shape.family == "qwen2" else 0
        each = shape.layer_weights() + 2 * shape.dim + biases
    else:
        each = sum(config.rank * (rows + columns) for rows, columns in sizes)
        each += sum(rows for rows, _ in sizes) if config.fine_tune == "dora" else 0
    return trained_layers(shape, config.layers) * each
