"""Turns a GGUF file of the qwen2 or llama family into a model folder that mlx-lm loads.

In: one .gguf file. Out: a cached folder with config.json, model.safetensors and the tokenizer, named by the
file's hash. The trade-off: quantised weights are stored as bfloat16, whose rounding (2^-9) is a thirtieth of a
4-bit step, so that the folder costs two bytes a weight and trains like any other. Format: the GGUF
specification v3 of the ggml project.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from mlx_distill.models.students.cache import converted_folder
from mlx_distill.models.students.gguf_counts import check_counts
from mlx_distill.models.students.gguf_tokenizer import write_tokenizer
from mlx_distill.run.errors import DataError

TENSOR_TYPES = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K")

HEADER = 24
"""Bytes of magic, version and counts, with which every GGUF file begins."""

NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def convert(path: Path) -> Path:
    """The model folder of a GGUF file, converted at first use.

    Raises DataError when the file is corrupt, of another family, or holds a tensor type that is not supported.
    """
    target = converted_folder(path)
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        _write_model(_open(path), path, work)
        if not target.is_dir():
            work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def _open(path: Path) -> Any:
    """Whatever the reader stumbles over is the file's fault: it comes from others."""
    from gguf import GGUFReader

    with path.open("rb") as file:
        start = file.read(HEADER)
    if len(start) < HEADER or start[:4] != b"GGUF":
        raise DataError(f"{path} is not a GGUF file: download it again.")
    if int.from_bytes(start[4:8], "little") > int.from_bytes(start[4:8], "big"):
        raise DataError(f"{path} is a big-endian GGUF file, for other processors: download the little-endian one.")
    check_counts(path)
    try:
        return GGUFReader(path)
    except Exception as error:
        raise DataError(f"{path} is damaged or cut short ({type(error).__name__}): download it again.") from error


def _write_model(reader: Any, path: Path, folder: Path) -> None:
    try:
        metadata = {name: field.contents() for name, field in reader.fields.items()}
        _refuse_a_part(metadata, path)
        config = _config(metadata, {tensor.name for tensor in reader.tensors}, path)
        _check_sizes(config, len(reader.tensors))
        weights = _weights(reader, config, path)
        config["vocab_size"] = weights["model.embed_tokens.weight"].shape[0]
        write_tokenizer(metadata, folder, path)
    except DataError:
        raise
    except Exception as error:  # tokenizers has none of its own
        raise DataError(
            f"{path} lacks what a model needs ({type(error).__name__}: {error}): download it again."
        ) from error
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    (folder / "config.json").write_text(json.dumps(config, indent=1))


def _refuse_a_part(metadata: Mapping[str, Any], path: Path) -> None:
    parts = int(metadata.get("split.count", 1))
    if parts > 1:
        raise DataError(
            f"{path} is part {int(metadata.get('split.no', 0)) + 1} of {parts} of a split GGUF file: join them with "
            "`llama-gguf-split --merge`, or use the model's hub id."
        )


def _config(metadata: Mapping[str, Any], tensors: set[str], path: Path) -> dict[str, Any]:
    """config.json in Hugging Face's terms, which mlx-lm reads."""
    family = metadata["general.architecture"]
    if family not in ("llama", "qwen2"):
        raise DataError(f"{path} is of the family {family!r}: only qwen2 and llama files can be read.")
    if "rope_freqs.weight" in tensors or metadata.get(f"{family}.rope.scaling.type", "none") != "none":
        raise DataError(f"{path} scales its rotary frequencies: use the model's hub id or MLX folder.")

    def value(name: str) -> Any:
        return metadata[f"{family}.{name}"]

    config = {
        "model_type": family,
        "architectures": ["LlamaForCausalLM" if family == "llama" else "Qwen2ForCausalLM"],
        "hidden_size": value("embedding_length"),
        "num_hidden_layers": value("block_count"),
        "intermediate_size": value("feed_forward_length"),
        "num_attention_heads": value("attention.head_count"),
        "num_key_value_heads": metadata.get(f"{family}.attention.head_count_kv", value("attention.head_count")),
        "rms_norm_eps": value("attention.layer_norm_rms_epsilon"),
        "rope_theta": metadata.get(f"{family}.rope.freq_base", 10000.0),
        "max_position_embeddings": value("context_length"),
        "tie_word_embeddings": "output.weight" not in tensors,
        "bos_token_id": metadata.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": metadata["tokenizer.ggml.eos_token_id"],
        "torch_dtype": "bfloat16",
    }
    if family == "llama":
        config["attention_bias"] = "blk.0.attn_q.bias" in tensors
        if f"{family}.attention.key_length" in metadata:
            config["head_dim"] = value("attention.key_length")
    return config


SIZES = ("hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads", "num_key_value_heads")
LARGEST_SIZE = 1 << 24


def _check_sizes(config: Mapping[str, Any], tensors: int) -> None:
    """Raises ValueError for a size that no model has: what is computed from it would not end, or divide by zero."""
    for name in SIZES:
        if isinstance(config[name], bool) or not isinstance(config[name], int) or not 0 < config[name] <= LARGEST_SIZE:
            raise ValueError(f"{name} is {str(config[name])[:40]}")
    if config["num_hidden_layers"] > tensors:
        raise ValueError(f"{config['num_hidden_layers']} layers, {tensors} tensors")
    if config["num_attention_heads"] % config["num_key_value_heads"]:
        raise ValueError(f"{config['num_attention_heads']} heads over {config['num_key_value_heads']}")


def _weights(reader: Any, config: Mapping[str, Any], path: Path) -> dict[str, mx.array]:
    weights = {}
    for tensor in reader.tensors:
        array = _dequantised(tensor, path)
        name = _translated(tensor.name, path)
        if config["model_type"] == "llama" and (".q_proj." in name or ".k_proj." in name):
            heads = config["num_attention_heads" if ".q_proj." in name else "num_key_value_heads"]
            array = rotary_halves(array, heads)
        kept = {"F32": mx.float32, "F16": mx.float16}.get(tensor.tensor_type.name, mx.bfloat16)
        dtype = mx.bfloat16 if array.ndim == 1 else kept
        weights[name] = mx.array(array).astype(dtype)
    missing = [
        f"{part}.weight"
        for layer in range(config["num_hidden_layers"])
        for part in (f"model.layers.{layer}.self_attn.q_proj", f"model.layers.{layer}.mlp.down_proj")
        if f"{part}.weight" not in weights
    ]
    if missing:
        raise KeyError(missing[0])
    return weights


def _dequantised(tensor: Any, path: Path) -> np.ndarray:
    from gguf.quants import dequantize

    kind = tensor.tensor_type.name
    if kind not in TENSOR_TYPES:
        raise DataError(f"{path} holds {kind} tensors: use a file of {', '.join(TENSOR_TYPES)}.")
    shape = tuple(int(length) for length in reversed(tensor.shape))
    data = np.asarray(tensor.data)  # a plain array: slicing numpy's memmap costs more than the arithmetic
    array: np.ndarray = dequantize(data, tensor.tensor_type).reshape(shape)
    if not np.isfinite(array).all():
        raise DataError(f"{path} holds weights that are not numbers ({tensor.name}): download it again.")
    return array


def _translated(name: str, path: Path) -> str:
    """`blk.3.attn_q.weight` → `model.layers.3.self_attn.q_proj.weight`."""
    *block, part, kind = name.split(".")
    if part not in NAMES or kind not in ("weight", "bias"):
        raise DataError(f"{path} holds a tensor {name!r} that no qwen2 or llama model has: use its hub id.")
    return ".".join([*(["model.layers", block[1]] if block else []), NAMES[part], kind])


def rotary_halves(array: np.ndarray, heads: int) -> np.ndarray:
    """Undoes the row order of llama GGUF files: (pair, 2) within each head back to (2, pair).

    ggml rotates neighbouring rows, Hugging Face's layout (Su et al. 2021, as in GPT-NeoX) rotates halves.
    """
    pairs = array.shape[0] // heads // 2
    return array.reshape(heads, pairs, 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
