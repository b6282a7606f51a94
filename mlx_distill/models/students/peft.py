"""The adapter for Hugging Face PEFT: arrays renamed and transposed, settings translated, nothing computed.

In: an mlx-lm adapter's folder. Out: a folder with adapter_model.safetensors and adapter_config.json. The trade-off:
the base is not loaded, so that this takes no memory and no time; in return only modules inside `model.layers` are
written, which mlx-lm and transformers name alike. Format: as PEFT itself saves it (tested against PEFT 0.21).
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_distill.models.students import STUDENTS, is_local, model_config
from mlx_distill.models.students.adapter import SETTINGS, WEIGHTS, read_weights, save_arrays
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.folder import write_atomic

PEFT_WEIGHTS = "adapter_model.safetensors"
"""The settings' file has one name in both formats."""

ADAPTED = re.compile(r"model\.layers\.(?P<layer>\d+)\.(?P<module>.+)\.(?P<part>lora_a|lora_b|m)")
PARTS = {"lora_a": "lora_A.weight", "lora_b": "lora_B.weight", "m": "lora_magnitude_vector"}
KEYS = {
    *("peft_type", "task_type", "base_model_name_or_path", "inference_mode", "r", "lora_alpha", "lora_dropout"),
    *("use_rslora", "use_dora", "bias", "fan_in_fan_out", "target_modules", "layers_to_transform", "layers_pattern"),
}
"""Of the settings that are written."""

DIMENSIONS = {"lora_a": 2, "lora_b": 2, "m": 1}


def write_peft(adapter: Path, folder: Path) -> str:
    """Writes the PEFT form of the adapter in one folder to another. Returns the base that it belongs to.

    Raises DataError for an adapter that is missing, damaged or not of linear layers in `model.layers`, UsageError
    for whole trained layers, which no adapter can hold, and for a folder that holds an mlx-lm adapter.
    """
    weights, settings = read_weights(adapter), _settings(adapter)
    base: str = STUDENTS.get(settings["model"], settings["model"])
    if settings.get("fine_tune_type") == "full":
        raise UsageError(
            f"{adapter} holds whole layers and PEFT only adapters: write a whole model with "
            f"`mlx_lm.fuse --model {base} --adapter-path {adapter}`, or train with LoRA or DoRA."
        )
    if (folder / WEIGHTS).exists():
        raise UsageError(f"{folder} holds an mlx-lm adapter, whose {SETTINGS} would be lost: choose another --to.")
    adapted = {name: _adapted(name, array) for name, array in weights.items()}
    config = _config(settings, base, list(adapted.values()))
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {_peft_name(adapted[name]): array.astype(mx.float32).T for name, array in weights.items()}
    save_arrays(folder / PEFT_WEIGHTS, arrays, {"format": "pt"})
    write_atomic(folder / SETTINGS, json.dumps(config, indent=2) + "\n")
    return base


def is_ours(folder: Path) -> bool:
    """Whether a folder holds what `write_peft` wrote: PEFT's own settings have many keys more."""
    try:
        return set(json.loads((folder / SETTINGS).read_text(encoding="utf-8"))) == KEYS
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def why_not_loadable(base: str) -> str:
    """Why transformers would not load a base, as far as its files on this machine tell; "" where nothing speaks against
    it."""
    if base.endswith(".gguf"):
        return "it is a GGUF file"
    if not is_local(base):
        return ""
    config = model_config(base) or {}
    if "quantization" in config and "quant_method" not in (config.get("quantization_config") or {}):
        return "it is quantised for MLX"
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")  # that there is no PyTorch, as mlx-lm sets it
    from transformers.models.auto import configuration_auto

    kind = config.get("model_type")
    known: Any = vars(configuration_auto)["CONFIG_MAPPING_NAMES"]
    return "" if kind in known else f"it knows no model type {kind!r}"


def _settings(adapter: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = json.loads((adapter / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{adapter / SETTINGS} cannot be read ({error}): delete {adapter}, then run `mlx-distill train` again."
        ) from error
    return settings


def _adapted(name: str, array: mx.array) -> re.Match[str]:
    """The layer, module and part that an array's name tells."""
    match = ADAPTED.fullmatch(name)
    if match is None or array.ndim != DIMENSIONS[match["part"]]:
        raise DataError(
            f"{name} has no form in PEFT that this tool writes (linear layers inside model.layers, no experts and no "
            "embeddings): use the adapter with mlx_lm's --adapter-path, or train other layers."
        )
    return match


def _peft_name(adapted: re.Match[str]) -> str:
    return f"base_model.model.model.layers.{adapted['layer']}.{adapted['module']}.{PARTS[adapted['part']]}"


def _config(settings: dict[str, Any], base: str, adapted: list[re.Match[str]]) -> dict[str, Any]:
    """adapter_config.json; what it leaves out has PEFT's defaults."""
    lora = settings["lora_parameters"]
    alpha = lora["scale"] * lora["rank"]
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "inference_mode": True,
        "r": lora["rank"],
        "lora_alpha": int(alpha) if alpha == int(alpha) else alpha,
        "lora_dropout": lora["dropout"],
        "use_rslora": False,
        "use_dora": settings.get("fine_tune_type") == "dora",
        "bias": "none",
        "fan_in_fan_out": False,
        "target_modules": sorted({match["module"].rpartition(".")[2] for match in adapted}),
        "layers_to_transform": sorted({int(match["layer"]) for match in adapted}),
        "layers_pattern": "layers",
    }
