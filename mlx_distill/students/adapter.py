"""The LoRA adapter: attached to a base once, switched on and off in place, saved in mlx-lm's own format.

In: a loaded model and the layers, rank and scale. Out: an Adapter whose off state is the base itself, module by
module, so that base and distilled are compared from one copy of the weights and the base is bit-equal to one that
never saw an adapter. Method: Hu et al. 2021 (arXiv 2106.09685), y = Wx + scale · BAx.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_unflatten

from mlx_distill.config import TrainingConfig
from mlx_distill.errors import DataError, UsageError
from mlx_distill.rundir import write_atomic

WEIGHTS, SETTINGS = "adapters.safetensors", "adapter_config.json"


class Adapter:
    """LoRA on the top layers of a model. Switched on when made."""

    def __init__(self, model: Any, *, layers: int, rank: int, scale: float, dropout: float, seed: int) -> None:
        """Raises UsageError when the model has fewer layers."""
        from mlx_lm.tuner.utils import linear_to_lora_layers

        if layers > len(model.layers):
            raise UsageError(f"The student has {len(model.layers)} layers, not {layers}: lower training.layers.")
        mx.random.seed(seed)
        model.freeze()
        self.layers = layers
        self.parameters = {"rank": rank, "scale": scale, "dropout": dropout}
        linear_to_lora_layers(model, layers, self.parameters)
        self._model = model
        self._lora = {name: module for name, module in model.named_modules() if "lora_a" in module}

    def switch(self, on: bool) -> None:
        """Puts the LoRA modules, or the plain modules they wrap, in place."""
        modules = [(name, lora if on else _wrapped(lora)) for name, lora in self._lora.items()]
        self._model.update_modules(tree_unflatten(modules))

    def weights(self) -> dict[str, mx.array]:
        """The trainable arrays by name, as mlx-lm names them."""
        return {f"{name}.{part}": lora[part] for name, lora in self._lora.items() for part in ("lora_a", "lora_b")}

    def set_weights(self, weights: dict[str, mx.array]) -> None:
        """Raises DataError when they belong to another adapter."""
        mine = self.weights()
        if {name: array.shape for name, array in weights.items()} != {n: a.shape for n, a in mine.items()}:
            raise DataError("The saved adapter has other layers or another rank: start a new --run.")
        for name, array in weights.items():
            module, _, part = name.rpartition(".")
            self._lora[module][part] = array

    def parameter_count(self) -> int:
        return sum(array.size for array in self.weights().values())

    def save(self, folder: Path, student: str) -> None:
        """`adapters.safetensors` and `adapter_config.json`, which mlx_lm's --adapter-path loads."""
        settings = {
            "fine_tune_type": "lora",
            "model": student,
            "num_layers": self.layers,
            "lora_parameters": self.parameters,
        }
        folder.mkdir(parents=True, exist_ok=True)
        save_arrays(folder / WEIGHTS, self.weights(), {})
        write_atomic(folder / SETTINGS, json.dumps(settings, indent=1))


def _wrapped(lora: Any) -> Any:
    """The plain module inside a LoRA one: mlx-lm wraps linear, expert and embedding layers."""
    return lora.embedding if "embedding" in lora else lora.linear


def attach(model: Any, config: TrainingConfig) -> Adapter:
    """A new adapter, initialised from the run's seed."""
    return Adapter(
        model,
        layers=config.layers,
        rank=config.rank,
        scale=config.scale,
        dropout=config.dropout,
        seed=config.seed,
    )


def load(model: Any, folder: Path) -> Adapter:
    """A saved adapter. Raises DataError when there is none or it does not fit the model."""
    weights = read_weights(folder)
    settings = json.loads((folder / SETTINGS).read_text())
    adapter = Adapter(model, layers=settings["num_layers"], **settings["lora_parameters"], seed=0)
    adapter.set_weights(weights)
    return adapter


def read_weights(folder: Path) -> dict[str, mx.array]:
    """A saved adapter's arrays. Raises DataError when there are none."""
    try:
        return load_arrays(folder / WEIGHTS)[0]
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{folder} holds no adapter ({error}): run `mlx-distill train` first.") from error


def load_arrays(path: Path) -> tuple[dict[str, mx.array], dict[str, str]]:
    """A safetensors file's arrays and metadata. Raises RuntimeError or ValueError when it is damaged."""
    loaded: Any = mx.load(str(path), return_metadata=True)
    arrays, metadata = loaded
    return arrays, metadata


def save_arrays(path: Path, arrays: dict[str, mx.array], metadata: dict[str, str]) -> None:
    """A safetensors file, replaced whole."""
    temporary = path.with_name(f".{path.stem}.partial.safetensors")
    mx.save_safetensors(str(temporary), arrays, metadata=metadata)
    temporary.replace(path)


def total_parameters(model: Any) -> int:
    """Weights of the base model, adapters apart; a quantised weight counts as one."""
    from mlx_lm.utils import get_total_parameters

    return int(get_total_parameters(model))
